import { describe, expect, it } from 'vitest';
import { EmbeddingStore } from '../../src/index/embedding-store.js';
import { Filter } from '../../src/index/filter.js';
import { FlatIndex, type FlatOptions } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { METRICS } from '../../src/vectors/metric.js';
import { STORAGE_TYPES } from '../../src/vectors/storage-type.js';
import { clustered, exactRows, overlap } from './data.js';
import { expectedScore, plain, STORED, wayName, WAYS } from './storage-data.js';

// Threads that share the work of a search, also where the machine has fewer processors; read at the first search.
process.env['LICHEN_THREADS'] ??= '3';

const DIM = 37;
const ROWS = 1500;
const drawn = clustered(51, ROWS + 40, DIM);
const vectors = drawn.subarray(0, ROWS * DIM);
const queries = drawn.subarray(ROWS * DIM);
const vectorAt = (row: number): Float32Array => vectors.subarray(row * DIM, (row + 1) * DIM);
const queryAt = (q: number): Float32Array => queries.subarray(q * DIM, (q + 1) * DIM);

describe.each(STORED)('%s under %s', (storage, metric) => {
  const index = new FlatIndex({ dim: DIM, metric, storage });
  index.addSync(vectors);
  const store = new EmbeddingStore({ dim: DIM, metric, storage });
  store.append(vectors);

  it('finds the best of the decoded vectors, in order', () => {
    const decoded = Array.from({ length: ROWS }, (_, row) => index.get(row)!);
    for (let q = 0; q < 40; q++) {
      const expected = decoded.map((vector, row) =>
        expectedScore(storage, metric, queryAt(q), vectorAt(row), vector),
      );
      const { keys, scores } = index.searchSync(queryAt(q), { k: 15 });
      const sign = metric === 'l2' ? 1 : -1;
      const found = new Set(keys);
      expect(found.size).toBe(15);
      scores.forEach((score, at) => {
        const { score: wanted, slack } = expected[keys[at]!]!;
        expect(Math.abs(score - wanted)).toBeLessThanOrEqual(slack);
        if (at > 0) expect(sign * scores[at - 1]!).toBeLessThanOrEqual(sign * score);
      });
      const last = sign * scores[14]!;
      const missed = expected.filter(
        ({ score, slack }, row) => !found.has(row) && !(sign * score >= last - slack),
      );
      expect(missed).toEqual([]);
    }
  });

  it('is the same in an index and in a store', () => {
    for (let q = 0; q < 40; q++) {
      const { keys, scores } = index.searchSync(queryAt(q), { k: 15 });
      const scan = store.scan(queryAt(q), { k: 15 });
      expect([...scan.rows]).toEqual([...keys]);
      expect(scan.scores).toEqual(scores);
      expect(store.score(queryAt(q), scan.rows).scores).toEqual(scores);
    }
    for (let row = 0; row < ROWS; row += 97) expect(store.decode(row)).toEqual(index.get(row));
  });

  it('depends on the seed where there is chance, and on nothing else', () => {
    const others = [42, 42, 7].map((seed) => {
      const other = new FlatIndex({ dim: DIM, metric, storage, seed });
      other.addSync(vectors, { threads: seed === 42 ? 3 : 1 });
      return plain(other.searchSync(queryAt(3), { k: 20 }));
    });
    expect(others[0]).toEqual(plain(index.searchSync(queryAt(3), { k: 20 })));
    expect(others[1]).toEqual(others[0]);
    if (['i4', 'b1', 'pq'].includes(storage)) expect(others[2]).not.toEqual(others[0]);
    else expect(others[2]).toEqual(others[0]);
  });
});

it.each(METRICS)('f32 under %s keeps the order of a float64 scan', (metric) => {
  const index = new FlatIndex({ dim: DIM, metric });
  index.addSync(vectors);
  for (let q = 0; q < 40; q++) {
    const expected = exactRows(vectors, queryAt(q), metric, 20);
    const { keys } = index.searchSync(queryAt(q), { k: 20 });
    const scoreOf = new Map(
      exactRows(vectors, queryAt(q), metric, ROWS).map(({ row, score }) => [row, score]),
    );
    expected.forEach(({ row, score }, at) => {
      if (keys[at] === row) return;
      expect(Math.abs(scoreOf.get(keys[at]!)! - score)).toBeLessThan(1e-5 * Math.abs(score));
    });
  }
});

