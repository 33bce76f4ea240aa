import { describe, expect, it } from 'vitest';
import { measureSearch } from '../../src/evaluation/search-points.js';
import { exactTruth, exactTruthAmong } from '../../src/evaluation/truth.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key } from '../../src/index/types.js';
import { matrix } from '../../src/vectors/matrix.js';
import { METRICS } from '../../src/vectors/metric.js';
import { recallAtKByScore } from '../../src/evaluation/neighbours.js';
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

  it.each([
    ['row keys', undefined],
    ['integer keys', Array.from({ length: 1200 }, (_, row) => 5000 - row)],
    ['string keys', Array.from({ length: 1200 }, (_, row) => `song ${row}`)],
  ])('judges an index of approximate scores by exact ones: %s', async (_, keys) => {
    const input = matrix(vectors, DIM);
    for (const metric of METRICS) {
      for (const way of [
        { storage: 'b1' as const },
        { storage: 'pq' as const },
        { storage: 'b1' as const, rerank: 'i8' as const },
        { storage: 'b1' as const, rerank: 'f32' as const },
      ]) {
        const index = new FlatIndex<Key>({ dim: DIM, metric, ...way });
        index.addSync(vectors, { keys: keys as never });
        const truth = await exactTruthAmong(input, index, queries, 10);
        const [point] = await measureSearch(index, queries, truth, { ...quick, efs: [] });
        let sum = 0;
        for (let q = 0; q < queries.rows; q++) {
          const expected = exactRows(vectors, queryAt(q), metric, 10);
          const { keys: found } = index.searchSync(queryAt(q), { k: 10 });
          const rows = keys
            ? Array.from(found as ArrayLike<Key>, (key) => keys.indexOf(key as never))
            : (found as Float64Array);
          sum += overlap(
            rows,
            expected.map(({ row }) => row),
          );
        }
        expect(point!.recall).toBeCloseTo(sum / queries.rows, 6);
        // Against itself it finds everything, which says nothing of what the codes lose.
        const itself = await exactTruth(index, queries, 10);
        const [flattered] = await measureSearch(index, queries, itself, { ...quick, efs: [] });
        if (way.rerank === undefined) expect(flattered!.recall).toBe(1);
      }
    }
  });

  it('counts any of equal rows, however approximate the scores are', async () => {
    // Each vector ten times; codes of equal rows are equal, too.
    const data = Float32Array.from({ length: 1000 * DIM }, (_, at) => {
      const row = Math.floor(at / DIM) % 100;
      return vectors[row * DIM + (at % DIM)]!;
    });
    const input = matrix(data, DIM);
    const index = new FlatIndex<Key>({ dim: DIM, metric: 'cosine', storage: 'i8' });
    index.addSync(data);
    const truth = await exactTruthAmong(input, index, queries, 5);
    // Of the ten nearest, which are equal, the five with the highest rows.
    const last = index.filter((row) => Number(row) >= 500);
    const found = await index.searchBatch(queries, { k: 5, filter: last });
    if (truth.by !== 'score') throw new Error('expected scores');
    const values = truth.scoresOf!(found);
    expect(
      recallAtKByScore({ values, rows: 60, width: 5 }, truth.neighbours, {
        k: 5,
        metric: 'cosine',
      }),
    ).toBeGreaterThan(0.95);
  });

  it('passes oversample on', async () => {
    const index = new FlatIndex<Key>({ dim: DIM, metric: 'l2', storage: 'b1', rerank: 'f32' });
    index.addSync(vectors);
    const truth = await exactTruth(index, queries, 10);
    const recalls: number[] = [];
    for (const oversample of [1, 4, 120]) {
      const [point] = await measureSearch(index, queries, truth, { ...quick, efs: [], oversample });
      recalls.push(point!.recall);
    }
    expect(recalls[0]).toBeLessThan(recalls[1]!);
    expect(recalls[1]).toBeLessThan(recalls[2]!);
    expect(recalls[2]).toBe(1);
  });

  it('refuses vectors that are not those of the index', async () => {
    const index = new FlatIndex<Key>({ dim: DIM, metric: 'l2', storage: 'i8' });
    index.addSync(vectors);
    const fewer = matrix(vectors.subarray(0, 600 * DIM), DIM);
    await expect(exactTruthAmong(fewer, index, queries, 10)).rejects.toMatchObject({
      code: 'ERR_LICHEN_DIMENSION',
      message: `vectors must be those of the index, 1200 of dim ${DIM}, got 600 of dim ${DIM}`,
    });
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
