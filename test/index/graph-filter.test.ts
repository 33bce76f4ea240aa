import { describe, expect, it } from 'vitest';
import { Filter } from '../../src/index/filter.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { METRICS } from '../../src/vectors/metric.js';
import { Random } from '../../src/vectors/random.js';
import { clustered, overlap } from './data.js';

const DIM = 24;
const ROWS = 12_000;
const QUERIES = 60;
const K = 10;
const drawn = clustered(71, ROWS + QUERIES, DIM);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);
const queryAt = (q: number): Float32Array => queries.subarray(q * DIM, (q + 1) * DIM);

function randomFilter(share: number): Filter {
  const random = new Random(5);
  const rows = Array.from({ length: ROWS }, (_, row) => row).filter(
    () => random.below(10_000) < 10_000 * share,
  );
  return Filter.ofRows(rows, ROWS);
}

/** Far from a query scores lie so close that the order of their keys says little. */
function expectAsGood(scores: Float32Array, expected: Float32Array): void {
  expect(scores.length).toBe(expected.length);
  scores.forEach((score, at) => {
    expect(Math.abs(score - expected[at]!)).toBeLessThan(0.01 * Math.abs(expected[at]!));
  });
}

describe.each(METRICS)('a graph index with a filter, %s', (metric) => {
  const index = new HnswIndex({ dim: DIM, metric, storage: 'i8', rerank: 'f32' });
  const flat = new FlatIndex({ dim: DIM, metric });
  index.addSync(vectors, { threads: 1 });
  flat.addSync(vectors);

  it.each([0.0005, 0.005, 0.03, 0.1, 0.25, 0.5, 0.9, 1])(
    'finds what is admitted, and nothing else: a share of %d',
    (share) => {
      const filter = randomFilter(share);
      const k = Math.min(K, filter.count);
      let found = 0;
      for (let q = 0; q < QUERIES; q++) {
        const truth = flat.searchSync(queryAt(q), { k, filter }).keys;
        const { keys } = index.searchSync(queryAt(q), { k, filter });
        expect(keys.length).toBe(k);
        for (const key of keys) expect(filter.has(key)).toBe(true);
        found += overlap(keys, [...truth]);
      }
      expect(found / QUERIES).toBeGreaterThan(0.95);
    },
  );

  it('finds k where all that is admitted is far from the query', () => {
    const far = flat.searchSync(queryAt(0), { k: ROWS }).keys.slice(ROWS / 2);
    const filter = Filter.ofRows(far, ROWS);
    const expected = flat.searchSync(queryAt(0), { k: K, filter });
    expectAsGood(index.searchSync(queryAt(0), { k: K, filter }).scores, expected.scores);
  });

  it('does not find what a search excludes', async () => {
    const seen = [...flat.searchSync(queryAt(3), { k: 2000 }).keys, 10 ** 9, -5];
    const expected = flat.searchSync(queryAt(3), { k: K, exclude: seen });
    for (const key of expected.keys) expect(seen).not.toContain(key);
    const { keys, scores } = index.searchSync(queryAt(3), { k: K, exclude: seen });
    for (const key of keys) expect(seen).not.toContain(key);
    expectAsGood(scores, expected.scores);
    const lists = Array.from({ length: QUERIES }, (_, q) =>
      q % 3 === 0 ? [] : [...flat.searchSync(queryAt(q), { k: 5 * q }).keys],
    );
    for (const searched of [index, flat]) {
      const batch = await searched.searchBatch(queries, { k: K, exclude: lists });
      lists.forEach((list, q) => {
        const alone = searched.searchSync(queryAt(q), { k: K, exclude: list });
        expect([...batch.keys.subarray(q * K, (q + 1) * K)]).toEqual([...alone.keys]);
        for (const key of alone.keys) expect(list).not.toContain(key);
      });
    }
  });
});
