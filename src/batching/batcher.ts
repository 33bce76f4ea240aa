import { LatencyRecord } from '../cache/guarded.js';
import { LichenArgumentError, LichenError, refusal, shown, throwIfAborted } from '../errors.js';
import { ArrivalRate } from './arrival-rate.js';
import {
  resolveBatcherOptions,
  resolveSubmitOptions,
  type BatcherOptions,
  type SubmitOptions,
} from './batcher-options.js';
import { resolveDeadline } from './deadline.js';
import { LatencyModel } from './latency-model.js';
import type { BatchPlan, BatchPolicy } from './policy.js';
import { BatchRequest, RunningBatch, type Loss } from './request.js';
import { RequestQueue } from './request-queue.js';

/** What the function of a batch is told besides the items. */
export interface BatchContext {
  /** Fires when all requests of the batch were aborted: nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/**
 * Does a batch: a result for each item, in order, or an Error for one that failed. What it throws, or rejects with, is of
 * the whole batch.
 */
export type BatchFunction<I, O> = (
  items: readonly I[],
  context: BatchContext,
) => PromiseLike<ArrayLike<O | Error>> | ArrayLike<O | Error>;

/** What a {@link Batcher} does and has done, in requests unless it says otherwise. */
export interface BatcherStatistics {
  /** Waiting for a batch. */
  readonly queued: number;
  /** In batches that have begun. */
  readonly running: number;
  /** With a result. */
  readonly completed: number;
  /** With an error of the function. */
  readonly failed: number;
  /** Given up by their callers. */
  readonly aborted: number;
  /** Dropped since they were late, or would have been. */
  readonly expired: number;
  /** Not taken, since as many waited as may. */
  readonly rejected: number;
  /** Taken, and dropped for one of a higher priority or of a tenant with fewer. */
  readonly displaced: number;
  /** Batches done. */
  readonly batches: number;
  /** Batches by size: number i counts those of up to 2^i requests and more than half of that. */
  readonly batchSizes: readonly number[];
  /** Requests a second, lately. */
  readonly arrivalRate: number;
  /** What batches take, in milliseconds: fitted to those of late, so much a batch and so much more each request. */
  readonly batchMs: number;
  /** Milliseconds more that each request of a batch takes. */
  readonly requestMs: number;
  /** Microseconds from a call until its batch began, and until it was done. */
  readonly waitP50us: number;
  /** As `waitP50us`, of 99 in 100 requests. */
  readonly waitP99us: number;
  /** Microseconds from a call until it was done, at most, of half of the requests. */
  readonly latencyP50us: number;
  /** As `latencyP50us`, of 99 in 100 requests. */
  readonly latencyP99us: number;
}

/** Requests looked at for deadlines a millisecond, at most. */
const SWEPT_A_MS = 500;

/**
 * Makes batches of single requests for a function that does many at once for less than one after the other. A batch is
 * made when one of `concurrency` executors is free: how large, and whether it waits for more, the policy decides. Requests
 * of one turn of the event loop go together.
 *
 * @example
 * const encode = new Batcher<User, Float32Array>((users) => tower.encode(users), { slo: 25 });
 * const vector = await encode.submit(user, { deadline: 25, tenant: apiKey });
 */
export class Batcher<I, O> {
  readonly #run: BatchFunction<I, O>;
  readonly #options: ReturnType<typeof resolveBatcherOptions>;
  readonly #queue = new RequestQueue<BatchRequest<I, O>>();
  readonly #arrivals = new ArrivalRate();
  readonly #latency: LatencyModel;
  readonly #waits = new LatencyRecord();
  readonly #latencies = new LatencyRecord();
  readonly #batchSizes: number[] = [];
  readonly #lost: Record<Loss, number> = { failed: 0, aborted: 0, expired: 0, displaced: 0 };
  #executors = 0;
  #running = 0;
  #completed = 0;
  #rejected = 0;
  #batches = 0;
  #isScheduled = false;
  /** For a batch that waits to be full, and for requests whose deadline comes while they wait. */
  #delay: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #expiryAt = Infinity;
  /** No deadline of a request that waits is earlier. */
  #nextUntil = Infinity;
  #hasPolicyFailed = false;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  /** @throws ERR_LICHEN_ARGUMENT */
  constructor(run: BatchFunction<I, O>, options?: BatcherOptions) {
    if (typeof run !== 'function') throw bad(`run must be a function, got ${shown(run)}`);
    this.#run = run;
    this.#options = resolveBatcherOptions(options);
    this.#latency = new LatencyModel(this.#options.slowerShare);
  }

