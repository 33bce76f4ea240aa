import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import { inspectSnapshot } from '../../src/index/snapshot.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import type { Where } from '../../src/index/where.js';
import { holds, inputOf, row, SCHEMA, where, type Row } from './attributes-reference.js';
import { clustered, exactRows, overlap } from './data.js';

const DIM = 8;
const pool = clustered(83, 3000, DIM);
const poolAt = (n: number): Float32Array => pool.subarray((n % 3000) * DIM, ((n % 3000) + 1) * DIM);

const KINDS: [string, () => VectorIndex][] = [
  ['flat', () => new FlatIndex({ dim: DIM, metric: 'l2', attributes: SCHEMA })],
  [
    'hnsw',
    () => new HnswIndex({ dim: DIM, metric: 'l2', m: 6, efConstruction: 40, attributes: SCHEMA }),
  ],
];

interface Item extends Row {
  readonly vector: Float32Array;
}
type Model = Map<number, Item>;

function keysWhere(model: Model, condition: Where): number[] {
  return [...model].flatMap(([key, item]) => (holds(condition, item) ? [key] : []));
}

function nearest(model: Model, query: Float32Array, keys: readonly number[]): number[] {
  const vectors = Float32Array.from(keys.flatMap((key) => [...model.get(key)!.vector]));
  return exactRows(vectors, query, 'l2', keys.length).map(({ row: at }) => keys[at]!);
}

const ascending = (keys: Iterable<number>): number[] => [...keys].sort((a, b) => a - b);

function expectToAgree(index: VectorIndex, model: Model, conditions: readonly Where[]): void {
  const keys = [...model.keys()];
  const values = index.attributesOf(keys);
  expect([...values.year!]).toEqual(keys.map((key) => model.get(key)!.year));
  expect(values.genre).toEqual(keys.map((key) => model.get(key)!.genre));
  const query = poolAt(keys.length * 11);
  for (const condition of conditions) {
    const expected = keysWhere(model, condition);
    const within = index.searchWithinSync(query, { score: 1e6, where: condition });
    expect(ascending(within.keys)).toEqual(ascending(expected));
    const k = Math.min(6, index.size);
    const { keys: found } = index.searchSync(query, { k, where: condition });
    expect(found.length).toBe(Math.min(k, expected.length));
    for (const key of found) expect(expected).toContain(key);
    const exact = index.searchSync(query, { k, where: condition, exact: true });
    expect([...exact.keys]).toEqual(nearest(model, query, expected).slice(0, k));
  }
}

const step = fc.record({
  what: fc.constantFrom('add', 'update', 'upsert', 'remove', 'set', 'compact'),
  numbers: fc.uniqueArray(fc.nat(150), { minLength: 1, maxLength: 30 }),
  salt: fc.nat(2000),
  given: fc.subarray(Object.keys(SCHEMA) as (keyof Row)[]),
  values: fc.array(row, { minLength: 30, maxLength: 30 }),
});

