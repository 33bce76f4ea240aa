import { LichenError, type LichenErrorCode } from '../errors.js';
import { askNodes } from './cluster-statistics.js';
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
/** Between two looks at what the replica that makes it tells of itself. */
const ASK_MS = 2000;
/** A replica that has not made its snapshot by then may have died meanwhile. */
const MAKING_MS = 60_000;
/** Another replica may be able to. */
const MOST_FAILURES = 3;

/**
 * Has a snapshot made of a shard, by another replica if the one that was asked first dies or cannot.
 * @param after the change that must be in it.
 * @throws as {@link askShard}; ERR_LICHEN_IO with what replicas tell, when they could not make it.
 */
export async function checkpointOf(
  view: ClusterView,
  shard: number,
  after: number,
  end: number,
): Promise<void> {
  const { cluster, map } = view;
  const question: ShardQuestion<{ readonly sequence: number; readonly replica: unknown }> = {
    ...{ epoch: map.epoch, shard, sections: [] },
    header: { ask: 'checkpoint', after, withinMs: 1000 },
    read: ({ header: { sequence, replica } }) => {
      if (!Number.isSafeInteger(sequence)) throw broken('it has no sequence');
      return { sequence: sequence as number, replica };
    },
  };
  for (let failures = 0; ;) {
    const wanted = await askShard(cluster, question, end);
    const failure = await waitForCheckpoint(view, { shard, ...wanted }, end);
    if (failure === 'made') return;
    if (failure === undefined || ++failures < MOST_FAILURES) continue;
    const message = `shard ${shard} could not make a checkpoint: ${failure.why}`;
    throw new LichenError('ERR_LICHEN_IO', message);
  }
}

/** Until it is there, or its replica tells why not; undefined when nothing is heard of it. */
async function waitForCheckpoint(
  { cluster, map }: ClusterView,
  { shard, sequence, replica }: { shard: number; sequence: number; replica: unknown },
  end: number,
): Promise<'made' | { readonly why: string } | undefined> {
  const again = Math.min(end, performance.now() + MAKING_MS);
  let ask = performance.now() + ASK_MS;
  while (performance.now() < again) {
    // Not to be asked just now is no failure: that is what the time is for.
    const stored = await cluster
      .bucket()
      .then((bucket) => readCheckpoint(bucket, map.epoch, shard))
      .catch(() => undefined);
    if ((stored?.checkpoint.sequence ?? 0) >= sequence) return 'made';
    requireOpen(cluster);
    if (performance.now() >= ask) {
      const nodes = await askNodes(cluster, ASK_MS).catch(() => []);
      const its = nodes.find((node) => node.replica === replica)?.epochs;
      const why = its?.find(({ epoch }) => epoch === map.epoch)?.checkpointError;
      if (typeof why === 'string') return { why };
      ask = performance.now() + ASK_MS;
    }
    await pause(LOOK_MS);
  }
  return undefined;
}
