import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, LichenError } from '../errors.js';
import { openIndex } from '../index/open.js';
import type { Key } from '../index/types.js';
import { writeAtomically } from '../vectors/atomic.js';
import { AppliedIds } from './applied-ids.js';
import { natsError, type Cluster } from './connection.js';
import { broken, decodeFrame, encodeFrame } from './frame.js';
import {
  emptyIndex,
  readCheckpoint,
  rulesOfMap,
  writeCheckpoint,
  type Checkpoint,
  type ShardMap,
} from './shard-map.js';
import { ShardState } from './shard-state.js';
import { getFile, putFile } from './snapshot-objects.js';
import { removeObject, removeOlder } from './snapshot-removal.js';

/** A shard of an epoch, and where its replica keeps files. */
export interface ShardPlace {
  readonly cluster: Cluster;
  readonly map: ShardMap;
  readonly shard: number;
  readonly directory: string;
}

/** A snapshot of this replica's own is taken unless the object store's is ahead by more changes. */
const MOST_BEHIND = 10_000;
const TRIES = 5;

/**
 * A shard as the newest snapshot has it, this replica's own or the object store's; empty if there is none and the stream
 * still has every change.
 * @param trustsOwn whether this replica's own snapshots may be taken.
 * @throws ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_NOT_FOUND without a stream, ERR_LICHEN_MEMORY.
 */
export async function loadShard(place: ShardPlace, trustsOwn = true): Promise<ShardState> {
  await mkdir(place.directory, { recursive: true }).catch((cause: unknown) => {
    throw fileError('make', place.directory, cause);
  });
  for (let tries = 1; ; tries++) {
    try {
      return await tryToLoad(place, trustsOwn);
    } catch (error) {
      // A checkpoint may be replaced, and its objects removed, while they are read.
      if (tries === TRIES || (error as LichenError).code === 'ERR_LICHEN_MEMORY') throw error;
    }
  }
}

async function tryToLoad(place: ShardPlace, trustsOwn: boolean): Promise<ShardState> {
  const { cluster, map, shard } = place;
  const stored = await readCheckpoint(await cluster.bucket(), map.epoch, shard);
  const newest = stored?.checkpoint.sequence ?? 0;
  const { first, last } = await keptChanges(place);
  for (const sequence of await ownSnapshots(place)) {
    const isUsable =
      trustsOwn && sequence + 1 >= first && sequence <= last && newest - sequence <= MOST_BEHIND;
    const state = isUsable ? await openOwn(place, sequence) : undefined;
    if (state !== undefined) return state;
    await removeOwn(place, sequence);
  }
  if (stored !== undefined) {
    await fetchSnapshot(place, stored.checkpoint);
    const state = await openOwn(place, newest);
    if (state !== undefined) return state;
    throw new LichenError(
      'ERR_LICHEN_FORMAT',
      `the snapshot ${newest} of shard ${shard} is damaged`,
    );
  }
  if (first > 1) {
    const message = `shard ${shard} has no snapshot, and its stream begins with change ${first}`;
    throw new LichenError('ERR_LICHEN_FORMAT', message);
  }
  return new ShardState(emptyIndex(map.index), rulesOfMap(map), new AppliedIds(), 0);
}

/** The first change that the stream still has, and the last one. */
async function keptChanges({ cluster, map, shard }: ShardPlace) {
  try {
    const { state } = await cluster.manager.streams.info(cluster.names.stream(map.epoch, shard));
    return { first: state.first_seq, last: state.last_seq };
  } catch (cause) {
    throw natsError(`looking at the stream of shard ${shard}`, cause);
  }
}

async function fetchSnapshot(place: ShardPlace, checkpoint: Checkpoint): Promise<void> {
  const path = snapshotPath(place, checkpoint.sequence);
  await getFile(place.cluster, `${checkpoint.object}.ids`, `${path}.ids`);
  await getFile(place.cluster, checkpoint.object, path);
}

/** The state of a file; undefined if it is damaged or not what it says. */
async function openOwn(place: ShardPlace, sequence: number): Promise<ShardState | undefined> {
  const path = snapshotPath(place, sequence);
  try {
    const { header, sections } = decodeFrame(await readFile(`${path}.ids`), true);
    const { fingerprint } = header;
    if (!Number.isSafeInteger(fingerprint)) throw broken('it has no fingerprint');
    const ids = AppliedIds.fromBytes(sections[0] ?? new Uint8Array());
    const index = await openIndex<Key>(path);
    if (index.label.snapshotVersion === sequence && index.dim === place.map.index.dim) {
      return new ShardState(index, rulesOfMap(place.map), ids, sequence, fingerprint as number);
    }
    index.close();
  } catch (error) {
    if ((error as LichenError).code === 'ERR_LICHEN_MEMORY') throw error;
  }
  return undefined;
}

