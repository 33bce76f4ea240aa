import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregate } from '../../src/features/aggregations.js';
import {
  batchView,
  entity,
  featureService,
  onDemandView,
  streamView,
} from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { FEATURE_STATUS } from '../../src/features/frame.js';
import { openLmdbStore } from '../../src/features/lmdb-store.js';
import { materialize } from '../../src/features/materialize.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { rowsSource } from '../../src/features/row-sources.js';
import { StreamWriter } from '../../src/features/stream.js';
import { trainingFrame, type PastEvent } from '../../src/features/training.js';
import { Random } from '../../src/vectors/random.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const TTL = 40;
const LATENESS = 15;
const track = entity('track', { keys: 'integer' });
const profile = batchView({
  name: 'profile',
  entity: track,
  ttlMs: TTL,
  columns: { time: 'since', created: 'known' },
  features: { value: feature.f64({ default: -1 }) },
});
const plays = streamView({
  name: 'plays',
  entity: track,
  ttlMs: TTL,
  latenessMs: LATENESS,
  event: { amount: feature.f64() },
  features: {
    count: aggregate.count(20, { buckets: 4 }),
    sum: aggregate.sum('amount', 20, { buckets: 4 }),
    last: aggregate.last('amount', 2),
  },
});
const both = onDemandView({
  name: 'both',
  request: { factor: feature.f64() },
  uses: [profile, plays],
  features: { product: feature.f64() },
  compute: ({ request, features }) => ({
    product: request.factor * features.profile.value * (1 + features.plays.count),
  }),
});
const service = featureService({ name: 's', version: 1, views: [profile, plays, both] });

type Row = {
  track: number;
  since: number;
  known: number;
  value: number;
};

/** What was known then, looked for row by row. */
function naiveBatch(rows: readonly Row[], key: number, time: number) {
  let best: Row | undefined;
  for (const row of rows) {
    if (row.track !== key || row.since > time || Math.max(row.known, row.since) > time) continue;
    if (best === undefined || row.since >= best.since) best = row;
  }
  return best;
}

/** What had come by then, each event looked at with all that had come before it. */
function naiveStream(events: readonly PastEvent[], key: number, time: number) {
  const came = events
    .map((event, at) => ({ event, at, arrived: event.arrived ?? event.time }))
    .sort((a, b) => a.arrived - b.arrived || a.at - b.at);
  let latest = -Infinity;
  const counted: { time: number; amount: number; key: unknown }[] = [];
  const ids = new Set<unknown>();
  for (const { event, arrived } of came) {
    if (arrived > time || event.time < latest - LATENESS || event.time > arrived) continue;
    if (ids.has(event.id)) continue;
    if (event.id !== undefined) ids.add(event.id);
    latest = Math.max(latest, event.time);
    counted.push({ time: event.time, amount: event.fields.amount as number, key: event.key });
  }
  const own = counted.filter((event) => event.key === key);
  const newest = Math.max(...own.map((event) => event.time));
  const first = Math.floor(time / 5) - 3;
  const inWindow = own.filter((event) => Math.floor(event.time / 5) >= first);
  return {
    isThere: own.length > 0 && time - newest <= TTL,
    count: inWindow.length,
    sum: inWindow.reduce((sum, { amount }) => sum + amount, 0),
  };
}

const times = fc.integer({ min: 0, max: 100 });
const keys = fc.integer({ min: 1, max: 3 });
const rowsOfSource = fc.array(
  fc
    .tuple(keys, times, fc.integer({ min: 0, max: 30 }), fc.integer({ min: -99, max: 99 }))
    .map(([key, since, delay, value]): Row => ({ track: key, since, known: since + delay, value })),
  { maxLength: 25 },
);
const pastEvents = fc.array(
  fc
    .tuple(
      keys,
      times,
      fc.integer({ min: 0, max: 25 }),
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
    )
    .map(([key, time, delay, amount, isNamed]): PastEvent => ({
      ...{ key, time, arrived: time + delay, fields: { amount } },
      // Some come twice: two events of one key, time and amount are the same one.
      ...(isNamed ? { id: `${key} ${time} ${amount}` } : {}),
    })),
  { maxLength: 25 },
);

