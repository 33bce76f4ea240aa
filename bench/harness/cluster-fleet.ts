import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClusterAddress, ClusterIndex } from '../../src/index.js';
import type * as connection from '../../src/cluster/connection.js';
import { startNatsCluster, type NatsCluster } from '../../test/servers/nats.js';
import { compiled, compiledPart } from './compiled.js';
import { NodeProcess } from './node-process.js';
import { keepTo, ownProcessors } from './processors.js';
import { childrenNamed, machineUs, processorUs } from './processor-time.js';

/** Processor time of each kind of process so far, in microseconds. */
export interface Processors {
  /** By the clock. */
  readonly elapsed: number;
  /** This process, which is the client. */
  readonly client: number;
  readonly nats: number;
  /** The replicas. */
  readonly nodes: number;
  /** Whatever else runs on this machine. */
  readonly others: number;
}

/** An index on the cluster with its replicas, and a client of it. */
export interface Deployment extends AsyncDisposable {
  readonly shards: number;
  readonly replicas: number;
  /** Processors that replicas are spread over in turns; undefined where they are kept to none. */
  readonly machines: number | undefined;
  readonly index: ClusterIndex;
  /** A connection of its own, for questions that no `ClusterIndex` asks. */
  readonly cluster: connection.Cluster;
  /** Starts one more replica of the first shard, without files. */
  addReplica(): NodeProcess;
  readonly processors: () => Processors;
}

/** As many as keep a stream together. */
const NATS_SERVERS = 3;
/** Searches that are late are to be counted as late, not as failed. */
const DEADLINE_MS = 10_000;

/** NATS servers and a folder, for one index after another. */
export class ClusterFleet implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'lichen-cluster-'));
  readonly #natsPids = childrenNamed('nats-server');
  #count = 0;

  private constructor(readonly nats: NatsCluster) {}

  static async start(): Promise<ClusterFleet> {
    return new ClusterFleet(await startNatsCluster(NATS_SERVERS));
  }

  /**
   * Makes an index of a file, and starts its replicas.
   * @param apart whether replicas have processors that are theirs alone, as if these were other machines: each one of its
   * own, or where they are too few all but one in turns. NATS and this process have the rest until the deployment is
   * disposed of.
   */
  async deploy(from: string, shards: number, replicas: number, apart = false): Promise<Deployment> {
    const { createCluster, dropCluster, ClusterIndex: Compiled } = compiled();
    const { openCluster } = compiledPart<typeof connection>('cluster/connection.js');
    const address: ClusterAddress = { servers: this.nats.urls, name: `bench-${this.#count++}` };
    const nodes: NodeProcess[] = [];
    const opened: { close(): Promise<void> }[] = [];
    const all = apart ? ownProcessors() : [];
    if (apart && all.length < 2) throw new Error('there are too few processors');
    const theirs = all.slice(Math.max(1, all.length - shards * replicas));
    const rest = all.slice(0, all.length - theirs.length);
    const machines = apart ? theirs.length : undefined;
    const add = (shard: number): NodeProcess => {
      const folder = join(this.folder, `${address.name}-${nodes.length}`);
      const processor = theirs[nodes.length % theirs.length];
      const node = new NodeProcess(address, `${shard}/${shards}`, folder, processor);
      nodes.push(node);
      return node;
    };
    const close = async (): Promise<void> => {
      for (const one of opened) await one.close();
      await Promise.all(nodes.map((node) => node.stop()));
      await dropCluster(address).catch(() => undefined);
      if (apart) keepTo(all, [process.pid, ...this.#natsPids]);
    };
    const processors = (): Processors => {
      const elapsed = 1000 * performance.now();
      const client = processorUs(process.pid);
      const nats = sum(this.#natsPids.map(processorUs));
      const ofNodes = sum(nodes.map(({ pid }) => processorUs(pid)));
      const others = machineUs() - client - nats - ofNodes;
      return { elapsed, client, nats, nodes: ofNodes, others };
    };
    try {
      if (apart) keepTo(rest, [process.pid, ...this.#natsPids]);
      await createCluster({ ...address, shards, from });
      // One after another: the first alone is not kept waiting by the others for processors.
      for (let at = 0; at < shards * replicas; at++) await add(at % shards).ready;
      const index = await Compiled.connect({ ...address, deadline: DEADLINE_MS });
      opened.push(index);
      const cluster = await openCluster(address);
      opened.push(cluster);
      return {
        ...{ shards, replicas, machines, index, cluster, processors },
        addReplica: () => add(0),
        [Symbol.asyncDispose]: close,
      };
    } catch (error) {
      await close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nats.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What was used between two looks. */
export function usedProcessors(before: Processors, after: Processors): Processors {
  return {
    elapsed: after.elapsed - before.elapsed,
    client: after.client - before.client,
    nats: after.nats - before.nats,
    nodes: after.nodes - before.nodes,
    others: after.others - before.others,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
