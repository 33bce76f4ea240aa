import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';
import { STORAGE_TYPES } from '../../src/vectors/storage-type.js';
import { clustered, exactRows, meanRecall } from './data.js';

const DIM = 40;
const ROWS = 3000;
const QUERIES = 100;
const K = 10;
const drawn = clustered(31, ROWS + QUERIES, DIM);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);
const queryAt = (q: number): Float32Array => queries.subarray(q * DIM, (q + 1) * DIM);

const recall = (search: (query: Float32Array) => ArrayLike<number>, metric: Metric): number =>
  meanRecall(search, { vectors, queries, dim: DIM, metric, k: K });

describe.each(METRICS)('a graph over codes, %s', (metric) => {
  it.each(STORAGE_TYPES.slice(1))('finds with rerank what a flat index finds: %s', (storage) => {
    const options = { dim: DIM, metric, storage, rerank: 'f32' } as const;
    const index = new HnswIndex({ ...options, m: 16, efConstruction: 100 });
    const flat = new FlatIndex(options);
    index.addSync(vectors, { threads: 1 });
    flat.addSync(vectors);
    const graph = recall((q) => index.searchSync(q, { k: K, ef: 200 }).keys, metric);
    const exhaustive = recall((q) => flat.searchSync(q, { k: K }).keys, metric);
    expect(graph, `graph ${graph}, scan ${exhaustive}`).toBeGreaterThan(exhaustive - 0.02);
  });

  it('gives the scores of the finer storage', () => {
    const index = new HnswIndex({ dim: DIM, metric, storage: 'i4', rerank: 'f32' });
    index.addSync(vectors);
    for (let q = 0; q < 20; q++) {
      const { keys, scores } = index.searchSync(queryAt(q), { k: K, ef: 100 });
      const exact = new Map(
        exactRows(vectors, queryAt(q), metric, ROWS).map((hit) => [hit.row, hit]),
      );
      keys.forEach((key, at) => expect(scores[at]).toBeCloseTo(exact.get(key)!.score, 3));
      expect([...scores]).toEqual([...scores].sort((a, b) => (metric === 'l2' ? a - b : b - a)));
    }
  });
});

describe('a recall that is asked for', () => {
  it.each(METRICS)('is reached for queries like the vectors: %s', (metric) => {
    const index = new HnswIndex({
      dim: DIM,
      metric,
      storage: 'i8',
      rerank: 'f32',
      m: 8,
      efConstruction: 40,
    });
    index.addSync(vectors, { threads: 1 });
    const points = index.calibration;
    expect(points.length).toBeGreaterThan(0);
    for (const wanted of [0.8, 0.95, 0.99]) {
      const reached = recall((q) => index.searchSync(q, { k: K, recall: wanted }).keys, metric);
      expect(reached, `wanted ${wanted}, reached ${reached}`).toBeGreaterThan(wanted - 0.04);
    }
  });

  it('is learned anew from queries of another kind', async () => {
    const index = new HnswIndex({ dim: DIM, metric: 'dot', m: 8, efConstruction: 40 });
    index.addSync(vectors, { threads: 1 });
    const before = index.calibration;
    await index.calibrate(queries.map((value) => -value));
    expect(index.calibration).not.toEqual(before);
    await expect(index.calibrate(new Float32Array(DIM).fill(NaN))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FINITE',
    });
  });

  it('is kept in a snapshot, and so are codes and links', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lichen-'));
    try {
      const index = new HnswIndex({ dim: DIM, metric: 'dot', storage: 'i4', rerank: 'f16' });
      await index.add(vectors);
      await index.save(join(folder, 'a.lichen'));
      const opened = await HnswIndex.open(join(folder, 'a.lichen'));
      expect(opened.calibration).toEqual(index.calibration);
      expect([opened.storage, opened.rerank]).toEqual(['i4', 'f16']);
      for (let q = 0; q < 20; q++) {
        const options = { k: K, recall: 0.9 };
        expect(opened.searchSync(queryAt(q), options)).toEqual(
          index.searchSync(queryAt(q), options),
        );
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.each([[0], [1], [NaN], ['0.9']])('must be between 0 and 1: %s', (wanted) => {
    const index = new HnswIndex({ dim: 2, metric: 'l2' });
    index.addSync([[1, 2]]);
    expect(() => index.searchSync([1, 2], { k: 1, recall: wanted as never })).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
    expect(() => index.searchSync([1, 2], { k: 1, recall: 0.9, ef: 3 })).toThrow(
      /exclude each other/,
    );
  });
});
