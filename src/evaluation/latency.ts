import { LichenArgumentError } from '../errors.js';

/** How long something took, in microseconds. */
export interface LatencySummary {
  /** Number of measurements. */
  readonly count: number;
  readonly meanUs: number;
  readonly minUs: number;
  readonly p50us: number;
  readonly p90us: number;
  readonly p99us: number;
  readonly maxUs: number;
}

/** Summarizes latencies in microseconds, in any order; ERR_LICHEN_EMPTY when there are none. */
export function latencySummary(micros: Float64Array): LatencySummary {
  if (micros.length === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'micros: no latencies to summarize');
  }
  const sorted = micros.slice().sort();
  return {
    count: sorted.length,
    meanUs: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    minUs: sorted[0]!,
    p50us: percentile(sorted, 50),
    p90us: percentile(sorted, 90),
    p99us: percentile(sorted, 99),
    maxUs: sorted[sorted.length - 1]!,
  };
}

/** The smallest value that at least `percent` % of the ascending values do not exceed (nearest rank). */
function percentile(ascending: Float64Array, percent: number): number {
  return ascending[Math.max(0, Math.ceil((percent / 100) * ascending.length) - 1)]!;
}
