import { LichenAbortError, refusal } from '../errors.js';
import { onAbort } from './abort-listeners.js';
import type { Queued } from './request-queue.js';

/** How a request ended that has no result. */
export type Loss = 'failed' | 'aborted' | 'expired' | 'displaced';

/** One call of `submit`: what it asks for, and a promise that is settled once. */
export class BatchRequest<I, O> implements Queued {
  readonly promise: Promise<O>;
  /** Whether it does not stand in the queue. */
  isGone = true;
  isSettled = false;
  /** What it is part of, once that has begun. */
  batch: RunningBatch<I, O> | undefined;
  #resolve!: (result: O) => void;
  #reject!: (error: unknown) => void;
  readonly #stopListening: (() => void) | undefined;

  /** @param lost is called when it is settled without a result */
  constructor(
    readonly item: I,
    readonly priority: number,
    readonly tenant: string,
    readonly arrivedAt: number,
    /** When its result is needed, as of `performance.now`; Infinity: whenever it comes. */
    readonly until: number,
    signal: AbortSignal | undefined,
    private readonly lost: (request: BatchRequest<I, O>, how: Loss) => void,
  ) {
    this.promise = new Promise<O>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#stopListening =
      signal &&
      onAbort(signal, () => {
        const error = new LichenAbortError('the request was aborted', { cause: signal.reason });
        this.fail(error, 'aborted');
      });
  }

  succeed(result: O): boolean {
    if (!this.settle()) return false;
    this.#resolve(result);
    return true;
  }

  fail(error: unknown, how: Loss = 'failed'): void {
    if (!this.settle()) return;
    this.lost(this, how);
    this.#reject(error);
  }

  /** It waited too long, or would have to. */
  expire(now: number): void {
    const waited = Math.round(now - this.arrivedAt);
    const message =
      now >= this.until
        ? `the request waited ${waited} ms and was not begun by its deadline`
        : `the request waited ${waited} ms and would not have been done by its deadline`;
    this.fail(refusal('ERR_LICHEN_DEADLINE', message), 'expired');
  }

  private settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.#stopListening?.();
    return true;
  }
}

/** A batch that is being done. */
export class RunningBatch<I, O> {
  readonly #abort = new AbortController();
  readonly #requests: readonly BatchRequest<I, O>[];
  #waiting: number;

  constructor(requests: readonly BatchRequest<I, O>[]) {
    this.#requests = requests;
    this.#waiting = requests.length;
    for (const request of requests) request.batch = this;
  }

  /** Fires when nobody waits for it any more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  items(): I[] {
    return this.#requests.map(({ item }) => item);
  }

  /** One of its requests is settled without its result. */
  lost(): void {
    if (--this.#waiting === 0) this.#abort.abort();
  }
}
