import { LichenArgumentError, shown } from '../errors.js';
import { EXACT, type NativeKeys } from '../native.js';
import { withinMemory } from '../vectors/memory.js';
import { isFiner, parseStorageType, takesPca, type StorageType } from '../vectors/storage-type.js';
import type {
  Key,
  KeysInput,
  NeighborLists,
  SearchSyncOptions,
  StorageOptions,
  VectorInput,
  VectorsInput,
} from './types.js';

/** Results of a search that names no `k`. */
const DEFAULT_K = 10;
/** Of results that are not there: 50 MB. */
const MOST_PLACES = 2 ** 22;
/** Up to here the arrays for the results are made without asking how large the index is. */
export const SMALL_K = 1024;
const DEFAULT_STORAGE_SEED = 42;
/** Rows an index holds at most, and so the largest k and ef that can mean anything. */
export const MAX_ROWS = 2 ** 31 - 1;

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

/** An integer of a range; ERR_LICHEN_ARGUMENT naming the argument otherwise. */
export function requireInteger(name: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) {
    return value;
  }
  throw bad(`${name} must be an integer from ${low} to ${high}, got ${shown(value)}`);
}

/** The options object, or an empty one; ERR_LICHEN_ARGUMENT for an option that is not known. */
export function requireOptions<T extends object>(
  options: T | undefined,
  known: readonly (keyof T & string)[],
): T {
  if (options === undefined) return {} as T;
  // An array has methods by the names of options, such as filter and keys.
  const isList = Array.isArray(options) || ArrayBuffer.isView(options);
  if (options === null || typeof options !== 'object' || isList) {
    throw bad(`options must be an object, got ${shown(options)}`);
  }
  // Not Object.keys: this stands in the way of every search.
  for (const name in options) {
    if (!known.includes(name)) {
      throw bad(`unknown option '${name}', expected ${known.join(', ')}`);
    }
  }
  return options;
}

/** A path that the file system can take. */
export function requirePath(path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  throw bad(`path must be a string that is not empty, got ${shown(path)}`);
}

/**
 * `k` of a search of one query, whose results are cut to those that there are. The size of the index is asked for only where
 * arrays would be larger than there is need for.
 */
export function resolveK(options: { k?: number | undefined }, size: () => number): number {
  const k = requireK(options);
  return k <= SMALL_K ? k : Math.max(SMALL_K, Math.min(k, size()));
}

/** `k` of a search of `rows` queries: the results of each have so many places, also where fewer are found. */
export function resolveBatchK(
  options: { k?: number | undefined },
  size: () => number,
  rows: number,
): number {
  const k = requireK(options);
  if (k <= SMALL_K || k <= size() || k * rows <= MOST_PLACES) return k;
  throw bad(
    `k must be at most the size of the index (${size()}) where results have more than ${MOST_PLACES} places in all, got ${k} for ${rows} queries`,
  );
}

function requireK({ k = DEFAULT_K }: { k?: number | undefined }): number {
  if (Number.isInteger(k) && k >= 1) return k;
  throw bad(`k must be an integer of at least 1, got ${shown(k)}`);
}

/** `ef` as the addon takes it: 0 for the default, a recall wanted, EXACT for an exact search. */
export function resolveEf(options: Pick<SearchSyncOptions, 'ef' | 'recall' | 'exact'>): number {
  const { ef, recall, exact } = options;
  if (exact !== undefined && typeof exact !== 'boolean') {
    throw bad(`exact must be true or false, got ${shown(exact)}`);
  }
  const beam = ef === undefined ? 0 : requireInteger('ef', ef, 1, MAX_ROWS);
  if (recall !== undefined) {
    if (ef !== undefined) throw bad('ef and recall exclude each other: both choose the beam');
    if (typeof recall !== 'number' || !(recall > 0 && recall < 1)) {
      throw bad(`recall must be a number between 0 and 1, got ${shown(recall)}`);
    }
  }
  if (exact === true) return EXACT;
  return recall ?? beam;
}

/** `oversample` as the addon takes it: 0 for the default. */
export function resolveOversample({ oversample }: { oversample?: number | undefined }): number {
  return oversample === undefined ? 0 : requireInteger('oversample', oversample, 1, MAX_ROWS);
}

/** Threads of an operation. */
export function resolveThreads(threads: number | undefined, most: number): number {
  return threads === undefined ? most : requireInteger('threads', threads, 1, 1024);
}

function wrongDim(name: string, dim: number, got: number): LichenArgumentError {
  return new LichenArgumentError(
    'ERR_LICHEN_DIMENSION',
    `${name}: dim is ${dim}, got ${got} value${got === 1 ? '' : 's'}`,
  );
}

