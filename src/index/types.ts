import type { Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { StorageType } from '../vectors/storage-type.js';
import type { AttributeSchema, AttributesInput } from './attributes.js';
import type { Filter } from './filter.js';
import type { Where } from './where.js';

/** What the caller calls a vector: a safe integer or a string of 1 to 65,535 bytes; one kind an index. */
export type Key = number | string;

/** The keys of a result: a Float64Array of integers, or an array of strings. */
export type KeysOf<K extends Key> = K extends string ? string[] : Float64Array;

/** The keys of an add, one a vector. */
export type KeysInput<K extends Key> = K extends string ? readonly string[] : ArrayLike<number>;

/** A condition on keys. Of a method's type, so that an index of integer keys is an index of keys. */
export type KeyCondition<K extends Key> = {
  /** Whether it holds of a key. */
  holds(key: K): boolean;
}['holds'];

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
  /** Names and kinds of what is kept of each vector besides, for conditions and groups; at most 64. Default: none. */
  attributes?: AttributeSchema | undefined;
}

/** How vectors are kept. */
export interface StorageOptions {
  /** Default `f32`. */
  storage?: StorageType | undefined;
  /** Of storage `pq` only: codes a vector, 1 to dim. Default: one for every two values. */
  subspaces?: number | undefined;
  /**
   * Of storage `i8`, `i4` and `b1`: how many principal components of the vectors the codes are of, 1 to dim (default:
   * of all values, as they are). The components are learned from the first add, which must bring as many vectors, and
   * should bring thousands. Vectors of hundreds of values mostly lie near a subspace of far fewer, in which a search
   * reads a fraction of the memory and is faster by as much; scores tell little of what lies outside, so use `rerank`.
   * See Tepper et al., "LeanVec: searching vectors faster by making them fit", TMLR 2024.
   */
  pca?: number | undefined;
  /** Decides the rotation of `i4` and `b1`, the start of the k-means of `pq`, the levels of a graph. Default 42. */
  seed?: number | undefined;
}

/** Scoring the best results anew. */
export interface RerankOptions {
  /**
   * Keeps the vectors once more in this storage, which must be finer than `storage` (stand before it in
   * `STORAGE_TYPES`; with `pca` it may be the same), and scores the best of each search anew by it; see `oversample` of the search options.
   */
  rerank?: StorageType | undefined;
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
  /**
   * Values of attributes by name, one a vector. Of an attribute that is left out new vectors have none, and those that
   * replace others have what these had.
   */
  attributes?: AttributesInput | undefined;
  /**
   * Threads that encode or link the vectors (default: every processor). One thread makes the same graph every time;
   * codes do not depend on the threads.
   */
  threads?: number | undefined;
}

/** Options of `add`. */
export interface AddOptions<K extends Key> extends AddSyncOptions<K>, OperationOptions {}

/**
 * The nearest others of each vector of an add, as row numbers within it, best first: those of vector v stand from `v * k`
 * on, and `0xFFFFFFFF` from where its list ends. A vector may stand in its own list; what stands in a list twice counts
 * once.
 */
export interface NeighborLists {
  /** `count * k` row numbers. */
  readonly rows: Uint32Array;
  /** Places a vector, 1 to 1,024. */
  readonly k: number;
}

/** Options of `addSync` of an `HnswIndex`. */
export interface HnswAddSyncOptions<K extends Key> extends AddSyncOptions<K> {
  /**
   * Of the first add only: the nearest neighbors of each vector by the index's metric, exact or nearly so, from which the
   * graph is started instead of searching for them. More than `efConstruction` are not used.
   */
  neighbors?: NeighborLists | undefined;
}

/** Options of `add` of an `HnswIndex`. */
export interface HnswAddOptions<K extends Key> extends HnswAddSyncOptions<K>, OperationOptions {}

/** Options of `update` and `upsert`: keys are needed. */
export interface UpdateOptions<K extends Key> extends AddOptions<K> {
  /** A key a vector. */
  keys: KeysInput<K>;
}

/** Options of `updateSync` and `upsertSync`. */
export interface UpdateSyncOptions<K extends Key> extends AddSyncOptions<K> {
  /** A key a vector. */
  keys: KeysInput<K>;
}

/** Options of `compact`. */
export interface CompactOptions extends OperationOptions {
  /** Default: every processor. */
  threads?: number | undefined;
}