/** Writes the shard as it is to a file of this replica; gives its path. */
export async function saveOwn(place: ShardPlace, state: ShardState) {
  const draft = join(place.directory, `${stem(place)}draft`);
  const { ids, ...saved } = await state.save(draft, place.map.modelVersion);
  const { sequence, fingerprint } = saved;
  const path = snapshotPath(place, sequence);
  await writeAtomically(`${path}.ids`, async (handle) => {
    await handle.writeFile(encodeFrame({ fingerprint }, [ids], true));
  });
  await rename(draft, path);
  for (const older of await ownSnapshots(place)) {
    if (older < sequence) await removeOwn(place, older);
  }
  return { ...saved, path };
}

/**
 * Puts a snapshot of the shard into the object store and names it in the key-value store; then the changes up to the one
 * before it may go, and the one before that.
 * @throws ERR_LICHEN_BUSY if another replica has just done so, ERR_LICHEN_IO.
 */
export async function checkpointShard(
  place: ShardPlace,
  state: ShardState,
  replica: string,
): Promise<Checkpoint | undefined> {
  const { cluster, map, shard } = place;
  const bucket = await cluster.bucket();
  const before = await readCheckpoint(bucket, map.epoch, shard);
  const last = before?.checkpoint;
  if (last !== undefined && differs(state, last)) throw diverged(shard, last.sequence);
  const { path, ...saved } = await saveOwn(place, state);
  const { sequence } = saved;
  if (last !== undefined && last.sequence >= sequence) return undefined;
  const object = `${map.epoch}-${shard}-${sequence}-${replica}`;
  await putFile(cluster, `${object}.ids`, `${path}.ids`);
  await putFile(cluster, object, path);
  const checkpoint: Checkpoint = { ...saved, object };
  const revision = before?.revision ?? 0;
  try {
    await writeCheckpoint(bucket, { epoch: map.epoch, shard }, checkpoint, revision);
  } catch (error) {
    // Another replica was first: nobody will ask for this one.
    if ((error as LichenError).code === 'ERR_LICHEN_BUSY') {
      await Promise.allSettled(
        [object, `${object}.ids`].map((name) => removeObject(cluster, name)),
      );
    }
    throw error;
  }
  await trim(place, last);
  return checkpoint;
}

/** Whether a replica has done other changes, or in another order, than the one that made a checkpoint. */
export function differs({ history }: ShardState, { sequence, fingerprint }: Checkpoint): boolean {
  return (history.at(sequence) ?? fingerprint) !== fingerprint;
}

function diverged(shard: number, sequence: number): LichenError {
  const message = `this replica of shard ${shard} has other changes up to ${sequence} than the last checkpoint`;
  return new LichenError('ERR_LICHEN_FORMAT', message);
}

/** What no replica needs any more. It is tidying: what fails here is done by the next. */
async function trim({ cluster, map, shard }: ShardPlace, last?: Checkpoint): Promise<void> {
  if (last === undefined) return;
  const { streams } = cluster.manager;
  await Promise.allSettled([
    streams.purge(cluster.names.stream(map.epoch, shard), { seq: last.sequence + 1 }),
    removeOlder(cluster, { epoch: map.epoch, shard }, last.sequence),
  ]);
}

/** Changes that the replica's own snapshots end with, the newest first. */
async function ownSnapshots(place: ShardPlace): Promise<number[]> {
  const begin = stem(place);
  const names = await readdir(place.directory);
  return names
    .filter((name) => name.startsWith(begin) && name.endsWith('.lichen'))
    .map((name) => Number(name.slice(begin.length, -'.lichen'.length)))
    .filter((sequence) => Number.isSafeInteger(sequence))
    .sort((one, other) => other - one);
}

/** Removes every file of a shard of an epoch. */
export async function removeFiles(place: ShardPlace): Promise<void> {
  const begin = stem(place);
  for (const name of await readdir(place.directory)) {
    if (name.startsWith(begin)) await rm(join(place.directory, name), { force: true });
  }
}

async function removeOwn(place: ShardPlace, sequence: number): Promise<void> {
  const path = snapshotPath(place, sequence);
  await rm(path, { force: true });
  await rm(`${path}.ids`, { force: true });
}

function snapshotPath(place: ShardPlace, sequence: number): string {
  return join(place.directory, `${stem(place)}${sequence}.lichen`);
}

function stem({ cluster: { names }, map, shard }: ShardPlace): string {
  return `${names.tenant}.${names.index}.${map.epoch}.${shard}.`;
}
