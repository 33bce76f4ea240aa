import { natsError, openCluster, type ClusterAddress } from './connection.js';
import type { ShardMap } from './shard-map.js';

/** What NATS tells of a shard's stream. */
export interface StreamReport {
  readonly shard: number;
  readonly lastSequence: number;
  readonly messages: number;
  readonly bytes: number;
  /** The server that leads it; undefined while there is none. */
  readonly leader: string | undefined;
  /** Servers that have all of it besides the leader, and all that should. */
  readonly current: number;
  readonly followers: number;
  /** Whether it takes no more changes. */
  readonly sealed: boolean;
}

/** The streams of an epoch. @throws as connecting; ERR_LICHEN_IO */
export async function readStreams(address: ClusterAddress, map: ShardMap): Promise<StreamReport[]> {
  const opened = await openCluster(address);
  const { manager, names } = opened;
  try {
    const reports: StreamReport[] = [];
    for (let shard = 0; shard < map.shards; shard++) {
      const { state, cluster, config } = await manager.streams.info(names.stream(map.epoch, shard));
      const followers = cluster?.replicas ?? [];
      reports.push({
        ...{ shard, lastSequence: state.last_seq, messages: state.messages, bytes: state.bytes },
        ...{ leader: cluster?.leader, followers: followers.length },
        current: followers.filter(({ current }) => current).length,
        sealed: config.sealed,
      });
    }
    return reports;
  } catch (cause) {
    throw natsError('looking at streams', cause);
  } finally {
    await opened.close();
  }
}
