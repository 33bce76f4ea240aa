import { LichenError, type LichenErrorCode } from '../errors.js';
import type { ClusterView } from './cluster-view.js';
import { messageOf, type Cluster } from './connection.js';
import { broken, decodeFrame, encodeFrame, type Frame } from './frame.js';
import { pause } from './pause.js';
import { failureOf } from './search-message.js';
import { readCheckpoint } from './shard-map.js';

/** A question to one shard. */
export interface ShardQuestion<T> {
  readonly epoch: number;
  readonly shard: number;
  readonly header: object;
  readonly sections: readonly ArrayBufferView[];
  /** What an answer says; throws for one that is none, which counts as no answer. */
  readonly read: (frame: Frame) => T;
}

/** For one replica. */
const PATIENCE_MS = 1500;
const PAUSE_MS = 25;
/** Another replica may have come further, or not be about to leave. */
const PASSING: ReadonlySet<LichenErrorCode> = new Set<LichenErrorCode>([
  'ERR_LICHEN_NOT_READY',
  'ERR_LICHEN_CLOSED',
]);

/**
 * Asks a replica of a shard, and another one if it does not answer.
 * @param end when to give up, by `performance.now()`.
 * @throws what the replica refuses it for; ERR_LICHEN_DEADLINE; ERR_LICHEN_UNSUPPORTED if it does not fit a message;
 * ERR_LICHEN_CLOSED.
 */
export async function askShard<T>(
  cluster: Cluster,
  { epoch, shard, header, sections, read }: ShardQuestion<T>,
  end: number,
): Promise<T> {
  const { connection, names } = cluster;
  const payload = encodeFrame(header, sections);
  const most = connection.info?.max_payload ?? Infinity;
  if (payload.length > most) {
    const message = `the question takes ${payload.length} bytes, and NATS takes messages of ${most}: ask for less at a time`;
    throw new LichenError('ERR_LICHEN_UNSUPPORTED', message);
  }
  let last: unknown;
  for (;;) {
    const left = end - performance.now();
    if (left <= 0) {
      const message = `shard ${shard} did not answer in time (${messageOf(last)})`;
      throw new LichenError('ERR_LICHEN_DEADLINE', message, { cause: last });
    }
    let failure: LichenError | undefined;
    try {
      const { data } = await connection.request(names.ask(epoch, shard), payload, {
        timeout: Math.max(1, Math.min(left, PATIENCE_MS)),
      });
      const frame = decodeFrame(data);
      failure = failureOf(frame);
      if (failure === undefined) return read(frame);
      last = failure;
    } catch (error) {
      last = error;
    }
    if (failure !== undefined && !PASSING.has(failure.code)) throw failure;
    requireOpen(cluster);
    await pause(PAUSE_MS);
  }
}

function requireOpen({ connection }: Cluster): void {
  if (!connection.isClosed()) return;
  throw new LichenError('ERR_LICHEN_CLOSED', 'the cluster index is closed');
}

const LOOK_MS = 100;
/** A replica that has not made its snapshot by then may have died meanwhile. */
const MAKING_MS = 60_000;

/**
 * Has a snapshot made of a shard, by another replica if the one that was asked first dies.
 * @param after the change that must be in it.
 * @throws as {@link askShard}.
 */
export async function checkpointOf(
  { cluster, map }: ClusterView,
  shard: number,
  after: number,
  end: number,
): Promise<void> {
  const { epoch } = map;
  const question: ShardQuestion<number> = {
    ...{ epoch, shard, header: { ask: 'checkpoint', after, withinMs: 1000 }, sections: [] },
    read: ({ header: { sequence } }) => {
      if (!Number.isSafeInteger(sequence)) throw broken('it has no sequence');
      return sequence as number;
    },
  };
  for (;;) {
    const wanted = await askShard(cluster, question, end);
    const again = Math.min(end, performance.now() + MAKING_MS);
    while (performance.now() < again) {
      // Not to be asked just now is no failure: that is what the time is for.
      const stored = await cluster
        .bucket()
        .then((bucket) => readCheckpoint(bucket, epoch, shard))
        .catch(() => undefined);
      if ((stored?.checkpoint.sequence ?? 0) >= wanted) return;
      requireOpen(cluster);
      await pause(LOOK_MS);
    }
  }
}
