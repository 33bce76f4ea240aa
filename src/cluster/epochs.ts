import type { StreamConfig } from '@nats-io/jetstream';
import { LichenError, throwIfAborted } from '../errors.js';
import { askNodes } from './cluster-statistics.js';
import { isNotFound, natsError, type Cluster } from './connection.js';
import { readMap, writeMap, type ShardMap } from './shard-map.js';
import { pause } from './pause.js';
import { removeOlder } from './snapshot-removal.js';
import { newWriterId } from './writer.js';

/** How long replicas are waited for. */
export interface SwitchOptions {
  /** Milliseconds for all replicas to have prepared the next epoch. Default 60,000. */
  readonly waitMs?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Called whenever another number of shards is prepared. */
  readonly onPrepared?: ((shards: number, of: number) => void) | undefined;
}

const LOOK_MS = 250;
const ANSWER_MS = 500;
const CLAIM_EVERY_MS = 15_000;

/** Whether all is prepared: every replica of the next epoch's shards that answers, and one of each at least. */
async function preparedShards(cluster: Cluster, next: ShardMap): Promise<number> {
  const nodes = (await askNodes(cluster, ANSWER_MS)).filter(({ shards }) => shards === next.shards);
  let prepared = 0;
  for (let shard = 0; shard < next.shards; shard++) {
    const own = nodes.filter((node) => node.shard === shard);
    const isReady = (node: (typeof own)[number]) =>
      node.epochs.some(({ epoch, isReady: is }) => epoch === next.epoch && is);
    if (own.length > 0 && own.every(isReady)) prepared++;
  }
  return prepared;
}

/**
 * The second phase of a swap: waits until the next epoch is prepared everywhere, and puts it in force for all at once, by
 * one write. Replicas go on answering to the epoch before for a while, since clients learn of it within a second.
 * @throws ERR_LICHEN_NOT_FOUND if no epoch is prepared; ERR_LICHEN_DEADLINE: it stays prepared then, and this can be called
 * again; ERR_LICHEN_BUSY, ERR_LICHEN_ABORTED, ERR_LICHEN_IO.
 */
export async function switchEpoch(
  cluster: Cluster,
  { waitMs = 60_000, signal, onPrepared }: SwitchOptions = {},
): Promise<ShardMap> {
  const bucket = await cluster.bucket();
  const next = await readMap(bucket, 'next');
  if (next === undefined) {
    throw new LichenError('ERR_LICHEN_NOT_FOUND', 'no other epoch is prepared or being prepared');
  }
  const { shards } = next.map;
  const end = performance.now() + waitMs;
  let told = -1;
  for (;;) {
    throwIfAborted(signal, 'switching epochs');
    const prepared = await preparedShards(cluster, next.map);
    if (prepared !== told) onPrepared?.((told = prepared), shards);
    if (prepared === shards) break;
    if (performance.now() > end) {
      const message = `only ${prepared} of ${shards} shards are prepared: start their nodes (--shard i/${shards}), then lichen cluster switch`;
      throw new LichenError('ERR_LICHEN_DEADLINE', message);
    }
    await pause(LOOK_MS, signal);
  }
  const current = await readMap(bucket, 'current');
  await writeMap(bucket, 'current', next.map, current);
  await bucket.delete('next').catch(() => undefined);
  if (current !== undefined) await sealStreams(cluster, current.map);
  return next.map;
}

/** From now on the streams of an epoch take nothing more. Sealing twice does nothing. @throws ERR_LICHEN_IO */
export async function sealStreams({ manager, names }: Cluster, map: ShardMap): Promise<void> {
  for (let shard = 0; shard < map.shards; shard++) {
    const stream = names.stream(map.epoch, shard);
    try {
      const { config } = await manager.streams.info(stream);
      const change: Partial<StreamConfig> = { sealed: true };
      if (!config.sealed) await manager.streams.update(stream, change);
    } catch (cause) {
      if (!isNotFound(cause)) throw natsError(`sealing the stream of shard ${shard}`, cause);
    }
  }
}

/** Removes what is left of a shard of an epoch that is over: its stream, its snapshots, what is written of them. */
export async function dropShard(cluster: Cluster, epoch: number, shard: number): Promise<void> {
  const bucket = await cluster.bucket();
  await Promise.allSettled([
    cluster.manager.streams.delete(cluster.names.stream(epoch, shard)),
    removeOlder(cluster, { epoch, shard }, Infinity),
    bucket.purge(`checkpoint.${epoch}.${shard}`),
  ]);
}

/** Removes all epochs but those given. @throws ERR_LICHEN_IO */
export async function dropOtherEpochs(cluster: Cluster, keep: readonly number[]): Promise<void> {
  const { manager, names } = cluster;
  const begin = `LICHEN_${names.tenant}_${names.index}_`;
  try {
    for await (const stream of manager.streams.names()) {
      if (!stream.startsWith(begin)) continue;
      const [epoch, shard] = stream.slice(begin.length).split('_').map(Number);
      if (!keep.includes(epoch!)) await dropShard(cluster, epoch!, shard!);
    }
  } catch (cause) {
    throw natsError('looking for old epochs', cause);
  }
}

/**
 * Runs `work` while no other process lays this index out anew. A claim ends by itself a minute after its process.
 * @throws ERR_LICHEN_LOCKED, what `work` throws.
 */
export async function alone<T>(cluster: Cluster, work: () => Promise<T>): Promise<T> {
  const claims = await cluster.claims();
  const owner = newWriterId();
  try {
    await claims.create('admin', owner);
  } catch (cause) {
    const message = 'another process is laying this index out, or was until a minute ago';
    throw new LichenError('ERR_LICHEN_LOCKED', message, { cause });
  }
  const timer = setInterval(() => {
    claims.put('admin', owner).catch(() => undefined);
  }, CLAIM_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await claims.delete('admin').catch(() => undefined);
  }
}
