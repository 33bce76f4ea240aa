import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { LichenAbortError, LichenError } from '../errors.js';
import { decodeFrame, type Frame } from './frame.js';
import { HedgePolicy } from './hedge-policy.js';
import { failureOf } from './search-message.js';
import { SoleReplicas } from './sole-replicas.js';

/** A question to all shards. */
export interface Question<T> {
  /** Who asks all shards, one replica of each. */
  readonly subject: string;
  /** Who asks all replicas of a shard but the one that was asked first. */
  readonly hedgeSubject: (shard: number) => string;
  readonly shards: number;
  readonly payload: Uint8Array;
  /** What an answer says; throws for one that is none, which counts as no answer. */
  readonly read: (frame: Frame) => T;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What came back. */
export interface Answers<T> {
  /** By shard; undefined: none. */
  readonly answers: readonly (T | undefined)[];
  readonly missing: readonly number[];
  /** What shards that are missing have said last, if anything. */
  readonly failure: LichenError | undefined;
  /** Whether of a shard nothing was heard at all, not even that nobody is there. */
  readonly isSilent: boolean;
}

/** What searches of a cluster have met with. */
export interface GatherCounts {
  /** Questions asked, each to all shards or to those of its keys. */
  readonly questions: number;
  /** Shards that were asked a second time, and how many of those answered first then. */
  readonly hedges: number;
  /** Second requests that were answered first. */
  readonly hedgesWon: number;
  /** Questions that were answered without some shard. */
  readonly partial: number;
}

/** Refusals that other replicas would give as well. */
const FINAL = new Set([
  ...(['ERR_LICHEN_ARGUMENT', 'ERR_LICHEN_DIMENSION', 'ERR_LICHEN_NOT_FINITE'] as const),
  ...(['ERR_LICHEN_UNSUPPORTED', 'ERR_LICHEN_UNKNOWN_KEY', 'ERR_LICHEN_EMPTY'] as const),
  'ERR_LICHEN_FORMAT',
]);
/** A shard that nobody answers for is asked again so often, and waited for so long while that is new. */
const AGAIN_MS = 25;
const PATIENCE_MS = 300;
const DOWN_MS = 1000;

/**
 * Asks all shards by one message, and gathers an answer of each: an inbox of its own, since a shard that is late is asked
 * once more under the same reply subject, and the first answer counts.
 */
export class Gatherer {
  readonly #connection: NatsConnection;
  readonly #inbox: string;
  readonly #open = new Map<string, (shard: number | undefined, message: Msg) => void>();
  readonly #policy = new HedgePolicy();
  readonly #sole = new SoleReplicas();
  /** Until when nobody is supposed to answer for a shard. */
  readonly #downUntil = new Map<number, number>();
  readonly #counts = { questions: 0, hedges: 0, hedgesWon: 0, partial: 0 };
  #next = 0;
  readonly #unsubscribe: () => void;

  constructor(connection: NatsConnection, inbox: string) {
    this.#connection = connection;
    this.#inbox = inbox;
    const subscription = connection.subscribe(`${inbox}.>`, {
      callback: (error, message) => {
        if (error !== null) return;
        const [id, shard] = message.subject.slice(inbox.length + 1).split('.');
        this.#open.get(id!)?.(shard === undefined ? undefined : Number(shard), message);
      },
    });
    this.#unsubscribe = () => subscription.unsubscribe();
  }

  get counts(): GatherCounts {
    return this.#counts;
  }

  /** Milliseconds after which a shard is asked once more. */
  get hedgeAfterMs(): number {
    return this.#policy.afterMs;
  }

