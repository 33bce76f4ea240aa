import type { KV, KvEntry } from '@nats-io/kv';
import { badArgument } from '../cache/cache-limits.js';
import { LichenError } from '../errors.js';
import { requireDim, requireInteger, resolveRerank, resolveStorage } from '../index/arguments.js';
import { resolveSchema, type AttributeSchema, type ResolvedSchema } from '../index/attributes.js';
import { FlatIndex } from '../index/flat.js';
import { HnswIndex } from '../index/hnsw.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { parseMetric, type Metric } from '../vectors/metric.js';
import type { StorageType } from '../vectors/storage-type.js';
import { natsError } from './connection.js';
import { broken } from './frame.js';
import { MOST_SHARDS } from './names.js';
import type { WriteRules } from './write-message.js';

/** What every shard is: options of `HnswIndex` or `FlatIndex`, and the kind of keys. */
export interface ShardIndexOptions {
  /** `hnsw`: a graph; `flat`: exact search. */
  readonly kind: 'hnsw' | 'flat';
  /** What kind of keys vectors have. */
  readonly keys: 'integer' | 'string';
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  /** How vectors are kept. Default `f32`. */
  readonly storage?: StorageType | undefined;
  /** How they are kept once more, to score the best results anew. Default: they are not. */
  readonly rerank?: StorageType | undefined;
  /** Of storage `pq`, as in `HnswOptions`. */
  readonly subspaces?: number | undefined;
  /** Principal components that codes are of. */
  readonly pca?: number | undefined;
  /** Decides what is random in building. */
  readonly seed?: number | undefined;
  /** Links a vector of a graph. Default 16. */
  readonly m?: number | undefined;
  /** Beam while building a graph. */
  readonly efConstruction?: number | undefined;
  /** Names and kinds of attributes. */
  readonly attributes?: AttributeSchema | undefined;
}

/** How an index is spread, in one epoch: another model or another number of shards begins a new one. */
export interface ShardMap {
  /** Its number; a map with a greater one takes its place. */
  readonly epoch: number;
  /** Shards that keys are spread over. */
  readonly shards: number;
  /** NATS servers that keep each change and snapshot. */
  readonly copies: number;
  /** The version of the model that made the vectors. */
  readonly modelVersion: string | undefined;
  /** What every shard is. */
  readonly index: ShardIndexOptions;
}

/** A map and where it stands in the bucket. */
export interface StoredMap {
  readonly map: ShardMap;
  readonly revision: number;
}

/** A snapshot of a shard in the object store. */
export interface Checkpoint {
  /** The last change that is in it. */
  readonly sequence: number;
  /** The snapshot's name; `NAME.ids` has the ids of the changes that it has seen last. */
  readonly object: string;
  readonly bytes: number;
  readonly size: number;
  /** Of all changes up to the last that is in it: see `History`. */
  readonly fingerprint: number;
}

/** The map that is in force, and the one that is being prepared. */
export type MapKey = 'current' | 'next';

/** The map under a key; undefined if there is none. @throws ERR_LICHEN_IO, ERR_LICHEN_FORMAT. */
export async function readMap(bucket: KV, key: MapKey): Promise<StoredMap | undefined> {
  const entry = await getEntry(bucket, key);
  return entry === undefined
    ? undefined
    : { map: parseMap(textOf(entry)), revision: entry.revision };
}

/**
 * Writes a map, if the bucket still holds what was read.
 * @param before what was read; undefined: nothing.
 * @throws ERR_LICHEN_BUSY when somebody else has written meanwhile, ERR_LICHEN_IO.
 */
export async function writeMap(
  bucket: KV,
  key: MapKey,
  map: ShardMap,
  before: StoredMap | undefined,
): Promise<StoredMap> {
  const text = JSON.stringify(map);
  try {
    const revision =
      before === undefined
        ? await bucket.create(key, text)
        : await bucket.update(key, text, before.revision);
    return { map, revision };
  } catch (cause) {
    throw conflictOr(cause, 'writing the shard map');
  }
}