/** Arrays that a search writes its results into. */
export interface ResultArrays {
  /** Room for `k` keys a query; of an index of integer keys or row numbers. */
  readonly keys: Float64Array;
  /** Room for `k` scores a query. */
  readonly scores: Float32Array;
}

/** Options of every search. */
export interface SearchSyncOptions {
  /** Results wanted, at least 1; an index with fewer vectors gives all it has. Default 10. */
  k?: number | undefined;
  /** Search beam of a graph index, raised to `k` where it is smaller: more finds more and takes longer. Default 64. */
  ef?: number | undefined;
  /**
   * Instead of `ef`, the recall wanted of a graph index, between 0 and 1, for the sample that it was calibrated by: see
   * `HnswIndex.calibrate`. Where that recall was not reached, or nothing was measured, the beam is the largest tried or
   * the default one.
   */
  recall?: number | undefined;
  /**
   * Scores every row in the finest storage that the index has, also in a graph index: the truth to measure recall
   * against. Default false.
   */
  exact?: boolean | undefined;
  /**
   * With `rerank`: so many times `k` candidates are found in the coarse storage and scored anew in the finer one. Where
   * there is no finer one it has no effect. Default by storage: 2 for f16, bf16 and i8, 4 for i4, 16 for b1 and pq.
   */
  oversample?: number | undefined;
  /**
   * Rows that may be returned: a {@link Filter}, or its bits (bit `r % 8` of byte `r / 8` admits row `r`, the r-th vector
   * added; rows beyond are not admitted). Fewer than `k` results where it admits fewer. A graph index scores the
   * admitted rows exactly where they are few, and else walks the graph, past rows that are not admitted.
   */
  filter?: Filter | Uint8Array | undefined;
  /**
   * A condition on attributes that must hold, besides `filter`, such as `{ genre: 'jazz', year: { gte: 1990 } }`. The
   * rows on which the last 32 conditions held are remembered, a bit a row.
   */
  where?: Where | undefined;
  /**
   * Keys that must not be found, such as what a user has seen already; those that are not there do no harm. Thousands
   * are cheap.
   */
  exclude?: ArrayLike<number> | readonly string[] | undefined;
  /**
   * An attribute (a number or a category) of whose every value at most `groupSize` vectors are found, such as the artist
   * of a song; vectors without a value are not limited. Fewer than `k` results where there are not enough groups.
   */
  groupBy?: string | undefined;
  /** With `groupBy`: default 1. */
  groupSize?: number | undefined;
  /**
   * The caller's arrays for the results, so that none are made: the result's arrays are views of them. Places that are
   * not needed hold -1 and NaN. They are written when the search is done.
   */
  into?: ResultArrays | undefined;
}

/** Options of `search`. */
export interface SearchOptions extends SearchSyncOptions {
  /** Gives the search up with ERR_LICHEN_ABORTED. */
  signal?: AbortSignal | undefined;
  /** Threads that share the rows where every row is scored. Default 1. */
  threads?: number | undefined;
}

/** Options of `searchWithin`. */
export interface SearchWithinOptions {
  /** The least score of a result (l2: the largest squared distance), rounded to f32; finite. */
  score: number;
  /** Search beam of a graph index on its way to what is near enough. Default 64. */
  ef?: number | undefined;
  /** As in {@link SearchSyncOptions}: the beam of a search for 10 results. */
  recall?: number | undefined;
  /** Scores every row, also in a graph index. Default false. */
  exact?: boolean | undefined;
  /** As in {@link SearchSyncOptions}. */
  filter?: Filter | Uint8Array | undefined;
  /** As in {@link SearchSyncOptions}. */
  where?: Where | undefined;
  /** As in {@link SearchSyncOptions}. */
  exclude?: ArrayLike<number> | readonly string[] | undefined;
}

/** Options of `searchBatchSync`. */
export interface SearchBatchSyncOptions extends Omit<SearchSyncOptions, 'exclude'> {
  /** One list of keys a query that must not be found for it. */
  exclude?: readonly (ArrayLike<number> | readonly string[])[] | undefined;
}

/** Options of `searchBatch`. */
export interface SearchBatchOptions extends SearchBatchSyncOptions, OperationOptions {
  /** Threads that share the queries. Default: every processor. */
  threads?: number | undefined;
}

/**
 * The nearest vectors, best first; fewer than `k` only where a filter or a graph search let no more through. The arrays
 * of small results are parts of larger ones, as small Buffers are, and so are copied to other threads, not transferred.
 */
export interface SearchResult<K extends Key> {
  /** Keys, of integers as a typed array or of strings as an array. */
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
