import type { Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';

/** What the caller calls a vector: a safe integer or a string of 1 to 65,535 bytes; one kind an index. */
export type Key = number | string;

/** The keys of a result: a Float64Array of integers, or an array of strings. */
export type KeysOf<K extends Key> = K extends string ? string[] : Float64Array;

/** The keys of an add, one a vector. */
export type KeysInput<K extends Key> = K extends string ? readonly string[] : ArrayLike<number>;

/** One vector of `dim` values. A Float32Array is used as it is, anything else is rounded to f32 first. */
export type VectorInput = ArrayLike<number>;

/** Several vectors: `rows * dim` values in one Float32Array, a {@link Matrix}, or one array a vector. */
export type VectorsInput = Float32Array | Matrix | readonly ArrayLike<number>[];

/** What every index needs. */
export interface IndexOptions {
  /** Values a vector, 1 to 65,536. */
  dim: number;
  /** How a query is compared with a row. */
  metric: Metric;
}

/** Options of work that may take long. */
export interface OperationOptions {
  /** Gives up with ERR_LICHEN_ABORTED when it fires; nothing has changed then. */
  signal?: AbortSignal | undefined;
  /**
   * Called at the start, some times a second, and at the end, with how much is done and how much there is (0 while
   * that is not known). What it throws gives the operation up and rejects its promise.
   */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Options of `addSync`. */
export interface AddSyncOptions<K extends Key> {
  /** One a vector; without them the key of a vector is its row number, in order of adding from 0. */
  keys?: KeysInput<K> | undefined;
  /** Threads that link the vectors (default: every processor). One thread makes the same graph every time. */
  threads?: number | undefined;
}

/** Options of `add`. */
export interface AddOptions<K extends Key> extends AddSyncOptions<K>, OperationOptions {}

/** Options of every search. */
export interface SearchSyncOptions {
  /** Results wanted, 1 to the size of the index. Default 10. */
  k?: number | undefined;
  /** Search beam of a graph index, raised to `k` where it is smaller: more finds more and takes longer. Default 64. */
  ef?: number | undefined;
  /** Scores every row, also in a graph index: the truth to measure recall against. Default false. */
  exact?: boolean | undefined;
}

/** Options of `search`. */
export interface SearchOptions extends SearchSyncOptions {
  signal?: AbortSignal | undefined;
}

/** Options of `searchBatch`. */
export interface SearchBatchOptions extends SearchSyncOptions, OperationOptions {
  /** Threads that share the queries. Default: every processor. */
  threads?: number | undefined;
}

/** The nearest vectors, best first; fewer than `k` only where a graph search found no more. */
export interface SearchResult<K extends Key> {
  readonly keys: KeysOf<K>;
  /** One a key: dot product, cosine, or squared distance. */
  readonly scores: Float32Array;
}

/** The results of a batch: those of query q stand from `q * k` on, `counts[q]` of them, best first. */
export interface SearchBatchResult<K extends Key> {
  /** `rows * k` keys; an unused place holds -1 or ''. */
  readonly keys: KeysOf<K>;
  /** `rows * k` scores; an unused place holds NaN. */
  readonly scores: Float32Array;
  /** `rows` numbers of results. */
  readonly counts: Uint32Array;
  /** Number of queries. */
  readonly rows: number;
  /** Places a query. */
  readonly k: number;
}
