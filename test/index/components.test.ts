import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { openIndex } from '../../src/index/open.js';
import { Random } from '../../src/vectors/random.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { exactRows, meanRecall } from './data.js';

const DIM = 96;
const RANK = 10;
const ROWS = 3000;
const QUERIES = 60;
const K = 10;
const drawn = nearSubspace(ROWS + QUERIES, 0.05);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);

/** Combinations of RANK directions, and noise in all values. */
function nearSubspace(rows: number, noise: number): Float32Array {
  const random = new Random(5);
  const directions = Float32Array.from({ length: RANK * DIM }, () => random.gaussian());
  const data = new Float32Array(rows * DIM);
  for (let row = 0; row < rows; row++) {
    const weights = Array.from({ length: RANK }, () => random.gaussian());
    for (let d = 0; d < DIM; d++) {
      const value = weights.reduce((sum, weight, r) => sum + weight * directions[r * DIM + d]!, 0);
      data[row * DIM + d] = value + noise * random.gaussian();
    }
  }
  return data;
}

const recall = (search: (query: Float32Array) => ArrayLike<number>, metric: Metric): number =>
  meanRecall(search, { vectors, queries, dim: DIM, metric, k: K });

describe.each(METRICS)('codes of principal components under %s', (metric) => {
  it('find as well in a graph as codes of all values do, in less memory', () => {
    const all = new HnswIndex({ dim: DIM, metric, storage: 'i8' });
    const few = new HnswIndex({ dim: DIM, metric, storage: 'i8', pca: RANK });
    const best = new HnswIndex({ dim: DIM, metric, storage: 'i4', pca: RANK, rerank: 'f16' });
    for (const index of [all, few, best]) index.addSync(vectors);
    const of = (index: HnswIndex): number =>
      recall((query) => index.searchSync(query, { k: K, ef: 150 }).keys, metric);
    expect(of(few)).toBeGreaterThan(of(all) - 0.03);
    expect(of(best)).toBeGreaterThan(0.98);
    expect(few.bytes / ROWS).toBeLessThan(all.bytes / ROWS - 90);
  });

  it('give scores of the whole vectors when the best are scored anew', () => {
    const index = new FlatIndex({ dim: DIM, metric, storage: 'b1', pca: RANK, rerank: 'f32' });
    index.addSync(vectors);
    const query = queries.subarray(0, DIM);
    const exact = new Map(exactRows(vectors, query, metric, ROWS).map((hit) => [hit.row, hit]));
    const { keys, scores } = index.searchSync(query, { k: K });
    keys.forEach((key, at) => expect(scores[at]).toBeCloseTo(exact.get(key)!.score, 2));
  });
});

const at = temporaryFolder();

it('components go on when vectors are added, replaced, removed, saved and compacted', async () => {
  const index = new HnswIndex({ dim: DIM, metric: 'l2', storage: 'i4', pca: RANK, rerank: 'f16' });
  const keys = Array.from({ length: ROWS }, (_, row) => row);
  await index.add(vectors.subarray(0, 2000 * DIM), { keys: keys.slice(0, 2000) });
  await index.add(vectors.subarray(2000 * DIM), { keys: keys.slice(2000) });
  const every = Array.from({ length: ROWS / 2 }, (_, at) => 2 * at);
  await index.remove(every);
  await index.compact();
  const again = every.map((row) => vectors.subarray(row * DIM, (row + 1) * DIM));
  await index.upsert(again, { keys: every });
  await index.save(at('a.lichen'));
  for (const options of [{}, { map: true }]) {
    const opened = (await openIndex(at('a.lichen'), options)) as HnswIndex;
    expect([opened.pca, opened.storage, opened.rerank]).toEqual([RANK, 'i4', 'f16']);
    const of = (one: HnswIndex): number =>
      recall((query) => one.searchSync(query, { k: K, ef: 150 }).keys, 'l2');
    expect(of(opened)).toBeGreaterThan(0.97);
    expect(of(opened)).toBe(of(index));
    opened.close();
  }
});

it('an add that is too small to learn from is refused and changes nothing', async () => {
  const index = new HnswIndex({ dim: DIM, metric: 'l2', storage: 'i8', pca: 50 });
  await expect(index.add(vectors.subarray(0, 49 * DIM))).rejects.toMatchObject({
    code: 'ERR_LICHEN_ARGUMENT',
    message: expect.stringMatching(/at least as many vectors to learn from, got 49/) as string,
  });
  expect(index.size).toBe(0);
  await index.add(vectors.subarray(0, 50 * DIM));
  index.addSync(vectors.subarray(50 * DIM, 51 * DIM));
  expect(index.size).toBe(51);
});

it('a finer storage beside them is one of all values', () => {
  const make = (rerank: 'f16' | 'i8' | 'i4') =>
    new FlatIndex({ dim: 8, metric: 'dot', storage: 'i8', pca: 4, rerank });
  expect(make('i8').rerank).toBe('i8');
  expect(make('f16').pca).toBe(4);
  expect(() => make('i4')).toThrow(/rerank must be a finer storage than i8, got i4/);
});
