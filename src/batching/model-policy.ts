import type { BatchLatency, BatchPlan, BatchPolicy, PolicySettings, QueueView } from './policy.js';

/**
 * Sizes and delays from what batches take, how many requests come and the SLO. A batch leaves as soon as an executor is
 * free, with all that wait, so that its size follows the load by itself; it is not larger than one of which a request
 * that just missed the batch before still meets the SLO, or, when more come than can be served, than the number of those
 * that come in time for it.
 */
export class ModelPolicy implements BatchPolicy {
  constructor(private readonly settings: PolicySettings) {}

  plan({ arrivalRate, nextMs, nextLeftMs, latency }: QueueView): BatchPlan {
    const { maxBatch, sloMs, patience, concurrency } = this.settings;
    if (!latency.isFitted) return { size: 1, delayMs: 0 };
    // Larger ones than twice what was seen are not tried at once: nobody knows how long they take.
    const most = Math.min(maxBatch, 2 * latency.largest);
    const time = sloMs / latency.slack;
    const { alpha } = latency;
    // It is late as it is, and so is what waits behind it: as much as can be done.
    const isLate = nextLeftMs === Infinity && nextMs > sloMs;
    if (isLate || alpha >= time) return { size: most, delayMs: 0 };
    const beta = Math.max(latency.beta, 1e-9);
    const rate = arrivalRate / concurrency;
    const inHalf = (time / 2 - alpha) / beta;
    const inTime = (rate * (time - alpha)) / (1 + rate * beta);
    const size = Math.max(1, Math.min(most, Math.floor(Math.max(inHalf, inTime))));
    return patience === 0 ? { size, delayMs: 0 } : this.patient(size, time, rate, latency);
  }

  observe(): void {
    // The model is the batcher's.
  }

  /** Waits a share of the time to spare, if others are likely to come meanwhile: fewer batches, so less work. */
  private patient(size: number, time: number, rate: number, latency: BatchLatency): BatchPlan {
    const spare = time - 2 * latency.expected(Math.min(size, 1 + rate * time));
    const delayMs = Math.max(0, this.settings.patience * spare);
    return rate * delayMs < 1 ? { size, delayMs: 0 } : { size, delayMs };
  }
}
