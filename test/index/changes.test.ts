import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import type { Key } from '../../src/index/types.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import { clustered, exactRows, overlap } from './data.js';

const DIM = 12;
const pool = clustered(81, 4000, DIM);
const poolAt = (n: number): Float32Array => pool.subarray((n % 4000) * DIM, ((n % 4000) + 1) * DIM);

const KINDS: [string, () => VectorIndex<Key>][] = [
  ['flat', () => new FlatIndex<Key>({ dim: DIM, metric: 'l2' })],
  ['flat i8', () => new FlatIndex<Key>({ dim: DIM, metric: 'l2', storage: 'i8', rerank: 'f32' })],
  ['flat pq', () => new FlatIndex<Key>({ dim: DIM, metric: 'l2', storage: 'pq', rerank: 'f32' })],
  ['hnsw', () => new HnswIndex<Key>({ dim: DIM, metric: 'l2', m: 8, efConstruction: 60 })],
];

/** What an index should hold: vectors by key, in no order. */
type Model = Map<Key, Float32Array>;

async function expectToAgree(index: VectorIndex<Key>, model: Model): Promise<void> {
  expect(index.size).toBe(model.size);
  expect(new Set(index.keys() as ArrayLike<Key> as Key[])).toEqual(new Set(model.keys()));
  const keys = [...model.keys()];
  for (const key of keys.slice(0, 5)) expect(index.get(key)).toEqual(model.get(key));
  if (keys.length === 0) return;
  const flatModel = new Float32Array(keys.flatMap((key) => [...model.get(key)!]));
  const query = poolAt(keys.length * 7);
  const k = Math.min(5, keys.length);
  const expected = exactRows(flatModel, query, 'l2', k).map(({ score }) => score);
  const exact = index.searchSync(query, { k, exact: true });
  // By scores, since keys may have equal vectors.
  expected.forEach((score, at) => expect(exact.scores[at]).toBeCloseTo(score, 4));
  for (const key of exact.keys as Iterable<Key>) expect(model.has(key)).toBe(true);
  const within = index.searchWithinSync(query, { score: 1e6 }).keys as Iterable<Key>;
  expect(new Set(within)).toEqual(new Set(keys));
  const { keys: found } = await index.search(query, { k });
  for (const key of found as Iterable<Key>) expect(model.has(key)).toBe(true);
  expect(found.length).toBe(k);
}

