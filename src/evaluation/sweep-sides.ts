import { openIndex } from '../index/open.js';
import { matrixRow, type Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import { candidateName, makeIndex, type IndexCandidate } from './candidate.js';

/** What every side of a sweep is built from and asked. */
export interface SweepTask {
  readonly base: Matrix;
  readonly queries: Matrix;
  readonly metric: Metric;
  readonly k: number;
}

/** How a side is built. */
export interface BuildContext {
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a side came to be. */
export interface BuiltSide {
  readonly seconds: number;
  /** Threads that built it. */
  readonly threads: number;
  /** Of memory, if the library tells it, else of its file. */
  readonly bytes: number;
}

/** A library with its parameters, which can be built once and opened many times. */
export interface SweepSide {
  readonly name: string;
  readonly library: 'lichen' | 'hnswlib' | 'usearch';
  /** Its parameters, for tables. */
  readonly parameters: Readonly<Record<string, string | number>>;
  /** Whether its searches take a beam. */
  readonly hasBeam: boolean;
  /** Whether its searches take a number of candidates to rescore. */
  readonly rescores: boolean;
  /** Builds and saves it. */
  build(file: string, context: BuildContext): Promise<BuiltSide>;
  open(file: string): Promise<OpenSide>;
}

/** A side that can be searched, one query at a time on this thread. */
export interface OpenSide {
  /** Sets the beam, and the candidates a result, of all searches from now on. */
  aim(ef: number | undefined, oversample: number | undefined): void;
  /** Row numbers, best first. */
  search(query: number): ArrayLike<number | bigint>;
  close(): void;
}

/** An index of lichen. */
export function lichenSide(task: SweepTask, candidate: IndexCandidate): SweepSide {
  const { base, queries, metric, k } = task;
  const { index: kind, storage, rerank, pca, m, efConstruction } = candidate;
  const isGraph = kind === 'hnsw';
  return {
    name: candidateName(candidate),
    library: 'lichen',
    parameters: {
      ...{ index: kind, storage, ...(rerank && { rerank }), ...(pca && { pca }) },
      ...(isGraph && { m: m ?? 16, efConstruction: efConstruction ?? 100 }),
    },
    hasBeam: isGraph,
    rescores: rerank !== undefined,
    async build(file, { threads, signal, onProgress }) {
      using index = makeIndex(candidate, { dim: base.dim, metric });
      const started = performance.now();
      await index.add(base, { threads, signal, onProgress });
      const seconds = (performance.now() - started) / 1000;
      await index.save(file, { signal });
      return { seconds, threads, bytes: index.bytes };
    },
    async open(file) {
      const index = await openIndex(file);
      const vectors = rowsOf(queries);
      let options: { k: number; ef?: number; oversample?: number } = { k };
      return {
        aim(ef, oversample) {
          options = {
            k,
            ...(isGraph && ef !== undefined && { ef }),
            ...(rerank !== undefined && oversample !== undefined && { oversample }),
          };
        },
        search: (query) => index.searchSync(vectors[query]!, options).keys,
        close: () => index.close(),
      };
    },
  };
}

/** The rows as vectors, without copying. */
export function rowsOf(vectors: Matrix): Float32Array[] {
  return Array.from({ length: vectors.rows }, (_, row) => matrixRow(vectors, row));
}
