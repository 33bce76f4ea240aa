import { natsError, type Cluster } from './connection.js';
import type { NodeStatistics } from './cluster-node.js';
import type { EpochStatistics } from './epoch-replica.js';
import type { ShardMap } from './shard-map.js';

/** A replica as it tells of itself, in the epoch that is in force. */
export interface ReplicaStatistics {
  /** The name that it gave itself when it started. */
  readonly replica: string;
  /** The name of its machine. */
  readonly host: string;
  /** Its process. */
  readonly pid: number;
  /** The version of lichen. */
  readonly version: string;
  /** Whether it answers. */
  readonly isReady: boolean;
  /** The last change that searches find. */
  readonly sequence: number;
  /** Changes of the stream that it has not done yet, as of its last look; undefined before that. */
  readonly lag: number | undefined;
  /** The change that its newest checkpoint ends with. */
  readonly checkpoint: number;
  /** Why it could not make the last checkpoint that it began; undefined if it could. */
  readonly checkpointError: string | undefined;
  /** Vectors in its shard. */
  readonly size: number;
  /** Bytes of memory of its shard. */
  readonly bytes: number;
  /** Changes that were damaged, hostile, or against the rules of the index. */
  readonly rejected: number;
  /** Copies of changes that were done before. */
  readonly duplicates: number;
  /** Changes done late, since they were missing in what it had read. */
  readonly mended: number;
  /** Requests that it was asked. */
  readonly requests: number;
  /** Requests that it answered with an error. */
  readonly errors: number;
  /** Epochs that it holds besides. */
  readonly otherEpochs: readonly {
    /** Its number. */
    readonly epoch: number;
    /** Whether it answers. */
    readonly isReady: boolean;
  }[];
}

/** A shard in the epoch that is in force. */
export interface ShardStatistics {
  /** Its number, from 0. */
  readonly shard: number;
  /** Vectors; undefined if no replica tells. */
  readonly size: number | undefined;
  /** Those that tell, by name. */
  readonly replicas: readonly ReplicaStatistics[];
}

/** What the replicas of an index tell of themselves. */
export interface ClusterStatistics {
  /** The shard map that is in force. */
  readonly map: ShardMap;
  /** Every shard of it, with or without replicas. */
  readonly shards: readonly ShardStatistics[];
  /** Nodes that hold a shard of another number of shards. */
  readonly others: readonly NodeStatistics[];
}

const STALL_MS = 150;

/** Asks all replicas; whoever does not answer in time is not in it. @throws ERR_LICHEN_IO */
export async function clusterStatistics(
  cluster: Cluster,
  map: ShardMap,
  waitMs: number,
): Promise<ClusterStatistics> {
  const nodes = await askNodes(cluster, waitMs);
  const mine = nodes.filter(({ shards }) => shards === map.shards);
  return {
    map,
    shards: Array.from({ length: map.shards }, (_, shard) => {
      const replicas = mine
        .filter((node) => node.shard === shard)
        .map((node) => replicaOf(node, map.epoch))
        .sort((one, other) => (one.replica < other.replica ? -1 : 1));
      const ready = replicas.filter(({ isReady }) => isReady);
      const size = ready.length === 0 ? undefined : Math.max(...ready.map((one) => one.size));
      return { shard, size, replicas };
    }),
    others: nodes.filter(({ shards }) => shards !== map.shards),
  };
}

/** Every node of the index that answers. @throws ERR_LICHEN_IO */
export async function askNodes(
  { connection, names }: Cluster,
  waitMs: number,
): Promise<NodeStatistics[]> {
  const nodes: NodeStatistics[] = [];
  try {
    const answers = await connection.requestMany(names.stats, '', {
      ...{ strategy: 'stall', stall: Math.min(STALL_MS, waitMs), maxWait: waitMs, noMux: true },
    });
    for await (const answer of answers) {
      const node = nodeOf(answer.data);
      if (node !== undefined) nodes.push(node);
    }
  } catch (cause) {
    if (!/no responders/i.test((cause as Error).message)) throw natsError('asking replicas', cause);
  }
  return nodes;
}

/** Undefined for what no node has sent. */
function nodeOf(data: Uint8Array): NodeStatistics | undefined {
  try {
    const node = JSON.parse(Buffer.from(data).toString()) as NodeStatistics;
    const isOne =
      typeof node.replica === 'string' &&
      Number.isSafeInteger(node.shard) &&
      Number.isSafeInteger(node.shards) &&
      Array.isArray(node.epochs) &&
      node.epochs.every(isEpoch);
    return isOne ? node : undefined;
  } catch {
    return undefined;
  }
}

function isEpoch({ epoch, sequence, size, changes, requests }: EpochStatistics): boolean {
  const figures = [epoch, sequence, size, changes.rejected, changes.duplicates];
  return [...figures, requests.requests, requests.errors, requests.rejected].every((figure) =>
    Number.isSafeInteger(figure),
  );
}

function replicaOf(node: NodeStatistics, epoch: number): ReplicaStatistics {
  const { replica, host, pid, version } = node;
  const here = node.epochs.find((one) => one.epoch === epoch);
  return {
    ...{ replica, host, pid, version, isReady: here?.isReady ?? false },
    ...{ sequence: here?.sequence ?? 0, lag: here?.lag, checkpoint: here?.checkpoint ?? 0 },
    checkpointError: here?.checkpointError,
    ...{ size: here?.size ?? 0, bytes: here?.bytes ?? 0 },
    ...{ rejected: (here?.changes.rejected ?? 0) + (here?.requests.rejected ?? 0) },
    ...{ duplicates: here?.changes.duplicates ?? 0, mended: here?.changes.mended ?? 0 },
    ...{ requests: here?.requests.requests ?? 0, errors: here?.requests.errors ?? 0 },
    otherEpochs: node.epochs
      .filter((one) => one.epoch !== epoch)
      .map((one) => ({ epoch: one.epoch, isReady: one.isReady })),
  };
}
