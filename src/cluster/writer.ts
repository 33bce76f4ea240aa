import { randomBytes } from 'node:crypto';
import { errorOfCode, LichenError, type LichenErrorCode } from '../errors.js';
import { isNotFound, messageOf, natsMessage, type Cluster } from './connection.js';
import { pause } from './pause.js';

/** A change of a shard, ready to be published. */
export interface StoredPart {
  readonly shard: number;
  readonly epoch: number;
  /** A second message with this id is none. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** How long is tried. */
export interface StoreOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** So long may be tried. */
export const MOST_WRITE_MS = 60_000;
const FIRST_TRY_MS = 2000;
const PAUSE_MS = 50;
const MOST_PAUSE_MS = 1000;
const STREAM_SEALED = 10109;

/** The stream takes no more changes: another epoch has begun, or is about to. */
export class StreamEndedError extends Error {
  /** @param isCertain whether it is certain that it does not hold the change. */
  constructor(readonly isCertain: boolean) {
    super('the stream takes no more changes');
  }
}

/** The beginning of ids that nobody else's begin with. */
export function newWriterId(): string {
  return randomBytes(9).toString('base64url');
}

/**
 * Publishes a change until JetStream has it on a majority of the stream's servers, and gives its sequence. What is tried again
 * bears the same id, so replicas do it once. It is not JetStream that tells copies apart (`Nats-Msg-Id`): its servers do so
 * each by what they remember, also of what was never stored, and with NATS 2.9 a server that was cut off came to number
 * the changes of a stream otherwise than the others.
 * @throws {@link StreamEndedError}; ERR_LICHEN_DEADLINE, when it is not known whether it is stored; ERR_LICHEN_ABORTED,
 * likewise; ERR_LICHEN_IO when NATS refuses it (no permission, no space).
 */
export async function storePart(
  cluster: Cluster,
  part: StoredPart,
  { deadlineMs, signal }: StoreOptions,
): Promise<number> {
  const subject = cluster.names.write(part.epoch, part.shard);
  const stream = cluster.names.stream(part.epoch, part.shard);
  const end = performance.now() + deadlineMs;
  let isCertain = true;
  let pauseMs = PAUSE_MS;
  let last: unknown;
  for (;;) {
    const left = end - performance.now();
    if (left <= 0) throw notAcknowledged(part, deadlineMs, last);
    if (signal?.aborted) throw aborted(signal, isCertain);
    if (cluster.connection.isClosed()) throw closed(isCertain);
    try {
      const timeout = Math.min(left, FIRST_TRY_MS);
      const { seq } = await cluster.jetstream.publish(subject, part.bytes, { timeout, retries: 1 });
      if (Number.isSafeInteger(seq) && seq > 0) return seq;
      throw new Error('the stream tells no sequence');
    } catch (error) {
      last = error;
      switch (kindOf(error)) {
        case 'refused':
          throw refused(error);
        case 'ended':
          throw new StreamEndedError(isCertain);
        case 'absent':
          // Streams have nobody either while a leader is being elected.
          if (await isGone(cluster, stream)) throw new StreamEndedError(isCertain);
          break;
        case 'unknown':
          isCertain = false;
      }
    }
    await pause(Math.min(pauseMs, Math.max(0, end - performance.now())), signal);
    pauseMs = Math.min(MOST_PAUSE_MS, pauseMs * 2);
  }
}

export type PublishFailure = 'ended' | 'absent' | 'refused' | 'unknown';

export function kindOf(error: unknown): PublishFailure {
  const { code, name } = error as { code?: unknown; name?: unknown };
  const message = messageOf(error);
  if (code === STREAM_SEALED || /sealed/i.test(message)) return 'ended';
  if (name === 'NoRespondersError' || /no responders/i.test(message)) return 'absent';
  if (isNotFound(error)) return 'ended';
  if (
    /permissions violation|maximum (messages|bytes)|insufficient|limits exceeded|max.?payload/i.test(
      message,
    )
  ) {
    return 'refused';
  }
  return 'unknown';
}

async function isGone({ manager }: Cluster, stream: string): Promise<boolean> {
  try {
    await manager.streams.info(stream);
    return false;
  } catch (error) {
    return isNotFound(error);
  }
}

function refused(cause: unknown): LichenError {
  const message = `NATS does not take the change: ${natsMessage(cause)}`;
  return new LichenError('ERR_LICHEN_IO', message, { cause });
}

function notAcknowledged(part: StoredPart, ms: number, cause: unknown): LichenError {
  const message =
    `the change of shard ${part.shard} was not acknowledged within ${Math.round(ms)} ms ` +
    `(${messageOf(cause)}); it may be stored nevertheless: with the same idempotencyKey it can be tried again`;
  return new LichenError('ERR_LICHEN_DEADLINE', message, { cause });
}

function closed(isCertain: boolean): LichenError {
  const what = isCertain ? 'nothing of it is stored' : 'it may be stored nevertheless';
  return new LichenError('ERR_LICHEN_CLOSED', `the cluster index was closed; ${what}`);
}

function aborted(signal: AbortSignal, isCertain: boolean): LichenError {
  const what = isCertain ? 'nothing of it is stored' : 'it may be stored nevertheless';
  const code: LichenErrorCode = 'ERR_LICHEN_ABORTED';
  return Object.assign(errorOfCode(code, `the change was aborted; ${what}`), {
    cause: signal.reason as unknown,
  });
}
