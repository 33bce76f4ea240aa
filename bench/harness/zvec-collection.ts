// What is used of zvec, which may be there or not: its own types are not asked for. Only for a process of its own (see
// zvec-process.ts).

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Matrix, Metric } from '../../src/index.js';
import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import { loadPeer } from './peers.js';

interface Zvec {
  readonly ZVecCollectionSchema: new (schema: object) => object;
  readonly ZVecDataType: { readonly VECTOR_FP32: number };
  readonly ZVecIndexType: { readonly HNSW: number };
  readonly ZVecLogLevel: { readonly FATAL: number };
  readonly ZVecMetricType: Readonly<Record<'IP' | 'COSINE' | 'L2', number>>;
  readonly ZVecQuantizeType: Readonly<Record<'UNDEFINED' | 'INT8', number>>;
  ZVecInitialize(options: object): void;
  ZVecCreateAndOpen(path: string, schema: object): Collection;
  ZVecOpen(path: string): Collection;
}

interface Status {
  readonly ok: boolean;
  readonly message: string;
}

interface Collection {
  insertSync(docs: readonly object[]): Status[];
  upsertSync(docs: readonly object[]): Status[];
  optimizeSync(options: { concurrency: number }): void;
  querySync(query: object): { id: string }[];
  closeSync(): void;
}

/** How the graph of a collection is built. */
export interface ZvecGraph {
  readonly dim: number;
  readonly metric: Metric;
  readonly m: number;
  readonly efConstruction: number;
  /** Whether it is searched by i8 codes. */
  readonly quantized: boolean;
}

const METRICS = { dot: 'IP', cosine: 'COSINE', l2: 'L2' } as const;
const FIELD = 'vector';
const MOST_AT_ONCE = 1024; // vectors of an insert, as it allows

/** zvec, made ready for one thread. */
export function openZvec() {
  const zvec = loadPeer<Zvec>('@zvec/zvec')!;
  // Whatever is less than fatal comes as an exception too, and its lines would stand between the answers.
  const logLevel = zvec.ZVecLogLevel.FATAL;
  zvec.ZVecInitialize({ queryThreads: 1, optimizeThreads: 1, logLevel });
  const indexType = zvec.ZVecIndexType.HNSW;
  return {
    create(folder: string, { metric, quantized, dim, m, efConstruction }: ZvecGraph): Collection {
      const schema = new zvec.ZVecCollectionSchema({
        name: 'bench',
        vectors: {
          name: FIELD,
          dataType: zvec.ZVecDataType.VECTOR_FP32,
          dimension: dim,
          indexParams: {
            indexType,
            metricType: zvec.ZVecMetricType[METRICS[metric]],
            m,
            efConstruction,
            quantizeType: zvec.ZVecQuantizeType[quantized ? 'INT8' : 'UNDEFINED'],
          },
        },
      });
      return zvec.ZVecCreateAndOpen(folder, schema);
    },
    open: (folder: string): Collection => zvec.ZVecOpen(folder),
    /** Keys of the `k` nearest; `refined` scores them anew by the vectors. */
    search(
      collection: Collection,
      vector: Float32Array,
      { k, ef, refined = false }: { k: number; ef: number; refined?: boolean },
    ): number[] {
      const params = { indexType, ef, isUsingRefiner: refined };
      return collection
        .querySync({ fieldName: FIELD, vector, topk: k, outputFields: [], params })
        .map(({ id }) => Number(id));
    },
  };
}

/** What writes take of a vector. */
export function document(vector: Float32Array, key: number): object {
  return { id: String(key), vectors: { [FIELD]: vector } };
}

/** What inserts take of all vectors; their keys are the row numbers. */
export function documents(base: Matrix): object[][] {
  const all = rowsOf(base).map(document);
  const batches: object[][] = [];
  for (let at = 0; at < all.length; at += MOST_AT_ONCE) {
    batches.push(all.slice(at, at + MOST_AT_ONCE));
  }
  return batches;
}

/** Throws if one of them failed. */
export function mustAll(statuses: readonly Status[]): void {
  const failed = statuses.find(({ ok }) => !ok);
  if (failed !== undefined) throw new Error(`a write failed: ${failed.message}`);
}

/** Bytes of all that is in a folder. */
export function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}