  /**
   * The result of one item, which goes into a batch with others. When as many wait as may, the latest request of the
   * lowest priority, and of the tenant that has most of them, makes room for one of a higher priority or of a tenant with
   * fewer; else the new one is refused.
   * @throws ERR_LICHEN_QUEUE_FULL, ERR_LICHEN_DEADLINE, ERR_LICHEN_ABORTED, ERR_LICHEN_CLOSED, ERR_LICHEN_ARGUMENT, and
   * what the function throws or gives for the item.
   */
  async submit(item: I, options?: SubmitOptions): Promise<O> {
    const { deadline, priority, tenant, signal } = resolveSubmitOptions(options);
    if (this.#closing !== undefined) {
      throw new LichenError('ERR_LICHEN_CLOSED', 'the batcher is closed');
    }
    throwIfAborted(signal, 'the request');
    const until = resolveDeadline(deadline) ?? Infinity;
    const now = performance.now();
    this.#arrivals.arrived(now);
    this.#soon();
    if (this.#queue.size >= this.#options.maxQueue) this.#makeRoom(priority, tenant);
    const request = new BatchRequest<I, O>(
      ...([item, priority, tenant, now, until, signal] as const),
      (lost, how) => this.#losing(lost, how),
    );
    if (until <= now) {
      request.expire(now);
    } else {
      this.#queue.add(request);
      this.#nextUntil = Math.min(this.#nextUntil, until);
    }
    return request.promise;
  }

  /** What was done so far, and what is at work now. */
  stats(): BatcherStatistics {
    const wait = this.#waits.percentiles();
    const latency = this.#latencies.percentiles();
    return {
      queued: this.#queue.size,
      running: this.#running,
      completed: this.#completed,
      ...this.#lost,
      rejected: this.#rejected,
      batches: this.#batches,
      batchSizes: [...this.#batchSizes],
      arrivalRate: 1000 * this.#arrivals.rate(performance.now()),
      batchMs: this.#latency.alpha,
      requestMs: this.#latency.beta,
      waitP50us: wait.p50us,
      waitP99us: wait.p99us,
      latencyP50us: latency.p50us,
      latencyP99us: latency.p99us,
    };
  }

  /**
   * Takes no more requests and waits until all that were taken are settled; batches do not wait to be full any more.
   * Closing twice is closing once.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    if (this.#queue.size + this.#executors === 0) return;
    this.#soon();
    await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  #makeRoom(priority: number, tenant: string): void {
    const displaced = this.#queue.displacedBy(priority, tenant);
    const message = `as many requests wait as may, ${this.#options.maxQueue}`;
    const error = refusal('ERR_LICHEN_QUEUE_FULL', message);
    if (displaced === undefined) {
      this.#rejected++;
      throw error;
    }
    displaced.fail(error, 'displaced');
  }

  #losing(request: BatchRequest<I, O>, how: Loss): void {
    this.#lost[how]++;
    if (!request.isGone) this.#queue.remove(request);
    request.batch?.lost();
    // There may be nothing left to wait for.
    if (this.#queue.size === 0) this.#soon();
  }

  /** Makes batches once all calls of this turn of the event loop have come in. */
  #soon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    clearTimeout(this.#delay);
    while (this.#executors < this.#options.concurrency && this.#queue.size > 0) {
      const now = performance.now();
      const { size, delayMs } = this.#plan(now);
      const left = this.#queue.oldest()!.arrivedAt + delayMs - now;
      if (this.#queue.size < size && left > 0 && this.#closing === undefined) {
        this.#wait(left);
        break;
      }
      const batch = this.#collect(Math.min(size, this.#queue.size), now);
      if (batch.length > 0) void this.#execute(batch, now);
    }
    this.#watch();
    if (this.#queue.size + this.#executors === 0) this.#drained?.();
  }

  #plan(now: number): BatchPlan {
    const { maxBatch } = this.#options;
    const next = this.#queue.next()!;
    const view = {
      queued: this.#queue.size,
      oldestMs: now - this.#queue.oldest()!.arrivedAt,
      nextMs: now - next.arrivedAt,
      nextLeftMs: next.until - now,
      latency: this.#latency,
      arrivalRate: this.#arrivals.rate(now),
    };
    const plan = this.#ask((policy) => policy.plan(view));
    // A policy of the caller's may give anything.
    const size = Math.max(1, Math.min(maxBatch, Math.floor(plan?.size ?? maxBatch) || 1));
    return { size, delayMs: plan?.delayMs ?? 0 };
  }

  /** What a policy answers; undefined if it throws, of which there is one warning. */
  #ask<T>(question: (policy: BatchPolicy) => T): T | undefined {
    try {
      return question(this.#options.policy);
    } catch (error) {
      if (!this.#hasPolicyFailed) process.emitWarning(`the batch policy threw: ${String(error)}`);
      this.#hasPolicyFailed = true;
      return undefined;
    }
  }

  /** Timers take whole milliseconds; a shorter wait is one of turns of the event loop. */
  #wait(ms: number): void {
    if (ms < 1) this.#soon();
    else this.#delay = setTimeout(() => this.#pump(), ms);
  }

  /**
   * Takes requests out of the queue that will be done in time also if the batch is one of the slower ones. Where those do
   * not fill it, ones that may be done in time get the places, or, if there is nothing else, any: the expectation can be
   * wrong.
   */
  #collect(size: number, now: number): BatchRequest<I, O>[] {
    const latency = this.#latency;
    const done = now + latency.expected(size) * latency.slack;
    const batch: BatchRequest<I, O>[] = [];
    const late: BatchRequest<I, O>[] = [];
    while (batch.length < size) {
      const request = this.#queue.take();
      if (request === undefined) break;
      if (request.until <= now) request.expire(now);
      else if (request.until < done) late.push(request);
      else batch.push(request);
    }
    const isAlone = batch.length === 0;
    // The ones with the most time come last.
    while (late.length > 0 && batch.length < size) {
      const request = late.pop()!;
      const mayBe = request.until >= now + latency.expected(batch.length + 1);
      if (mayBe || isAlone) batch.push(request);
      else request.expire(now);
    }
    for (const request of late) request.expire(now);
    return batch;
  }

