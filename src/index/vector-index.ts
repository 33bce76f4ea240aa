import {
  machine,
  native,
  type IndexDescription,
  type IndexHandle,
  type KeyKind,
  KEY_MODES,
} from '../native.js';
import { matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { StorageType } from '../vectors/storage-type.js';
import {
  requireFinite,
  requireKey,
  requireKeys,
  requireOptions,
  requirePath,
  resolveEf,
  resolveK,
  resolveThreads,
  toKeyList,
  toVector,
  toVectors,
} from './arguments.js';
import {
  schemaFrom,
  schemaOfNative,
  toAttributes,
  type AttributeSchema,
  type AttributesInput,
  type AttributesOf,
  type ResolvedSchema,
} from './attributes.js';
import {
  resolveLabel,
  SAVE_OPTIONS,
  type SaveOptions,
  type SnapshotLabel,
} from './file-options.js';
import type { Filter } from './filter.js';
import { makeFilter } from './make-filter.js';
import { runOperation } from './operation.js';
import { ResultPlaces } from './result-arrays.js';
import {
  resolveRestrictions,
  SEARCH_BATCH_OPTIONS,
  SEARCH_OPTIONS,
  SEARCH_SYNC_OPTIONS,
  SEARCH_WITHIN_OPTIONS,
} from './search-options.js';
import { SyncSearch } from './sync-search.js';
import type {
  AddOptions,
  AddSyncOptions,
  CompactOptions,
  Key,
  KeyCondition,
  KeysInput,
  KeysOf,
  SearchBatchOptions,
  SearchBatchResult,
  SearchOptions,
  SearchResult,
  SearchSyncOptions,
  SearchWithinOptions,
  UpdateOptions,
  UpdateSyncOptions,
  VectorInput,
  VectorsInput,
} from './types.js';
import type { Where } from './where.js';
import { ADD_OPTIONS, ADD_SYNC_OPTIONS, COMPACT_OPTIONS, resolveAdd } from './write-options.js';

/**
 * What flat and graph indexes share. Vectors are copied when they are added; searches may run side by side and beside
 * an add. One add or save at a time: another meanwhile fails with ERR_LICHEN_BUSY.
 *
 * Every call on a closed index throws ERR_LICHEN_CLOSED.
 */
export abstract class VectorIndex<K extends Key = number> {
  /** Values a vector. */
  readonly dim: number;
  readonly metric: Metric;
  /** How the vectors are kept. */
  readonly storage: StorageType;
  /** How they are kept once more, to score the best results anew; undefined if they are not. */
  readonly rerank: StorageType | undefined;
  /** The native index. */
  protected readonly handle: IndexHandle;
  readonly #schema: ResolvedSchema;
  /** Made by the kind of keys, which the first rows decide: after an add it is asked for anew. */
  #arrays: ResultPlaces | undefined;
  #sync: SyncSearch | undefined;
  #isKindKnown = false;

  protected constructor(handle: IndexHandle) {
    const { dim, metric, storage, rerank, attributes } = native().indexDescribe(handle);
    this.handle = handle;
    this.dim = dim;
    this.metric = metric;
    this.storage = storage;
    this.rerank = rerank;
    this.#schema = schemaOfNative(attributes);
  }

  /** Number of vectors. */
  get size(): number {
    return native().indexSize(this.handle);
  }

  /** Bytes of memory that vectors, keys and links take. */
  get bytes(): number {
    return this.describe().bytes;
  }

  /** Codes a vector of storage `pq`; undefined for another storage. */
  get subspaces(): number | undefined {
    return this.describe().subspaces;
  }

  /** What is written on the file that the index was opened from. */
  get label(): SnapshotLabel {
    const { modelVersion, snapshotVersion } = this.describe();
    return { modelVersion, snapshotVersion };
  }

  /** Names and kinds of the attributes that vectors can have. */
  get attributes(): AttributeSchema {
    return schemaFrom(this.#schema);
  }

  /** Kind of its keys: `row` (none were given), `integer` or `string`. */
  get keyKind(): KeyKind {
    return this.describe().keys;
  }

  /**
   * Adds vectors; they are copied before this returns, and found by searches once the promise is fulfilled.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_ARGUMENT (keys that do not fit),
   * ERR_LICHEN_DUPLICATE_KEY, ERR_LICHEN_BUSY, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED; the index is then as it was.
   */
  async add(vectors: VectorsInput, options?: AddOptions<K>): Promise<void> {
    await this.#write(vectors, requireOptions(options, ADD_OPTIONS), 'add');
  }

  /** As {@link add}, but blocks the thread until the vectors are searchable. */
  addSync(vectors: VectorsInput, options?: AddSyncOptions<K>): void {
    this.#writeSync(vectors, requireOptions(options, ADD_SYNC_OPTIONS), 'add');
  }

  /**
   * Gives keys that are there other vectors. Searches find the old ones until all new ones are ready. Now and then it
   * compacts the index, see {@link compact}.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DUPLICATE_KEY (a key twice in one call); as {@link add}.
   */
  async update(vectors: VectorsInput, options: UpdateOptions<K>): Promise<void> {
    await this.#write(vectors, requireKeys(requireOptions(options, ADD_OPTIONS)), 'update');
  }

  /** As {@link update}, but blocks the thread, and does not compact. */
  updateSync(vectors: VectorsInput, options: UpdateSyncOptions<K>): void {
    this.#writeSync(vectors, requireKeys(requireOptions(options, ADD_SYNC_OPTIONS)), 'update');
  }

  /** As {@link update}, but keys that are not there are added. */
  async upsert(vectors: VectorsInput, options: UpdateOptions<K>): Promise<void> {
    await this.#write(vectors, requireKeys(requireOptions(options, ADD_OPTIONS)), 'upsert');
  }

  /** As {@link upsert}, but blocks the thread, and does not compact. */
  upsertSync(vectors: VectorsInput, options: UpdateSyncOptions<K>): void {
    this.#writeSync(vectors, requireKeys(requireOptions(options, ADD_SYNC_OPTIONS)), 'upsert');
  }

  /**
   * Removes the vectors of some keys; no search that begins later finds them. Once a quarter of the rows is dead it
   * compacts the index before the promise is fulfilled, beside searches; see {@link compact}.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DUPLICATE_KEY (a key twice in one call), ERR_LICHEN_BUSY; nothing is
   * removed then.
   */
  async remove(keys: KeysInput<K>): Promise<void> {
    native().indexRemove(this.handle, toKeyList(keys));
    await this.#compactIfWorth();
  }

  /** As {@link remove}, but at once, and without compaction. */
  removeSync(keys: KeysInput<K>): void {
    native().indexRemove(this.handle, toKeyList(keys));
  }

  /** Number of rows of vectors that were removed or replaced and still take memory. */
  get dead(): number {
    return this.describe().dead;
  }

  /**
   * Leaves out the rows of vectors that were removed or replaced, mends a graph where it led over them, and gives their
   * memory back; searches go on meanwhile. Rows get new numbers: bits of filters mean others afterwards, a
   * {@link Filter} goes on meaning the same vectors past one compaction.
   * @throws ERR_LICHEN_BUSY, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED; the index is then as it was.
   */
  async compact(options?: CompactOptions): Promise<void> {
    const given = requireOptions(options, COMPACT_OPTIONS);
    const threads = resolveThreads(given.threads, machine().threads);
    await runOperation('compaction', given, (progress) =>
      native().indexCompact(this.handle, threads, progress),
    );
  }

  /**
   * The `k` nearest vectors of one query, found on this thread: the quickest way for a single small search, since
   * no promise has to be kept.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT (also for a `k` above the size).
   */
  searchSync(query: VectorInput, options?: SearchSyncOptions): SearchResult<K> {
    const given = requireOptions(options, SEARCH_SYNC_OPTIONS);
    const vector = toVector('query', query, this.dim);
    const k = resolveK(given, () => this.size);
    const ef = resolveEf(given);
    const restrictions = resolveRestrictions(this.#schema, given);
    const arrays = this.#resultArrays();
    const search = (this.#sync ??= new SyncSearch(this.handle, this.dim, arrays));
    return search.search(vector, k, ef, restrictions, given.into) as SearchResult<K>;
  }

  /** As {@link searchSync}, on threads of lichen's own pool. */
  async search(query: VectorInput, options?: SearchOptions): Promise<SearchResult<K>> {
    const given = requireOptions(options, SEARCH_OPTIONS);
    const vector = toVector('query', query, this.dim);
    const { threads = 1 } = given;
    const { keys, scores, counts } = await this.#searchMany(vector, {
      ...given,
      threads,
      exclude: given.exclude && [given.exclude],
    });
    const count = counts[0]!;
    if (count === scores.length) return { keys, scores };
    if (given.into !== undefined) {
      const views = { keys: (keys as Float64Array).subarray(0, count) as KeysOf<K> };
      return { ...views, scores: scores.subarray(0, count) };
    }
    return { keys: keys.slice(0, count) as KeysOf<K>, scores: scores.slice(0, count) };
  }

  /** The `k` nearest vectors of each query, spread over the threads of lichen's pool. */
  async searchBatch(
    queries: VectorsInput,
    options?: SearchBatchOptions,
  ): Promise<SearchBatchResult<K>> {
    const given = requireOptions(options, SEARCH_BATCH_OPTIONS);
    return this.#searchMany(toVectors('queries', queries, this.dim), given);
  }

  /**
   * All vectors that score at least `score` (l2: whose squared distance is at most that), best first, scored in the
   * finest storage that the index has; found on a thread of lichen's pool. A graph index finds those that its links lead
   * to from the nearest; it scores every vector with `exact`, and where that costs less.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT (a score that is not finite).
   */
  async searchWithin(query: VectorInput, options: SearchWithinOptions): Promise<SearchResult<K>> {
    const { vector, score, ef, restrictions } = this.#resolveWithin(query, options);
    return native().indexSearchWithin<KeysOf<K>>(this.handle, vector, score, ef, restrictions);
  }

  /** As {@link searchWithin}, on this thread. */
  searchWithinSync(query: VectorInput, options: SearchWithinOptions): SearchResult<K> {
    const { vector, score, ef, restrictions } = this.#resolveWithin(query, options);
    return native().indexSearchWithinSync<KeysOf<K>>(this.handle, vector, score, ef, restrictions);
  }

  /** All keys, in the order in which the vectors were added. */
  keys(): KeysOf<K> {
    return native().indexKeys(this.handle).keys as KeysOf<K>;
  }

  /**
   * A filter for searches that admits some vectors: those of the keys given, those whose key fulfils a condition, or
   * those on whose attributes a condition holds now. Vectors that are added later it does not admit.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a key that is not there, ERR_LICHEN_ARGUMENT for what is no key or no condition.
   */
  filter(which: KeysInput<K> | KeyCondition<K> | Where): Filter {
    return makeFilter(this.handle, this.#schema, which);
  }

  /**
   * Gives the vectors of some keys other values of the attributes named, at once: null, NaN or no tags take a value.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DUPLICATE_KEY (a key twice in one call), ERR_LICHEN_ARGUMENT,
   * ERR_LICHEN_BUSY; nothing is changed then.
   */
  setAttributes(keys: KeysInput<K>, attributes: AttributesInput): void {
    const list = toKeyList(keys);
    const columns = toAttributes(this.#schema, attributes, list.length);
    native().indexSetAttributes(this.handle, list, columns);
  }

  /**
   * The attributes of the vectors of some keys, such as those of a result, an array each.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a key that is not there.
   */
  attributesOf(keys: KeysInput<K>): AttributesOf {
    const values = native().indexAttributes(this.handle, toKeyList(keys));
    return Object.fromEntries(this.#schema.columns.map(({ name, at }) => [name, values[at]!]));
  }

  /** Whether the key is there. */
  has(key: K): boolean {
    return native().indexHas(this.handle, requireKey(key));
  }

  /**
   * A key's vector as the finest storage of the index has it (normalized if the metric is cosine), or undefined if the
   * key is not there.
   */
  get(key: K): Float32Array | undefined {
    const vector = new Float32Array(this.dim);
    return native().indexGet(this.handle, requireKey(key), vector) ? vector : undefined;
  }

  /**
   * Writes the index to a snapshot file, atomically: `path` holds the old file or the whole new one, never a part.
   * Dead rows are written as well: {@link compact} before it makes the file smaller.
   * @returns the file's size in bytes.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND for a missing folder, ERR_LICHEN_IO, ERR_LICHEN_BUSY,
   * ERR_LICHEN_ABORTED.
   */
  async save(path: string, options?: SaveOptions): Promise<number> {
    const given = requireOptions(options, SAVE_OPTIONS);
    const target = requirePath(path);
    const label = resolveLabel(given);
    return runOperation(`writing ${target}`, given, (progress) =>
      native().indexSave(this.handle, target, progress, ...label),
    );
  }

  /** Frees the memory once running operations have ended. Closing twice does nothing. */
  close(): void {
    native().indexClose(this.handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected describe(): IndexDescription {
    return native().indexDescribe(this.handle);
  }

  async #write(
    vectors: VectorsInput,
    options: AddOptions<K>,
    mode: keyof typeof KEY_MODES,
  ): Promise<void> {
    const { data, keys, threads, attributes } = this.#resolveAdd(vectors, options);
    const how = KEY_MODES[mode];
    try {
      await runOperation(mode, options, (progress) =>
        native().indexAdd(this.handle, keys, data, threads, progress, how, attributes),
      );
    } finally {
      this.#isKindKnown = false;
    }
    if (mode !== 'add') await this.#compactIfWorth();
  }

  /** What was to be done is done, so another change that is at work already, or close, is no failure. */
  async #compactIfWorth(): Promise<void> {
    try {
      if (native().indexWantsCompaction(this.handle)) await this.compact();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== 'ERR_LICHEN_BUSY' && code !== 'ERR_LICHEN_CLOSED') throw error;
    }
  }

  #writeSync(
    vectors: VectorsInput,
    options: AddSyncOptions<K>,
    mode: keyof typeof KEY_MODES,
  ): void {
    const { data, keys, threads, attributes } = this.#resolveAdd(vectors, options);
    const addon = native();
    const progress = addon.createProgress();
    const how = KEY_MODES[mode];
    addon.indexAddSync(this.handle, keys, data, threads, progress, how, attributes);
  }

  #resolveAdd(vectors: VectorsInput, options: AddSyncOptions<K>) {
    this.#isKindKnown = false;
    return resolveAdd({ dim: this.dim, schema: this.#schema }, vectors, options);
  }

  #resolveWithin(query: VectorInput, options: SearchWithinOptions) {
    const given = requireOptions(options, SEARCH_WITHIN_OPTIONS);
    return {
      vector: toVector('query', query, this.dim),
      score: requireFinite('score', given.score),
      ef: resolveEf(given),
      restrictions: resolveRestrictions(this.#schema, given),
    };
  }

  async #searchMany(
    queries: Float32Array,
    options: SearchBatchOptions,
  ): Promise<SearchBatchResult<K>> {
    const addon = native();
    const { rows } = matrix(queries, this.dim);
    const k = resolveK(options, () => this.size);
    const ef = resolveEf(options);
    const restrictions = resolveRestrictions(this.#schema, options, rows);
    const threads = resolveThreads(options.threads, 1024);
    const arrays = this.#resultArrays();
    const { into } = options;
    if (into !== undefined) arrays.given(into, rows * k);
    // Not the caller's, who may do what he likes with his arrays meanwhile.
    const fresh = arrays.fresh(rows * k);
    const counts = new Uint32Array(rows);
    const strings = await runOperation('search', options, (progress) =>
      addon.indexSearch(
        this.handle,
        queries,
        k,
        ef,
        threads,
        progress,
        fresh.slots,
        fresh.scores,
        counts,
        restrictions,
      ),
    );
    const found = into === undefined ? fresh : arrays.delivered(fresh, into);
    const keys = (strings ?? found.slots) as KeysOf<K>;
    return { keys, scores: found.scores, counts, rows, k };
  }

  #resultArrays(): ResultPlaces {
    if (this.#isKindKnown) return this.#arrays!;
    const kind = this.keyKind;
    if (this.#arrays?.kind !== kind) {
      this.#arrays = new ResultPlaces(kind);
      this.#sync = undefined;
    }
    this.#isKindKnown = true;
    return this.#arrays;
  }
}
