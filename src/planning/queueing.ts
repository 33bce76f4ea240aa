import { LichenArgumentError } from '../errors.js';

// Formulas of queueing: servers of one kind that take requests in the order they come.

/**
 * The share of requests that must wait where `servers` serve `load` (the mean number at work: rate × time of service),
 * for random arrivals and exponential times (Erlang's C; Erlang, 1917); 1 where the load is too great.
 */
export function erlangC(servers: number, load: number): number {
  requirePositiveInteger(servers);
  if (!(load >= 0)) throw bad(`load must be a number of at least 0, got ${String(load)}`);
  if (load >= servers) return 1;
  // Erlang's B by its recursion, which does not overflow.
  let blocked = 1;
  for (let at = 1; at <= servers; at++) blocked = (load * blocked) / (at + load * blocked);
  return blocked / (1 - (load / servers) * (1 - blocked));
}

/** Requests as a queue sees them. */
export interface QueueLoad {
  readonly servers: number;
  /** A second. */
  readonly rate: number;
  /** Measured times of service, in microseconds. */
  readonly serviceUs: ArrayLike<number>;
}

/** What a queue makes of requests. */
export interface QueueLatency {
  /** The share of the servers' time that is used; from 1 on the queue grows without end. */
  readonly utilization: number;
  /** The share of requests that wait. */
  readonly waiting: number;
  readonly meanUs: number;
  /** The time that a share of the requests does not exceed, waiting included. */
  quantileUs(share: number): number;
}

/**
 * Predicts times of response for arrivals at random and times of service as measured: the share that waits by Erlang's C,
 * the wait of those exponential with a mean scaled by the variance of the times (Allen and Cunneen's approximation;
 * Whitt, 1993), and the time of service as it was measured. It is exact for exponential times, and near enough to plan by
 * up to a utilization of about 0.9; `simulateFleet` tells more.
 */
export function queueLatency({ servers, rate, serviceUs }: QueueLoad): QueueLatency {
  if (serviceUs.length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'serviceUs: none');
  const sorted = Float64Array.from(serviceUs).sort();
  const { length } = sorted;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / length;
  const variance = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
  const load = (rate * mean) / 1e6;
  const utilization = load / servers;
  const waiting = erlangC(servers, load);
  if (utilization >= 1) {
    return { utilization, waiting: 1, meanUs: Infinity, quantileUs: () => Infinity };
  }
  const variability = (1 + variance / mean ** 2) / 2;
  // Of those that wait at all.
  const waitUs = (mean / (servers - load)) * variability;
  return {
    ...{ utilization, waiting, meanUs: mean + waiting * waitUs },
    quantileUs(share) {
      const beyond = (time: number): number => {
        let sum = 0;
        for (const service of sorted) {
          const left = time - service;
          sum += left < 0 ? 1 : waiting * Math.exp(-left / waitUs);
        }
        return sum / length;
      };
      let low = 0;
      let high = sorted[length - 1]! + waitUs * Math.log(length + 1e6);
      for (let step = 0; step < 60; step++) {
        const middle = (low + high) / 2;
        if (beyond(middle) > 1 - share) low = middle;
        else high = middle;
      }
      return high;
    },
  };
}

/**
 * Servers for a load by the rule of the square root (Halfin and Whitt, 1981): so many as are at work, and a surplus that
 * grows with the root of that number. `quality` 1 leaves about a fifth of the requests waiting, 2 about one in forty.
 */
export function squareRootStaffing(load: number, quality: number): number {
  return Math.max(1, Math.ceil(load + quality * Math.sqrt(load)));
}

/** The chance that at least `least` of `count` machines work, each with a chance of its own. */
export function atLeastWorking(count: number, least: number, working: number): number {
  let sum = 0;
  let ways = 1;
  for (let at = 0; at <= count; at++) {
    if (at >= least) sum += ways * working ** at * (1 - working) ** (count - at);
    ways = (ways * (count - at)) / (at + 1);
  }
  return Math.min(1, sum);
}

function requirePositiveInteger(servers: number): void {
  if (Number.isSafeInteger(servers) && servers >= 1) return;
  throw bad(`servers must be an integer of at least 1, got ${String(servers)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
