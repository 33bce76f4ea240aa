import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import type { Key, SearchSyncOptions } from '../../src/index/types.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import { clustered } from '../index/data.js';

/** What is asked of a golden file, beside the plain search. */
const WHERES = [
  { genre: 'jazz', year: { gte: 1990 } },
  { tags: { any: ['live', 'new'] } },
  { not: { genre: ['jazz', 'rock'] } },
];

/** What one search finds. */
export interface Found {
  readonly keys: Key[];
  readonly scores: number[];
}

/** Answers that a file must give for ever. */
export interface Answers {
  readonly size: number;
  readonly keyKind: string;
  readonly plain: Found[];
  /** By condition, one query; none where there are no attributes. */
  readonly where: Found[];
}

const QUERIES = 4;

/** What an index answers to the questions of all golden files. */
export function answersOf(index: VectorIndex<Key>): Answers {
  const queries = clustered(7, QUERIES, index.dim);
  const ask = (at: number, options: SearchSyncOptions): Found => {
    const query = queries.subarray(at * index.dim, (at + 1) * index.dim);
    const { keys, scores } = index.searchSync(query, options);
    return { keys: Array.from(keys as ArrayLike<Key>), scores: [...scores] };
  };
  const hasAttributes = Object.keys(index.attributes).length > 0;
  return {
    size: index.size,
    keyKind: index.keyKind,
    plain: Array.from({ length: QUERIES }, (_, at) => ask(at, { k: 5 })),
    where: hasAttributes ? WHERES.map((where) => ask(0, { k: 5, where })) : [],
  };
}

const integers = (count: number): number[] =>
  Array.from({ length: count }, (_, row) => 7 * row - 100);
const strings = (count: number): string[] =>
  Array.from({ length: count }, (_, row) => `née-${row}`);

/** An index a golden file, each of another kind; small, since the files are kept. */
export const GOLDEN_INDEXES: Readonly<Record<string, () => Promise<VectorIndex<Key>>>> = {
  'flat-f32-rows': async () => {
    const index = new FlatIndex({ dim: 8, metric: 'dot' });
    await index.add(clustered(1, 40, 8), { threads: 1 });
    return index;
  },
  'flat-i8-f16-strings': async () => {
    const index = new FlatIndex<string>({ dim: 12, metric: 'l2', storage: 'i8', rerank: 'f16' });
    await index.add(clustered(2, 80, 12), { keys: strings(80), threads: 1 });
    return index;
  },
  'flat-pq-integers': async () => {
    const index = new FlatIndex({ dim: 8, metric: 'cosine', storage: 'pq' });
    await index.add(clustered(3, 130, 8), { keys: integers(130), threads: 1 });
    return index;
  },
  'flat-bf16-written-rows': async () => {
    const index = new FlatIndex({ dim: 8, metric: 'dot', storage: 'bf16' });
    await index.add(clustered(4, 30, 8), { threads: 1 });
    await index.remove([3, 20]);
    await index.compact();
    return index;
  },
  'hnsw-i4-f16-attributes': async () => {
    const index = new HnswIndex({
      ...{ dim: 16, metric: 'l2', m: 4, storage: 'i4', rerank: 'f16' },
      attributes: { genre: 'category', year: 'number', tags: 'tags' },
    });
    const rows = 200;
    const of = <T>(value: (row: number) => T): T[] =>
      Array.from({ length: rows }, (_, r) => value(r));
    await index.add(clustered(5, rows, 16), {
      keys: integers(rows),
      threads: 1,
      attributes: {
        genre: of((row) => [undefined, 'jazz', 'rock', 'folk'][row % 4]),
        year: of((row) => (row % 5 === 0 ? undefined : 1960 + (row % 60))),
        tags: of((row) => [[], ['live'], ['new', 'live'], ['old']][row % 4]!),
      },
    });
    return index;
  },
  'hnsw-b1-hubs': async () => {
    const index = new HnswIndex({ dim: 16, metric: 'dot', m: 2, storage: 'b1', rerank: 'i8' });
    await index.add(clustered(6, 1100, 16), { threads: 1 });
    return index;
  },
  'hnsw-i4-components': async () => {
    const index = new HnswIndex({
      ...({ dim: 24, metric: 'l2', m: 4, storage: 'i4', pca: 9, rerank: 'i4' } as const),
    });
    await index.add(clustered(10, 90, 24), { threads: 1 });
    return index;
  },
  'hnsw-i8-dead-rows': async () => {
    const index = new HnswIndex<string>({ dim: 8, metric: 'dot', m: 4, storage: 'i8' });
    await index.add(clustered(8, 60, 8), { keys: strings(60), threads: 1 });
    await index.remove(['née-3', 'née-40']);
    await index.upsert(clustered(9, 1, 8), { keys: ['née-7'], threads: 1 });
    return index;
  },
};

/** The first version, by the name of its folder, that could write what the first could not. */
export const SINCE: Readonly<Record<string, string>> = { 'hnsw-i4-components': 'v1-pca' };
