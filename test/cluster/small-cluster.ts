import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ClusterIndex,
  ClusterNode,
  createCluster,
  type ClusterAddress,
  type ClusterIndexOptions,
  type ShardIndexOptions,
} from '../../src/cluster/index.js';
import { openCluster, type Cluster } from '../../src/cluster/connection.js';
import { openIndex } from '../../src/index/open.js';
import type { Key } from '../../src/index/types.js';
import { until } from '../servers/processes.js';

/** What a {@link SmallCluster} is to be. */
export interface SmallClusterOptions extends ClusterAddress {
  index: ShardIndexOptions;
  shards?: number;
  replicas?: number;
  /** Shards that have nodes; all of them where it is left out. */
  served?: readonly number[];
  /** Who the nodes are, where that is somebody else than who makes the index. */
  nodeAddress?: ClusterAddress;
}

/** An index on a NATS server that runs, with nodes in this process. */
export class SmallCluster implements AsyncDisposable {
  readonly nodes: ClusterNode[] = [];
  /** By node. */
  readonly directories: string[] = [];
  readonly #clients: ClusterIndex<Key>[] = [];

  private constructor(
    readonly address: ClusterAddress,
    readonly shards: number,
    private readonly nodeAddress: ClusterAddress,
  ) {}

  static async start(options: SmallClusterOptions): Promise<SmallCluster> {
    const { index, shards = 3, replicas = 2, served, nodeAddress, ...address } = options;
    const cluster = new SmallCluster(address, shards, nodeAddress ?? address);
    await createCluster({ ...address, shards, index });
    const all = served ?? Array.from({ length: shards }, (_, shard) => shard);
    for (let replica = 0; replica < replicas; replica++) {
      for (const shard of all) await cluster.startNode(shard);
    }
    await Promise.all(cluster.nodes.map(({ ready }) => ready));
    return cluster;
  }

  async startNode(shard: number, directory = this.newDirectory()): Promise<ClusterNode> {
    const { nodeAddress, shards } = this;
    const node = await ClusterNode.start({
      ...{ ...nodeAddress, shard, shards, directory },
      // So often that what it tells is new.
      pollInterval: 50,
    });
    this.nodes.push(node);
    return node;
  }

  /** Ends all nodes, and begins them again with what they kept. */
  async restart(): Promise<void> {
    const before = this.nodes.splice(0);
    const shards = before.map((node) => node.statistics().shard);
    await Promise.all(before.map((node) => node.close()));
    for (const [at, shard] of shards.entries()) await this.startNode(shard, this.directories[at]);
    await Promise.all(this.nodes.map(({ ready }) => ready));
  }

  /** A client, which is closed with the cluster. */
  async connect<K extends Key = number>(
    options: Partial<ClusterIndexOptions> = {},
  ): Promise<ClusterIndex<K>> {
    // The processors of a test are busy with others.
    const client = await ClusterIndex.connect<K>({ ...this.address, deadline: 20_000, ...options });
    this.#clients.push(client);
    return client;
  }

  /** Until every replica has done all changes that its stream holds. */
  async settled(): Promise<void> {
    await using inside = await this.inside();
    const { manager, names } = inside.cluster;
    await until(async () => {
      for (const node of this.nodes) {
        const { shard, epochs } = node.statistics();
        const newest = epochs.at(-1);
        if (newest?.isReady !== true) return false;
        const { state } = await manager.streams.info(names.stream(newest.epoch, shard));
        if (newest.sequence !== state.last_seq) return false;
      }
      return true;
    }, 'all changes on all replicas');
  }

  /** The way that nodes and clients reach NATS. */
  async inside(): Promise<{ cluster: Cluster } & AsyncDisposable> {
    const cluster = await openCluster(this.address);
    return { cluster, [Symbol.asyncDispose]: () => cluster.close() };
  }

  /** Closes the nodes, and gives what each has written of its shard: its vectors and attributes by key. */
  async contents(): Promise<{ shard: number; rows: Map<Key, unknown> }[]> {
    await this.settled();
    const shards = this.nodes.map((node) => node.statistics().shard);
    await Promise.all(this.nodes.map((node) => node.close()));
    return Promise.all(
      this.directories.map(async (directory, at) => {
        const file = readdirSync(directory).find((name) => name.endsWith('.lichen'))!;
        using index = await openIndex<Key>(join(directory, file));
        const rows = [...(index.keys() as unknown as Key[])].map((key): [Key, unknown] => {
          const attributes = index.attributesOf([key] as unknown as string[]);
          return [key, { vector: index.get(key), attributes }];
        });
        rows.sort(([one], [other]) => (one < other ? -1 : 1));
        return { shard: shards[at]!, rows: new Map(rows) };
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#clients.map((client) => client.close()));
    await Promise.allSettled(this.nodes.map((node) => node.close()));
    for (const directory of this.directories) rmSync(directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  private newDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'lichen-node-'));
    this.directories.push(directory);
    return directory;
  }
}