  async #execute(batch: BatchRequest<I, O>[], now: number): Promise<void> {
    this.#executors++;
    this.#running += batch.length;
    for (const { arrivedAt } of batch) this.#waits.add(now - arrivedAt);
    const error = await this.#attempt(batch);
    if (error === undefined) {
      const done = performance.now();
      const first = batch.reduce((least, { arrivedAt }) => Math.min(least, arrivedAt), now);
      const report = {
        size: batch.length,
        runMs: done - now,
        slowestMs: done - first,
      };
      this.#latency.observe(report.size, report.runMs);
      this.#ask((policy) => policy.observe(report));
    } else {
      await this.#failed(batch, error);
    }
    this.#executors--;
    this.#running -= batch.length;
    this.#batches++;
    const bucket = Math.ceil(Math.log2(batch.length));
    while (this.#batchSizes.length <= bucket) this.#batchSizes.push(0);
    this.#batchSizes[bucket]!++;
    this.#soon();
  }

  /** Why the batch failed as a whole; undefined: all its requests are settled. */
  async #attempt(requests: readonly BatchRequest<I, O>[]): Promise<BatchFailure | undefined> {
    const batch = new RunningBatch(requests);
    let results: ArrayLike<O | Error>;
    try {
      results = await this.#run(batch.items(), { signal: batch.signal });
    } catch (cause) {
      return { cause, isFinal: false };
    }
    if (lengthOf(results) !== requests.length) {
      const got = lengthOf(results) ?? shown(results);
      const message = `the function must give as many results as it got items, ${requests.length}, got ${got}`;
      return { cause: bad(message), isFinal: true };
    }
    const now = performance.now();
    for (const [at, request] of requests.entries()) {
      const result = results[at]!;
      if (result instanceof Error) {
        request.fail(result);
      } else if (request.succeed(result)) {
        this.#completed++;
        this.#latencies.add(now - request.arrivedAt);
      }
    }
    return undefined;
  }

  /** Those at fault fail; the others are done without them, if that is wanted. */
  async #failed(batch: readonly BatchRequest<I, O>[], failure: BatchFailure): Promise<void> {
    if (batch.length === 1 || failure.isFinal || !this.#options.splitsFailed) {
      for (const request of batch) request.fail(failure.cause);
      return;
    }
    const middle = batch.length >>> 1;
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      const waiting = half.filter(({ isSettled }) => !isSettled);
      if (waiting.length === 0) continue;
      const again = await this.#attempt(waiting);
      if (again !== undefined) await this.#failed(waiting, again);
    }
  }

  /** Sees to it that requests hear of their deadline when it comes, also if no executor is free by then. */
  #watch(): void {
    if (this.#queue.size === 0) this.#nextUntil = Infinity;
    if (this.#expiryAt <= this.#nextUntil && this.#nextUntil < Infinity) return;
    clearTimeout(this.#expiry);
    this.#expiryAt = this.#nextUntil;
    if (this.#nextUntil === Infinity) return;
    this.#expiry = setTimeout(() => this.#sweep(), this.#nextUntil - performance.now());
  }

  #sweep(): void {
    const now = performance.now();
    let next = Infinity;
    this.#queue.forEach((request) => {
      if (request.until <= now) request.expire(now);
      else next = Math.min(next, request.until);
    });
    // Looking at all of a long queue takes time as well.
    this.#nextUntil = Math.max(next, now + this.#queue.size / SWEPT_A_MS);
    this.#expiryAt = Infinity;
    this.#watch();
  }
}

/** Why a batch failed as a whole. */
interface BatchFailure {
  readonly cause: unknown;
  /** Whether smaller batches would fail as well. */
  readonly isFinal: boolean;
}

function lengthOf(results: unknown): number | undefined {
  const length: unknown = (results as Partial<ArrayLike<unknown>> | null | undefined)?.length;
  return typeof length === 'number' ? length : undefined;
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
