import { drawBars, LineChart } from './charts.js';

const POLL_MS = 1000;
const at = (id) => document.getElementById(id);
const say = (id, text) => (at(id).textContent = text);

const charts = {
  traffic: new LineChart(at('traffic'), ['answered', 'degraded', 'refused', 'late or failed']),
  latency: new LineChart(at('latency'), ['p50', 'p99']),
  stages: new LineChart(at('stages')),
};
let before;
let attributes = [];

/** A request to the service this page came from. */
async function ask(path, body) {
  const key = sessionStorage.getItem('lichen-key');
  const response = await fetch(path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(key && { authorization: `Bearer ${key}` }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.error.message} (${answer.error.code})`);
  return answer;
}

function trouble(id, error) {
  at(id).hidden = error === undefined;
  if (error !== undefined) say(id, error.message);
}

const ms = (us) => us / 1000;
const short = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(0));

function show(stats) {
  const { deployment, outcomes, latency } = stats;
  attributes = deployment?.attributes ?? [];
  at('status').className = `pill ${stats.isReady ? 'good' : 'bad'}`;
  say('status', stats.isReady ? 'ready' : 'not ready');
  say('version', deployment === undefined ? '' : `model ${deployment.version}`);
  say(
    'facts',
    `${(deployment?.items ?? 0).toLocaleString()} items · up ${duration(stats.uptimeMs)} · ` +
      `${(stats.memoryBytes / 2 ** 20).toFixed(0)} MiB · event loop ${short(stats.eventLoopDelayMs)} ms`,
  );
  say('p50', short(ms(latency.p50us)));
  say('p99', short(ms(latency.p99us)));
  say('in-flight', `${stats.inFlight} / ${stats.limit}`);
  const { recall } = stats.canary;
  say('recall', recall === null ? '–' : recall.toFixed(3));
  if (before !== undefined) showRates(stats, (stats.atMs - before.atMs) / 1000);
  const time = Date.now() / 1000;
  charts.latency.add(time, { p50: ms(latency.p50us), p99: ms(latency.p99us) });
  charts.stages.add(
    time,
    Object.fromEntries(
      Object.entries(stats.recentStages).map(([name, { p99us }]) => [name, ms(p99us)]),
    ),
  );
  showBatches(deployment?.encode);
  showCaches(stats);
  showDegradations(stats.degradations);
  before = { atMs: stats.atMs, outcomes };
}

function showRates({ outcomes }, seconds) {
  const rate = (...names) =>
    names.reduce((sum, name) => sum + outcomes[name] - before.outcomes[name], 0) / seconds;
  const answered = rate('ok', 'degraded');
  say('rate', short(answered));
  say('shed', short(rate('shed')));
  const share = answered > 0 ? rate('degraded') / answered : 0;
  say('degraded', `${(100 * share).toFixed(1)}%`);
  charts.traffic.add(Date.now() / 1000, {
    answered,
    degraded: rate('degraded'),
    refused: rate('shed'),
    'late or failed': rate('deadline', 'failed', 'aborted', 'invalid'),
  });
}

function showBatches(encode) {
  const sizes = encode?.batches.batchSizes ?? [];
  drawBars(
    at('batches'),
    sizes.map((count, power) => [power === 0 ? '1' : `≤ ${2 ** power}`, count]),
  );
  if (encode === undefined) return;
  const { queued, batchMs, requestMs, waitP99us } = encode.batches;
  say(
    'batch-facts',
    `${queued} wait · a batch takes ${batchMs.toFixed(2)} ms + ${requestMs.toFixed(3)} ms each · ` +
      `p99 wait ${short(ms(waitP99us))} ms`,
  );
}

function showCaches({ cacheUse, deployment }) {
  const { result = 0, vector = 0, none = 0 } = cacheUse;
  const all = Math.max(1, result + vector + none);
  const share = (count) => `${((100 * count) / all).toFixed(1)}%`;
  const tiers = deployment?.encode.cache?.hits;
  drawBars(at('caches'), [
    ['results', result, share(result)],
    ...(tiers === undefined
      ? [['vectors', vector, share(vector)]]
      : [
          ['vectors, memory', tiers.memory, share(tiers.memory)],
          ['vectors, shared', tiers.shared, share(tiers.shared)],
        ]),
    ['computed', none, share(none)],
  ]);
  const bytes = deployment?.encode.cache?.memory.bytes;
  say('cache-facts', bytes === undefined ? '' : `vectors take ${(bytes / 2 ** 20).toFixed(1)} MiB`);
}

function showDegradations(list) {
  at('no-degradations').hidden = list.length > 0;
  at('degradations').hidden = list.length === 0;
  const body = at('degradations').querySelector('tbody');
  body.replaceChildren(
    ...list.map(({ step, outcome, count, reason }) => {
      const row = document.createElement('tr');
      for (const text of [step, outcome, count, reason]) {
        row.insertCell().textContent = String(text);
      }
      return row;
    }),
  );
}

function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

function showAnswer({ items, version, degraded, cache, ms: took, steps = [] }) {
  at('answer').hidden = false;
  at('items').replaceChildren(
    ...items.map(({ id, score, scoredBy, attributes: known = {} }) => {
      const line = document.createElement('li');
      const told = Object.values(known).filter((value) => value !== null);
      line.textContent = told.length > 0 ? told.join(' · ') : String(id);
      const detail = document.createElement('span');
      detail.textContent = `${told.length > 0 ? `${id}, ` : ''}${score.toPrecision(4)} by ${scoredBy}`;
      line.append(detail);
      return line;
    }),
  );
  const kept = { result: 'the whole result was kept', vector: 'the user’s vector was kept' }[cache];
  say(
    'how',
    `Model ${version}, ${took.toFixed(2)} ms` +
      `${degraded ? ', degraded' : ''}${kept === undefined ? '' : `; ${kept}`}`,
  );
  const longest = Math.max(0.01, ...steps.map(({ ms: one }) => one));
  at('steps').replaceChildren(
    ...steps.map(({ name, outcome, candidates, ms: one, reason }) => {
      const step = document.createElement('div');
      step.className = 'step';
      const text = document.createElement('p');
      text.textContent =
        `${name}: ${outcome}, ${candidates.toLocaleString()} candidates, ${one.toFixed(2)} ms` +
        `${reason === undefined ? '' : ` (${reason})`}`;
      const bar = document.createElement('div');
      bar.className = outcome === 'full' ? 'bar' : 'bar warn';
      bar.style.width = `${(100 * one) / longest}%`;
      step.append(text, bar);
      return step;
    }),
  );
}

at('ask').addEventListener('submit', async (event) => {
  event.preventDefault();
  const list = (text) =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '');
  try {
    const user = at('user').value.trim();
    const history = list(at('history').value);
    const where = at('where').value.trim();
    const answer = await ask('v1/recommend', {
      ...(user !== '' && { user }),
      ...(history.length > 0 && { history }),
      ...(where !== '' && { where: JSON.parse(where) }),
      ...(attributes.length > 0 && { attributes }),
      k: Number(at('k').value),
      explain: true,
    });
    showAnswer(answer);
    trouble('answer-problem');
  } catch (error) {
    trouble('answer-problem', error);
  }
});

at('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('lichen-key', at('key').value);
});

async function poll() {
  try {
    show(await ask('v1/stats'));
    trouble('problem');
  } catch (error) {
    at('status').className = 'pill bad';
    say('status', 'no answer');
    trouble('problem', error);
  }
  setTimeout(poll, POLL_MS);
}

const { needsKey } = await ask('assets/config.json');
at('key-form').hidden = !needsKey;
void poll();