describe('a training set', () => {
  it('has what was known at each time and nothing later', async () => {
    await fc.assert(
      fc.asyncProperty(
        rowsOfSource,
        pastEvents,
        fc.array(fc.tuple(keys, times), { minLength: 1, maxLength: 12 }),
        async (rows, events, labels) => {
          const frame = await trainingFrame(service, {
            times: labels.map(([, time]) => time),
            keys: { track: labels.map(([key]) => key) },
            request: { factor: 2 },
            history: { profile: rowsSource(rows), plays: events },
          });
          labels.forEach(([key, time], row) => {
            const known = naiveBatch(rows, key, time);
            const isServed = known !== undefined && time - known.since <= TTL;
            const value = isServed ? known.value : -1;
            expect(frame.columns.profile.value[row]).toBe(value);
            expect(frame.status.profile[row] === FEATURE_STATUS.found).toBe(isServed);
            const wanted = naiveStream(events, key, time);
            expect(frame.status.plays[row] === FEATURE_STATUS.found).toBe(wanted.isThere);
            const count = wanted.isThere ? wanted.count : 0;
            expect(frame.columns.plays.count[row]).toBe(count);
            expect(frame.columns.plays.sum[row]).toBe(wanted.isThere ? wanted.sum : 0);
            expect(frame.columns.both.product[row]).toBe(2 * value * (1 + count));
          });
        },
      ),
    );
  });

  it('does not change with what comes after its times', async () => {
    await fc.assert(
      fc.asyncProperty(rowsOfSource, pastEvents, times, async (rows, events, cut) => {
        const at = { times: [cut, cut], keys: { track: [1, 2] }, request: { factor: 1 } };
        const whole = await trainingFrame(service, {
          ...at,
          history: { profile: rowsSource(rows), plays: events },
        });
        const before = await trainingFrame(service, {
          ...at,
          history: {
            profile: rowsSource(rows.filter(({ since, known }) => Math.max(since, known) <= cut)),
            plays: events.filter(({ arrived }) => arrived! <= cut),
          },
        });
        expect(whole).toEqual(before);
      }),
    );
  });

  it('refuses what it cannot join', async () => {
    const good = {
      times: [1, 2],
      keys: { track: [1, 2] },
      request: { factor: 1 },
      history: { profile: rowsSource([]), plays: [] },
    };
    const bad = { code: 'ERR_LICHEN_ARGUMENT' };
    for (const wrong of [
      { times: [1] },
      { times: [1, NaN] },
      { history: { plays: [] } },
      { history: { profile: rowsSource([]) } },
      { history: { ...good.history, other: [] } },
      { history: { ...good.history, plays: 5 } },
      { history: { ...good.history, plays: [{ key: 1, time: NaN, fields: { amount: 1 } }] } },
      { request: {} },
    ]) {
      await expect(trainingFrame(service, { ...good, ...wrong } as never)).rejects.toMatchObject(
        bad,
      );
    }
    const source = rowsSource([{ track: 1, since: 1, known: 1, value: 'many' }]);
    await expect(
      trainingFrame(service, { ...good, history: { ...good.history, profile: source } }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    await expect(
      trainingFrame(service, {
        ...good,
        history: {
          ...good.history,
          profile: rowsSource([{ track: 1, since: 1, known: 1, value: 1 }]),
        },
        signal: AbortSignal.abort(),
      }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });
});

describe('serving and training', () => {
  const at = temporaryFolder();

  it('agree: a log of requests replayed gives what was served', async () => {
    const random = new Random(3);
    const rows: Row[] = [];
    const events: PastEvent[] = [];
    const store = await openLmdbStore({ path: at('store') });
    let now = 0;
    const time = (): number => now;
    const online = new OnlineFeatures(service, { store, time });
    const writer = await StreamWriter.open(plays, store, { time });
    const served: { time: number; track: number[]; frame: object }[] = [];
    for (now = 1; now < 400; now++) {
      const what = random.below(3);
      if (what === 0) {
        // Values that have held for a while, and are known from now on; now and then older than what is there.
        const since = Math.max(0, now - random.below(10));
        const row = { track: 1 + random.below(5), since, known: now, value: random.gaussian() };
        rows.push(row);
        await materialize(profile, store, { source: rowsSource([row]), isFresh: true, time });
      } else if (what === 1) {
        const key = 1 + random.below(5);
        const told = Math.max(0, now - random.below(25));
        const id = random.below(2) === 0 ? `${key} ${told}` : undefined;
        const event = { key, time: told, fields: { amount: random.gaussian() } };
        const named = id === undefined ? event : { ...event, id };
        events.push({ ...named, arrived: now });
        await writer.ingest([named]);
      } else {
        const asked = [1, 2, 3, 4, 5].filter(() => random.below(2) === 0);
        const request = { factor: now };
        const frame = await online.get({ track: asked }, { request });
        served.push({ time: now, track: asked, frame });
      }
    }
    await store.close();
    expect(served.length).toBeGreaterThan(80);
    expect(writer.totals.late).toBeGreaterThan(0);
    expect(writer.totals.duplicates).toBeGreaterThan(0);
    const history = { profile: rowsSource(rows), plays: events };
    for (const { time: then, track: asked, frame } of served) {
      const again = await trainingFrame(service, {
        times: asked.map(() => then),
        keys: { track: asked },
        request: { factor: then },
        history,
      });
      expect(withoutExpired(again)).toEqual(withoutExpired(frame));
    }
  });
});

/** A store may have removed what is too old to be served: then it is missing. Either way defaults are served. */
function withoutExpired(frame: object): object {
  const { columns, status, times } = frame as Awaited<ReturnType<typeof trainingFrame>>;
  const { expired, missing } = FEATURE_STATUS;
  return {
    columns,
    status: Object.entries(status).map(([view, all]) => [
      view,
      all.map((one: number) => (one === expired ? missing : one)),
    ]),
    times: Object.entries(times).map(([view, all]) => [
      view,
      all.map((time: number, row: number) =>
        status[view as never]![row] === FEATURE_STATUS.found ? time : NaN,
      ),
    ]),
  };
}
