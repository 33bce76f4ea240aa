import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { decodeFrame } from '../../src/cluster/frame.js';
import { createCluster } from '../../src/cluster/index.js';
import type { ClusterAddress, ShardIndexOptions, ClusterIndex } from '../../src/cluster/index.js';
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
    // After a cut they take their time, which is no fault of what is put to the proof.
    nats.patienceMs = WHOLE_MS;
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
      ...(await this.differences()),
      ...this.nodes.map(({ shard, lines }) => `shard ${shard}: ${lines.slice(-8).join(' | ')}`),
    ].join('\n');
  }

  /** Where the servers' copies of streams hold different messages under the same number. */
  async differences(): Promise<string[]> {
    const found: string[] = [];
    for (let shard = 0; shard < SHARDS; shard++) {
      const copies: Map<number, string>[] = [];
      for (const { url } of this.nats.servers) copies.push(await copyOf(url, this.stream(shard)));
      const numbers = [...new Set(copies.flatMap((copy) => [...copy.keys()]))].sort(
        (a, b) => a - b,
      );
      for (const number of numbers) {
        const held = copies.map((copy) => copy.get(number) ?? 'nothing');
        if (new Set(held).size > 1) found.push(`shard ${shard}, ${number}: ${held.join(' | ')}`);
      }
    }
    return found;
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) {
      await node.kill();
      node.wipe();
    }
    await this.nats.stop();
  }
}

/** Sequence and id of what one server gives out of a stream: it prefers its own copy. */
async function copyOf(url: string, stream: string): Promise<Map<number, string>> {
  const connection = await connect({ servers: url, ignoreClusterUpdates: true });
  const copy = new Map<number, string>();
  try {
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(stream);
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.direct.getMessage(stream, { seq }).catch(() => null);
      if (message !== null) copy.set(seq, idOf(message.data));
    }
  } finally {
    await connection.close();
  }
  return copy;
}

function idOf(data: Uint8Array): string {
  try {
    return String(decodeFrame(data, true).header['id']);
  } catch {
    return 'damaged';
  }
}
