import { HierarchicalNSW } from 'hnswlib-node';
import { describe, expect, it } from 'vitest';
import { HnswIndex } from '../../src/index/hnsw.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';
import { clustered, exactRows, overlap } from './data.js';

const DIM = 32;
const ROWS = 4000;
const QUERIES = 400;
const K = 10;

// The queries come from where the vectors come from.
const drawn = clustered(11, ROWS + QUERIES, DIM);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);
const queryAt = (q: number): Float32Array => queries.subarray(q * DIM, (q + 1) * DIM);

const truths = new Map<Metric, number[][]>();

function truthOf(metric: Metric): number[][] {
  const known = truths.get(metric);
  if (known !== undefined) return known;
  const truth = Array.from({ length: QUERIES }, (_, q) =>
    exactRows(vectors, queryAt(q), metric, K).map(({ row }) => row),
  );
  truths.set(metric, truth);
  return truth;
}

function meanRecall(metric: Metric, search: (query: Float32Array) => ArrayLike<number>): number {
  const truth = truthOf(metric);
  return truth.reduce((sum, rows, q) => sum + overlap(search(queryAt(q)), rows), 0) / QUERIES;
}

const SPACES = { dot: 'ip', cosine: 'cosine', l2: 'l2' } as const;

describe('hnsw index', () => {
  it.each(METRICS)('finds as much as hnswlib at equal m, efConstruction and ef: %s', (metric) => {
    const m = 12;
    const efConstruction = 80;
    const index = new HnswIndex({ dim: DIM, metric, m, efConstruction });
    index.addSync(vectors, { threads: 1 });
    const peer = new HierarchicalNSW(SPACES[metric], DIM);
    peer.initIndex(ROWS, m, efConstruction, 100);
    for (let row = 0; row < ROWS; row++) {
      peer.addPoint([...vectors.subarray(row * DIM, (row + 1) * DIM)], row);
    }
    for (const ef of [10, 20, 40, 100]) {
      peer.setEf(ef);
      const theirs = meanRecall(metric, (query) => peer.searchKnn([...query], K).neighbors);
      const ours = meanRecall(metric, (query) => index.searchSync(query, { k: K, ef }).keys);
      expect(ours, `ef ${ef}: lichen ${ours}, hnswlib ${theirs}`).toBeGreaterThan(theirs - 0.01);
    }
  });

  it('finds as much when several threads build it', async () => {
    const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 12, efConstruction: 80 });
    await index.add(vectors, { threads: 4 });
    const search = (ef: number) => (query: Float32Array) =>
      index.searchSync(query, { k: K, ef }).keys;
    expect(meanRecall('l2', search(40))).toBeGreaterThan(0.95);
    expect(meanRecall('l2', search(400))).toBeGreaterThan(0.99);
  });

  it('gives the same graph for one seed and one thread, another for another seed', () => {
    const answers = [1, 1, 2].map((seed) => {
      const index = new HnswIndex({ dim: DIM, metric: 'dot', m: 4, efConstruction: 10, seed });
      index.addSync(vectors, { threads: 1 });
      return [...index.searchSync(queryAt(0), { k: 50, ef: 50 }).keys].join();
    });
    expect(answers[0]).toBe(answers[1]);
    expect(answers[0]).not.toBe(answers[2]);
  });

  it('searches exactly when told to', () => {
    const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 2, efConstruction: 4 });
    index.addSync(vectors);
    const exact = (query: Float32Array) => index.searchSync(query, { k: K, exact: true }).keys;
    expect(meanRecall('l2', exact)).toBe(1);
    const poor = (query: Float32Array) => index.searchSync(query, { k: K, ef: 10 }).keys;
    expect(meanRecall('l2', poor)).toBeLessThan(0.9);
  });

  it('gives k results for any k, also of rows that are all alike', () => {
    const index = new HnswIndex({ dim: 4, metric: 'l2', m: 2, efConstruction: 4 });
    index.addSync(new Float32Array(4 * 500).fill(1));
    for (const k of [1, 7, 499, 500]) {
      const { keys } = index.searchSync([1, 1, 1, 1], { k });
      expect(new Set(keys).size).toBe(k);
    }
  });

  it('tells its parameters', () => {
    const index = new HnswIndex({ dim: 5, metric: 'cosine', m: 7, efConstruction: 33 });
    expect([index.dim, index.metric, index.m, index.efConstruction, index.size]).toEqual([
      5,
      'cosine',
      7,
      33,
      0,
    ]);
  });

  it.each([
    [{ dim: 0, metric: 'dot' }, /dim must be an integer from 1 to 65536, got 0/],
    [{ dim: 4.5, metric: 'dot' }, /dim must be an integer/],
    [{ dim: 4 }, /metric is one of dot, cosine, l2, got undefined/],
    [{ dim: 4, metric: 'ip' }, /metric is one of dot, cosine, l2, got "ip"/],
    [{ dim: 4, metric: 'dot', m: 1 }, /m must be an integer from 2 to 512, got 1/],
    [{ dim: 4, metric: 'dot', efConstruction: NaN }, /efConstruction must be .* got NaN/],
    [{ dim: 4, metric: 'dot', seed: -1 }, /seed must be/],
    [{ dim: 4, metric: 'dot', M: 16 }, /unknown option 'M', expected dim, metric, m/],
    [null, /options must be an object, got null/],
    [[], /options must be an object, got an array/],
  ])('refuses the options %j', (options, message) => {
    expect(() => new HnswIndex(options as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringMatching(message) as string,
      }),
    );
  });
});
