import { LichenArgumentError, throwIfAborted } from '../errors.js';
import {
  MAX_ROWS,
  requireDim,
  requireFinite as requireFiniteNumber,
  requireInteger,
  requireKey,
  requireOptions,
  requirePath,
  resolveThreads,
  toKeyList,
  toKeys,
  toVector,
  toVectors,
} from '../index/arguments.js';
import { Filter } from '../index/filter.js';
import { checkOperation } from '../index/operation.js';
import type {
  AddOptions,
  AddSyncOptions,
  Key,
  KeyCondition,
  KeysInput,
  KeysOf,
  OperationOptions,
  SearchBatchOptions,
  SearchBatchResult,
  SearchOptions,
  SearchResult,
  SearchSyncOptions,
  SearchWithinOptions,
  VectorInput,
  VectorsInput,
} from '../index/types.js';
import type { KeyKind } from '../native.js';
import { withinMemory } from '../vectors/memory.js';
import { parseMetric, type Metric } from '../vectors/metric.js';
import { Adding } from './adding.js';
import { requireFinite, resolveSearch, type SearchPlan } from './arguments.js';
import { openFile, saveFile } from './files.js';
import { GraphOwner } from './graph-owner.js';
import { KeyBook } from './key-book.js';
import { nearest, scoreOf } from './nearest.js';
import type { HnswlibOpenOptions, HnswlibOptions, WithHnswlibFilter } from './options.js';
import { calling, graphBytes, newGraph, type Graph } from './package.js';
import { runInSlices } from './slices.js';

const DEFAULTS = Object.freeze({ m: 16, efConstruction: 200, seed: 42, capacity: 1024 });
/** A key and its place in two tables. */
const BYTES_A_KEY = 64;
/** A key and a score. */
const BYTES_A_PLACE = 12;

/** Results that a search within a score asks for first, and how many times as many next. */
const FIRST_WITHIN = 64;
const WIDER_WITHIN = 4;

const ADD_SYNC_OPTIONS = ['keys', 'threads'] as const;
const ADD_OPTIONS = [...ADD_SYNC_OPTIONS, 'signal', 'onProgress'] as const;
const SEARCH_SYNC_OPTIONS = ['k', 'ef', 'exact', 'oversample', 'filter'] as const;
const SEARCH_OPTIONS = [...SEARCH_SYNC_OPTIONS, 'signal', 'threads'] as const;
const SEARCH_WITHIN_OPTIONS = ['score', 'ef', 'exact', 'filter'] as const;
const SEARCH_BATCH_OPTIONS = [...SEARCH_OPTIONS, 'onProgress'] as const;

/**
 * The interface of `HnswIndex` over the package hnswlib-node, an optional peer of lichen: to move from it, and to
 * compare with it. What differs, since hnswlib-node is what it is:
 *
 * - Everything but reading and writing files runs on the calling thread; async calls do so in slices, so that signals
 *   and progress work. `threads` and `oversample` are checked and have no effect; `exact` is not supported.
 * - Integer keys are hnswlib's labels and so 0 to 4,294,967,295.
 * - `remove` marks a vector: its memory stays. An add that fails or is aborted leaves such marked vectors behind, too.
 * - A filtered search may find fewer than `k`, as it walks the graph.
 *
 * @example
 * const index = new HnswlibIndex<string>({ dim: 3, metric: 'cosine' });
 * await index.add([[1, 0, 0], [0, 1, 0]], { keys: ['east', 'north'] });
 * index.searchSync([0.9, 0.1, 0], { k: 1 }).keys; // ['east']
 */
export class HnswlibIndex<K extends Key = number> {
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  /** Links a vector on the upper levels. */
  readonly m: number;
  /** Beam of the searches that find a new vector's links. */
  readonly efConstruction: number;
  #owner: GraphOwner;
  #book = new KeyBook();