function isNumberArray(value: unknown): value is ArrayLike<number> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** One vector as the addon takes it. Values that are no numbers become NaN, which the addon refuses. */
export function toVector(name: string, vector: VectorInput, dim: number): Float32Array {
  if (!isNumberArray(vector)) {
    throw bad(`${name} must be a Float32Array or an array of numbers, got ${shown(vector)}`);
  }
  if (vector.length !== dim) throw wrongDim(name, dim, vector.length);
  if (vector instanceof Float32Array) return vector;
  const rounded = new Float32Array(dim);
  for (let at = 0; at < dim; at++) rounded[at] = toNumber(vector[at]);
  return rounded;
}

/** A value that is no number must not slip in as 0 (null, '') or 1 (true). */
function toNumber(value: unknown): number {
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : NaN;
}

/** Vectors as the addon takes them: `rows * dim` values, at least one row. */
export function toVectors(name: string, vectors: VectorsInput, dim: number): Float32Array {
  const data = toMatrixData(name, vectors, dim);
  if (data.length === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', `${name} must hold at least one vector`);
  }
  if (data.length % dim !== 0) throw wrongDim(name, dim, data.length);
  return data;
}

function toMatrixData(name: string, vectors: VectorsInput, dim: number): Float32Array {
  if (vectors instanceof Float32Array) return vectors;
  if (Array.isArray(vectors)) {
    if (typeof vectors[0] === 'number') {
      throw bad(`${name} must be a Float32Array, a Matrix or one array a vector, got numbers`);
    }
    const values = vectors.length * dim;
    const data = withinMemory(values * 4, () => new Float32Array(values));
    (vectors as readonly VectorInput[]).forEach((vector, row) => {
      data.set(toVector(`${name}[${row}]`, vector, dim), row * dim);
    });
    return data;
  }
  const given = vectors as { data?: unknown; dim?: unknown; rows?: unknown } | null | undefined;
  if (given?.data instanceof Float32Array && typeof given.dim === 'number') {
    if (given.dim !== dim) throw wrongDim(name, dim, given.dim);
    return given.data;
  }
  throw bad(
    `${name} must be a Float32Array, a Matrix or an array of vectors, got ${shown(vectors)}`,
  );
}

/** Keys of an add as the addon takes them: null for none, a Float64Array of safe integers, or strings. */
export function toKeys<K extends Key>(keys: KeysInput<K> | undefined, count: number): NativeKeys {
  return keys === undefined ? null : toKeyList(keys, count);
}

/** Keys as the addon takes them; `count` says how many there must be. */
export function toKeyList(keys: unknown, count?: number): Float64Array | readonly string[] {
  if (!isNumberArray(keys)) {
    throw bad(`keys must be an array of integers or of strings, got ${shown(keys)}`);
  }
  const { length } = keys;
  if (count !== undefined && length !== count) {
    throw bad(`keys: got ${length} keys for ${count} vectors`);
  }
  if (!Number.isSafeInteger(length)) throw bad(`keys must be an array, its length is ${length}`);
  const given = keys as ArrayLike<unknown>;
  const wrong = (at: number, what: string): LichenArgumentError =>
    bad(`keys[${at}] must be a ${what}, got ${shown(given[at])}`);
  if (typeof given[0] === 'string') {
    for (let at = 0; at < length; at++) {
      if (typeof given[at] !== 'string') throw wrong(at, 'string, as the first key is');
    }
    return given as unknown as readonly string[];
  }
  const numbers = keys instanceof Float64Array ? keys : new Float64Array(length);
  // By position, each read once: the iterator of an array may be anything.
  for (let at = 0; at < length; at++) {
    const key = given[at];
    if (!Number.isSafeInteger(key)) throw wrong(at, 'safe integer');
    if (numbers !== keys) numbers[at] = key as number;
  }
  return numbers;
}

const MOST_NEIGHBORS = 1024;

/** Lists of neighbors as the addon takes them, which looks at the row numbers. */
export function toNeighbors(neighbors: unknown, count: number): NeighborLists | undefined {
  if (neighbors === undefined) return undefined;
  if (typeof neighbors !== 'object' || neighbors === null) {
    throw bad(`neighbors must be an object of rows and k, got ${shown(neighbors)}`);
  }
  const { rows, k } = neighbors as NeighborLists;
  requireInteger('neighbors.k', k, 1, MOST_NEIGHBORS);
  if (!(rows instanceof Uint32Array)) {
    throw bad(`neighbors.rows must be a Uint32Array, got ${shown(rows)}`);
  }
  if (rows.length !== count * k) {
    throw bad(
      `neighbors.rows must hold ${k} row numbers for each of ${count} vectors, got ${rows.length}`,
    );
  }
  return { rows, k };
}