/** The newest checkpoint of a shard. */
export async function readCheckpoint(
  bucket: KV,
  epoch: number,
  shard: number,
): Promise<{ readonly checkpoint: Checkpoint; readonly revision: number } | undefined> {
  const entry = await getEntry(bucket, checkpointKey(epoch, shard));
  if (entry === undefined) return undefined;
  const value = parseJson(textOf(entry));
  const { sequence, object, bytes, size, fingerprint } = value;
  const numbers = [sequence, bytes, size, fingerprint];
  if (!numbers.every((number) => Number.isSafeInteger(number)) || typeof object !== 'string') {
    throw broken('it is no checkpoint');
  }
  return { checkpoint: value as unknown as Checkpoint, revision: entry.revision };
}

/** @param revision of the checkpoint before; 0: there is none. @throws ERR_LICHEN_BUSY, ERR_LICHEN_IO. */
export async function writeCheckpoint(
  bucket: KV,
  { epoch, shard }: { readonly epoch: number; readonly shard: number },
  checkpoint: Checkpoint,
  revision: number,
): Promise<void> {
  const key = checkpointKey(epoch, shard);
  const text = JSON.stringify(checkpoint);
  try {
    if (revision === 0) await bucket.create(key, text);
    else await bucket.update(key, text, revision);
  } catch (cause) {
    throw conflictOr(cause, 'writing the checkpoint');
  }
}

function checkpointKey(epoch: number, shard: number): string {
  return `checkpoint.${epoch}.${shard}`;
}

/** Where a replica says that it is ready for an epoch. */
export function preparedKey(epoch: number, shard: number, replica: string): string {
  return `prepared.${epoch}.${shard}.${replica}`;
}

async function getEntry(bucket: KV, key: string): Promise<KvEntry | undefined> {
  try {
    const entry = await bucket.get(key);
    return entry === null || entry.operation !== 'PUT' ? undefined : entry;
  } catch (cause) {
    throw natsError(`reading ${key}`, cause);
  }
}

function textOf(entry: KvEntry): string {
  return Buffer.from(entry.value).toString();
}

function conflictOr(cause: unknown, what: string): LichenError {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  if (code !== 10071 && !/wrong last sequence|key exists/i.test(String(message))) {
    return natsError(what, cause);
  }
  return new LichenError('ERR_LICHEN_BUSY', `${what}: somebody else has just done so`, { cause });
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === 'object') return value as Record<string, unknown>;
  } catch {
    // As below.
  }
  throw broken('it is no JSON object');
}

/** @throws ERR_LICHEN_FORMAT for what is no map. */
export function parseMap(text: string): ShardMap {
  const value = parseJson(text) as unknown as ShardMap;
  try {
    requireMap(value);
  } catch (cause) {
    throw broken(`the shard map: ${(cause as Error).message}`);
  }
  return value;
}

/** @throws ERR_LICHEN_ARGUMENT for a map that cannot be. */
export function requireMap({ epoch, shards, copies, index, modelVersion }: ShardMap): void {
  requireInteger('epoch', epoch, 1, 2 ** 31);
  requireInteger('shards', shards, 1, MOST_SHARDS);
  requireInteger('copies', copies, 1, 5);
  if (modelVersion !== undefined && typeof modelVersion !== 'string') {
    throw badArgument('modelVersion is no string');
  }
  if (index === null || typeof index !== 'object') throw badArgument('it describes no index');
  if (index.kind !== 'hnsw' && index.kind !== 'flat')
    throw badArgument('kind must be hnsw or flat');
  if (index.keys !== 'integer' && index.keys !== 'string') {
    throw badArgument('keys must be integer or string');
  }
  parseMetric(index.metric);
  resolveRerank(index.rerank, resolveStorage(index, requireDim(index.dim)));
  resolveSchema(index.attributes ?? {});
}

export function schemaOfMap({ index }: ShardMap): ResolvedSchema {
  return resolveSchema(index.attributes ?? {});
}

/** What changes must go with. */
export function rulesOfMap(map: ShardMap): WriteRules {
  const { dim, keys } = map.index;
  return { dim, keys, schema: schemaOfMap(map) };
}

/** An empty index as a shard has it. @throws ERR_LICHEN_ARGUMENT. */
export function emptyIndex(options: ShardIndexOptions): VectorIndex<Key> {
  const { kind, dim, metric, storage, rerank, subspaces, pca, seed, attributes } = options;
  const shared = { dim, metric, storage, rerank, subspaces, pca, seed, attributes };
  if (kind === 'flat') return new FlatIndex<Key>(shared);
  const { m, efConstruction } = options;
  return new HnswIndex<Key>({ ...shared, m, efConstruction });
}
