import type { RecordableHistogram } from 'node:perf_hooks';
import { latencyHistogram, percentilesOf, recordMs } from '../cache/guarded.js';

/** How long something took lately. */
export interface LatencyPercentiles {
  /** In microseconds; 0 if there was nothing. */
  readonly p50us: number;
  /** As `p50us`, what 99 in 100 do not exceed. */
  readonly p99us: number;
}

const PERIOD_MS = 5000;

/** How long something took in the last 5 to 10 seconds: two histograms that take turns. */
export class RecentLatency {
  #current: RecordableHistogram = latencyHistogram();
  #before: RecordableHistogram = latencyHistogram();
  #since = performance.now();

  add(ms: number): void {
    this.#turn();
    recordMs(this.#current, ms);
  }

  percentiles(): LatencyPercentiles {
    this.#turn();
    const both = latencyHistogram();
    both.add(this.#current);
    both.add(this.#before);
    return percentilesOf(both);
  }

  #turn(): void {
    const now = performance.now();
    if (now - this.#since < PERIOD_MS) return;
    const isLong = now - this.#since >= 2 * PERIOD_MS;
    [this.#before, this.#current] = [this.#current, this.#before];
    this.#current.reset();
    if (isLong) this.#before.reset();
    this.#since = now;
  }
}