/** Values a vector of an index. */
export function requireDim(dim: unknown): number {
  return requireInteger('dim', dim, 1, 65536);
}

/** `rerank` as the addon takes it: '' for none. */
export function resolveRerank(
  rerank: StorageType | undefined,
  { storage, pca }: ResolvedStorage,
): StorageType | '' {
  if (rerank === undefined) return '';
  const type = parseStorageType(rerank, 'rerank');
  if (isFiner(type, storage) || (pca && type === storage)) return type;
  throw bad(`rerank must be a finer storage than ${storage}, got ${type}`);
}

/** How vectors are kept, as the addon takes it: `codes` a vector is 0 for the default. */
export interface ResolvedStorage {
  readonly storage: StorageType;
  readonly codes: number;
  /** Whether the codes are of principal components. */
  readonly pca: boolean;
  readonly seed: number;
}

/** Checks the options of storage; ERR_LICHEN_ARGUMENT for what is unknown, out of range or does not go together. */
export function resolveStorage(options: StorageOptions, dim: number): ResolvedStorage {
  const { storage = 'f32', subspaces, pca, seed = DEFAULT_STORAGE_SEED } = options;
  const type = parseStorageType(storage);
  if (subspaces !== undefined && type !== 'pq') {
    throw bad(`subspaces belong to storage pq, but storage is ${type}`);
  }
  if (pca !== undefined && !takesPca(type)) {
    throw bad(`pca belongs to storage i8, i4 and b1, but storage is ${type}`);
  }
  const [name, codes] = pca === undefined ? ['subspaces', subspaces] : ['pca', pca];
  return {
    storage: type,
    codes: codes === undefined ? 0 : requireInteger(name, codes, 1, dim),
    pca: pca !== undefined,
    seed: requireInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
  };
}

/** Keys to exclude, one list a query, as the addon takes them: one after the other, and where each list ends. */
export function toExclude(
  lists: unknown,
  queries: number,
): { keys: Float64Array | readonly string[] | null; ends: Uint32Array | null } {
  if (lists === undefined) return { keys: null, ends: null };
  if (!Array.isArray(lists) || lists.length !== queries) {
    throw bad(`exclude must be one list of keys a query (${queries}), got ${shown(lists)}`);
  }
  const ends = new Uint32Array(queries);
  const all: (Float64Array | readonly string[])[] = [];
  let total = 0;
  let strings: boolean | undefined;
  for (let query = 0; query < queries; query++) {
    const keys = toKeyList(lists[query]);
    total += keys.length;
    ends[query] = total;
    if (keys.length === 0) continue;
    strings ??= !(keys instanceof Float64Array);
    if (strings === keys instanceof Float64Array) {
      throw bad('exclude must hold integers or strings, not both');
    }
    all.push(keys);
  }
  if (total === 0) return { keys: null, ends: null };
  if (all.length === 1) return { keys: all[0]!, ends };
  if (strings === true) return { keys: (all as (readonly string[])[]).flat(), ends };
  const keys = new Float64Array(total);
  let at = 0;
  for (const list of all as Float64Array[]) {
    keys.set(list, at);
    at += list.length;
  }
  return { keys, ends };
}

/** Options that must name keys. */
export function requireKeys<O extends { keys?: unknown }>(options: O): O {
  if (options.keys !== undefined) return options;
  throw bad('keys must be given: they say which vectors to replace');
}

/** A key that might be in an index. */
export function requireKey(key: unknown): Key {
  if (typeof key === 'string' || typeof key === 'number') return key;
  throw bad(`key must be an integer or a string, got ${shown(key)}`);
}

/** A finite number. */
export function requireFinite(name: string, value: unknown): number {
  if (Number.isFinite(value)) return value as number;
  throw bad(`${name} must be a finite number, got ${shown(value)}`);
}

/** A finite number above 0; ERR_LICHEN_ARGUMENT naming the argument otherwise. */
export function requirePositive(name: string, value: unknown): number {
  if (requireFinite(name, value) > 0) return value as number;
  throw bad(`${name} must be above 0, got ${shown(value)}`);
}

/** A number of a range; ERR_LICHEN_ARGUMENT naming the argument otherwise. */
export function requireRange(name: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && value >= low && value <= high) return value;
  throw bad(`${name} must be a number from ${low} to ${high}, got ${shown(value)}`);
}