const FILTERS: [string, Filter | undefined][] = [
  ['no filter', undefined],
  ['nothing admitted', Filter.ofRows([], ROWS)],
  ['one row', Filter.ofRows([777], ROWS)],
  ['1 % of the rows', Filter.ofRows(every(100, 3), ROWS)],
  ['90 % of the rows', Filter.ofRows(every(10, 4), ROWS).not(ROWS)],
  ['every row', Filter.ofRows([], ROWS).not(ROWS)],
  ['a filter of fewer rows', Filter.ofRows(every(2, 0).slice(0, 300), 600)],
];

function every(step: number, from: number): number[] {
  return Array.from({ length: Math.floor(ROWS / step) }, (_, at) => from + at * step);
}

describe.each(METRICS.flatMap((metric) => WAYS.map((way) => [wayName(way), metric, way] as const)))(
  '%s under %s',
  (_, metric, way) => {
    const index = new FlatIndex({ dim: DIM, metric, ...way });
    index.addSync(vectors);

    it.each(FILTERS)('answers every call alike, bit for bit: %s', async (_, filter) => {
      const k = 7;
      const options = { k, filter };
      const singles = Array.from({ length: 40 }, (_, q) =>
        plain(index.searchSync(queryAt(q), options)),
      );
      const expected = Math.min(k, filter?.count ?? ROWS);
      for (const [q, single] of singles.entries()) {
        expect(single.keys.length).toBe(expected);
        if (filter) expect(single.keys.every((row) => filter.has(row))).toBe(true);
        if (q % 8 > 0) continue;
        expect(plain(await index.search(queryAt(q), options))).toEqual(single);
        expect(plain(await index.search(queryAt(q), { ...options, threads: 2 }))).toEqual(single);
        expect(plain(await index.search(queryAt(q), { ...options, threads: 7 }))).toEqual(single);
        if (filter) {
          const bits = index.searchSync(queryAt(q), { k, filter: filter.bits });
          expect(plain(bits)).toEqual(single);
        }
      }
      for (const count of [1, 3, 5, 40]) {
        for (const threads of [1, 3]) {
          const batch = await index.searchBatch(queries.subarray(0, count * DIM), {
            ...options,
            threads,
          });
          const found = Array.from({ length: count }, (_, q) => {
            const end = q * k + batch.counts[q]!;
            expect(batch.scores.subarray(end, (q + 1) * k).every(Number.isNaN)).toBe(true);
            return plain({
              keys: batch.keys.slice(q * k, end),
              scores: batch.scores.slice(q * k, end),
            });
          });
          expect(found).toEqual(singles.slice(0, count));
        }
      }
    });

    it('finds with a filter the best of what it admits', () => {
      for (const [, filter] of FILTERS.slice(1)) {
        const { count } = filter!;
        for (let q = 0; q < 5; q++) {
          // All candidates are scored anew, so coarse codes cannot hide one.
          const all = index.searchSync(queryAt(q), { k: ROWS });
          const admitted = [...all.keys].filter((row) => filter!.has(row)).slice(0, 20);
          const oversample = ROWS;
          const { keys } = index.searchSync(queryAt(q), { k: 20, filter, oversample });
          expect([...keys]).toEqual(admitted);
          expect(keys.length).toBe(Math.min(20, count));
        }
      }
    });

    it('searches exactly in the finest storage', () => {
      const kept = way.rerank === undefined ? way : { storage: way.rerank };
      const finest = new FlatIndex({ dim: DIM, metric, ...kept });
      finest.addSync(vectors);
      for (let q = 0; q < 40; q++) {
        const exact = plain(index.searchSync(queryAt(q), { k: 9, exact: true }));
        expect(exact).toEqual(plain(finest.searchSync(queryAt(q), { k: 9 })));
        expect(plain(index.searchSync(queryAt(q), { k: 9, oversample: ROWS }))).toEqual(exact);
      }
      expect(index.get(5)).toEqual(finest.get(5));
    });
  },
);

describe('rerank', () => {
  const recall = (options: Pick<FlatOptions, 'storage' | 'rerank'>, oversample?: number) => {
    const index = new FlatIndex({ dim: DIM, metric: 'l2', ...options });
    index.addSync(vectors);
    let sum = 0;
    for (let q = 0; q < 40; q++) {
      const expected = exactRows(vectors, queryAt(q), 'l2', 10).map(({ row }) => row);
      sum += overlap(index.searchSync(queryAt(q), { k: 10, oversample }).keys, expected);
    }
    return sum / 40;
  };

  it.each(['i8', 'i4', 'b1', 'pq'] as const)('finds more than %s alone', (storage) => {
    const alone = recall({ storage });
    const reranked = recall({ storage, rerank: 'f32' });
    const deep = recall({ storage, rerank: 'f32' }, 100);
    expect(reranked).toBeGreaterThanOrEqual(alone);
    expect(reranked, `alone ${alone}, reranked ${reranked}`).toBeGreaterThan(0.95);
    expect(deep).toBeGreaterThanOrEqual(reranked);
    expect(deep).toBeGreaterThan(0.99);
    expect(recall({ storage, rerank: 'f32' }, 1)).toBe(alone);
  });
});

