import { describe, expect, it } from 'vitest';
import { exactTruth, measureSearch } from '../../src/evaluation/search-points.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { matrix } from '../../src/vectors/matrix.js';
import { clustered, exactRows, overlap } from '../index/data.js';

const DIM = 12;
const vectors = clustered(41, 1200, DIM);
const queries = matrix(clustered(42, 60, DIM), DIM);
const queryAt = (q: number): Float32Array => queries.data.subarray(q * DIM, (q + 1) * DIM);
const quick = { k: 10, secondsAPoint: 0.001 };

describe('measureSearch', () => {
  const index = new HnswIndex<Key>({ dim: DIM, metric: 'l2', m: 4, efConstruction: 12 });
  index.addSync(vectors, { threads: 1 });

  it.each([
    ['single', 1],
    ['single', 3],
    ['batch', 2],
  ] as const)(
    'measures the recall that a float64 oracle finds: %s, %i threads',
    async (mode, threads) => {
      const truth = await exactTruth(index, queries, 10);
      const points = await measureSearch(index, queries, truth, {
        ...quick,
        efs: [10, 40, 400],
        mode,
        threads,
      });
      expect(points.map(({ ef }) => ef)).toEqual([10, 40, 400]);
      for (const { ef, recall, qps, p50us, p99us } of points) {
        let sum = 0;
        for (let q = 0; q < queries.rows; q++) {
          const expected = exactRows(vectors, queryAt(q), 'l2', 10).map(({ row }) => row);
          sum += overlap(
            index.searchSync(queryAt(q), { k: 10, ef }).keys as Float64Array,
            expected,
          );
        }
        expect(recall).toBeCloseTo(sum / queries.rows, 6);
        expect(qps).toBeGreaterThan(0);
        expect(p99us).toBeGreaterThanOrEqual(p50us);
      }
      expect(points[2]!.recall).toBeGreaterThan(points[0]!.recall);
    },
  );

  it('makes one pass however short a point may be', async () => {
    const truth = await exactTruth(index, queries, 10);
    const points = await measureSearch(index, queries, truth, {
      k: 10,
      efs: [10],
      secondsAPoint: 0,
    });
    expect(points[0]!.qps).toBeGreaterThan(0);
  });

  it('gives one exact point for a flat index', async () => {
    const flat = new FlatIndex<Key>({ dim: DIM, metric: 'l2' });
    await flat.add(vectors);
    const truth = await exactTruth(flat, queries, 10);
    const points = await measureSearch(flat, queries, truth, { ...quick, efs: [1, 2] });
    expect(points).toEqual([expect.objectContaining({ recall: 1 })]);
    expect(points[0]).not.toHaveProperty('ef');
  });

  it('judges by keys where the truth has keys', async () => {
    const values = Array.from({ length: queries.rows }, (_, q) =>
      exactRows(vectors, queryAt(q), 'l2', 10).map(({ row }) => (q === 0 ? row + 5000 : row)),
    ).flat();
    const points = await measureSearch(
      index,
      queries,
      { by: 'key', neighbours: { values, rows: queries.rows, width: 10 } },
      { ...quick, efs: [1200] },
    );
    expect(points[0]!.recall).toBeCloseTo(1 - 1 / queries.rows, 2);
  });

  it('refuses what does not fit, and can be aborted', async () => {
    const truth = await exactTruth(index, queries, 5);
    await expect(
      measureSearch(index, queries, truth, { ...quick, efs: [10] }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_DIMENSION' });
    const none = matrix(new Float32Array(0), DIM);
    await expect(measureSearch(index, none, truth, { k: 5, efs: [10] })).rejects.toMatchObject({
      code: 'ERR_LICHEN_EMPTY',
    });
    await expect(
      measureSearch(index, queries, truth, { k: 5, efs: [10], signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });
});
