import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { METRICS } from '../../src/vectors/metric.js';
import { clustered, exactRows } from './data.js';
import { plain, wayName, WAYS } from './storage-data.js';

const DIM = 21;
const ROWS = 900;
const vectors = clustered(71, ROWS, DIM);
const query = vectors.subarray(30 * DIM, 31 * DIM);

describe.each(METRICS)('searchWithin under %s', (metric) => {
  const ranked = exactRows(vectors, query, metric, ROWS);

  it.each([
    ['flat', new FlatIndex({ dim: DIM, metric })],
    ['hnsw', new HnswIndex({ dim: DIM, metric, m: 4, efConstruction: 20 })],
  ])('finds what a float64 scan finds: %s', async (_, index) => {
    index.addSync(vectors);
    for (const count of [0, 1, 7, 300, ROWS]) {
      // Half-way between two scores, so that rounding decides nothing.
      const [last, next] = [ranked[count - 1]?.score, ranked[count]?.score];
      const score =
        last === undefined
          ? next! + (metric === 'l2' ? -1 : 1)
          : next === undefined
            ? last + (metric === 'l2' ? 1 : -1)
            : (last + next) / 2;
      const result = index.searchWithinSync(query, { score });
      const expected = ranked.slice(0, count);
      expect([...result.keys]).toEqual(expected.map(({ row }) => row));
      expected.forEach(({ score }, at) => expect(result.scores[at]).toBeCloseTo(score, 3));
      expect(await index.searchWithin(query, { score })).toEqual(result);
      const even = index.filter((key) => key % 2 === 0);
      const filtered = index.searchWithinSync(query, { score, filter: even });
      expect([...filtered.keys]).toEqual([...result.keys].filter((key) => key % 2 === 0));
      expect(await index.searchWithin(query, { score, filter: even.bits })).toEqual(filtered);
    }
  });

  it.each(WAYS.map((way) => [wayName(way), way] as const))(
    'agrees with an exact search, the limit included: %s',
    async (_, way) => {
      const index = new FlatIndex({ dim: DIM, metric, ...way });
      index.addSync(vectors);
      const all = plain(index.searchSync(query, { k: ROWS, exact: true }));
      for (const at of [0, 10, 500, ROWS - 1]) {
        const score = all.scores[at]!;
        let count = at + 1;
        while (all.scores[count] === score) count++;
        const found = plain(await index.searchWithin(query, { score }));
        expect(found).toEqual({
          keys: all.keys.slice(0, count),
          scores: all.scores.slice(0, count),
        });
      }
    },
  );
});

describe.each(['dot', 'l2'] as const)('searchWithin by a graph under %s', (metric) => {
  const dim = 32;
  const rows = 12_000;
  const many = clustered(72, rows + 60, dim, 150);
  const base = many.subarray(0, rows * dim);
  const index = new HnswIndex({ dim, metric, m: 8, storage: 'i8', rerank: 'f32' });

  it('finds most of what is there and nothing else, with exact scores', async () => {
    index.addSync(base, { threads: 1 });
    const third = index.filter((key) => key % 3 === 0);
    const exclude = [1, 2, 3];
    for (const narrowed of [{}, { filter: third }, { exclude }]) {
      let [found, there] = [0, 0];
      for (let at = 0; at < 60; at++) {
        const query = many.subarray((rows + at) * dim, (rows + at + 1) * dim);
        const nearest = index.searchSync(query, { k: 1 + at * 3, exact: true, ...narrowed });
        const score = nearest.scores.at(-1)!;
        const truth = index.searchWithinSync(query, { score, exact: true, ...narrowed });
        const graph = index.searchWithinSync(query, { score, ef: 100, ...narrowed });
        const scores = new Map(Array.from(truth.keys, (key, i) => [key, truth.scores[i]]));
        graph.keys.forEach((key, i) => expect(graph.scores[i]).toBe(scores.get(key)));
        expect(new Set(graph.keys).size).toBe(graph.keys.length);
        expect(await index.searchWithin(query, { score, ef: 100, ...narrowed })).toEqual(graph);
        found += graph.keys.length;
        there += truth.keys.length;
      }
      expect(found / there).toBeGreaterThan(0.95);
    }
  });

  it('scores every vector where as much would be found', () => {
    const all = index.searchWithinSync(base.subarray(0, dim), {
      score: metric === 'l2' ? 1e9 : -1e9,
    });
    expect(all.keys).toHaveLength(rows);
  });
});

describe('searchWithin', () => {
  it('gives string keys', async () => {
    const index = new FlatIndex<string>({ dim: 2, metric: 'l2' });
    index.addSync(
      [
        [0, 0],
        [0, 1],
        [5, 5],
      ],
      { keys: ['a', 'b', 'c'] },
    );
    expect((await index.searchWithin([0, 0.1], { score: 2 })).keys).toEqual(['a', 'b']);
    expect(index.searchWithinSync([9, 9], { score: 0 })).toEqual({
      keys: [],
      scores: new Float32Array(0),
    });
  });

  it.each([
    [[1, 2], { score: NaN }, 'ARGUMENT', /score must be a finite number, got NaN/],
    [[1, 2], { score: Infinity }, 'ARGUMENT', /got Infinity/],
    [[1, 2], { score: '1' }, 'ARGUMENT', /got "1"/],
    [[1, 2], {}, 'ARGUMENT', /got undefined/],
    [[1, 2], undefined, 'ARGUMENT', /got undefined/],
    [[1, 2], { score: 1, k: 3 }, 'ARGUMENT', /unknown option 'k', expected score, ef/],
    [[1, 2], { score: 1, ef: 0 }, 'ARGUMENT', /ef must be an integer from 1/],
    [[1, 2], { score: 1, ef: 9, recall: 0.9 }, 'ARGUMENT', /ef and recall exclude each other/],
    [[1, 2], { score: 1, exact: 1 }, 'ARGUMENT', /exact must be true or false/],
    [[1, 2], { score: 1, filter: [1] }, 'ARGUMENT', /filter must be a Filter or a Uint8Array/],
    [[1, 2, 3], { score: 1 }, 'DIMENSION', /query: dim is 2, got 3 values/],
    [[1, NaN], { score: 1 }, 'NOT_FINITE', /query has the value NaN at position 1/],
    [null, { score: 1 }, 'ARGUMENT', /query must be/],
  ])('refuses %j with %j', async (query, options, code, message) => {
    const index = new FlatIndex<Key>({ dim: 2, metric: 'dot' });
    index.addSync([[1, 2]]);
    const expected = expect.objectContaining({
      code: `ERR_LICHEN_${code}`,
      message: expect.stringMatching(message) as string,
    }) as Error;
    expect(() => index.searchWithinSync(query as never, options as never)).toThrow(expected);
    await expect(index.searchWithin(query as never, options as never)).rejects.toThrow(expected);
    index.close();
    await expect(index.searchWithin([1, 2], { score: 1 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_CLOSED',
    });
  });
});
