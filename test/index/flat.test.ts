import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { METRICS } from '../../src/vectors/metric.js';
import { clustered, exactRows } from './data.js';

describe('flat index', () => {
  it.each(METRICS)('agrees with a float64 scan: %s', async (metric) => {
    const dim = 37;
    const vectors = clustered(1, 1500, dim);
    const queries = clustered(2, 40, dim);
    const index = new FlatIndex({ dim, metric });
    await index.add(vectors);
    const batch = await index.searchBatch(queries, { k: 12 });
    for (let q = 0; q < 40; q++) {
      const query = queries.subarray(q * dim, (q + 1) * dim);
      const expected = exactRows(vectors, query, metric, 12);
      for (const { keys, scores } of [
        index.searchSync(query, { k: 12 }),
        await index.search(query, { k: 12 }),
        {
          keys: batch.keys.subarray(q * 12, q * 12 + 12),
          scores: batch.scores.subarray(q * 12, q * 12 + 12),
        },
      ]) {
        expect([...keys]).toEqual(expected.map(({ row }) => row));
        expected.forEach(({ score }, at) => expect(scores[at]).toBeCloseTo(score, 3));
      }
    }
  });

  it('agrees with the float64 scan for any dim, size and k', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 130 }),
        fc.integer({ min: 1, max: 70 }),
        fc.constantFrom(...METRICS),
        fc.nat(),
        (dim, rows, metric, seed) => {
          const vectors = clustered(seed, rows, dim, 3);
          const query = clustered(seed + 1, 1, dim, 1);
          const k = 1 + (seed % rows);
          using index = new FlatIndex({ dim, metric });
          index.addSync(vectors);
          const { keys, scores } = index.searchSync(query, { k });
          expect(keys.length).toBe(k);
          expect(new Set(keys).size).toBe(k);
          // Rows whose scores differ by less than rounding may change places; their scores may not.
          exactRows(vectors, query, metric, k).forEach(({ score }, at) => {
            expect(Math.abs(scores[at]! - score)).toBeLessThan(1e-4 * (1 + dim));
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  it('orders equal scores by row', () => {
    const index = new FlatIndex({ dim: 3, metric: 'l2' });
    index.addSync(new Float32Array(3 * 50).fill(1));
    expect([...index.searchSync([1, 1, 1], { k: 5 }).keys]).toEqual([0, 1, 2, 3, 4]);
  });

  it('scores a zero vector 0 under cosine', () => {
    const index = new FlatIndex({ dim: 2, metric: 'cosine' });
    index.addSync([
      [0, 0],
      [1, 1],
    ]);
    expect([...index.searchSync([2, 2], { k: 2 }).scores]).toEqual([expect.closeTo(1, 6), 0]);
    expect([...index.searchSync([0, 0], { k: 2 }).scores]).toEqual([0, 0]);
  });

  it('survives scores beyond the range of f32', () => {
    const index = new FlatIndex({ dim: 2, metric: 'dot' });
    index.addSync([
      [3e38, 3e38],
      [-3e38, 3e38],
      [1, 1],
    ]);
    const { keys, scores } = index.searchSync([3e38, 3e38], { k: 3 });
    expect(keys[0]).toBe(0);
    expect(scores[0]).toBe(Infinity);
    expect(new Set(keys).size).toBe(3);
  });
});
