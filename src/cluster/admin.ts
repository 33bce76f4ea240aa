import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { badArgument } from '../cache/cache-limits.js';
import { LichenError } from '../errors.js';
import { requireInteger, requireOptions } from '../index/arguments.js';
import { openIndex } from '../index/open.js';
import type { Key } from '../index/types.js';
import {
  ADDRESS_OPTIONS,
  natsError,
  openCluster,
  type Cluster,
  type ClusterAddress,
} from './connection.js';
import { alone, dropOtherEpochs, sealStreams, switchEpoch, type SwitchOptions } from './epochs.js';
import { followStream } from './follower.js';
import { layOut, makeStreams, optionsOfIndex, type LayOutOptions } from './lay-out.js';
import { MOST_SHARDS } from './names.js';
import { loadShard, type ShardPlace } from './shard-files.js';
import {
  emptyIndex,
  readMap,
  requireMap,
  writeMap,
  type ShardIndexOptions,
  type ShardMap,
  type StoredMap,
} from './shard-map.js';
import type { ShardState } from './shard-state.js';
import { pause } from './pause.js';

/** Options of {@link createCluster}. */
export interface CreateClusterOptions extends ClusterAddress, LayOutOptions {
  /** Shards that vectors are spread over by their keys, 1 to 1,024. */
  shards: number;
  /** NATS servers that keep every change and snapshot, 1 to 5. Default: 3 in a cluster of servers, else 1. */
  copies?: number | undefined;
  /** What every shard is. Default: as the index of `from`. */
  index?: ShardIndexOptions | undefined;
  /** Path of a snapshot file whose vectors are spread over the shards. Default: they begin empty. */
  from?: string | undefined;
  /** The version of the model that made the vectors. Default: what is written on the file. */
  modelVersion?: string | undefined;
}

/** Options of {@link publishToCluster}. */
export interface PublishToClusterOptions extends ClusterAddress, LayOutOptions, SwitchOptions {
  /** Path of a snapshot file: what the index holds from then on. */
  from: string;
  /** Default: what is written on the file. */
  modelVersion?: string | undefined;
  /** Default: as many as now. */
  shards?: number | undefined;
}

/** Options of {@link reshardCluster}. */
export interface ReshardOptions extends ClusterAddress, LayOutOptions, SwitchOptions {
  /** How many shards there are to be. */
  shards: number;
}

const LAY_OUT_OPTIONS = ['signal', 'onProgress'] as const;
const SWITCH_OPTIONS = ['waitMs', 'signal', 'onPrepared'] as const;
const CREATE_OPTIONS = [
  ...ADDRESS_OPTIONS,
  ...LAY_OUT_OPTIONS,
  ...(['shards', 'copies', 'index', 'from', 'modelVersion'] as const),
] as const;
const PUBLISH_OPTIONS = [
  ...ADDRESS_OPTIONS,
  ...SWITCH_OPTIONS,
  ...(['onProgress', 'from', 'modelVersion', 'shards'] as const),
] as const;
const RESHARD_OPTIONS = [...ADDRESS_OPTIONS, ...SWITCH_OPTIONS, 'onProgress', 'shards'] as const;
const CLAIM_MS = 60_000;
const QUIET_MS = 1000;

/**
 * Makes an index on a NATS cluster: its buckets, the streams of its shards, its shard map, and snapshots where it does not
 * begin empty. Then nodes can be started.
 * @throws ERR_LICHEN_ARGUMENT; ERR_LICHEN_DUPLICATE_KEY if the tenant has an index of that name; as connecting and reading.
 *
 * @example
 * await createCluster({ servers: 'nats://10.0.0.1:4222', name: 'items', shards: 2, from: 'items.lichen' });
 */