describe.each(KINDS)('changes of an index: %s', (_, make) => {
  it.each([['integers'], ['strings']])(
    'any sequence leaves what a model holds: %s',
    async (kind) => {
      const keyOf = (n: number): Key => (kind === 'strings' ? `key ${n}` : n * 3 - 50);
      const step = fc.record({
        what: fc.constantFrom('add', 'update', 'upsert', 'remove', 'compact'),
        numbers: fc.uniqueArray(fc.nat(120), { minLength: 1, maxLength: 40 }),
        salt: fc.nat(3000),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
          using index = make();
          const model: Model = new Map();
          const first = Array.from({ length: 70 }, (_, n) => n);
          await index.add(first.map(poolAt), { keys: first.map(keyOf) as never });
          for (const n of first) model.set(keyOf(n), poolAt(n));
          for (const { what, numbers, salt } of steps) {
            const keys = numbers.map(keyOf);
            const vectors = numbers.map((n) => poolAt(n + salt));
            const there = keys.filter((key) => model.has(key)).length;
            if (what === 'compact') {
              await index.compact();
              expect(index.dead).toBe(0);
            } else if (what === 'remove') {
              const removal = index.remove(keys as never);
              if (there < keys.length) {
                await expect(removal).rejects.toMatchObject({ code: 'ERR_LICHEN_UNKNOWN_KEY' });
              } else {
                await removal;
                for (const key of keys) model.delete(key);
              }
            } else {
              const change = index[what](vectors, {
                keys: keys as never,
              });
              const code =
                what === 'add' && there > 0
                  ? 'ERR_LICHEN_DUPLICATE_KEY'
                  : what === 'update' && there < keys.length
                    ? 'ERR_LICHEN_UNKNOWN_KEY'
                    : undefined;
              if (code === undefined) {
                await change;
                keys.forEach((key, at) => model.set(key, vectors[at]!));
              } else {
                await expect(change).rejects.toMatchObject({ code });
              }
            }
            await expectToAgree(index, model);
          }
        }),
        { numRuns: 12 },
      );
    },
  );

  it('keys that nobody gave go on counting, in the index and in its file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lichen-'));
    try {
      using index = make();
      await index.add(pool.subarray(0, 200 * DIM));
      await index.remove([0, 7, 199] as never);
      await index.update([poolAt(500)], { keys: [5] as never });
      await index.add(pool.subarray(200 * DIM, 202 * DIM));
      const keys = [...(index.keys() as ArrayLike<Key> as Key[])].sort((a, b) => +a - +b);
      expect(keys).toEqual(
        Array.from({ length: 202 }, (_, n) => n).filter((n) => ![0, 7, 199].includes(n)),
      );
      expect(index.get(5)).toEqual(poolAt(500));
      expect(index.has(7)).toBe(false);
      await index.save(join(folder, 'a.lichen'));
      expect(index.dead).toBe(4);
      using opened = await openIndex<Key>(join(folder, 'a.lichen'));
      expect(opened.dead).toBe(4);
      expect([...(opened.keys() as Iterable<Key>)]).toEqual([...(index.keys() as Iterable<Key>)]);
      expect(opened.get(5)).toEqual(poolAt(500));
      await opened.add(pool.subarray(0, DIM));
      expect(opened.has(202)).toBe(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('refuses keys that stand twice, or none, and changes nothing', async () => {
    using index = make();
    await index.add(pool.subarray(0, 100 * DIM));
    await expect(index.remove([3, 4, 3] as never)).rejects.toMatchObject({
      code: 'ERR_LICHEN_DUPLICATE_KEY',
    });
    await expect(
      index.update([poolAt(1), poolAt(2)], { keys: [3, 3] as never }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_DUPLICATE_KEY' });
    await expect(index.update([poolAt(1)], {} as never)).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    expect([index.size, index.dead]).toEqual([100, 0]);
    expect(index.get(3)).toEqual(poolAt(3));
  });

  it('a filter goes on meaning the same vectors past a compaction, not past two', async () => {
    using index = make();
    const rows = Array.from({ length: 300 }, (_, n) => n);
    await index.add(rows.map(poolAt), { keys: rows.map((n) => `v${n}`) as never });
    const filter = index.filter((key) => +(key as string).slice(1) % 3 === 0);
    index.removeSync(rows.filter((n) => n % 5 === 0).map((n) => `v${n}`));
    const expected = rows.filter((n) => n % 3 === 0 && n % 5 !== 0).map((n) => `v${n}`);
    const found = () => index.searchSync(poolAt(9), { k: expected.length, filter }).keys;
    expect([...(found() as string[])].sort()).toEqual([...expected].sort());
    await index.compact();
    expect([...(found() as string[])].sort()).toEqual([...expected].sort());
    index.removeSync(['v1'] as never);
    await index.compact();
    expect(found).toThrow(/older than the last two compactions/);
  });
});

it('recall after replacing half of the rows is that of a fresh graph', async () => {
  const rows = 3000;
  const options = { dim: DIM, metric: 'l2', m: 10, efConstruction: 80 } as const;
  using index = new HnswIndex(options);
  index.addSync(pool.subarray(0, rows * DIM), { threads: 1 });
  const renewed = clustered(82, rows, DIM);
  const now = pool.slice(0, rows * DIM);
  // In portions, as a service would.
  for (let first = 0; first < rows / 2; first += 300) {
    const keys = Array.from({ length: 300 }, (_, at) => first + at);
    const vectors = renewed.subarray(first * DIM, (first + 300) * DIM);
    now.set(vectors, first * DIM);
    await index.update(vectors, { keys, threads: 1 });
  }
  await index.compact();
  using fresh = new HnswIndex(options);
  fresh.addSync(now, { threads: 1 });
  const recall = (searched: HnswIndex) => {
    let found = 0;
    for (let q = 0; q < 200; q++) {
      const query = poolAt(3000 + q);
      const truth = exactRows(now, query, 'l2', 10).map(({ row }) => row);
      found += overlap(searched.searchSync(query, { k: 10, ef: 40 }).keys, truth);
    }
    return found / 200;
  };
  const [replaced, expected] = [recall(index), recall(fresh)];
  expect(replaced, `replaced ${replaced}, fresh ${expected}`).toBeGreaterThan(expected - 0.01);
  expect(index.bytes).toBeLessThan(1.3 * fresh.bytes);
});
