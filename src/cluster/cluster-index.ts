import { LichenArgumentError, LichenError } from '../errors.js';
import {
  requireFinite,
  requireInteger,
  requireKey,
  requireKeys,
  requireOptions,
  resolveEf,
  toKeyList,
  toVector,
} from '../index/arguments.js';
import type { AttributeSchema, AttributesInput, AttributesOf } from '../index/attributes.js';
import type { SnapshotLabel } from '../index/file-options.js';
import type { Key, KeysInput, VectorInput, VectorsInput } from '../index/types.js';
import type { Metric } from '../vectors/metric.js';
import type { StorageType } from '../vectors/storage-type.js';
import {
  CLUSTER_ADD_OPTIONS,
  CLUSTER_BATCH_OPTIONS,
  CLUSTER_SEARCH_OPTIONS,
  CLUSTER_WITHIN_OPTIONS,
  CLUSTER_WRITE_OPTIONS,
  ClusterFilter,
  resolveClusterOptions,
  type ClusterAddOptions,
  type ClusterIndexOptions,
  type ClusterSearchBatchOptions,
  type ClusterSearchBatchResult,
  type ClusterSearchOptions,
  type ClusterSearchResult,
  type ClusterSearchWithinOptions,
  type ClusterWriteOptions,
  type ResolvedClusterOptions,
  type WriteToken,
} from './cluster-options.js';
import { ClusterSearches } from './cluster-searches.js';
import { ClusterView } from './cluster-view.js';
import { ClusterWrites } from './cluster-writes.js';
import { clusterStatistics, type ClusterStatistics } from './cluster-statistics.js';
import { fetchRows } from './fetch-rows.js';
import type { GatherCounts } from './gather.js';
import type { ShardMap } from './shard-map.js';
import { checkpointOf } from './shard-questions.js';

const CHECKPOINT_MS = 600_000;

/**
 * An index whose vectors are spread over shards, each with replicas in processes of their own (`lichen node`), behind the
 * methods of `HnswIndex`. A search asks one replica of every shard and merges what they find by score; a change is kept by
 * NATS JetStream before it is acknowledged, and done by every replica of its shard.
 *
 * What is different from an index in this process: nothing is synchronous; keys must be given; a search is answered also
 * when shards do not answer in time, and names them in `missing`; of fewer vectors than `k` all are found. A call of `add`,
 * `update` or `remove` whose keys fall to several shards, or that takes several messages, is done or refused by each of
 * them alone.
 *
 * Every call after `close` throws ERR_LICHEN_CLOSED.
 *
 * @example
 * await using items = await ClusterIndex.connect({ servers: 'nats://10.0.0.1:4222', name: 'items' });
 * await items.upsert(vectors, { keys: [10, 20, 30] });
 * const { keys, missing } = await items.search(query, { k: 10, ef: 100 });
 */
export class ClusterIndex<K extends Key = number> {
  readonly #view: ClusterView;
  readonly #searches: ClusterSearches<K>;
  readonly #writes: ClusterWrites;
  readonly #options: ResolvedClusterOptions;

  private constructor(view: ClusterView, options: ResolvedClusterOptions) {
    this.#view = view;
    this.#options = options;
    this.#writes = new ClusterWrites(view, options);
    this.#searches = new ClusterSearches<K>(view, options, () => this.#writes.token);
  }

  /**
   * Connects to an index that `createCluster` has made.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_IO if no server lets in, ERR_LICHEN_NOT_FOUND if
   * there is no such index.
   */
  static async connect<K extends Key = number>(
    options: ClusterIndexOptions,
  ): Promise<ClusterIndex<K>> {
    const resolved = resolveClusterOptions(options);
    const view = await ClusterView.open(resolved);
    const index = new ClusterIndex<K>(view, resolved);
    await index.stats().catch(() => undefined);
    return index;
  }

  /** How the index is spread at present. */
  get map(): ShardMap {
    return this.#view.map;
  }

  /** Values a vector. */
  get dim(): number {
    return this.map.index.dim;
  }

  /** What scores are. */
  get metric(): Metric {
    return this.map.index.metric;
  }

  /** How shards keep the vectors. */
  get storage(): StorageType {
    return this.map.index.storage ?? 'f32';
  }

  /** How they keep them once more, to score the best results anew; undefined if they do not. */
  get rerank(): StorageType | undefined {
    return this.map.index.rerank;
  }

  /** What kind of keys it has. */
  get keyKind(): 'integer' | 'string' {
    return this.map.index.keys;
  }

