import { Random, type ClusterIndex, type WriteToken } from '../../src/index.js';
import type * as messages from '../../src/cluster/write-message.js';
import { closedLoop, type ClosedLoop } from './closed-loop.js';
import type { Deployment } from './cluster-fleet.js';
import { compiledPart } from './compiled.js';
import { mixture } from './vectors.js';

/** What changes are measured with. */
export interface WriteOptions {
  readonly deployment: Deployment;
  readonly dim: number;
  /** Keys from here on are free. */
  readonly firstKey: number;
  /** Of a measurement. */
  readonly seconds: number;
  readonly rounds: number;
}

/** One kind of change, awaited by so many at once. */
export interface WriteKind {
  readonly name: string;
  /** Rows of a call. */
  readonly rows: number;
  readonly atOnce: number;
  readonly rounds: readonly ClosedLoop[];
}

/** A change and a search that must find it, in microseconds. */
export interface Visibility {
  readonly visibleUs: readonly Float64Array[];
  /** Searches of the same kind where nothing has changed. */
  readonly searchUs: readonly Float64Array[];
  /** Changes that the first search did not find and the next one did: none, if all is well. */
  readonly unseen: number;
}

const SIZES = [
  { rows: 1, many: 64 },
  { rows: 100, many: 8 },
] as const;
/** Many rows are taken quicker than replicas do them: not for longer than this. */
const MANY_SECONDS = 1;
const POOL = 20_000;
const EF = 100;
const SETTLE_MS = 300_000;
const STREAM = 'BENCH';

/** Changes one after another and many at once; beside them what NATS takes to keep as many bytes on as many servers. */
export async function measureWrites(options: WriteOptions): Promise<WriteKind[]> {
  const { deployment, dim, seconds, rounds } = options;
  const { manager, packages } = deployment.cluster;
  await manager.streams.add({
    ...{ name: STREAM, subjects: [STREAM], num_replicas: deployment.index.map.copies },
    storage: packages.jetstream.StorageType.File,
  });
  try {
    const upsert = upserter(options);
    const kinds = SIZES.flatMap(({ rows, many }) =>
      [1, many].flatMap((atOnce) => [
        { name: 'upsert', rows, atOnce, work: () => upsert(rows) },
        { name: 'NATS', rows, atOnce, work: publisher(options, rows) },
      ]),
    );
    const measured = kinds.map((): ClosedLoop[] => []);
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [at, { rows, atOnce, work }] of kinds.entries()) {
        const least = rows * atOnce === 1 ? seconds : Math.min(seconds, MANY_SECONDS);
        const loop = await closedLoop(atOnce, least / 4, work);
        if (round > 0) measured[at]!.push(loop);
        // Replicas that are behind would take processors from what comes next, and streams that grow the disk.
        await settle(deployment.index, dim);
        await manager.streams.purge(STREAM);
      }
    }
    return kinds.map(({ name, rows, atOnce }, at) => ({
      ...{ name, rows, atOnce, rounds: measured[at]! },
    }));
  } finally {
    await manager.streams.delete(STREAM);
  }
}

/** Waits until replicas have done all that was changed: they are slower than streams take changes. */
export async function settle(index: ClusterIndex, dim: number): Promise<void> {
  await index.search(new Float32Array(dim).fill(1), {
    k: 1,
    deadline: SETTLE_MS,
    partial: 'refuse',
  });
}

/** New vectors under keys that are free, each call others. */
function upserter({ deployment: { index }, dim, firstKey }: WriteOptions) {
  const pool = mixture(7, POOL, dim);
  const random = new Random(8);
  let key = firstKey;
  return (rows: number): Promise<WriteToken> => {
    const from = (key % (POOL - rows + 1)) * dim;
    const vectors = pool.slice(from, from + rows * dim);
    // No two alike: among many of the same a graph does not find others.
    for (let row = 0; row < rows; row++) vectors[row * dim + (key % dim)]! += random.uniform() / 10;
    const keys = Array.from({ length: rows }, (_, at) => key + at);
    key += rows;
    return index.upsert(vectors, { keys });
  };
}

/** As a change goes: a message for each shard that it has rows for, all at once. */
function publisher({ deployment: { cluster, shards }, dim }: WriteOptions, rows: number) {
  const { encodeWrite } = compiledPart<typeof messages>('cluster/write-message.js');
  const parts = Math.min(shards, rows);
  const some = Math.ceil(rows / parts);
  const payload = encodeWrite({
    ...{ kind: 'upsert', id: 'x'.repeat(20), columns: undefined },
    ...{ keys: new Float64Array(some), vectors: new Float32Array(some * dim) },
  });
  return () =>
    Promise.all(Array.from({ length: parts }, () => cluster.jetstream.publish(STREAM, payload)));
}

/** Searches right after a change is acknowledged: until replicas have come to it, they wait. */
export async function measureVisibility(options: WriteOptions): Promise<Visibility> {
  const { deployment, dim, seconds, rounds } = options;
  const { index } = deployment;
  const random = new Random(11);
  let key = options.firstKey;
  const visibleUs: Float64Array[] = [];
  const searchUs: Float64Array[] = [];
  let unseen = 0;
  for (let round = 0; round < rounds; round++) {
    const taken: number[] = [];
    const plain: number[] = [];
    const end = performance.now() + 1000 * seconds;
    while (performance.now() < end) {
      // One that no other is as near as.
      const vector = Float32Array.from({ length: dim }, () => random.gaussian());
      await index.upsert(vector, { keys: [++key] });
      const acknowledged = performance.now();
      const first = await index.search(vector, { k: 10, ef: EF });
      const found = performance.now();
      const second = await index.search(vector, { k: 10, ef: EF });
      taken.push(1000 * (found - acknowledged));
      plain.push(1000 * (performance.now() - found));
      // A graph may miss it, but then it does so again.
      if (second.keys.includes(key) && !first.keys.includes(key)) unseen++;
    }
    visibleUs.push(Float64Array.from(taken));
    searchUs.push(Float64Array.from(plain));
  }
  return { visibleUs, searchUs, unseen };
}