  /** @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_MEMORY, ERR_LICHEN_MISSING_PACKAGE. */
  constructor(options: HnswlibOptions) {
    const known = ['dim', 'metric', 'm', 'efConstruction', 'seed', 'capacity'] as const;
    const given = requireOptions(options, known);
    const { m = DEFAULTS.m, efConstruction = DEFAULTS.efConstruction } = given;
    const { seed = DEFAULTS.seed, capacity = DEFAULTS.capacity } = given;
    this.dim = requireDim(given.dim);
    this.metric = parseMetric(given.metric);
    this.m = requireInteger('m', m, 2, 512);
    this.efConstruction = requireInteger('efConstruction', efConstruction, 1, 65536);
    requireInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER);
    requireInteger('capacity', capacity, 1, MAX_ROWS);
    const graph = newGraph(this.metric, this.dim);
    withinMemory(graphBytes(capacity, this.dim, this.m), () =>
      calling('making an index', () =>
        graph.initIndex(capacity, this.m, this.efConstruction, seed),
      ),
    );
    this.#owner = new GraphOwner(graph);
  }

  /**
   * Reads an index file of hnswlib after checking it whole, which takes its memory twice for a while. Next to a file
   * that {@link save} wrote lies what hnswlib's format does not hold; of another file `dim` and `metric` must be given,
   * and its labels are integer keys.
   * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_UNSUPPORTED,
   * ERR_LICHEN_MEMORY, ERR_LICHEN_DIMENSION, ERR_LICHEN_ARGUMENT, ERR_LICHEN_MISSING_PACKAGE.
   */
  static async open<K extends Key = number>(
    path: string,
    options?: HnswlibOpenOptions,
  ): Promise<HnswlibIndex<K>> {
    const given = requireOptions(options, ['dim', 'metric']);
    const { graph, book, ...shape } = await openFile(requirePath(path), {
      dim: given.dim === undefined ? undefined : requireDim(given.dim),
      metric: given.metric === undefined ? undefined : parseMetric(given.metric),
    });
    const index = new HnswlibIndex<K>({ ...shape, capacity: 1 });
    index.#owner = new GraphOwner(graph);
    index.#book = book;
    return index;
  }

  /** Number of vectors, without the removed ones. */
  get size(): number {
    this.#owner.requireOpen();
    return this.#book.size;
  }

  /** Bytes of memory that vectors, keys and links take: an estimate, since hnswlib-node does not tell. */
  get bytes(): number {
    const capacity = this.#owner.requireOpen().getMaxElements();
    return graphBytes(capacity, this.dim, this.m) + this.#book.rows * BYTES_A_KEY;
  }

  /** Kind of its keys: `row` (none were given), `integer` or `string`. */
  get keyKind(): KeyKind {
    this.#owner.requireOpen();
    return this.#book.kind ?? 'row';
  }

  /**
   * Adds vectors; they are copied before this returns, and found by searches once the promise is fulfilled. A key that
   * was removed may be added again.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_ARGUMENT (keys that do not fit),
   * ERR_LICHEN_DUPLICATE_KEY, ERR_LICHEN_BUSY, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED; searches then find what they did.
   */
  async add(vectors: VectorsInput, options?: AddOptions<K>): Promise<void> {
    const given = requireOptions(options, ADD_OPTIONS);
    checkOperation(given);
    throwIfAborted(given.signal, 'add');
    const { data, keys } = this.#resolveAdd(vectors, given);
    await this.#owner.writeSlowly(async (graph) => {
      const adding = new Adding(graph, this.#book, keys, data.slice(), this.m);
      try {
        await runInSlices('add', given, adding.count, (at) => adding.step(at));
      } catch (error) {
        adding.undo();
        throw error;
      }
      adding.publish();
    });
  }

  /** As {@link add}, but blocks the thread until the vectors are searchable. */
  addSync(vectors: VectorsInput, options?: AddSyncOptions<K>): void {
    const { data, keys } = this.#resolveAdd(vectors, requireOptions(options, ADD_SYNC_OPTIONS));
    this.#owner.write((graph) => {
      const adding = new Adding(graph, this.#book, keys, data, this.m);
      try {
        for (let at = 0; at < adding.count; at++) adding.step(at);
      } catch (error) {
        adding.undo();
        throw error;
      }
      adding.publish();
    });
  }

  /**
   * Replaces the vector of a key.
   * @throws ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT, ERR_LICHEN_BUSY.
   */
  update(key: K, vector: VectorInput): void {
    const data = requireFinite('vector', toVector('vector', vector, this.dim), this.dim);
    this.#owner.write((graph) => {
      const label = this.#book.labelOf(this.#requireRow(key));
      calling('update', () => graph.addPoint(Array.from(data), label));
    });
  }

  /**
   * Marks the vector of a key as deleted: no search finds it, its memory stays.
   * @returns whether the key was there.
   * @throws ERR_LICHEN_ARGUMENT for what is no key, ERR_LICHEN_BUSY.
   */
  remove(key: K): boolean {
    return this.#owner.write((graph) => {
      const row = this.#book.find(requireKey(key));
      if (row === undefined) return false;
      calling('remove', () => graph.markDelete(this.#book.labelOf(row)));
      this.#book.remove(row);
      return true;
    });
  }

  /**
   * The `k` nearest vectors of one query.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT (also for a `k` above the size),
   * ERR_LICHEN_UNSUPPORTED for an exact search, and what a function given as a filter throws.
   */
  searchSync(
    query: VectorInput,
    options?: WithHnswlibFilter<SearchSyncOptions, K>,
  ): SearchResult<K> {
    const given = requireOptions(options, SEARCH_SYNC_OPTIONS);
    return this.#searchOne(query, given);
  }

  /** As {@link searchSync}, also on this thread. */
  async search(
    query: VectorInput,
    options?: WithHnswlibFilter<SearchOptions, K>,
  ): Promise<SearchResult<K>> {
    const given = requireOptions(options, SEARCH_OPTIONS);
    checkOperation(given);
    resolveThreads(given.threads, 1);
    throwIfAborted(given.signal, 'search');
    return Promise.resolve(this.#searchOne(query, given));
  }

  /** The `k` nearest vectors of each query, one query after the other. */
  async searchBatch(
    queries: VectorsInput,
    options?: WithHnswlibFilter<SearchBatchOptions, K>,
  ): Promise<SearchBatchResult<K>> {
    const given = requireOptions(options, SEARCH_BATCH_OPTIONS);
    checkOperation(given);
    resolveThreads(given.threads, 1);
    const data = toVectors('queries', queries, this.dim).slice();
    requireFinite('queries', data, this.dim);
    return this.#owner.readSlowly(async (graph) => {
      const plan = resolveSearch(given, this.#book);
      const { k } = plan;
      const rows = data.length / this.dim;
      const places = this.#places(rows * k);
      const counts = new Uint32Array(rows);
      await runInSlices('search', given, rows, (at) => {
        const vector = data.subarray(at * this.dim, (at + 1) * this.dim);
        counts[at] = this.#searchInto(places, at * k, graph, vector, plan);
      });
      return { keys: places.keys as KeysOf<K>, scores: places.scores, counts, rows, k };
    });
  }

  /**
   * All vectors that score at least `score` (l2: whose squared distance is at most that), best first, by searches for
   * more and more.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT, ERR_LICHEN_UNSUPPORTED for an exact
   * search, and what a function given as a filter throws.
   */
  searchWithinSync(
    query: VectorInput,
    options: WithHnswlibFilter<SearchWithinOptions, K>,
  ): SearchResult<K> {
    const { score, ...others } = requireOptions(options, SEARCH_WITHIN_OPTIONS);
    const limit = Math.fround(requireFiniteNumber('score', score));
    const isNear = (found: number) => (this.metric === 'l2' ? found <= limit : found >= limit);
    if (this.size === 0) {
      requireFinite('query', toVector('query', query, this.dim), this.dim);
      return { keys: this.keys(), scores: new Float32Array() };
    }
    for (let k = FIRST_WITHIN; ; k *= WIDER_WITHIN) {
      const wanted = Math.min(k, this.size);
      const { keys, scores } = this.#searchOne(query, { ...others, k: wanted });
      const beyond = scores.findIndex((found) => !isNear(found));
      if (beyond < 0 && scores.length === wanted && wanted < this.size) continue;
      const count = beyond < 0 ? scores.length : beyond;
      return { keys: keys.slice(0, count) as KeysOf<K>, scores: scores.slice(0, count) };
    }
  }

  /** As {@link searchWithinSync}, also on this thread. */
  async searchWithin(
    query: VectorInput,
    options: WithHnswlibFilter<SearchWithinOptions, K>,
  ): Promise<SearchResult<K>> {
    return Promise.resolve(this.searchWithinSync(query, options));
  }

  /** All keys, in the order in which the vectors were added first. */
  keys(): KeysOf<K> {
    this.#owner.requireOpen();
    const keys = Array.from(this.#book.live(), (row) => this.#book.keyOf(row));
    return (this.keyKind === 'string' ? keys : Float64Array.from(keys as number[])) as KeysOf<K>;
  }

  /**
   * A filter for searches that admits some vectors: those of the keys given, or those whose key fulfils a condition.
   * Vectors that are added later it does not admit. Its rows count the removed vectors.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a key that is not there, ERR_LICHEN_ARGUMENT for what is no key.
   */
  filter(which: KeysInput<K> | KeyCondition<K>): Filter {
    this.#owner.requireOpen();
    const book = this.#book;
    const rows =
      typeof which === 'function'
        ? Array.from(book.live()).filter((row) => which(book.keyOf(row) as K))
        : Array.from<Key, number>(toKeyList(which), (key) => this.#requireRow(key));
    return Filter.ofRows(rows, book.rows);
  }

  /** Whether the key is there. */
  has(key: K): boolean {
    this.#owner.requireOpen();
    return this.#book.find(requireKey(key)) !== undefined;
  }

  /** A key's vector (normalized if the metric is cosine), or undefined if the key is not there. */
  get(key: K): Float32Array | undefined {
    const graph = this.#owner.requireOpen();
    const row = this.#book.find(requireKey(key));
    if (row === undefined) return undefined;
    return Float32Array.from(calling('get', () => graph.getPoint(this.#book.labelOf(row))));
  }

  /**
   * Writes the index in hnswlib's own format, and beside it, as `<path>.json`, what that does not hold: dim, metric and
   * string keys. Each of the two files is replaced as a whole; the index file is read once to see that it is sound.
   * @returns the size of the index file in bytes.
   * @throws ERR_LICHEN_NOT_FOUND for a missing folder, ERR_LICHEN_IO, ERR_LICHEN_BUSY, ERR_LICHEN_ABORTED.
   */
  async save(path: string, options?: OperationOptions): Promise<number> {
    const given = requireOptions(options, ['signal', 'onProgress']);
    const target = requirePath(path);
    checkOperation(given);
    throwIfAborted(given.signal, `writing ${target}`);
    return this.#owner.writeSlowly((graph) => saveFile(target, graph, this, this.#book, given));
  }

  /** Frees most of the memory once running operations have ended. Closing twice does nothing. */
  close(): void {
    this.#owner.close();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #resolveAdd(vectors: VectorsInput, options: AddSyncOptions<K>) {
    const data = requireFinite('vectors', toVectors('vectors', vectors, this.dim), this.dim);
    const keys = toKeys<K>(options.keys, data.length / this.dim);
    resolveThreads(options.threads, 1);
    return { data, keys };
  }

  #requireRow(key: Key): number {
    const row = this.#book.find(requireKey(key));
    if (row !== undefined) return row;
    throw new LichenArgumentError(
      'ERR_LICHEN_UNKNOWN_KEY',
      `key ${typeof key === 'string' ? `'${key}'` : key} is not in the index`,
    );
  }

  #searchOne(
    query: VectorInput,
    options: WithHnswlibFilter<SearchSyncOptions, K>,
  ): SearchResult<K> {
    const graph = this.#owner.requireOpen();
    const vector = requireFinite('query', toVector('query', query, this.dim), this.dim);
    const plan = resolveSearch(options, this.#book);
    const { keys, scores } = this.#places(plan.k);
    const count = this.#searchInto({ keys, scores }, 0, graph, vector, plan);
    return { keys: keys.slice(0, count) as KeysOf<K>, scores: scores.slice(0, count) };
  }

  /** Writes what is found from place `start` on; returns how much that is. */
  #searchInto(
    { keys, scores }: Places,
    start: number,
    graph: Graph,
    vector: Float32Array,
    plan: SearchPlan,
  ): number {
    const query = { ...plan, vector, isGrowing: this.#owner.isWriting };
    return this.#owner.search(() =>
      nearest(graph, this.#book, query, (at, row, distance) => {
        keys[start + at] = this.#book.keyOf(row);
        scores[start + at] = scoreOf(this.metric, distance);
      }),
    );
  }

  #places(count: number): Places {
    return withinMemory(count * BYTES_A_PLACE, () => ({
      keys:
        this.#book.kind === 'string'
          ? new Array<Key>(count).fill('')
          : new Float64Array(count).fill(-1),
      scores: new Float32Array(count).fill(NaN),
    }));
  }
}

/** Where results go. */
interface Places {
  readonly keys: Record<number, Key> & { slice(from: number, to: number): unknown };
  readonly scores: Float32Array;
}