  /** Names and kinds of the attributes that vectors can have. */
  get attributes(): AttributeSchema {
    return this.map.index.attributes ?? {};
  }

  /** The version of the model that made the vectors, and the epoch. */
  get label(): SnapshotLabel {
    const { modelVersion, epoch } = this.map;
    return { modelVersion, snapshotVersion: epoch };
  }

  /** Number of vectors, as replicas have told last. */
  get size(): number {
    return this.#searches.size;
  }

  /** Where the last changes of this object stand; another's searches that are given it find them. */
  get token(): WriteToken {
    return this.#writes.token;
  }

  /** What searches have met with so far. */
  get counts(): GatherCounts & {
    /** Milliseconds after which a shard is asked a second time now. */
    readonly hedgeAfterMs: number;
  } {
    return this.#searches.counts;
  }

  /**
   * The `k` nearest vectors of one query, of all shards that answer.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ARGUMENT, ERR_LICHEN_ABORTED; ERR_LICHEN_DEADLINE when
   * no shard has answered in time, or with `partial: 'refuse'` not every one.
   */
  async search(
    query: VectorInput,
    options?: ClusterSearchOptions,
  ): Promise<ClusterSearchResult<K>> {
    this.#requireOpen();
    const given = requireOptions(options, CLUSTER_SEARCH_OPTIONS);
    const { exclude } = given;
    const { keys, scores, counts, missing } = await this.#searches.batch(
      toVector('query', query, this.dim),
      { ...given, exclude: exclude && [exclude] },
    );
    const found = keys.slice(0, counts[0]) as ClusterSearchResult<K>['keys'];
    return { keys: found, scores: scores.slice(0, counts[0]), missing };
  }

  /** The `k` nearest vectors of each query; those of query i stand at i · k and on. @throws as {@link search}. */
  async searchBatch(
    queries: VectorsInput,
    options?: ClusterSearchBatchOptions,
  ): Promise<ClusterSearchBatchResult<K>> {
    this.#requireOpen();
    return this.#searches.batch(queries, requireOptions(options, CLUSTER_BATCH_OPTIONS));
  }

  /**
   * All vectors that score at least `score` (l2: whose squared distance is at most that), best first. What a shard finds
   * must fit one message of NATS: ERR_LICHEN_UNSUPPORTED otherwise.
   */
  async searchWithin(
    query: VectorInput,
    options: ClusterSearchWithinOptions,
  ): Promise<ClusterSearchResult<K>> {
    this.#requireOpen();
    const given = requireOptions(options, CLUSTER_WITHIN_OPTIONS);
    requireFinite('score', given.score);
    resolveEf(given);
    return this.#searches.within(toVector('query', query, this.dim), given);
  }

  /**
   * A filter for searches that admits some keys; those that are not there do no harm. It is sent with every search: one of
   * very many keys is better an attribute and a `where`.
   */
  filter(keys: KeysInput<K>): ClusterFilter {
    return new ClusterFilter(toKeyList(keys).slice());
  }

  /**
   * A key's vector as the finest storage has it, or undefined if the key is not there.
   * @throws ERR_LICHEN_ARGUMENT for what is no key, ERR_LICHEN_DEADLINE.
   */
  async get(key: K): Promise<Float32Array | undefined> {
    const [found] = await this.#fetch([key], { wantsVectors: true });
    return found?.vector;
  }

  /** Whether the key is there. @throws as {@link get}. */
  async has(key: K): Promise<boolean> {
    const [found] = await this.#fetch([key], {});
    return found !== undefined;
  }

  /**
   * The attributes of the vectors of some keys, an array each.
   * @throws ERR_LICHEN_UNKNOWN_KEY for a key that is not there, ERR_LICHEN_DEADLINE.
   */
  async attributesOf(keys: KeysInput<K>): Promise<AttributesOf> {
    const list = toKeyList(keys);
    const rows = await this.#fetch([...list] as Key[], { wantsAttributes: true });
    const lost = rows.indexOf(undefined);
    if (lost >= 0) {
      const message = `the key ${JSON.stringify(list[lost])} is not in the index`;
      throw new LichenArgumentError('ERR_LICHEN_UNKNOWN_KEY', message);
    }
    const { columns } = this.#view.schema;
    return Object.fromEntries(
      columns.map(({ name, kind }): [string, AttributesOf[string]] => {
        const values = rows.map((row) => row!.attributes[name]);
        if (kind === 'number') return [name, Float64Array.from(values as number[])];
        return [name, values as (string | null)[] | string[][]];
      }),
    );
  }

  /**
   * Adds vectors whose keys are not there.
   * @returns where the change stands; searches of this object find it, others' that are given it as `after`.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_ARGUMENT: nothing is stored then.
   * ERR_LICHEN_DUPLICATE_KEY: a key is there; what was meant for its shard is not done. ERR_LICHEN_DEADLINE when it is not
   * known whether it is stored, ERR_LICHEN_STALE when another model came into force, ERR_LICHEN_BUSY while shards are laid
   * out anew, ERR_LICHEN_ABORTED.
   */
  async add(vectors: VectorsInput, options: ClusterAddOptions<K>): Promise<WriteToken> {
    return this.#write('add', vectors, options);
  }

  /** Gives keys that are there other vectors. @throws ERR_LICHEN_UNKNOWN_KEY; as {@link add}. */
  async update(vectors: VectorsInput, options: ClusterAddOptions<K>): Promise<WriteToken> {
    return this.#write('update', vectors, options);
  }

  /** As {@link update}, but keys that are not there are added. */
  async upsert(vectors: VectorsInput, options: ClusterAddOptions<K>): Promise<WriteToken> {
    return this.#write('upsert', vectors, options);
  }

  /** Removes the vectors of some keys. @throws ERR_LICHEN_UNKNOWN_KEY; as {@link add}. */
  async remove(keys: KeysInput<K>, options?: ClusterWriteOptions): Promise<WriteToken> {
    this.#requireOpen();
    const given = requireOptions(options, CLUSTER_WRITE_OPTIONS);
    return this.#writes.write('remove', keys, undefined, undefined, given);
  }

  /** Gives the vectors of some keys other values of the attributes named. @throws as {@link remove}. */
  async setAttributes(
    keys: KeysInput<K>,
    attributes: AttributesInput,
    options?: ClusterWriteOptions,
  ): Promise<WriteToken> {
    this.#requireOpen();
    const given = requireOptions(options, CLUSTER_WRITE_OPTIONS);
    return this.#writes.write('setAttributes', keys, undefined, attributes, given);
  }

  /**
   * Lets a replica of each shard write a snapshot of what it holds now into the object store, which also leaves dead rows
   * out; fulfilled when all are there. @throws ERR_LICHEN_DEADLINE, ERR_LICHEN_IO.
   */
  async checkpoint(): Promise<void> {
    this.#requireOpen();
    const { map } = this.#view;
    const end = performance.now() + CHECKPOINT_MS;
    const { sequences } = this.#writes.token;
    await Promise.all(
      Array.from({ length: map.shards }, (_, shard) =>
        checkpointOf(this.#view, shard, sequences[shard] ?? 0, end),
      ),
    );
  }

  /**
   * What every replica tells of itself.
   * @param waitMs how long answers are waited for at most, 1 to 60,000.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_IO.
   */
  async stats(waitMs = 1000): Promise<ClusterStatistics> {
    this.#requireOpen();
    const { map, cluster } = this.#view;
    requireInteger('waitMs', waitMs, 1, 60_000);
    const statistics = await clusterStatistics(cluster, map, waitMs);
    for (const { shard, size } of statistics.shards) {
      if (size !== undefined) this.#searches.noteSize(shard, size);
    }
    return statistics;
  }

  /** Looks whether another map has come into force. */
  async refresh(): Promise<boolean> {
    this.#requireOpen();
    return this.#view.refresh();
  }

  /** Ends the connection. What has not been acknowledged may or may not be stored. */
  async close(): Promise<void> {
    this.#searches.close();
    await this.#view.close();
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #write(
    kind: 'add' | 'update' | 'upsert',
    vectors: VectorsInput,
    options: ClusterAddOptions<K>,
  ): Promise<WriteToken> {
    this.#requireOpen();
    const given = requireKeys(requireOptions(options, CLUSTER_ADD_OPTIONS));
    return this.#writes.write(kind, given.keys, vectors, given.attributes, given);
  }

  async #fetch(
    keys: readonly Key[],
    wants: { readonly wantsVectors?: boolean; readonly wantsAttributes?: boolean },
  ) {
    this.#requireOpen();
    for (const key of keys) requireKey(key);
    const { consistency, deadline } = this.#options;
    const { token } = this.#writes;
    return fetchRows(this.#view, keys, {
      ...wants,
      after: consistency === 'session' ? token.sequences : [],
      end: performance.now() + deadline,
    });
  }

  #requireOpen(): void {
    if (this.#view.isClosed) {
      throw new LichenError('ERR_LICHEN_CLOSED', 'the cluster index is closed');
    }
  }
}
