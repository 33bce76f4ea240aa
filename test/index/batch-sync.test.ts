import { describe, expect, it } from 'vitest';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key, SearchBatchResult, SearchBatchSyncOptions } from '../../src/index/types.js';
import { native, type IndexHandle } from '../../src/native.js';
import { clustered } from './data.js';

const DIM = 10;
const ROWS = 700;
const vectors = clustered(11, ROWS, DIM);
const queries = clustered(12, 230, DIM);
const group = Array.from({ length: ROWS }, (_, row) => row % 50);
const options = { dim: DIM, metric: 'l2', attributes: { group: 'number' } } as const;

/** A result as text, which is compared in a moment. */
const plain = ({ keys, scores, counts, rows, k }: SearchBatchResult<Key>): string =>
  [Array.from<Key>(keys), scores, counts, rows, k].join();

describe.each(['flat', 'hnsw', 'i8'] as const)('searchBatchSync of %s', (kind) => {
  const made = <K extends Key>(keys?: K[]): FlatIndex<K> | HnswIndex<K> => {
    const index =
      kind === 'hnsw'
        ? new HnswIndex<K>({ ...options, m: 8 })
        : new FlatIndex<K>({
            ...options,
            ...(kind === 'i8' ? { storage: 'i8', rerank: 'f32' } : {}),
          });
    index.addSync(vectors, { keys: keys as never, attributes: { group } });
    return index;
  };

  it('finds what searchBatch finds', async () => {
    const numbered = made<number>();
    const named = made(Array.from({ length: ROWS }, (_, row) => `row ${row}`));
    const exclude = Array.from({ length: 230 }, (_, query) => [query, query + 1]);
    const variants: SearchBatchSyncOptions[] = [
      { k: 7 },
      { k: 30, ef: 90 },
      { k: 5, exclude },
      { k: 5, filter: numbered.filter((row: number) => row % 3 > 0), exclude },
      { k: 9, where: { group: { lt: 20 } }, exact: true },
      { k: 4, groupBy: 'group' },
    ];
    for (const variant of variants) {
      const expected = await numbered.searchBatch(queries, variant);
      expect(plain(numbered.searchBatchSync(queries, variant))).toBe(plain(expected));
    }
    const expected = await named.searchBatch(queries, { k: 3 });
    expect(plain(named.searchBatchSync(queries, { k: 3 }))).toBe(plain(expected));
    const into = { keys: new Float64Array(500), scores: new Float32Array(500) };
    const found = numbered.searchBatchSync(queries, { k: 2, into });
    expect(found.keys.buffer).toBe(into.keys.buffer);
    expect(plain(found)).toBe(plain(await numbered.searchBatch(queries, { k: 2 })));
  });

  it('refuses what does not suit', () => {
    const index = made();
    const codeOf = (act: () => unknown): unknown => {
      try {
        return act();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const spoiled = queries.slice();
    spoiled[100] = NaN;
    for (const [code, given, its] of [
      ['DIMENSION', queries.subarray(1), {}],
      ['EMPTY', new Float32Array(0), {}],
      ['NOT_FINITE', spoiled, {}],
      ['ARGUMENT', queries, { k: 0 }],
      ['ARGUMENT', queries, { k: 1.5 }],
      ['ARGUMENT', queries, { threads: 1 }],
      ['ARGUMENT', queries, { exclude: [[1]] }],
      ['ARGUMENT', queries, { into: { keys: new Float64Array(3), scores: new Float32Array(3) } }],
    ] as const) {
      expect(codeOf(() => index.searchBatchSync(given, its as never))).toBe(`ERR_LICHEN_${code}`);
    }
    index.close();
    expect(codeOf(() => index.searchBatchSync(queries))).toBe('ERR_LICHEN_CLOSED');
  });
});

describe('the addon', () => {
  it('checks the sizes of a batch again', () => {
    const addon = native();
    const index = addon.createFlat(2, 'l2', 'f32', '', 0, 1, []);
    addon.indexAddSync(index, null, new Float32Array(6), 1, addon.createProgress(), 0, null);
    const search = (
      rows: number,
      k: number,
      ...[slots, scores, counts]: [Float64Array | null, Float32Array, Uint32Array]
    ): unknown =>
      addon.indexSearchBatchSync(
        ...[index, new Float32Array(rows), k, 0],
        ...([slots, scores, counts, undefined] as const),
      );
    const [keys, scores, counts] = [new Float64Array(4), new Float32Array(4), new Uint32Array(2)];
    expect(search(4, 2, keys, scores, counts)).toBeUndefined();
    expect(() => search(3, 2, keys, scores, counts)).toThrow();
    expect(() => search(0, 2, keys, scores, counts)).toThrow();
    expect(() => search(4, 2, keys.subarray(1), scores, counts)).toThrow();
    expect(() => search(4, 2, keys, scores.subarray(1), counts)).toThrow();
    expect(() => search(4, 2, keys, scores, counts.subarray(1))).toThrow();
    expect(() => search(4, 2, null, scores, counts)).toThrow();
    expect(() => search(4, 4, keys, scores, counts)).toThrow();
    expect(() => search(4, 2 ** 40, keys, scores, counts)).toThrow();
    expect(() => addon.indexAttach('')).toThrow();
    expect(() => addon.shareToken(index as never)).toThrow();
    expect(() => addon.shareClose({} as never)).toThrow();
    expect(() => addon.indexShare({} as IndexHandle)).toThrow();
  });
});
