import { LichenArgumentError } from '../errors.js';

/** How long something took, in microseconds. */
export interface LatencySummary {
  /** Number of measurements. */
  readonly count: number;
  /** Mean. */
  readonly meanUs: number;
  /** Least. */
  readonly minUs: number;
  /** Median. */
  readonly p50us: number;
  /** What 90 in 100 do not exceed. */
  readonly p90us: number;
  /** What 99 in 100 do not exceed. */
  readonly p99us: number;
  /** Greatest. */
  readonly maxUs: number;
}

/**
 * Summarizes latencies in microseconds, in any order.
 * @throws ERR_LICHEN_EMPTY when there are none, ERR_LICHEN_NOT_FINITE or ERR_LICHEN_ARGUMENT when one is not finite or
 * negative.
 *
 * @example
 * latencySummary([100, 200, 300]).meanUs; // 200
 */
export function latencySummary(micros: ArrayLike<number>): LatencySummary {
  if (micros.length === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'micros: no latencies to summarize');
  }
  // The sort of a plain array would compare texts.
  const sorted = Float64Array.from(micros);
  sorted.forEach(requireLatency);
  sorted.sort();
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
  return ascending[Math.ceil((percent * ascending.length) / 100) - 1]!;
}

function requireLatency(micros: number, at: number): void {
  if (Number.isFinite(micros) && micros >= 0) return;
  const [code, expected] = Number.isFinite(micros)
    ? (['ERR_LICHEN_ARGUMENT', 'a latency of 0 or more'] as const)
    : (['ERR_LICHEN_NOT_FINITE', 'a finite value'] as const);
  throw new LichenArgumentError(code, `micros[${at}] is ${micros}, expected ${expected}`);
}