describe.each(KINDS)('attributes of an index: %s', (kind, make) => {
  it('agree with a model after any sequence of changes', async () => {
    const conditions = fc.array(where, { minLength: 3, maxLength: 3 });
    const steps = fc.array(step, { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(steps, conditions, fc.array(row, { minLength: 90, maxLength: 90 }), run),
      { numRuns: 40 },
    );
    async function run(
      changes: (typeof step extends fc.Arbitrary<infer S> ? S : never)[],
      asked: Where[],
      first: Row[],
    ): Promise<void> {
      using index = make();
      const model: Model = new Map(
        first.map((values, key) => [key, { ...values, vector: poolAt(key) }]),
      );
      await index.add(
        first.map((_, key) => poolAt(key)),
        { keys: first.map((_, key) => key), attributes: inputOf(first) },
      );
      for (const { what, numbers, salt, given, values } of changes) {
        // The same conditions again and again: what was remembered of them must not be stale.
        expectToAgree(index, model, asked);
        const wanted = {
          add: numbers.filter((n) => !model.has(n)),
          upsert: numbers,
          compact: [],
        };
        const keys = wanted[what as 'add'] ?? numbers.filter((n) => model.has(n));
        const all = inputOf(values.slice(0, keys.length));
        const attributes = Object.fromEntries(given.map((name) => [name, all[name]!]));
        if (what === 'compact') {
          await index.compact();
          continue;
        }
        if (keys.length === 0) continue;
        if (what === 'remove') {
          if (model.size - keys.length < 7) continue;
          await index.remove(keys);
          keys.forEach((key) => model.delete(key));
          continue;
        }
        const vectors = keys.map((key) => poolAt(key + salt));
        if (what === 'set') index.setAttributes(keys, attributes);
        else await index[what as 'upsert'](vectors, { keys, attributes });
        keys.forEach((key, at) => {
          const old = model.get(key) ?? { year: NaN, genre: null, tags: [], 'a b': NaN };
          const changed = Object.fromEntries(given.map((name) => [name, values[at]![name]]));
          const vector = what === 'set' ? model.get(key)!.vector : vectors[at]!;
          model.set(key, { ...old, ...changed, vector });
        });
      }
      expectToAgree(index, model, asked);
    }
  });

  it('stand in its file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lichen-test-'));
    const path = join(folder, 'index.lichen');
    const years = Array.from({ length: 200 }, (_, n) => (n % 9 === 0 ? null : n % 40));
    const genres = years.map((_, n) => ['jazz', 'blues', 'soul'][n % 3]!);
    using index = make();
    await index.add(pool.subarray(0, 200 * DIM), { attributes: { year: years, genre: genres } });
    await index.remove([0, 3]);
    const jazz = genres.filter((genre) => genre === 'jazz').length;
    expect(index.filter({ genre: 'jazz' }).count).toBe(jazz - 2);
    await index.save(path);
    using opened = await openIndex(path);
    expect(opened.attributes).toEqual(SCHEMA);
    expect((await inspectSnapshot(path)).attributes).toEqual(SCHEMA);
    expect(opened.attributesOf([1, 9])).toEqual({
      year: Float64Array.of(1, NaN),
      genre: ['blues', 'jazz'],
      tags: [[], []],
      'a b': Float64Array.of(NaN, NaN),
    });
    const options = { k: 50, where: { genre: 'jazz', year: { gte: 5 } } };
    expect(opened.searchSync(poolAt(7), options)).toEqual(index.searchSync(poolAt(7), options));
    await rm(folder, { recursive: true });
  });

  it('stay as they were when a change fails', async () => {
    using index = make();
    await index.add(pool.subarray(0, 2 * DIM), { attributes: { genre: ['jazz', null] } });
    const where = { genre: 'new' };
    const code = (expected: string): unknown => expect.objectContaining({ code: expected });
    const add = (attributes: object): Promise<void> =>
      index.add(pool.subarray(0, 2 * DIM), { attributes: attributes as never });
    await expect(add({ genre: ['new'] })).rejects.toEqual(code('ERR_LICHEN_ARGUMENT'));
    await expect(add({ gnre: ['new', 'new'] })).rejects.toEqual(code('ERR_LICHEN_ARGUMENT'));
    expect(() => index.setAttributes([0, 5], { genre: ['new', 'new'] })).toThrow(
      code('ERR_LICHEN_UNKNOWN_KEY'),
    );
    expect(() => index.setAttributes([1, 1], { genre: ['new', 'new'] })).toThrow(
      code('ERR_LICHEN_DUPLICATE_KEY'),
    );
    expect(() => index.attributesOf([2])).toThrow(code('ERR_LICHEN_UNKNOWN_KEY'));
    const signal = AbortSignal.abort();
    const many = index.add(pool, { attributes: { genre: new Array(3000).fill('new') }, signal });
    await expect(many).rejects.toEqual(code('ERR_LICHEN_ABORTED'));
    expect(index.searchSync(poolAt(0), { k: 1, where }).keys.length).toBe(0);
    expect(index.attributesOf([0, 1]).genre).toEqual(['jazz', null]);
    for (const options of [
      { where: { genr: 'a' } },
      { groupBy: 'tags' },
      { groupBy: 'nothing' },
      { groupBy: 3 },
      { groupSize: 2 },
      { groupBy: 'genre', groupSize: 0 },
    ]) {
      expect(() => index.searchSync(poolAt(0), { k: 1, ...options } as never)).toThrow(
        code('ERR_LICHEN_ARGUMENT'),
      );
    }
  });

  it('group results', async () => {
    const rows = 2500;
    using index = make();
    // One group has most of the vectors, some vectors have none.
    const group = (n: number): number => (n % 10 < 7 ? 0 : n % 10 === 7 ? NaN : n % 37);
    const data = pool.subarray(0, rows * DIM);
    await index.add(data, {
      attributes: { year: Array.from({ length: rows }, (_, n) => group(n)) },
    });
    let recall = 0;
    const queries = 60;
    for (let q = 0; q < queries; q++) {
      const query = poolAt(rows + q);
      const groupSize = 1 + (q % 3);
      const taken = new Map<number, number>();
      const expected = exactRows(data, query, 'l2', rows)
        .map(({ row: at }) => at)
        .filter((at) => {
          const count = (taken.get(group(at)) ?? 0) + 1;
          taken.set(group(at), count);
          return Number.isNaN(group(at)) || count <= groupSize;
        })
        .slice(0, 12);
      const options = { k: 12, groupBy: 'year', groupSize };
      const { keys } = index.searchSync(query, options);
      expect(keys.length).toBe(12);
      for (const value of new Set([...keys].map(group))) {
        const here = [...keys].filter((key) => Object.is(group(key), value)).length;
        if (!Number.isNaN(value)) expect(here).toBeLessThanOrEqual(groupSize);
      }
      recall += overlap(keys, expected) / queries;
      expect((await index.search(query, { ...options, threads: 2 })).keys).toEqual(keys);
      expect([...index.searchSync(query, { ...options, exact: true }).keys]).toEqual(expected);
    }
    expect(recall).toBeGreaterThan(kind === 'flat' ? 0.9999 : 0.97);
    const few = { k: 2000, groupBy: 'year', where: { year: { exists: true } } };
    const { keys: one } = index.searchSync(poolAt(5), few);
    expect(new Set([...one].map(group)).size).toBe(one.length);
    expect(one.length).toBe(37);
  });
});

it('a condition is answered well at every selectivity', () => {
  const rows = 20_000;
  const dim = 16;
  const data = clustered(17, rows + 100, dim, 60);
  const index = new HnswIndex({
    dim,
    metric: 'l2',
    attributes: { rank: 'number' },
  });
  const base = data.subarray(0, rows * dim);
  // 7919 and the number of rows have no common factor.
  const rank = (n: number): number => (n * 7919) % rows;
  const ranks = Float64Array.from({ length: rows }, (_, n) => rank(n));
  index.addSync(base, { attributes: { rank: ranks } });
  for (const share of [0.0005, 0.002, 0.01, 0.05, 0.2, 0.5, 0.9]) {
    let recall = 0;
    for (let q = 0; q < 100; q++) {
      const query = data.subarray((rows + q) * dim, (rows + q + 1) * dim);
      const where = { rank: { lt: share * rows } };
      const truth = index.searchSync(query, { k: 10, where, exact: true });
      for (const key of truth.keys) expect(rank(key)).toBeLessThan(share * rows);
      recall += overlap(index.searchSync(query, { k: 10, where }).keys, [...truth.keys]) / 100;
    }
    expect(recall, `share ${share}`).toBeGreaterThan(0.95);
  }
});
