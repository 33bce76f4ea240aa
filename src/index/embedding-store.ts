import { native, type StorageErrors, type StoreDescription, type StoreHandle } from '../native.js';
import { LichenArgumentError, shown } from '../errors.js';
import { withinMemory } from '../vectors/memory.js';
import { parseMetric, type Metric } from '../vectors/metric.js';
import type { StorageType } from '../vectors/storage-type.js';
import {
  MAX_ROWS,
  requireDim,
  requireInteger,
  requireOptions,
  requirePath,
  resolveStorage,
  toVector,
  toVectors,
} from './arguments.js';
import { resolveAccess, type OpenOptions } from './file-options.js';
import { resolveFilter } from './filter.js';
import type { Filter } from './filter.js';
import type { IndexOptions, StorageOptions, VectorInput, VectorsInput } from './types.js';

/** Options of {@link EmbeddingStore}. */
export interface EmbeddingStoreOptions extends IndexOptions, StorageOptions {}

/** Options of `scan`. */
export interface StoreScanOptions {
  /** Results wanted, at least 1. Default 10. */
  k?: number | undefined;
  /** Rows that may be returned; see `SearchSyncOptions`. */
  filter?: Filter | Uint8Array | undefined;
}

/** What a scan finds, best first: `k` rows, or fewer where fewer are live and admitted. */
export interface StoreScanResult {
  /** Row numbers. */
  readonly rows: Uint32Array;
  /** One a row: dot product, cosine, or squared distance. */
  readonly scores: Float32Array;
}

/** Scores of given rows. */
export interface StoreScores {
  /** One a row: dot product, cosine, or squared distance. */
  readonly scores: Float32Array;
  /**
   * One a row, if asked for: how far the score may be from that of the vector given, by what quantizing the row loses
   * (not by the rounding of the query). It holds always for f16, bf16 and i8, with three standard deviations for i4 and
   * b1; NaN for pq and with `pca`, which have none.
   */
  readonly bounds?: Float32Array;
}

const STORE_OPTIONS = ['dim', 'metric', 'storage', 'subspaces', 'pca', 'seed'] as const;

/**
 * Vectors in one storage type under row numbers, from 0 in the order of adding: what an index is made of, for those who
 * keep their own keys. Rows can be overwritten and deleted; a deleted row keeps its number and memory until it is
 * overwritten. Every call runs on this thread and blocks it; for searches on a pool of threads, use `FlatIndex`.
 *
 * Storage types other than floats are trained by `train`, else by the first `append`; see `FlatIndex`.
 *
 * Every call on a closed store throws ERR_LICHEN_CLOSED; a call that throws has changed nothing.
 *
 * @example
 * const store = new EmbeddingStore({ dim: 3, metric: 'dot', storage: 'f16' });
 * store.append([[1, 0, 0], [0, 1, 0]]);
 * store.scan([0.9, 0.1, 0], { k: 1 }).rows; // Uint32Array [ 0 ]
 */
export class EmbeddingStore {
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  /** How the vectors are kept. */
  readonly storage: StorageType;
  readonly #seed: number;
  #handle: StoreHandle;

  /** @throws ERR_LICHEN_ARGUMENT for an option that is unknown, out of range or does not go with the others. */
  constructor(options: EmbeddingStoreOptions) {
    const given = requireOptions(options, STORE_OPTIONS);
    this.dim = requireDim(given.dim);
    this.metric = parseMetric(given.metric);
    const { storage, codes, seed } = resolveStorage(given, this.dim);
    this.storage = storage;
    this.#seed = seed;
    this.#handle = native().createStore(this.dim, this.metric, storage, undefined, codes, seed);
  }

  /** Codes a vector of storage `pq`; undefined for another storage. */
  get subspaces(): number | undefined {
    return this.#describe().subspaces;
  }

  /** Principal components that codes are of; undefined if they are of all values. */
  get pca(): number | undefined {
    return this.#describe().pca;
  }

  /** Number of live rows. */
  get size(): number {
    const { rows, deleted } = this.#describe();
    return rows - deleted;
  }

  /** Number of rows, deleted ones included: the row that the next append begins with. */
  get rows(): number {
    return this.#describe().rows;
  }

  /** Number of deleted rows. */
  get deleted(): number {
    return this.#describe().deleted;
  }

  /** Bytes of memory that the rows take. */
  get bytes(): number {
    return this.#describe().bytes;
  }

  /** Bytes of a row: its code, padded to what the kernels read, and its factors. */
  get bytesPerVector(): number {
    return this.#describe().bytesPerVector;
  }

