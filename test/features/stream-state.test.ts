import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregate } from '../../src/features/aggregations.js';
import { columnList, makeColumns } from '../../src/features/columns.js';
import { entity, streamView } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { StreamFold } from '../../src/features/stream-state.js';

const WINDOW = 60;
const BUCKETS = 6;
const HALF_LIFE = 40;

const view = streamView({
  name: 'v',
  entity: entity('e', { keys: 'integer' }),
  ttlMs: 1e9,
  event: { amount: feature.f64() },
  features: {
    count: aggregate.count(WINDOW, { buckets: BUCKETS }),
    sum: aggregate.sum('amount', WINDOW, { buckets: BUCKETS }),
    last: aggregate.last('amount', 3),
    decayed: aggregate.decayed(HALF_LIFE, { field: 'amount' }),
  },
});

interface Told {
  time: number;
  amount: number;
}

/** What the definition says, over all events, one by one. */
function naive(events: readonly Told[], now: number) {
  const time = Math.max(now, ...events.map((event) => event.time));
  const width = WINDOW / BUCKETS;
  const first = Math.floor(time / width) - BUCKETS + 1;
  const inWindow = events.filter((event) => Math.floor(event.time / width) >= first);
  // Of one time, the one that came last is the latest.
  const byTime = events
    .map((event, came) => ({ ...event, came }))
    .sort((a, b) => b.time - a.time || b.came - a.came);
  return {
    count: inWindow.length,
    sum: inWindow.reduce((sum, { amount }) => sum + amount, 0),
    last: byTime.slice(0, 3).map(({ amount }) => amount),
    decayed: events.reduce(
      (sum, event) => sum + event.amount * 2 ** (-(time - event.time) / HALF_LIFE),
      0,
    ),
  };
}

function evaluate(fold: StreamFold, record: Uint8Array, now: number) {
  const columns = makeColumns(view.features, 3);
  const latest = fold.evaluate(record, now, columnList(view.features, columns), 1);
  const { data, counts, max } = columns.last;
  return {
    latest,
    count: columns.count[1]!,
    sum: columns.sum[1]!,
    last: [...data.subarray(max, max + counts[1]!)],
    decayed: columns.decayed[1]!,
  };
}

const told = fc.array(
  fc.record({ time: fc.integer({ min: 0, max: 300 }), amount: fc.integer({ min: -9, max: 9 }) }),
  { maxLength: 30 },
);

describe('what events add up to', () => {
  it('is what its definition says, in whatever order they come and however often it is stored', () => {
    fc.assert(
      fc.property(told, fc.integer({ min: 0, max: 400 }), (events, now) => {
        const fold = new StreamFold(view);
        let state = fold.empty();
        for (const { time, amount } of events) {
          fold.add(state, { time, id: undefined, fields: { amount } }, -Infinity);
          // Through the bytes, as in a store.
          state = fold.decode(fold.encode(state))!;
        }
        const found = evaluate(fold, fold.encode(state), now);
        const wanted = naive(events, now);
        expect(found).toMatchObject({ count: wanted.count, sum: wanted.sum, last: wanted.last });
        expect(found.decayed).toBeCloseTo(wanted.decayed, 9);
      }),
    );
  });

  it('counts an event of one id once, until it is too old to come again', () => {
    const fold = new StreamFold(view);
    const state = fold.empty();
    const event = { time: 10, id: [1, 2] as const, fields: { amount: 5 } };
    expect(fold.add(state, event, 0)).toBe(true);
    expect(fold.add(state, event, 10)).toBe(false);
    expect(fold.add(state, { ...event, id: [1, 3] as const }, 10)).toBe(true);
    expect(evaluate(fold, fold.encode(state), 10)).toMatchObject({ count: 2, sum: 10 });
    expect(state.ids).toHaveLength(6);
    fold.add(state, { time: 20, id: [9, 9] as const, fields: { amount: 0 } }, 11);
    expect(state.ids).toEqual([20, 9, 9]);
  });

  it('begins anew when what was there is too old to be served', () => {
    const short = streamView({
      name: 'v',
      entity: entity('e', { keys: 'integer' }),
      ttlMs: 50,
      event: {},
      features: { decayed: aggregate.decayed(1e12) },
    });
    const fold = new StreamFold(short);
    const state = fold.empty();
    for (const time of [0, 50, 101])
      fold.add(state, { time, id: undefined, fields: {} }, -Infinity);
    const columns = makeColumns(short.features, 1);
    fold.evaluate(fold.encode(state), 101, columnList(short.features, columns), 0);
    expect(columns.decayed[0]).toBe(1);
  });

  it('refuses bytes that are none, and never writes beyond its row', () => {
    fc.assert(
      fc.property(
        told,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (events, changes, cut) => {
          const fold = new StreamFold(view);
          const state = fold.empty();
          for (const { time, amount } of events) {
            fold.add(state, { time, id: [time, amount + 10], fields: { amount } }, -Infinity);
          }
          const record = fold.encode(state);
          const columns = makeColumns(view.features, 3);
          const list = columnList(view.features, columns);
          const short = record.subarray(0, cut % record.length);
          expect(fold.evaluate(short, 0, list, 1)).toBeUndefined();
          expect(fold.decode(short)).toBeUndefined();
          for (const [at, byte] of changes) record[at % record.length] = byte;
          fold.evaluate(record, 0, list, 1);
          fold.decode(record);
          for (const row of [0, 2]) {
            expect([columns.count[row], columns.sum[row], columns.last.counts[row]]).toEqual([
              0, 0, 0,
            ]);
            expect([...columns.last.data.subarray(row * 3, row * 3 + 3)]).toEqual([0, 0, 0]);
          }
        },
      ),
    );
  });
});