it('a graph index scores exactly what a filter admits if that is little', async () => {
  const index = new HnswIndex({ dim: DIM, metric: 'l2', m: 4, efConstruction: 20 });
  const flat = new FlatIndex({ dim: DIM, metric: 'l2' });
  await index.add(vectors);
  await flat.add(vectors);
  const few = FILTERS.slice(1).filter(([, filter]) => filter!.count < 300);
  expect(few.length).toBeGreaterThan(0);
  for (const [, filter] of few) {
    const options = { k: 9, filter };
    expect(await index.searchBatch(queries, options)).toEqual(
      await flat.searchBatch(queries, options),
    );
    expect(plain(index.searchSync(queryAt(0), options))).toEqual(
      plain(flat.searchSync(queryAt(0), options)),
    );
  }
  expect([index.storage, index.rerank]).toEqual(['f32', undefined]);
});

describe('options of storage', () => {
  it('are told', () => {
    const index = new FlatIndex({ dim: 10, metric: 'dot', storage: 'pq', rerank: 'i8' });
    expect([index.storage, index.rerank, index.subspaces]).toEqual(['pq', 'i8', 5]);
    const plainIndex = new FlatIndex({ dim: 10, metric: 'dot' });
    expect([plainIndex.storage, plainIndex.rerank, plainIndex.subspaces]).toEqual([
      'f32',
      undefined,
      undefined,
    ]);
    for (const subspaces of [1, 3, 10]) {
      const index = new FlatIndex({ dim: 10, metric: 'dot', storage: 'pq', subspaces });
      expect(index.subspaces).toBe(subspaces);
    }
  });

  it('make the memory small', () => {
    const bytes = Object.fromEntries(
      STORAGE_TYPES.map((storage) => {
        const index = new FlatIndex({ dim: 128, metric: 'dot', storage });
        index.addSync(clustered(9, 2000, 128));
        return [storage, index.bytes / 2000];
      }),
    );
    expect(bytes['f32']).toBeCloseTo(512, -1);
    expect(bytes['f16']).toBeCloseTo(256, -1);
    expect(bytes['bf16']).toBeCloseTo(256, -1);
    expect(bytes['i8']).toBeLessThan(512 / 3.7);
    expect(bytes['i4']).toBeLessThan(512 / 6.9);
    expect(bytes['b1']).toBeLessThan(512 / 20);
    expect(bytes['pq']).toBeLessThan(512 / 15);
  });

  it.each([
    [{ storage: 'f64' }, /storage is one of f32, f16, bf16, i8, i4, b1, pq, got "f64"/],
    [{ storage: null }, /storage is one of .* got null/],
    [{ rerank: 'f16' }, /rerank must be a finer storage than f32, got f16/],
    [{ storage: 'i8', rerank: 'i8' }, /rerank must be a finer storage than i8, got i8/],
    [{ storage: 'i8', rerank: 'b1' }, /rerank must be a finer storage than i8, got b1/],
    [{ storage: 'i8', rerank: 'x' }, /rerank is one of .* got "x"/],
    [{ storage: 'i4', subspaces: 2 }, /subspaces belong to storage pq, but storage is i4/],
    [{ subspaces: 2 }, /subspaces belong to storage pq, but storage is f32/],
    [{ storage: 'pq', subspaces: 0 }, /subspaces must be an integer from 1 to 8, got 0/],
    [{ storage: 'pq', subspaces: 9 }, /subspaces must be an integer from 1 to 8, got 9/],
    [{ storage: 'pq', subspaces: 1.5 }, /subspaces must be .* got 1.5/],
    [{ seed: -1 }, /seed must be an integer from 0 to 9007199254740991, got -1/],
    [{ seed: 2 ** 53 }, /seed must be/],
    [{ seed: '1' }, /seed must be .* got "1"/],
    [{ type: 'i8' }, /unknown option 'type', expected dim, metric, storage, rerank/],
  ])('are refused: %j', (options, message) => {
    const call = (): unknown => new FlatIndex({ dim: 8, metric: 'dot', ...options } as never);
    expect(call).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringMatching(message) as string,
      }),
    );
  });
});
