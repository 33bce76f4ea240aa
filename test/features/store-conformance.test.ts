import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecordLayout, timeOf } from '../../src/features/record.js';
import { feature } from '../../src/features/feature-types.js';
import type { FeatureKey } from '../../src/features/keys.js';
import type { OnlineStore, RecordEntry } from '../../src/features/store.js';
import { contents, STORE_KINDS } from './stores.js';

const layout = new RecordLayout({ value: feature.f64(), text: feature.text() });
const HOUR = 3_600_000;

function entry(key: FeatureKey, value: number, time: number, text = ''): RecordEntry {
  return { key, record: layout.encode({ value, text }, time) };
}

async function readAll(
  store: OnlineStore,
  requests: readonly { table: string; keys: readonly FeatureKey[] }[],
): Promise<(Buffer | undefined)[][]> {
  const found = requests.map(({ keys }) => keys.map((): Buffer | undefined => undefined));
  let visits = 0;
  await store.read(requests, (request, at, record) => {
    visits++;
    found[request]![at] =
      record && Buffer.from(new Uint8Array(record.buffer, record.byteOffset, record.length));
  });
  expect(visits).toBe(requests.reduce((sum, { keys }) => sum + keys.length, 0));
  return found;
}

describe.each(STORE_KINDS)('$name as a feature store$note', ({ isMissing, prepare }) => {
  if (isMissing) {
    it.skip('keeps to what all stores do', () => undefined);
    return;
  }
  const open = prepare();

  it('gives back what was written, of several tables in one call, undefined for the rest', async () => {
    const store = await open();
    const one = entry(1, 10, 1000, 'größer 😀');
    const text = entry('1', 11, 1000);
    const far = entry(Number.MIN_SAFE_INTEGER, 12, 1000);
    expect(await store.write({ table: 'a@1', entries: [one, text, far], ttlMs: HOUR })).toBe(3);
    expect(await store.write({ table: 'b@1', entries: [entry(1, 20, 5)], ttlMs: HOUR })).toBe(1);
    const [a, b, c] = await readAll(store, [
      { table: 'a@1', keys: [Number.MIN_SAFE_INTEGER, 2, 1, '1', 1] },
      { table: 'b@1', keys: [1] },
      { table: 'nothing@1', keys: [1] },
    ]);
    expect(a).toEqual([far.record, undefined, one.record, text.record, one.record]);
    expect(b![0]!.equals(layout.encode({ value: 20, text: '' }, 5))).toBe(true);
    expect(c).toEqual([undefined]);
    await readAll(store, []);
    await store.write({ table: 'a@1', entries: [entry(-0, 30, 5)], ttlMs: HOUR });
    const [zero] = await readAll(store, [{ table: 'a@1', keys: [0, -0] }]);
    expect(zero!.map((record) => record && timeOf(record))).toEqual([5, 5]);
  });

  it('keeps the newer of two records, of like times the later written', async () => {
    const store = await open();
    const table = 'a@1';
    await store.write({ table, entries: [entry(1, 1, 100), entry(2, 1, 100)], ttlMs: HOUR });
    expect(
      await store.write({ table, entries: [entry(1, 2, 99), entry(2, 2, 100)], ttlMs: HOUR }),
    ).toBe(1);
    // Within one call as well.
    await store.write({
      table,
      entries: [entry(3, 1, 50), entry(3, 2, 70), entry(3, 3, 60), entry(4, 1, 5), entry(4, 2, 5)],
      ttlMs: HOUR,
    });
    const [found] = await readAll(store, [{ table, keys: [1, 2, 3, 4] }]);
    expect(found!.map((record) => record!.readDoubleLE(record!.length - 12))).toEqual([1, 2, 2, 2]);
  });

  it('stores records and checkpoint together or not at all', async () => {
    const store = await open();
    expect(await store.checkpoint('work')).toBeUndefined();
    const first = { name: 'work', expected: 0, text: 'one' };
    await store.write({ table: 'a@1', entries: [entry(1, 1, 1)], ttlMs: HOUR, checkpoint: first });
    expect(await store.checkpoint('work')).toEqual({ sequence: 1, text: 'one' });
    const again = store.write({
      table: 'a@1',
      entries: [entry(1, 2, 2), entry(2, 2, 2)],
      ttlMs: HOUR,
      checkpoint: first,
    });
    await expect(again).rejects.toMatchObject({ code: 'ERR_LICHEN_BUSY' });
    const [found] = await readAll(store, [{ table: 'a@1', keys: [1, 2] }]);
    expect([timeOf(found![0]!), found![1]]).toEqual([1, undefined]);
    const second = { name: 'work', expected: 1, text: 'two' };
    await store.write({ table: 'a@1', entries: [], ttlMs: HOUR, checkpoint: second });
    expect(await store.checkpoint('work')).toEqual({ sequence: 2, text: 'two' });
    const ahead = { name: 'other', expected: 5, text: '' };
    await expect(
      store.write({ table: 'a@1', entries: [], ttlMs: HOUR, checkpoint: ahead }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_BUSY' });
  });

  it('lets one of two writers with the same checkpoint win', async () => {
    const store = await open();
    const writes = [1, 2, 3, 4].map((value) =>
      store.write({
        table: 'a@1',
        entries: [entry(value, value, 1)],
        ttlMs: HOUR,
        checkpoint: { name: 'race', expected: 0, text: String(value) },
      }),
    );
    const outcomes = await Promise.allSettled(writes);
    const winners = outcomes.flatMap(({ status }, at) => (status === 'fulfilled' ? [at + 1] : []));
    expect(winners).toHaveLength(1);
    expect(await store.checkpoint('race')).toEqual({ sequence: 1, text: String(winners[0]) });
    const [found] = await readAll(store, [{ table: 'a@1', keys: [1, 2, 3, 4] }]);
    expect(found!.flatMap((record, at) => (record ? [at + 1] : []))).toEqual(winners);
  });

  it('counts, scans and prunes', async () => {
    const store = await open();
    const entries = Array.from({ length: 2500 }, (_, key) =>
      entry(key % 2 === 0 ? key : `k${key}`, key, key),
    );
    await store.write({ table: 'a@1', entries, ttlMs: HOUR });
    await store.write({ table: 'a@11', entries: [entry(7, 7, 7)], ttlMs: HOUR });
    const bytes = entries.reduce((sum, { record }) => sum + record.length, 0);
    expect(await contents(store, 'a@1')).toEqual({ entries: 2500, bytes });
    expect(await store.prune('a@1', 1000)).toBe(1000);
    const seen = new Map<FeatureKey, number>();
    await store.scan('a@1', (key, record) => seen.set(key, timeOf(record)));
    expect(seen.size).toBe(1500);
    expect([seen.get(1000), seen.get('k2499'), seen.get(998)]).toEqual([1000, 2499, undefined]);
    expect(await contents(store, 'a@11')).toEqual({
      entries: 1,
      bytes: entries[7]!.record.length,
    });
  });

  it('is as a map of the newest records, whatever is written', async () => {
    const keys = fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.constantFrom('a', 'b', '1', 'Ω', 'x'.repeat(512)),
    );
    const write = fc.record({
      table: fc.constantFrom('p@1', 'q@1'),
      entries: fc.array(fc.tuple(keys, fc.integer({ min: 0, max: 9 }), fc.integer()), {
        maxLength: 6,
      }),
    });
    const store = await open();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 8 }), async (writes) => {
        run++;
        const truth = new Map<string, Buffer>();
        for (const { table, entries } of writes) {
          const made = entries.map(([key, time, value]) => entry(key, value, time));
          await store.write({ table: `${table}${run}`, entries: made, ttlMs: HOUR });
          for (const { key, record } of made) {
            const place = `${table} ${typeof key} ${key}`;
            const old = truth.get(place);
            if (old === undefined || timeOf(old) <= timeOf(record)) truth.set(place, record);
          }
        }
        const all: FeatureKey[] = [-3, -2, -1, 0, 1, 2, 3, 'a', 'b', '1', 'Ω', 'x'.repeat(512)];
        const tables = ['p@1', 'q@1'];
        const found = await readAll(
          store,
          tables.map((table) => ({ table: `${table}${run}`, keys: all })),
        );
        tables.forEach((table, request) =>
          all.forEach((key, at) =>
            expect(found[request]![at]).toEqual(truth.get(`${table} ${typeof key} ${key}`)),
          ),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('says that it is closed', async () => {
    const store = await open();
    await store.close();
    await store.close();
    const closed = { code: 'ERR_LICHEN_CLOSED' };
    await expect(
      (async () => store.read([{ table: 'a@1', keys: [1] }], () => undefined))(),
    ).rejects.toMatchObject(closed);
    await expect(store.write({ table: 'a@1', entries: [], ttlMs: HOUR })).rejects.toMatchObject(
      closed,
    );
    await expect((async () => store.checkpoint('x'))()).rejects.toMatchObject(closed);
  });
});
