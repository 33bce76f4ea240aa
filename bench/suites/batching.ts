import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HnswIndex, matrix, Random } from '../../src/index.js';
import type { Batcher } from '../../src/batching/batcher.js';
import type { BatcherOptions } from '../../src/batching/batcher-options.js';
import { sharedMatrix } from '../../src/pool/user-tower.js';
import { ratioText, spread } from '../harness/alternate.js';
import {
  bursty,
  changing,
  poisson,
  readGaps,
  recorded,
  type Arrivals,
} from '../harness/arrivals.js';
import { compiled } from '../harness/compiled.js';
import { histories, historiesOf } from '../harness/histories.js';
import type { MlpTowerData } from '../harness/mlp-tower.js';
import { openLoop, type OpenLoop } from '../harness/open-loop.js';
import { ratioFields } from '../harness/report.js';
import {
  integerOption,
  integersOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { dataFolder, mixture } from '../harness/vectors.js';

const USERS = 4096;
const DIM = 64;
const HISTORY = 20;
const MOST = 256;
const SIZES = [1, 8, 16, 32, 64, 128, 256];
/** Before the time that counts. */
const WARM_MS = 500;
/** After the load has changed, until it counts. */
const CHANGE_MS = 1000;

/** Goodput within an SLO of a user tower with search, by policy and load. */
export const batchingSuite: Suite = {
  name: 'batching',
  description: 'goodput by batching policy, beside the best fixed setting',
  options: {
    rows: 'items of the index (default 100,000)',
    slo: 'milliseconds within which an answer counts (default 25)',
    hidden: 'units of the tower’s layer in the middle (default 256)',
    seconds: 'of a run (default 2)',
    rounds: 'rounds of the comparison (default 3)',
    sizes: `of batches that the grid search tries (default ${SIZES.join(',')})`,
    load: 'only loads with this in their names: Poisson, bursts, recorded, became',
    trace: 'recorded arrivals: a csv with times in its first column, also .gz',
  },
  quick: { rows: '4000', hidden: '32', seconds: '1', rounds: '1', sizes: '32', load: 'bursts' },
  run,
};

/** A setting of a batcher, and what a request may wait. */
interface Setting {
  readonly name: string;
  readonly options: BatcherOptions;
  readonly deadlineMs: number;
}

interface Load {
  readonly name: string;
  readonly fromMs: number;
  readonly arrivals: (seed: number, seconds: number) => Arrivals;
}

interface Work {
  readonly sloMs: number;
  readonly seconds: number;
  readonly sizes: readonly number[];
  readonly perform: (
    setting: Setting,
    load: Load,
    seed: number,
  ) => Promise<OpenLoop & { batch: number }>;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const sloMs = integerOption(context, 'slo', 25);
  const seconds = integerOption(context, 'seconds', 2);
  const rounds = integerOption(context, 'rounds', 3);
  const { retrieve, close } = await retrieval(context);
  const sizes = integersOption(context, 'sizes', SIZES);
  const work: Work = { sloMs, seconds, sizes, perform: performer(retrieve, sloMs, seconds) };
  const most = await capacity(context, retrieve);
  const results: Result[] = [];
  const wanted = context.options.get('load') ?? '';
  for (const load of loads(context, most).filter(({ name }) => name.includes(wanted))) {
    const best = await gridSearch(work, load);
    context.say(`${load.name}: the best fixed setting is ${best.name}`);
    results.push(...(await compare(context, work, load, best, rounds)));
  }
  await close();
  return results;
}

/** A pool of one worker that evaluates the tower and searches, for users by number. */
async function retrieval(context: SuiteContext) {
  const rows = integerOption(context, 'rows', 100_000);
  const hidden = integerOption(context, 'hidden', 256);
  const items = sharedMatrix(matrix(mixture(42, rows, DIM), DIM));
  const options = { dim: DIM, metric: 'dot', storage: 'i8', rerank: 'f16' } as const;
  context.say(`${rows} × ${DIM}, i8 and f16: building the graph`);
  const graph = new HnswIndex(options);
  await graph.add(items.data);
  const users = await histories(graph, items, USERS, HISTORY);
  const { HnswIndex: Compiled, RetrievalPool } = compiled();
  const index = new Compiled(options);
  await index.add(items.data);
  const data: MlpTowerData = { vectors: items.data, dim: DIM, hidden };
  const path = join(__dirname, '..', 'harness', 'mlp-tower.ts');
  const pool = await RetrievalPool.create({
    ...{ index, tower: { kind: 'module', path, data }, workers: 1 },
  });
  const retrieve = async (numbers: readonly number[]): Promise<Float64Array[]> => {
    const { keys, counts } = await pool.retrieve(
      { history: historiesOf(users, numbers) },
      { k: 20, ef: 64 },
    );
    const k = keys.length / counts.length;
    return numbers.map((_, at) => keys.subarray(at * k, (at + 1) * k));
  };
  return { retrieve, close: () => pool.close() };
}

type Retrieve = (users: readonly number[]) => Promise<Float64Array[]>;

/** Users a second in batches of 64, one batch after the other. */
async function capacity(context: SuiteContext, retrieve: Retrieve): Promise<number> {
  const rates = new Map<number, number>();
  for (const size of [1, 8, 64, 256]) {
    const users = Array.from({ length: size }, (_, at) => at * 7);
    for (let round = 0; round < 20; round++) await retrieve(users);
    const started = performance.now();
    const batches = Math.ceil(1024 / size);
    for (let batch = 0; batch < batches; batch++) await retrieve(users);
    rates.set(size, (1000 * batches * size) / (performance.now() - started));
  }
  const texts = [...rates].map(([size, rate]) => `${size}: ${Math.round(rate)}`);
  context.say(`users a second by size of batch, one after the other: ${texts.join(', ')}`);
  return rates.get(64)!;
}

function loads(context: SuiteContext, most: number): Load[] {
  const at = (share: number): Load => ({
    name: `Poisson, ${share} of capacity`,
    fromMs: WARM_MS,
    arrivals: (seed, seconds) => poisson(share * most, seconds, new Random(seed)),
  });
  const all = [at(0.3), at(0.7), at(0.9), at(2)];
  all.push({
    name: 'bursts, 0.5 of capacity',
    fromMs: WARM_MS,
    arrivals: (seed, seconds) => bursty(0.5 * most, seconds, new Random(seed)),
  });
  const trace =
    context.options.get('trace') ?? join(dataFolder(), 'trace-azure-llm', 'conv.csv.gz');
  if (existsSync(trace)) {
    const gaps = readGaps(trace);
    all.push({
      name: 'recorded, 0.5 of capacity',
      fromMs: WARM_MS,
      arrivals: (seed, seconds) => {
        const from = (seed * 997) % gaps.length;
        const turned = Float64Array.from(gaps, (_, gap) => gaps[(gap + from) % gaps.length]!);
        return recorded(turned, 0.5 * most, seconds);
      },
    });
  } else {
    context.say(`${trace} is missing: recorded arrivals are skipped`);
  }
  const half = 500;
  all.push({
    name: 'one second after 0.2 became 0.9 of capacity',
    fromMs: half + CHANGE_MS,
    arrivals: (seed, seconds) =>
      changing(
        (ms) => (ms < half ? 0.2 : 0.9) * most,
        seconds + CHANGE_MS / 1000,
        new Random(seed),
      ),
  });
  return all;
}

function performer(retrieve: Retrieve, sloMs: number, seconds: number): Work['perform'] {
  const { Batcher: Compiled } = compiled();
  return async ({ options, deadlineMs }, load, seed) => {
    const arrivals = load.arrivals(seed, seconds);
    const batcher: Batcher<number, Float64Array> = new Compiled(retrieve, {
      ...{ slo: sloMs, maxBatch: MOST, ...options },
    });
    const window = { boundMs: sloMs, fromMs: load.fromMs, toMs: arrivals[arrivals.length - 1]! };
    const ask = (at: number, lateMs: number): Promise<unknown> =>
      batcher.submit(at % USERS, { deadline: Math.max(0, deadlineMs - lateMs) });
    const outcome = await openLoop(arrivals, ask, window);
    const { batches, completed } = batcher.stats();
    await batcher.close();
    return { ...outcome, batch: completed / Math.max(1, batches) };
  };
}

/** Size, delay and how long a request may wait: what somebody could set by hand, and whichever does best. */
async function gridSearch(work: Work, load: Load): Promise<Setting> {
  let best: Setting | undefined;
  let most = -1;
  for (const maxBatch of work.sizes) {
    for (const maxDelayMs of [0, 5]) {
      for (const deadlineMs of [work.sloMs, work.sloMs / 2]) {
        const name = `${maxBatch} requests, ${maxDelayMs} ms delay, ${deadlineMs} ms deadline`;
        const options: BatcherOptions = { policy: 'fixed', maxBatch, maxDelayMs };
        const setting: Setting = { name, options, deadlineMs };
        const { goodput } = await work.perform(setting, load, 1);
        if (goodput > most) {
          most = goodput;
          best = setting;
        }
      }
    }
  }
  return best!;
}

async function compare(
  context: SuiteContext,
  work: Work,
  load: Load,
  best: Setting,
  rounds: number,
): Promise<Result[]> {
  const deadlineMs = work.sloMs;
  const settings: Setting[] = [
    { name: 'model', options: { policy: 'model' }, deadlineMs },
    { ...best, name: `best fixed (${best.name})` },
    { name: 'none', options: { policy: 'none' }, deadlineMs },
    { name: 'aimd', options: { policy: 'aimd' }, deadlineMs },
    { name: 'model, patience 0.5', options: { policy: 'model', patience: 0.5 }, deadlineMs },
  ];
  const outcomes = settings.map(() => [] as (OpenLoop & { batch: number })[]);
  for (let round = 0; round < rounds; round++) {
    // The order turns round, so that no side always comes after the same other one.
    for (let at = 0; at < settings.length; at++) {
      const which = (at + round) % settings.length;
      outcomes[which]!.push(await work.perform(settings[which]!, load, 100 + round));
    }
  }
  const goodputs = outcomes.map((side) => side.map(({ goodput }) => goodput));
  const versus = (other: number) =>
    spread(goodputs[0]!.map((goodput, round) => goodput / Math.max(1, goodputs[other]![round]!)));
  context.say(
    `${load.name}: model is ${ratioText(versus(1))} the best fixed setting, ${ratioText(versus(2))} none`,
  );
  return settings.map(({ name }, side) => {
    const median = (of: (outcome: OpenLoop & { batch: number }) => number): number =>
      spread(outcomes[side]!.map(of)).median;
    return {
      name: `${load.name}: ${name}`,
      offered: Math.round(median(({ offered }) => offered)),
      goodput: Math.round(median(({ goodput }) => goodput)),
      lateShare: median(({ lateShare }) => lateShare),
      p50ms: median(({ p50 }) => p50),
      p99ms: median(({ p99 }) => p99),
      batch: median(({ batch }) => batch),
      cpuUs: Math.round(median(({ cpuUs }) => cpuUs)),
      ...(side === 0 ? {} : ratioFields(versus(side))),
    };
  });
}
