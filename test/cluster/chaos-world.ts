import { ClusterIndex, createCluster } from '../../src/cluster/index.js';
import type { ClusterAddress, ShardIndexOptions } from '../../src/cluster/index.js';
import { startNatsCluster, type NatsCluster } from '../servers/nats.js';
import { NodeProcess } from './node-process.js';

export const SHARDS = 3;
const REPLICAS = 2;
const NAME = 'chaos';
const WHOLE_MS = 60_000;
export const INDEX: ShardIndexOptions = { kind: 'hnsw', keys: 'integer', dim: 8, metric: 'l2' };

/** Three NATS servers, an index on them of three shards, two replicas of each as processes. */
export class ChaosWorld {
  private constructor(
    readonly nats: NatsCluster,
    readonly nodes: readonly NodeProcess[],
  ) {}

  /** @param checkpointEvery few, so that snapshots are made and streams trimmed during faults. */
  static async start(namespaces: boolean, checkpointEvery: number): Promise<ChaosWorld> {
    const nats = await startNatsCluster(3, { namespaces });
    const args = [
      ...['--name', NAME, '--nats', nats.urls.join(',')],
      ...['--checkpoint-every', String(checkpointEvery)],
    ];
    const nodes = Array.from(
      { length: SHARDS * REPLICAS },
      (_, at) => new NodeProcess(at % SHARDS, SHARDS, args),
    );
    const world = new ChaosWorld(nats, nodes);
    try {
      await createCluster({ ...world.address, shards: SHARDS, index: INDEX });
      for (const node of nodes) node.start();
      await Promise.all(nodes.map((node) => node.ready));
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  get address(): ClusterAddress {
    return { servers: this.nats.urls, name: NAME };
  }

  /** The stream of a shard. */
  stream(shard: number): string {
    return `LICHEN_default_${NAME}_1_${shard}`;
  }

  /** Until every replica answers and has done all changes that were acknowledged before this call. */
  async whole(index: ClusterIndex): Promise<void> {
    const { sequences } = index.token;
    let told = '';
    const isWhole = async (): Promise<boolean> => {
      const { shards } = await index.stats(1500);
      told = JSON.stringify(shards.map(({ replicas }) => replicas));
      return shards.every(({ shard, replicas }) => {
        const caughtUp = replicas.filter(
          ({ isReady, sequence }) => isReady && sequence >= sequences[shard]!,
        );
        return caughtUp.length === REPLICAS;
      });
    };
    const end = performance.now() + WHOLE_MS;
    while (!(await isWhole())) {
      if (performance.now() < end) continue;
      const lines = this.nodes.map(({ lines: own }) => own.slice(-5).join('\n')).join('\n');
      throw new Error(`not all replicas have ${sequences.join()}: ${told}\n${lines}`);
    }
  }

  /** Where replicas and the copies of streams on each server stand, for whoever looks for what went wrong. */
  async describe(index: ClusterIndex): Promise<string> {
    interface Told {
      account_details?: { stream_detail?: { name: string; state: object; cluster: object }[] }[];
    }
    const { shards } = await index.stats(1500);
    const replicas = shards.map(({ replicas: own }) =>
      own.map(({ sequence, duplicates, checkpoint }) => ({ sequence, duplicates, checkpoint })),
    );
    const servers = await Promise.all(
      this.nats.servers.map((server) => server.monitor<Told>('/jsz?accounts=1&streams=1')),
    );
    const streams = servers.map((told) =>
      told?.account_details
        ?.flatMap((account) => account.stream_detail ?? [])
        .filter(({ name }) => name.startsWith('LICHEN_'))
        .map(({ name, state, cluster }) => JSON.stringify({ name, state, cluster })),
    );
    return [
      `acknowledged up to ${index.token.sequences.join()}`,
      ...replicas.map((own, shard) => `shard ${shard}: ${JSON.stringify(own)}`),
      ...streams.flatMap((own, server) => [`server ${server}`, ...(own ?? [])]),
      ...this.nodes.map(({ shard, lines }) => `shard ${shard}: ${lines.slice(-8).join(' | ')}`),
    ].join('\n');
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) {
      await node.kill();
      node.wipe();
    }
    await this.nats.stop();
  }
}
