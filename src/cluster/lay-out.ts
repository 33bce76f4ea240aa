import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LichenError, throwIfAborted } from '../errors.js';
import type { AttributesInput } from '../index/attributes.js';
import type { HnswIndex } from '../index/hnsw.js';
import type { Key, KeysInput } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { natsError, type Cluster } from './connection.js';
import { encodeFrame } from './frame.js';
import { shardOf } from './names.js';
import { emptyIndex, writeCheckpoint, type ShardIndexOptions, type ShardMap } from './shard-map.js';
import { putFile } from './snapshot-objects.js';

/** How laying out is watched and ended. */
export interface LayOutOptions {
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told how many vectors are laid out, and of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Rows whose vectors are read at a time. */
const SOME_ROWS = 10_000;

/** What an index is made of, so that shards can be made like it. */
export function optionsOfIndex(index: VectorIndex<Key>): ShardIndexOptions {
  const isGraph = 'm' in index;
  const graph = index as HnswIndex<Key>;
  return {
    ...{ kind: isGraph ? 'hnsw' : 'flat', keys: index.keyKind === 'string' ? 'string' : 'integer' },
    ...{ dim: index.dim, metric: index.metric, storage: index.storage },
    ...(index.rerank !== undefined && { rerank: index.rerank }),
    ...(index.subspaces !== undefined && { subspaces: index.subspaces }),
    ...(index.pca !== undefined && { pca: index.pca }),
    ...(isGraph && { m: graph.m, efConstruction: graph.efConstruction }),
    ...(Object.keys(index.attributes).length > 0 && { attributes: index.attributes }),
  };
}

/** Makes the streams of an epoch; those that are there must be as they would be made. @throws ERR_LICHEN_IO */
export async function makeStreams({ manager, names, packages }: Cluster, map: ShardMap) {
  const { RetentionPolicy, StorageType, DiscardPolicy } = packages.jetstream;
  for (let shard = 0; shard < map.shards; shard++) {
    try {
      await manager.streams.add({
        ...{ name: names.stream(map.epoch, shard), subjects: [names.write(map.epoch, shard)] },
        ...{ retention: RetentionPolicy.Limits, storage: StorageType.File },
        // What does not fit is refused: nothing that was acknowledged goes.
        ...{ discard: DiscardPolicy.New, num_replicas: map.copies },
        // Its servers give out single changes, also while nobody leads it.
        allow_direct: true,
      });
    } catch (cause) {
      throw natsError(`making the stream of shard ${shard}`, cause);
    }
  }
}

/**
 * Builds the shards of an epoch from what some indexes hold, one after another, and puts each into the object store, as
 * what its stream begins after.
 * @throws ERR_LICHEN_IO, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED.
 */
export async function layOut(
  cluster: Cluster,
  map: ShardMap,
  sources: readonly VectorIndex<Key>[],
  { signal, onProgress }: LayOutOptions,
): Promise<void> {
  const total = sources.reduce((sum, { size }) => sum + size, 0);
  const folder = await mkdtemp(join(tmpdir(), 'lichen-layout-'));
  let done = 0;
  try {
    for (let shard = 0; shard < map.shards; shard++) {
      throwIfAborted(signal, 'laying out shards');
      const index = emptyIndex(map.index);
      try {
        const rows = rowsOf(sources, shard, map);
        if (rows.keys.length > 0) await fill(index, rows, signal);
        await putShard(cluster, map, shard, index, join(folder, `${shard}.lichen`));
        done += rows.keys.length;
        onProgress?.(done, total);
      } finally {
        index.close();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface ShardRows {
  readonly keys: Key[];
  readonly vectors: Float32Array;
  readonly attributes: AttributesInput | undefined;
}

function rowsOf(sources: readonly VectorIndex<Key>[], shard: number, map: ShardMap): ShardRows {
  const { dim, attributes: schema = {} } = map.index;
  const own = sources.map((source) => ({
    source,
    keys: [...source.keys()].filter((key: Key) => shardOf(key, map.shards) === shard),
  }));
  const keys: Key[] = [];
  const vectors = new Float32Array(own.reduce((sum, one) => sum + one.keys.length, 0) * dim);
  const columns = new Map<string, unknown[]>(Object.keys(schema).map((name) => [name, []]));
  for (const { source, keys: some } of own) {
    for (let from = 0; from < some.length; from += SOME_ROWS) {
      const part = some.slice(from, from + SOME_ROWS);
      for (const key of part) {
        const vector = source.get(key);
        if (vector === undefined)
          throw new LichenError('ERR_LICHEN_BUSY', 'the source is changing');
        vectors.set(vector, keys.length * dim);
        keys.push(key);
      }
      if (columns.size === 0) continue;
      const values = source.attributesOf(part as unknown as KeysInput<Key>);
      for (const [name, column] of columns) {
        for (const value of values[name]!) column.push(value);
      }
    }
  }
  const attributes = columns.size === 0 ? undefined : Object.fromEntries(columns);
  return { keys, vectors, attributes: attributes as AttributesInput | undefined };
}

async function fill(
  index: VectorIndex<Key>,
  { keys, vectors, attributes }: ShardRows,
  signal: AbortSignal | undefined,
): Promise<void> {
  await index.add(vectors, {
    keys: keys as unknown as KeysInput<Key>,
    ...(attributes && { attributes }),
    ...(signal && { signal }),
  });
}

async function putShard(
  cluster: Cluster,
  map: ShardMap,
  shard: number,
  index: VectorIndex<Key>,
  path: string,
): Promise<void> {
  const { modelVersion, epoch } = map;
  const bytes = await index.save(path, {
    snapshotVersion: 0,
    ...(modelVersion !== undefined && { modelVersion }),
  });
  await writeFile(`${path}.ids`, encodeFrame({ fingerprint: 0 }, [new Uint8Array()], true));
  const object = `${epoch}-${shard}-0-layout`;
  await putFile(cluster, `${object}.ids`, `${path}.ids`);
  await putFile(cluster, object, path);
  const checkpoint = { sequence: 0, object, bytes, size: index.size, fingerprint: 0 };
  await writeCheckpoint(await cluster.bucket(), { epoch, shard }, checkpoint, 0);
  await rm(path, { force: true });
}