  /**
   * Learns from vectors what the storage type learns (the mean of i8, i4 and b1, from at least 64 vectors; the centroids
   * of pq, from at least 16) instead of from the first append. They are not stored.
   * @throws ERR_LICHEN_ARGUMENT once there are rows, and for too few vectors for pq; as {@link append}.
   */
  train(vectors: VectorsInput): void {
    native().storeTrain(this.#handle, toVectors('vectors', vectors, this.dim));
  }

  /**
   * Adds vectors behind the last row.
   * @returns the row number of the first one.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_MEMORY; ERR_LICHEN_ARGUMENT for a
   * value that f16 cannot hold, and for too few vectors to train pq on.
   */
  append(vectors: VectorsInput): number {
    return native().storeAppend(this.#handle, toVectors('vectors', vectors, this.dim));
  }

  /**
   * Puts another vector into a row, which is live afterwards.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a row that is not there; as {@link append}.
   */
  overwrite(row: number, vector: VectorInput): void {
    native().storeOverwrite(this.#handle, requireRow(row), toVector('vector', vector, this.dim));
  }

  /** Deletes a row; says whether it was there. */
  delete(row: number): boolean {
    return native().storeDelete(this.#handle, requireRow(row));
  }

  /** The vector that a row stands for (normalized if the metric is cosine); undefined if it is deleted or not there. */
  decode(row: number): Float32Array | undefined {
    const vector = new Float32Array(this.dim);
    return native().storeDecode(this.#handle, requireRow(row), vector) ? vector : undefined;
  }

  /**
   * The best `k` live rows, ties to the lower row.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT.
   */
  scan(query: VectorInput, options?: StoreScanOptions): StoreScanResult {
    const { k = 10, filter } = requireOptions(options, ['k', 'filter']);
    const vector = toVector('query', query, this.dim);
    const admitted = resolveFilter(filter);
    const places = Math.max(1, Math.min(requireInteger('k', k, 1, MAX_ROWS), this.rows));
    const rows = new Uint32Array(places);
    const scores = new Float32Array(places);
    const count = native().storeScan(this.#handle, vector, places, admitted, rows, scores);
    return { rows: rows.slice(0, count), scores: scores.slice(0, count) };
  }

  /**
   * Scores rows by number, in the order given; a deleted row scores as it did.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a row that is not there; ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE,
   * ERR_LICHEN_ARGUMENT.
   */
  score(
    query: VectorInput,
    rows: Uint32Array | readonly number[],
    options?: { bounds?: boolean | undefined },
  ): StoreScores {
    const { bounds = false } = requireOptions(options, ['bounds']);
    if (typeof bounds !== 'boolean') {
      throw bad(`bounds must be true or false, got ${shown(bounds)}`);
    }
    const vector = toVector('query', query, this.dim);
    const ids = toRows(rows);
    const scores = new Float32Array(ids.length);
    const bound = bounds ? new Float32Array(ids.length) : null;
    native().storeScore(this.#handle, vector, ids, scores, bound);
    return bound === null ? { scores } : { scores, bounds: bound };
  }

  /**
   * How far rows are from the vectors that were put into them; vectors of norm 0 are left out.
   * @param vectors those of rows `first`, `first + 1` …
   * @throws ERR_LICHEN_ARGUMENT if there are not so many rows; ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE,
   * ERR_LICHEN_EMPTY.
   */
  errorsOf(vectors: VectorsInput, first = 0): StorageErrors {
    const data = toVectors('vectors', vectors, this.dim);
    return native().storeErrors(this.#handle, data, requireInteger('first', first, 0, MAX_ROWS));
  }

  /**
   * A store of another storage type with the same rows, deleted ones included. What is trained is trained on the rows as
   * they decode here, so convert from the finest there is.
   * @param options `seed` defaults to the one of this store.
   * @throws ERR_LICHEN_ARGUMENT for bad options, for a value that f16 cannot hold, and for too few rows for pq.
   */
  convert(storage: StorageType, options?: Omit<StorageOptions, 'storage'>): EmbeddingStore {
    const given = requireOptions(options, ['subspaces', 'pca', 'seed']);
    const { subspaces, pca, seed = this.#seed } = given;
    const { dim, metric } = this;
    // The empty store checks the options and gives way to the converted one.
    const made = new EmbeddingStore({ dim, metric, storage, subspaces, pca, seed });
    const codes = made.subspaces ?? made.pca ?? 0;
    return made.#holding(native().storeConvert(this.#handle, made.storage, codes, seed));
  }

  /**
   * Writes the store to a snapshot file, atomically, as an index does.
   * @returns the file's size in bytes.
   * @throws ERR_LICHEN_NOT_FOUND for a missing folder, ERR_LICHEN_IO.
   */
  save(path: string): number {
    return native().storeSave(this.#handle, requirePath(path));
  }

  /**
   * Reads or maps a store that {@link save} wrote.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_UNSUPPORTED,
   * ERR_LICHEN_MEMORY.
   */
  static open(path: string, options?: OpenOptions): EmbeddingStore {
    const handle = native().storeOpen(requirePath(path), resolveAccess(options));
    const { dim, metric, storage, subspaces, pca, seed } = native().storeDescribe(handle);
    return new EmbeddingStore({ dim, metric, storage, subspaces, pca, seed }).#holding(handle);
  }

  /** Frees the memory. Closing twice does nothing. */
  close(): void {
    native().storeClose(this.#handle);
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** With another native store in the place of its own. */
  #holding(handle: StoreHandle): this {
    this.close();
    this.#handle = handle;
    return this;
  }

  #describe(): StoreDescription {
    return native().storeDescribe(this.#handle);
  }
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

function requireRow(row: unknown): number {
  return requireInteger('row', row, 0, MAX_ROWS);
}

function toRows(rows: unknown): Uint32Array {
  if (rows instanceof Uint32Array) return rows;
  if (!Array.isArray(rows)) {
    throw bad(`rows must be a Uint32Array or an array of row numbers, got ${shown(rows)}`);
  }
  const given = rows as unknown[];
  const length = requireInteger('the length of rows', given.length, 0, MAX_ROWS);
  // By position: the iterator of an array may be anything.
  return withinMemory(length * 4, () =>
    Uint32Array.from({ length }, (_, at) => requireRow(given[at])),
  );
}
