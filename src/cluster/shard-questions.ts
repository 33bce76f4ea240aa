import { LichenError } from '../errors.js';
import { messageOf, type Cluster } from './connection.js';
import { decodeFrame, encodeFrame, type Frame } from './frame.js';
import { failureOf } from './search-message.js';

/** A question to one shard. */
export interface ShardQuestion {
  readonly epoch: number;
  readonly shard: number;
  readonly header: object;
  readonly sections: readonly ArrayBufferView[];
  /** Milliseconds for one replica. Default 1,500. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 1500;
const PAUSE_MS = 25;

/**
 * Asks a replica of a shard, and another one if it does not answer.
 * @param end when to give up, by `performance.now()`.
 * @throws what the replica refuses it for; ERR_LICHEN_DEADLINE.
 */
export async function askShard(
  { connection, names }: Cluster,
  { epoch, shard, header, sections, patienceMs = PATIENCE_MS }: ShardQuestion,
  end: number,
): Promise<Frame> {
  const payload = encodeFrame(header, sections);
  let last: unknown;
  for (;;) {
    const left = end - performance.now();
    if (left <= 0) {
      const message = `shard ${shard} did not answer in time (${messageOf(last)})`;
      throw new LichenError('ERR_LICHEN_DEADLINE', message, { cause: last });
    }
    try {
      const reply = await connection.request(names.ask(epoch, shard), payload, {
        timeout: Math.max(1, Math.min(left, patienceMs)),
      });
      const frame = decodeFrame(reply.data);
      const failure = failureOf(frame);
      if (failure === undefined) return frame;
      // Another replica may have come further, or not be about to leave.
      const isPassing = ['ERR_LICHEN_NOT_READY', 'ERR_LICHEN_CLOSED'].includes(failure.code);
      if (!isPassing) throw failure;
      last = failure;
    } catch (error) {
      if (error instanceof LichenError) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