  close(): void {
    if (!this.#connection.isClosed()) this.#unsubscribe();
  }

  /** @throws what a shard refuses for good; ERR_LICHEN_UNSUPPORTED if it does not fit a message; ERR_LICHEN_ABORTED. */
  ask<T>(question: Question<T>): Promise<Answers<T>> {
    const { shards, payload, read, deadlineMs, signal } = question;
    const most = this.#connection.info?.max_payload ?? Infinity;
    if (payload.length > most) return Promise.reject(tooLong(payload.length, most));
    const id = (this.#next++).toString(36);
    const began = performance.now();
    const answers = new Array<T | undefined>(shards).fill(undefined);
    const wasHedged = new Uint8Array(shards);
    /** Shards that were asked a second time at the cost of the policy: 1. */
    const isPaid = new Uint8Array(shards);
    /** Shards that are not waited for any more: 1. */
    const isSettled = new Uint8Array(shards);
    let left = shards;
    let failure: LichenError | undefined;
    this.#counts.questions++;
    this.#policy.asked(shards);
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const abort = () => {
        const cause: unknown = signal!.reason;
        end(() => reject(new LichenAbortError('search was aborted', { cause })));
      };
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.#open.delete(id);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      const finish = (): void => {
        const missing = answers.flatMap((one, shard) => (one === undefined ? [shard] : []));
        if (missing.length > 0) this.#counts.partial++;
        for (const shard of missing) this.#sole.missed(shard);
        const isSilent = failure === undefined && missing.some((shard) => isSettled[shard] === 0);
        end(() => resolve({ answers, missing, failure, isSilent }));
      };
      const settle = (shard: number): void => {
        if (isSettled[shard] === 1) return;
        isSettled[shard] = 1;
        if (--left === 0) finish();
      };
      const askAgain = (shard: number): void => {
        if (wasHedged[shard] === 0) this.#counts.hedges++;
        wasHedged[shard] = 1;
        this.#publish(question.hedgeSubject(shard), payload, `${this.#inbox}.${id}.${shard}`);
      };
      /** Nobody answers for a shard: it may be on its way back. */
      const onNobody = (shard: number): void => {
        if (isSettled[shard] === 1) return;
        const now = performance.now();
        const isKnown = now < (this.#downUntil.get(shard) ?? 0);
        if (isKnown || now - began > Math.min(PATIENCE_MS, deadlineMs)) {
          if (!isKnown) this.#downUntil.set(shard, now + DOWN_MS);
          // It was no burden for anybody.
          if (isPaid[shard] === 1) this.#policy.refund();
          settle(shard);
          return;
        }
        setTimeout(() => this.#open.has(id) && askAgain(shard), AGAIN_MS);
      };
      this.#open.set(id, (asked, message) => {
        if (asked !== undefined && !isShard(asked, shards)) return;
        if (isNobody(message)) {
          for (let shard = asked ?? 0; shard <= (asked ?? shards - 1); shard++) onNobody(shard);
          return;
        }
        const answer = answerOf(message, shards, read);
        if (answer === undefined || answers[answer.shard] !== undefined) return;
        const { shard, replica, value, error } = answer;
        // Of all replicas of one shard, which answer for no other.
        if (asked !== undefined && asked !== shard) return;
        if (error !== undefined) {
          failure = error;
          if (FINAL.has(error.code)) end(() => reject(error));
          else if (wasHedged[shard] === 0) askAgain(shard);
          return;
        }
        answers[shard] = value;
        this.#downUntil.delete(shard);
        this.#policy.answered(performance.now() - began, asked !== undefined);
        this.#sole.answered(shard, replica, asked !== undefined);
        if (asked !== undefined) this.#counts.hedgesWon++;
        settle(shard);
      });
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      const hedgeAll = (): void => {
        timer = setTimeout(finish, Math.max(0, began + deadlineMs - performance.now()));
        for (let shard = 0; shard < shards; shard++) {
          const isLate = isSettled[shard] === 0 && wasHedged[shard] === 0;
          if (!isLate || this.#sole.isSole(shard) || !this.#policy.mayHedge()) continue;
          isPaid[shard] = 1;
          askAgain(shard);
        }
      };
      const { afterMs } = this.#policy;
      timer = setTimeout(afterMs < deadlineMs ? hedgeAll : finish, Math.min(afterMs, deadlineMs));
      this.#publish(question.subject, payload, `${this.#inbox}.${id}`);
    });
  }

  #publish(subject: string, payload: Uint8Array, reply: string): void {
    if (this.#connection.isClosed()) return;
    this.#connection.publish(subject, payload, { reply });
  }
}

/** NATS itself answers so when nobody listens there. */
function isNobody({ data, headers }: Msg): boolean {
  return data.length === 0 && headers?.code === 503;
}

interface ShardAnswer<T> {
  readonly shard: number;
  readonly replica: string;
  /** Undefined for a refusal. */
  readonly value: T | undefined;
  readonly error: LichenError | undefined;
}

function isShard(shard: unknown, shards: number): shard is number {
  return Number.isSafeInteger(shard) && (shard as number) >= 0 && (shard as number) < shards;
}

function tooLong(bytes: number, most: number): LichenError {
  const message = `the search takes ${bytes} bytes, and NATS takes messages of ${most}: filter, exclude or where hold less, or raise its max_payload`;
  return new LichenError('ERR_LICHEN_UNSUPPORTED', message);
}

/** Undefined for what is damaged, which counts as no answer. */
function answerOf<T>(
  { data }: Msg,
  shards: number,
  read: (frame: Frame) => T,
): ShardAnswer<T> | undefined {
  try {
    const frame = decodeFrame(data);
    const { shard, replica } = frame.header;
    if (!isShard(shard, shards) || typeof replica !== 'string') return undefined;
    const error = failureOf(frame);
    return { shard, replica, error, value: error === undefined ? read(frame) : undefined };
  } catch {
    return undefined;
  }
}
