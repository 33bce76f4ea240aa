import { inspect, type InspectOptions } from 'node:util';
import {
  native,
  type IndexDescription,
  type IndexHandle,
  type KeyKind,
  type NativeRestrictions,
} from '../native.js';
import { matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { StorageType } from '../vectors/storage-type.js';
import {
  requireFinite,
  requireKey,
  requireOptions,
  resolveEf,
  resolveBatchK,
  resolveK,
  resolveThreads,
  toKeyList,
  toVector,
  toVectors,
} from './arguments.js';
import {
  schemaFrom,
  schemaOfNative,
  type AttributeSchema,
  type AttributesOf,
  type ResolvedSchema,
} from './attributes.js';
import { type SnapshotLabel } from './file-options.js';
import type { Filter } from './filter.js';
import { makeFilter } from './make-filter.js';
import { runOperation } from './operation.js';
import { type Places, ResultPlaces } from './result-arrays.js';
import {
  resolveRestrictions,
  SEARCH_BATCH_OPTIONS,
  SEARCH_BATCH_SYNC_OPTIONS,
  SEARCH_OPTIONS,
  SEARCH_SYNC_OPTIONS,
  SEARCH_WITHIN_OPTIONS,
} from './search-options.js';
import { SyncSearch } from './sync-search.js';
import type {
  Key,
  KeyCondition,
  KeysInput,
  KeysOf,
  SearchBatchOptions,
  SearchBatchResult,
  SearchBatchSyncOptions,
  SearchOptions,
  SearchResult,
  SearchSyncOptions,
  SearchWithinOptions,
  VectorInput,
  VectorsInput,
} from './types.js';
import type { Where } from './where.js';

/** What a batch search is told, checked. It can be sent to other threads. */
export interface SearchPlan {
  readonly k: number;
  readonly ef: number;
  readonly keyKind: KeyKind;
  readonly restrictions: NativeRestrictions | undefined;
}

/** What a search of `rows` queries in an index is told. @throws ERR_LICHEN_ARGUMENT */
export let planSearch: (
  index: SearchableIndex<Key>,
  options: SearchBatchSyncOptions,
  rows: number,
) => SearchPlan;
/** Searches on this thread; writes numbers of results and, but for strings, which it returns, what is found. */
export let searchPlanned: (
  index: SearchableIndex<Key>,
  queries: Float32Array,
  plan: SearchPlan,
  places: Places,
  counts: Uint32Array,
) => string[] | undefined;

/**
 * What can be read of flat and graph indexes. Searches may run side by side and beside changes.
 *
 * Every call on a closed index throws ERR_LICHEN_CLOSED.
 *
 * @example
 * function nearest(index: SearchableIndex): Float64Array {
 *   return index.searchSync(query, { k: 10 }).keys;
 * }
 */
export abstract class SearchableIndex<K extends Key = number> {
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  /** How the vectors are kept. */
  readonly storage: StorageType;
  /** How they are kept once more, to score the best results anew; undefined if they are not. */
  readonly rerank: StorageType | undefined;
  /** The native index. */
  protected readonly handle: IndexHandle;
  /** Its attributes, and the kinds of columns that they are kept in. */
  protected readonly schema: ResolvedSchema;
  /** Made by the kind of keys, which the first rows decide: after an add it is asked for anew. */
  #arrays: ResultPlaces | undefined;
  #sync: SyncSearch | undefined;
  #isKindKnown = false;

  static {
    planSearch = (index, options, rows) => index.#plan(options, rows);
    searchPlanned = (index, queries, { k, ef, restrictions }, { slots, scores }, counts) =>
      native().indexSearchBatchSync(
        index.handle,
        queries,
        k,
        ef,
        slots,
        scores,
        counts,
        restrictions,
      );
  }

  protected constructor(handle: IndexHandle) {
    const { dim, metric, storage, rerank, attributes } = native().indexDescribe(handle);
    this.handle = handle;
    this.dim = dim;
    this.metric = metric;
    this.storage = storage;
    this.rerank = rerank;
    this.schema = schemaOfNative(attributes);
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

  /** Principal components that codes are of; undefined if they are of all values. */
  get pca(): number | undefined {
    return this.describe().pca;
  }

  /** What is written on the file that the index was opened from. */
  get label(): SnapshotLabel {
    const { modelVersion, snapshotVersion } = this.describe();
    return { modelVersion, snapshotVersion };
  }

  /** Names and kinds of the attributes that vectors can have. */
  get attributes(): AttributeSchema {
    return schemaFrom(this.schema);
  }

  /** Kind of its keys: `row` (none were given), `integer` or `string`. */
  get keyKind(): KeyKind {
    return this.describe().keys;
  }

  /** Number of rows of vectors that were removed or replaced and still take memory. */
  get dead(): number {
    return this.describe().dead;
  }

  /**
   * The `k` nearest vectors of one query, found on this thread: the quickest way for a single small search, since
   * no promise has to be kept.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT.
   */
  searchSync(query: VectorInput, options?: SearchSyncOptions): SearchResult<K> {
    const given = requireOptions(options, SEARCH_SYNC_OPTIONS);
    const vector = toVector('query', query, this.dim);
    const k = resolveK(given, () => this.size);
    const ef = resolveEf(given);
    const restrictions = resolveRestrictions(this.schema, given);
    const arrays = this.#resultArrays();
    const search = (this.#sync ??= new SyncSearch(this.handle, this.dim, arrays));
    return search.search(vector, k, ef, restrictions, given.into) as SearchResult<K>;
  }

  /** As {@link searchSync}, on threads of lichen's own pool. @throws ERR_LICHEN_ABORTED besides. */
  async search(query: VectorInput, options?: SearchOptions): Promise<SearchResult<K>> {
    const given = requireOptions(options, SEARCH_OPTIONS);
    const vector = toVector('query', query, this.dim);
    const { threads = 1 } = given;
    const { keys, scores, counts } = await this.#searchMany(vector, {
      ...given,
      ...{ k: resolveK(given, () => this.size), threads },
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

  /**
   * The `k` nearest vectors of each query, spread over the threads of lichen's pool; those of query i stand at i · k and on.
   * @throws as {@link search}; ERR_LICHEN_EMPTY without queries.
   */
  async searchBatch(
    queries: VectorsInput,
    options?: SearchBatchOptions,
  ): Promise<SearchBatchResult<K>> {
    const given = requireOptions(options, SEARCH_BATCH_OPTIONS);
    return this.#searchMany(toVectors('queries', queries, this.dim), given);
  }

  /** As {@link searchBatch}, on this thread: for threads of the caller's own, as many as there are processors. */
  searchBatchSync(queries: VectorsInput, options?: SearchBatchSyncOptions): SearchBatchResult<K> {
    const given = requireOptions(options, SEARCH_BATCH_SYNC_OPTIONS);
    const data = toVectors('queries', queries, this.dim);
    const { rows } = matrix(data, this.dim);
    const plan = this.#plan(given, rows);
    const { k } = plan;
    const arrays = this.#resultArrays();
    const places =
      given.into === undefined ? arrays.fresh(rows * k) : arrays.given(given.into, rows * k);
    const counts = new Uint32Array(rows);
    const strings = searchPlanned(this, data, plan, places, counts);
    return { keys: (strings ?? places.slots) as KeysOf<K>, scores: places.scores, counts, rows, k };
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

  /** What `console.log` shows: what the index is and holds, not what it is made of. */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { dim, metric, storage, rerank } = this;
    let held: object = { closed: true };
    try {
      held = { size: this.size, dead: this.dead, bytes: this.bytes };
    } catch {
      // A closed one holds nothing.
    }
    const shown = { dim, metric, storage, ...(rerank !== undefined && { rerank }), ...held };
    return `${this.constructor.name} ${inspect(shown, options)}`;
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
    return makeFilter(this.handle, this.schema, which);
  }

  /**
   * The attributes of the vectors of some keys, such as those of a result, an array each.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a key that is not there.
   */
  attributesOf(keys: KeysInput<K>): AttributesOf {
    const values = native().indexAttributes(this.handle, toKeyList(keys));
    return Object.fromEntries(this.schema.columns.map(({ name, at }) => [name, values[at]!]));
  }

  /** Whether the key is there. @throws ERR_LICHEN_ARGUMENT for what is no key. */
  has(key: K): boolean {
    return native().indexHas(this.handle, requireKey(key));
  }

  /**
   * A key's vector as the finest storage of the index has it (normalized if the metric is cosine), or undefined if the
   * key is not there.
   * @throws ERR_LICHEN_ARGUMENT for what is no key.
   */
  get(key: K): Float32Array | undefined {
    const vector = new Float32Array(this.dim);
    return native().indexGet(this.handle, requireKey(key), vector) ? vector : undefined;
  }

  /** What the native index says of itself. */
  protected describe(): IndexDescription {
    return native().indexDescribe(this.handle);
  }

  /** The kind of keys may be another from now on: the first rows decide it. */
  protected forgetKind(): void {
    this.#isKindKnown = false;
  }

  #resolveWithin(query: VectorInput, options: SearchWithinOptions) {
    const given = requireOptions(options, SEARCH_WITHIN_OPTIONS);
    return {
      vector: toVector('query', query, this.dim),
      score: requireFinite('score', given.score),
      ef: resolveEf(given),
      restrictions: resolveRestrictions(this.schema, given),
    };
  }

  async #searchMany(
    queries: Float32Array,
    options: SearchBatchOptions,
  ): Promise<SearchBatchResult<K>> {
    const addon = native();
    const { rows } = matrix(queries, this.dim);
    const { k, ef, restrictions } = this.#plan(options, rows);
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

  #plan(options: SearchBatchSyncOptions, rows: number): SearchPlan {
    return {
      k: resolveBatchK(options, () => this.size, rows),
      ef: resolveEf(options),
      keyKind: this.#resultArrays().kind,
      restrictions: resolveRestrictions(this.schema, options, rows),
    };
  }

  #resultArrays(): ResultPlaces {
    if (this.#isKindKnown) return this.#arrays!;
    const kind = this.keyKind;
    if (this.#arrays?.kind !== kind) {
      this.#arrays = new ResultPlaces(kind);
      this.#sync = undefined;
    }
    // The first rows may come from another thread.
    this.#isKindKnown = this.size > 0;
    return this.#arrays;
  }
}
