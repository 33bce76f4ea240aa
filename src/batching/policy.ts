/** What batches take: t(b) = α + β b milliseconds, fitted to those of late. */
export interface BatchLatency {
  /** Whether anything is known. */
  readonly isFitted: boolean;
  /** Milliseconds a batch takes, however large. */
  readonly alpha: number;
  /** Milliseconds more a request of it. */
  readonly beta: number;
  /** The largest batch so far. */
  readonly largest: number;
  /** By which factor the slower batches take longer, of all but the slowest (5% for an SLO of 99%); at least 1. */
  readonly slack: number;
  /** Milliseconds that a batch of so many requests is expected to take. */
  expected(size: number): number;
}

/** What a policy sees when an executor has nothing to do and requests wait. */
export interface QueueView {
  /** Requests that wait, at least 1. */
  readonly queued: number;
  /** How long the oldest has waited, in milliseconds. */
  readonly oldestMs: number;
  /** Of the one that goes next, the first of the highest priority: how long it has waited and how long it still may. */
  readonly nextMs: number;
  /** How long it still may wait, in milliseconds. */
  readonly nextLeftMs: number;
  /** Requests a millisecond, lately. */
  readonly arrivalRate: number;
  /** What batches take. */
  readonly latency: BatchLatency;
}

/** The next batch: it leaves as soon as `size` requests wait, or the oldest has waited `delayMs`. */
export interface BatchPlan {
  /** Most requests of the batch. */
  readonly size: number;
  /** Longest that the oldest request waits for others, in milliseconds. */
  readonly delayMs: number;
}

/** How a batch went. */
export interface BatchReport {
  /** Requests in it. */
  readonly size: number;
  /** Milliseconds that the function took. */
  readonly runMs: number;
  /** Milliseconds from the call of the request that waited longest to its result. */
  readonly slowestMs: number;
}

/** Decides how large batches are and how long a request waits for others. One belongs to one batcher. */
export interface BatchPolicy {
  /** Decides on the next batch. */
  plan(queue: QueueView): BatchPlan;
  /** A batch without an error is done. */
  observe(report: BatchReport): void;
}

/** What a policy is made from. */
export interface PolicySettings {
  readonly maxBatch: number;
  /** Milliseconds that a request may take from call to result. */
  readonly sloMs: number;
  /** Of `fixed`: how long a request waits for a full batch, in milliseconds. */
  readonly maxDelayMs: number;
  /** Of `model`: share of the time to spare that a request may wait for others, 0 to 1. */
  readonly patience: number;
  /** Batches at once. */
  readonly concurrency: number;
}
