import { LichenArgumentError } from '../errors.js';
import { Random } from '../vectors/random.js';
import { latencySummary, type LatencySummary } from './latency.js';

/**
 * What callers who come at random would have waited, had each been served in one of the measured times: their time in the
 * queue and their own. A closed loop, which asks only once the last answer is there, hides what a pause does to all who
 * would have come meanwhile (coordinated omission); here the pauses that were measured, in their order, are waited for by
 * everybody behind them (Lindley's recursion over arrivals of Poisson).
 * @param serviceUs measured times in microseconds, in the order of measuring.
 * @param utilization the share of its capacity at which the one server is used, between 0 and 1.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY without times.
 *
 * @example
 * const { p99us } = loadedLatency(measuredUs, 0.7);
 */
export function loadedLatency(
  serviceUs: ArrayLike<number>,
  utilization: number,
  seed = 1,
): LatencySummary {
  if (!(utilization > 0 && utilization < 1)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `utilization must be a number between 0 and 1, got ${String(utilization)}`,
    );
  }
  const { meanUs } = latencySummary(serviceUs);
  const random = new Random(seed);
  const gap = meanUs / utilization;
  const micros = new Float64Array(serviceUs.length);
  let wait = 0;
  for (let at = 0; at < serviceUs.length; at++) {
    micros[at] = wait + serviceUs[at]!;
    // 1 - uniform() is never 0.
    wait = Math.max(0, micros[at]! + gap * Math.log(1 - random.uniform()));
  }
  return latencySummary(micros);
}
