import { LichenError } from '../errors.js';
import type { ResolvedSchema } from '../index/attributes.js';
import { openCluster, type Cluster } from './connection.js';
import type { ResolvedClusterOptions } from './cluster-options.js';
import { readMap, schemaOfMap, type ShardMap } from './shard-map.js';

/** The map that a client goes by, kept up to date. */
export class ClusterView {
  readonly cluster: Cluster;
  readonly #options: ResolvedClusterOptions;
  #map: ShardMap;
  #schema: ResolvedSchema;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #refreshing: Promise<boolean> | undefined;

  private constructor(cluster: Cluster, options: ResolvedClusterOptions, map: ShardMap) {
    this.cluster = cluster;
    this.#options = options;
    this.#map = map;
    this.#schema = schemaOfMap(map);
    this.#poll();
  }

  /** @throws as {@link openCluster}; ERR_LICHEN_NOT_FOUND if the index was never made. */
  static async open(options: ResolvedClusterOptions): Promise<ClusterView> {
    const cluster = await openCluster(options);
    try {
      const stored = await readMap(await cluster.bucket(), 'current');
      if (stored !== undefined) return new ClusterView(cluster, options, stored.map);
      const message = `the index ${options.name} has no shard map that is in force: lichen cluster create`;
      throw new LichenError('ERR_LICHEN_NOT_FOUND', message);
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get map(): ShardMap {
    return this.#map;
  }

  get schema(): ResolvedSchema {
    return this.#schema;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether another map is in force than was known. @throws ERR_LICHEN_IO */
  refresh(): Promise<boolean> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.cluster.close();
  }

  async #refresh(): Promise<boolean> {
    const stored = await readMap(await this.cluster.bucket(), 'current');
    if (stored === undefined || stored.map.epoch <= this.#map.epoch) return false;
    this.#map = stored.map;
    this.#schema = schemaOfMap(stored.map);
    this.#options.onSwap?.(stored.map);
    return true;
  }

  #poll(): void {
    this.#timer = setTimeout(() => {
      if (this.#isClosed) return;
      // What cannot be read now may be later; the map that is known stays.
      void this.refresh()
        .catch(() => undefined)
        .then(() => this.#isClosed || this.#poll());
    }, this.#options.pollInterval).unref();
  }
}
