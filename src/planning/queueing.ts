import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, shown } from '../errors.js';

// Formulas of queueing: servers of one kind that take requests in the order they come.

/**
 * The share of requests that must wait where `servers` serve `load` (the mean number at work: rate × time of service),
 * for random arrivals and exponential times (Erlang's C; Erlang, 1917); 1 where the load is too great.
 * @throws ERR_LICHEN_ARGUMENT
 *
 * @example
 * erlangC(1, 0.5); // 0.5: one server, half of its time used
 */
export function erlangC(servers: number, load: number): number {
  requirePositiveInteger(servers);
  if (!(load >= 0)) throw badArgument(`load must be a number of at least 0, got ${String(load)}`);
  if (load >= servers) return 1;
  // Erlang's B by its recursion, which does not overflow.
  let blocked = 1;
  for (let at = 1; at <= servers; at++) blocked = (load * blocked) / (at + load * blocked);
  return blocked / (1 - (load / servers) * (1 - blocked));
}

/** Requests as a queue sees them. */
export interface QueueLoad {
  /** Servers (threads) that take from one queue. */
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
  /** Mean time from the arrival to the end, in microseconds. */
  readonly meanUs: number;
  /** The time that a share of the requests does not exceed, waiting included. */
  quantileUs(share: number): number;
}

/**
 * Predicts times of response for arrivals at random and times of service as measured: the share that waits by Erlang's C,
 * the wait of those exponential with a mean scaled by the variance of the times (Allen and Cunneen's approximation;
 * Whitt, 1993), and the time of service as it was measured. It is exact for exponential times, and near enough to plan by
 * up to a utilization of about 0.9; `simulateFleet` tells more.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY without times.
 *
 * @example
 * const latency = queueLatency({ servers: 8, rate: 5000, serviceUs: measuredUs });
 * latency.quantileUs(0.99);
 */
export function queueLatency({ servers, rate, serviceUs }: QueueLoad): QueueLatency {
  const sorted = requireTimes('serviceUs', serviceUs).sort();
  const { length } = sorted;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / length;
  const variance = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
  const load = (rate * mean) / 1e6;
  const utilization = load / servers;
  const waiting = erlangC(servers, load);
  if (utilization >= 1) {
    return { utilization, waiting: 1, meanUs: Infinity, quantileUs: () => Infinity };
  }
  const variability = mean === 0 ? 0 : (1 + variance / mean ** 2) / 2;
  // Of those that wait at all.
  const waitUs = (mean / (servers - load)) * variability;
  return {
    ...{ utilization, waiting, meanUs: mean + waiting * waitUs },
    quantileUs(share) {
      const beyond = (time: number): number => {
        let sum = 0;
        for (const service of sorted) {
          const left = time - service;
          sum += left < 0 ? 1 : waitUs === 0 ? 0 : waiting * Math.exp(-left / waitUs);
        }
        return sum / length;
      };
      let low = 0;
      // All have been served, and of those that wait as few are left as the share leaves.
      let high = sorted[length - 1]! + waitUs * Math.max(0, -Math.log(1 - share));
      for (let step = 0; step < 80; step++) {
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
 * @throws ERR_LICHEN_ARGUMENT
 *
 * @example
 * squareRootStaffing(100, 1); // 110
 */
export function squareRootStaffing(load: number, quality: number): number {
  if (!(load >= 0 && load < Infinity && quality >= 0 && quality < Infinity)) {
    throw badArgument(`load and quality must be numbers of at least 0, got ${load} and ${quality}`);
  }
  return Math.max(1, Math.ceil(load + quality * Math.sqrt(load)));
}

/**
 * The chance that at least `least` of `count` machines work, each with a chance of its own.
 *
 * @example
 * atLeastWorking(3, 2, 0.99); // 0.999702
 */
export function atLeastWorking(count: number, least: number, working: number): number {
  if (least <= 0) return 1;
  if (least > count) return 0;
  if (working >= 1) return 1;
  if (working <= 0) return 0;
  // Those that may be down are few; by logarithms, since the terms of many machines are too small for a number.
  const broken = Math.log(1 - working) - Math.log(working);
  let log = count * Math.log(working);
  let sum = Math.exp(log);
  for (let down = 1; down <= count - least; down++) {
    log += Math.log((count - down + 1) / down) + broken;
    sum += Math.exp(log);
  }
  return Math.min(1, sum);
}

/**
 * Measured times, copied.
 * @throws ERR_LICHEN_EMPTY without any, ERR_LICHEN_ARGUMENT for one that is no number of at least 0.
 */
export function requireTimes(name: string, times: ArrayLike<number>): Float64Array {
  if (typeof times !== 'object' || times === null) {
    throw badArgument(`${name} must be a list of numbers, got ${shown(times)}`);
  }
  if (times.length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', `${name}: none`);
  const list = Float64Array.from(times);
  const at = list.findIndex((time) => !(time >= 0 && time < Infinity));
  if (at < 0) return list;
  throw badArgument(`${name}[${at}] must be a number of at least 0, got ${list[at]}`);
}

function requirePositiveInteger(servers: number): void {
  if (Number.isSafeInteger(servers) && servers >= 1) return;
  throw badArgument(`servers must be an integer of at least 1, got ${String(servers)}`);
}
