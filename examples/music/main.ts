// A music service: a huge catalogue, listeners who hear the same again, sessions that go on.

import {
  cacheability,
  HnswIndex,
  makeTrace,
  measureCapacity,
  measureCost,
  planCapacity,
  Random,
  TwoTowerModel,
  itemsOf,
  type Trace,
} from 'lichen';
import {
  chooseDesign,
  exampleOptions,
  heading,
  interactionsOf,
  requestOf,
  say,
  sayTable,
  splitUsers,
} from '../common.js';

const SESSION = 12; // tracks of a session
const TRACK_MS = 200_000;
const K = 20;

async function main(): Promise<void> {
  const options = exampleOptions('music', 'lastfm-hetrec');
  const { isSmall, seed, report } = options;
  const { known, later } = await interactionsOf(options, [
    'train.user_artist_plays.tsv.gz',
    'test.user_artist_plays.tsv.gz',
  ]);
  say(
    `${known.users.size} listeners, ${known.items.size} tracks, ${known.itemIndices.length} plays to learn from.`,
  );

  // A listener is what was heard, so that a session can change the vector without any training.
  const model = await TwoTowerModel.train(known, {
    ...{ userTower: 'history', dim: 64, prefixes: [16, 32], seed },
    epochs: isSmall ? 2 : 8,
  });
  const { itemVectors, userVectors, metric, items } = model;

  heading('A session goes on');
  using index = new HnswIndex({ dim: 64, metric, storage: 'i8', rerank: 'f16' });
  await index.add(itemVectors);
  const session: (string | number)[] = [];
  const listener = Array.from({ length: known.users.size }, (_, user) => user).find(
    (user) => itemsOf(known, user).length >= SESSION,
  )!;
  for (const item of itemsOf(known, listener).slice(0, 3)) {
    session.push(items.idAt(item));
    const vector = await model.encodeNewUsers([{ history: session }]);
    const heard = session.map((id) => items.indexOf(id));
    const { keys } = index.searchSync(vector, { k: 5, exclude: heard });
    say(`after ${session.join(', ')}: ${Array.from(keys, (key) => items.idAt(key)).join(', ')}`);
  }
  const random = new Random(seed);
  const histories = Array.from({ length: 256 }, () =>
    Array.from({ length: 20 }, () => items.idAt(random.below(items.size))),
  );
  const one = await measureCost((call) =>
    model.encodeNewUsers([{ history: histories[call % 256]! }]),
  );
  say(`The vector of a session costs ${one.us.median.toFixed(0)} µs.`);

  heading('The same listener again');
  const trace = sessions(known.users.size, isSmall ? 40_000 : 200_000, seed);
  const caches = cacheability(trace, {
    entries: [Math.ceil(trace.keyCount / 20), trace.keyCount],
    ttlsMs: [TRACK_MS / 4, TRACK_MS, 10 * TRACK_MS],
  });
  sayTable([
    ['results kept', 'for s', 'hits by LRU %', 'by lichen %'],
    ...caches.points.map(({ entries, ttlMs, lruHits, hits }) => [
      ...[entries, ttlMs / 1000, (100 * lruHits).toFixed(1), (100 * hits).toFixed(1)],
    ]),
  ]);
  say(
    'Kept for longer than a track lasts, a result no longer follows the session: these hits are not to be had for nothing.',
  );

  const [requests, reportRequests] = splitUsers(later, isSmall ? [150, 100] : [1500, 1500], seed);
  const request = requestOf(known, later);
  await chooseDesign(
    'Music: a design for 5,000 requests a second within 40 ms',
    { listeners: known.users.size, tracks: known.items.size },
    {
      ...{ items: itemVectors, users: userVectors, metric, k: K, seed, trace },
      requests: requests!.map(request),
      reportRequests: reportRequests!.map(request),
      encoder: (count: number) =>
        model.encodeNewUsers(
          Array.from({ length: count }, () => ({ history: histories[random.below(256)]! })),
        ),
      demand: { qps: 5000, sloMs: 40 },
      space: {
        ...{ dims: [16, 32, 64], storages: ['f32', 'i8+f16', 'i4+i8'], batches: [1, 8] },
        caches: [
          { entries: 0, ttlMs: 0 },
          { entries: Math.ceil(trace.keyCount / 5), ttlMs: TRACK_MS / 4 },
        ],
      },
      ...(isSmall && { maxDesigns: 40, firstRung: 16 }),
    },
    report,
  );

  heading('The same for 100 million tracks');
  for (const storage of ['f32', 'i8', 'i4'] as const) {
    const capacity = await measureCapacity({
      candidate: { index: 'hnsw', storage, m: 12 },
      ...{ dim: 64, metric: 'dot', k: K, ef: 64, seed },
      rows: isSmall ? [2000, 4000] : [20_000, 60_000],
    });
    const plan = planCapacity({
      ...{ items: 1e8, dim: 64, k: K, capacity, seed, demand: { qps: 5000, sloMs: 40 } },
      requests: isSmall ? 2000 : 20_000,
    });
    const { fleet, simulated } = plan;
    say(
      `${storage}: ${(plan.bytes / 2 ** 30).toFixed(1)} GiB, ${fleet.machines} x ${fleet.machine.name} (${fleet.shards} shards), ` +
        `${fleet.usdPerMonth.toFixed(0)} $ a month, p99 ${(simulated.p99us.mean / 1000).toFixed(2)} ms`,
    );
  }
}

/** Requests of sessions: a few listeners come often, each asks at every track and now and then in between. */
function sessions(listeners: number, requests: number, seed: number): Trace {
  const random = new Random(seed);
  const events: { time: number; listener: number }[] = [];
  let start = 0;
  while (events.length < requests) {
    start -= 500 * Math.log(1 - random.uniform());
    const listener = Math.floor(listeners ** random.uniform());
    const tracks = 1 + random.below(2 * SESSION);
    for (let track = 0; track < tracks; track++) {
      const time = start + track * TRACK_MS;
      events.push({ time, listener });
      if (random.uniform() < 0.5) events.push({ time: time + random.below(TRACK_MS), listener });
    }
  }
  events.sort((a, b) => a.time - b.time);
  return makeTrace(
    events.map(({ listener }) => listener),
    events.map(({ time }) => time),
  );
}

void main();
