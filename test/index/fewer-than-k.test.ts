import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { Random } from '../../src/vectors/random.js';

const DIM = 6;
const ROWS = 25;
const random = new Random(17);
const vectors = Float32Array.from({ length: ROWS * DIM }, () => random.gaussian());
const queries = Float32Array.from({ length: 3 * DIM }, () => random.gaussian());
const query = (at: number) => queries.subarray(at * DIM, (at + 1) * DIM);

/** Rows by their distance from a query, in float64. */
function ranked(at: number, rows: readonly number[]): number[] {
  const distance = (row: number): number =>
    query(at).reduce((sum, value, d) => sum + (value - vectors[row * DIM + d]!) ** 2, 0);
  return [...rows].sort((one, other) => distance(one) - distance(other));
}

const all = Array.from({ length: ROWS }, (_, row) => row);
const kinds = [
  ['FlatIndex', FlatIndex],
  ['HnswIndex', HnswIndex],
] as const;
const names = { integer: (row: number): Key => 100 + row, string: (row: number): Key => `n${row}` };

describe.each(kinds)('%s that holds fewer vectors than are asked for', (_, Index) => {
  const make = (keyOf: (row: number) => Key, more: object = {}) => {
    const attributes = { half: 'category' } as const;
    const index = new Index<Key>({ dim: DIM, metric: 'l2', attributes, ...more });
    index.addSync(vectors, {
      keys: all.map(keyOf) as string[],
      attributes: { half: all.map((row) => (row % 2 === 0 ? 'even' : 'odd')) },
    });
    return index;
  };

  describe.each(Object.entries(names))('with keys of kind %s', (_kind, keyOf) => {
    const keysOf = (rows: readonly number[]) => rows.map(keyOf);
    const found = (keys: ArrayLike<Key>) => Array.from(keys);

    it.each([ROWS + 1, 1000, 5000, 2 ** 31 - 1])('gives all of them for k = %i', async (k) => {
      const index = make(keyOf);
      const best = keysOf(ranked(0, all));
      expect(found(index.searchSync(query(0), { k }).keys)).toEqual(best);
      for (const options of [{ k }, { k, exact: true }, { k, recall: 0.9 }, { k, threads: 2 }]) {
        const { keys, scores } = await index.search(query(0), options);
        expect(found(keys)).toEqual(best);
        expect(scores).toHaveLength(ROWS);
      }
    });

    it.each([ROWS + 1, 1000, 5000])('leaves places of batches empty for k = %i', async (k) => {
      const index = make(keyOf);
      const both = [await index.searchBatch(queries, { k }), index.searchBatchSync(queries, { k })];
      for (const { keys, counts, rows, k: places } of both) {
        expect([rows, places, keys.length]).toEqual([3, k, 3 * k]);
        for (let at = 0; at < rows; at++) {
          expect(counts[at]).toBe(ROWS);
          const its = found(keys).slice(at * k, (at + 1) * k);
          expect(its.slice(0, ROWS)).toEqual(keysOf(ranked(at, all)));
          expect(new Set(its.slice(ROWS))).toEqual(
            new Set([typeof keyOf(0) === 'string' ? '' : -1]),
          );
        }
      }
    });

    it('refuses batches whose empty places alone would fill the memory', async () => {
      const index = make(keyOf);
      const refusal = /k must be at most the size of the index \(25\)/;
      for (const k of [2 ** 31 - 1, 1_400_000]) {
        await expect(index.searchBatch(queries, { k })).rejects.toThrow(refusal);
        expect(() => index.searchBatchSync(queries, { k })).toThrow(refusal);
      }
    });

    it('says so for no query but that of many', async () => {
      const index = make(keyOf);
      const k = 2 ** 31 - 1;
      const best = keysOf(ranked(0, all));
      expect(found((await index.search(query(0), { k })).keys)).toEqual(best);
    });

    it('gives what a filter, a condition and exclusions leave of them', async () => {
      const index = make(keyOf);
      const even = ranked(0, all).filter((row) => row % 2 === 0);
      const k = 400;
      const odd = keysOf(all.filter((row) => row % 2 === 1));
      const filter = index.filter(keysOf(even) as string[]);
      for (const options of [
        { filter },
        { where: { half: 'even' } },
        { exclude: odd as string[] },
      ]) {
        expect(found((await index.search(query(0), { k, ...options })).keys)).toEqual(keysOf(even));
      }
      const first = [even[0]!, ranked(0, all).find((row) => row % 2 === 1)!];
      const groups = await index.search(query(0), { k, groupBy: 'half' });
      expect(new Set(found(groups.keys))).toEqual(new Set(keysOf(first)));
    });

    it('gives those that are left after removals, in the end none', async () => {
      const index = make(keyOf);
      const gone = all.filter((row) => row % 3 > 0);
      index.removeSync(keysOf(gone) as string[]);
      const left = ranked(0, all).filter((row) => row % 3 === 0);
      expect(found(index.searchSync(query(0)).keys)).toEqual(keysOf(left).slice(0, 10));
      expect(found(index.searchSync(query(0), { k: 50 }).keys)).toEqual(keysOf(left));
      index.removeSync(keysOf(left) as string[]);
      expect(found(index.searchSync(query(0)).keys)).toEqual([]);
      expect(found((await index.search(query(0), { k: 5000, threads: 2 })).keys)).toEqual([]);
    });
  });

  it('finds nothing where there is nothing', async () => {
    const index = new Index({ dim: DIM, metric: 'cosine' });
    expect(index.searchSync(query(0)).keys).toHaveLength(0);
    for (const options of [{}, { k: 3000, threads: 2 }, { exact: true }, { recall: 0.9 }]) {
      const { keys, scores } = await index.search(query(0), options);
      expect([keys.length, scores.length]).toEqual([0, 0]);
    }
    const { counts, rows } = await index.searchBatch(queries, { k: 4 });
    expect([[...counts], rows]).toEqual([[0, 0, 0], 3]);
  });

  it('writes into places for all that was asked for', async () => {
    const index = make(names.integer);
    const into = { keys: new Float64Array(40), scores: new Float32Array(40) };
    for (const result of [
      index.searchSync(query(1), { k: 40, into }),
      await index.search(query(1), { k: 40, into }),
    ]) {
      expect([...result.keys]).toEqual(ranked(1, all).map(names.integer));
    }
  });

  it('rescores all of them', async () => {
    const index = make(names.integer, { storage: 'i4', rerank: 'f32' });
    const { keys } = await index.search(query(2), { k: 300, oversample: 3 });
    expect([...keys]).toEqual(ranked(2, all).map(names.integer));
  });
});