export async function createCluster(options: CreateClusterOptions): Promise<ShardMap> {
  const given = requireOptions(options, CREATE_OPTIONS);
  requireInteger('shards', given.shards, 1, MOST_SHARDS);
  if ((given.from === undefined) === (given.index === undefined)) {
    throw badArgument('give either index, what an empty index is to be, or from, a snapshot file');
  }
  const source = given.from === undefined ? undefined : await openIndex<Key>(given.from);
  try {
    return await withCluster(given, async (cluster) => {
      const copies = given.copies ?? (cluster.connection.info?.cluster === undefined ? 1 : 3);
      const modelVersion = given.modelVersion ?? source?.label.modelVersion;
      const index = given.index ?? optionsOfIndex(source!);
      const map: ShardMap = { epoch: 1, shards: given.shards, copies, modelVersion, index };
      requireMap(map);
      emptyIndex(index).close();
      await makeStores(cluster, copies);
      return alone(cluster, async () => {
        const bucket = await cluster.bucket();
        if ((await readMap(bucket, 'current')) !== undefined) {
          const message = `${cluster.names.tenant} has an index ${cluster.names.index} already`;
          throw new LichenError('ERR_LICHEN_DUPLICATE_KEY', message);
        }
        // What a call before left that did not come to its end.
        await dropOtherEpochs(cluster, []);
        await makeStreams(cluster, map);
        if (source !== undefined) await layOut(cluster, map, [source], given);
        return (await writeMap(bucket, 'current', map, undefined)).map;
      });
    });
  } finally {
    source?.close();
  }
}

/**
 * Puts another version of the index in force: the vectors of a snapshot file, in shards of their own, which every replica
 * loads beside what it serves; when all have, they switch at once. Changes that were made of the version before are not in
 * it. Searches never mix versions.
 * @throws ERR_LICHEN_DEADLINE if not all replicas are prepared in time; {@link switchCluster} goes on from there.
 *
 * @example
 * await publishToCluster({ servers: 'nats://10.0.0.1:4222', name: 'items', from: 'items-2.lichen' });
 */
export async function publishToCluster(options: PublishToClusterOptions): Promise<ShardMap> {
  const given = requireOptions(options, PUBLISH_OPTIONS);
  if (given.shards !== undefined) requireInteger('shards', given.shards, 1, MOST_SHARDS);
  const source = await openIndex<Key>(given.from);
  try {
    return await withCluster(given, (cluster) =>
      alone(cluster, async () => {
        const { current, epoch } = await beginEpoch(cluster);
        const { copies, shards } = current.map;
        const modelVersion = given.modelVersion ?? source.label.modelVersion;
        const map: ShardMap = {
          ...{ epoch, shards: given.shards ?? shards, copies, modelVersion },
          index: optionsOfIndex(source),
        };
        await prepare(cluster, map, async () => layOut(cluster, map, [source], given));
        return switchEpoch(cluster, given);
      }),
    );
  } finally {
    source.close();
  }
}

/**
 * Spreads the index over another number of shards. Its streams take no changes from now until the switch (those who make
 * some wait, or get ERR_LICHEN_BUSY); searches go on. Nodes of the new shards may be started before, meanwhile or after.
 * All vectors pass through the memory of this process.
 * @throws ERR_LICHEN_DEADLINE if not all new replicas are there in time; {@link switchCluster} goes on from there.
 *
 * @example
 * await reshardCluster({ servers: 'nats://10.0.0.1:4222', name: 'items', shards: 4 });
 */
export async function reshardCluster(options: ReshardOptions): Promise<ShardMap> {
  const given = requireOptions(options, RESHARD_OPTIONS);
  requireInteger('shards', given.shards, 1, MOST_SHARDS);
  return withCluster(given, (cluster) =>
    alone(cluster, async () => {
      const { current, epoch } = await beginEpoch(cluster);
      if (current.map.shards === given.shards) {
        throw badArgument(`the index has ${given.shards} shards already`);
      }
      const map: ShardMap = { ...current.map, epoch, shards: given.shards };
      await sealStreams(cluster, current.map);
      await quiet(cluster, current.map);
      await prepare(cluster, map, () => layOutFrom(cluster, current.map, map, given));
      return switchEpoch(cluster, given);
    }),
  );
}

/**
 * Puts an epoch in force that was prepared before, once all replicas have it.
 * @throws ERR_LICHEN_NOT_FOUND if no epoch is prepared; ERR_LICHEN_DEADLINE: it stays prepared then; ERR_LICHEN_BUSY,
 * ERR_LICHEN_ABORTED, ERR_LICHEN_IO.
 *
 * @example
 * await switchCluster({ servers: 'nats://10.0.0.1:4222', name: 'items', waitMs: 300_000 });
 */
export async function switchCluster(options: ClusterAddress & SwitchOptions): Promise<ShardMap> {
  const given = requireOptions(options, [...ADDRESS_OPTIONS, ...SWITCH_OPTIONS]);
  return withCluster(given, (cluster) => alone(cluster, () => switchEpoch(cluster, given)));
}

/**
 * Removes an index with all that it has in NATS. Nodes that run end.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_IO, ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * await dropCluster({ servers: 'nats://10.0.0.1:4222', name: 'items' });
 */
export async function dropCluster(options: ClusterAddress): Promise<void> {
  const given = requireOptions(options, ADDRESS_OPTIONS);
  await withCluster(given, async (cluster) => {
    const bucket = await cluster.bucket();
    await bucket.purge('current');
    await bucket.purge('next');
    await dropOtherEpochs(cluster, []);
    const { manager, names } = cluster;
    const stores = [`KV_${names.claims}`, `OBJ_${names.snapshots}`, `KV_${names.bucket}`];
    for (const store of stores) await manager.streams.delete(store).catch(() => undefined);
  });
}

async function withCluster<T>(
  address: ClusterAddress,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = await openCluster(address);
  try {
    return await work(cluster);
  } finally {
    await cluster.close();
  }
}

async function makeStores({ packages, jetstream, names }: Cluster, copies: number): Promise<void> {
  const kv = new packages.kv.Kvm(jetstream);
  const stores = new packages.obj.Objm(jetstream);
  try {
    await kv.create(names.bucket, { replicas: copies, history: 1, allow_direct: false });
    await kv.create(names.claims, { replicas: copies, ttl: CLAIM_MS, allow_direct: false });
    await stores.create(names.snapshots, { replicas: copies });
  } catch (cause) {
    throw natsError('making the buckets', cause);
  }
}

/** The map in force, and the number of the epoch that comes; what was being prepared is given up. */
async function beginEpoch(
  cluster: Cluster,
): Promise<{ readonly current: StoredMap; readonly epoch: number }> {
  const bucket = await cluster.bucket();
  const current = await readMap(bucket, 'current');
  if (current === undefined) {
    throw new LichenError('ERR_LICHEN_NOT_FOUND', 'the index has no shard map that is in force');
  }
  const next = await readMap(bucket, 'next');
  if (next !== undefined) await bucket.purge('next');
  const epoch = Math.max(current.map.epoch, next?.map.epoch ?? 0) + 1;
  await dropOtherEpochs(cluster, [current.map.epoch]);
  return { current, epoch };
}

/** The first phase: all that replicas need is there before they are told of it. */
async function prepare(cluster: Cluster, map: ShardMap, fill: () => Promise<void>): Promise<void> {
  requireMap(map);
  await makeStreams(cluster, map);
  await fill();
  await writeMap(await cluster.bucket(), 'next', map, undefined);
}

/** What was on its way into streams when they were sealed has arrived. */
async function quiet({ manager, names }: Cluster, map: ShardMap): Promise<void> {
  const look = async () => {
    const ends: number[] = [];
    for (let shard = 0; shard < map.shards; shard++) {
      const { state } = await manager.streams.info(names.stream(map.epoch, shard));
      ends.push(state.last_seq);
    }
    return ends.join();
  };
  let before = '';
  for (let now = await look(); now !== before; now = await look()) {
    before = now;
    await pause(QUIET_MS);
  }
}

async function layOutFrom(
  cluster: Cluster,
  from: ShardMap,
  to: ShardMap,
  options: LayOutOptions,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'lichen-reshard-'));
  const states: ShardState[] = [];
  try {
    for (let shard = 0; shard < from.shards; shard++) {
      states.push(await loadWhole({ cluster, map: from, shard, directory }));
    }
    await layOut(
      ...([cluster, to] as const),
      states.map(({ index }) => index),
      options,
    );
  } finally {
    for (const { index } of states) index.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** A shard with all changes that its stream holds. */
async function loadWhole(place: ShardPlace): Promise<ShardState> {
  const { cluster, map, shard } = place;
  const state = await loadShard(place);
  const stream = cluster.names.stream(map.epoch, shard);
  const { last_seq: last } = (await cluster.manager.streams.info(stream)).state;
  let failure: unknown;
  const follower = followStream(cluster, stream, state, {
    onGap: () =>
      (failure = new LichenError('ERR_LICHEN_FORMAT', `changes of shard ${shard} are missing`)),
    onFailure: (error) => (failure = error),
    onTrouble: () => undefined,
  });
  while (failure === undefined && !(await state.reaches(last, 200)));
  await follower.stop();
  if (failure === undefined) return state;
  state.index.close();
  throw failure as Error;
}
