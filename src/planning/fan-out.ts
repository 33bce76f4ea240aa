import { LichenArgumentError } from '../errors.js';
import { requireTimes } from './queueing.js';

/** The latency of a request that waits for several shards, predicted from that of one. */
export interface FanOut {
  /** Shards that are waited for. */
  readonly shards: number;
  /** Median, in microseconds. */
  readonly p50us: number;
  /** What 90 in 100 requests do not exceed. */
  readonly p90us: number;
  /** What 99 in 100 requests do not exceed. */
  readonly p99us: number;
  /** Where p99 lies with 95% confidence, as far as the measurements are independent of one another. */
  readonly p99Range: readonly [number, number];
  /** Whether so few measurements lie beyond the quantile that p99 leans on that it is a guess: fewer than five. */
  readonly isGuess: boolean;
}

const ENOUGH_BEYOND = 5;

/**
 * Predicts the latency of waiting for the slowest of `shards`, each drawn independently from what was measured of one: the
 * quantile q of the greatest of s draws is the quantile q^(1/s) of one (Dean and Barroso, The Tail at Scale, 2013).
 * @throws ERR_LICHEN_EMPTY without measurements, ERR_LICHEN_ARGUMENT for fewer shards than one.
 *
 * @example
 * const { p99us } = fanOut(measuredUs, 8); // of the slowest of eight shards
 */
export function fanOut(latenciesUs: ArrayLike<number>, shards: number): FanOut {
  if (!Number.isSafeInteger(shards) || shards < 1) {
    const message = `shards must be an integer of at least 1, got ${String(shards)}`;
    throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
  }
  const sorted = requireTimes('latenciesUs', latenciesUs).sort();
  const at = (share: number): number => quantile(sorted, share ** (1 / shards));
  // How many of the measurements lie below a quantile is binomial.
  const share = 0.99 ** (1 / shards);
  const off = 1.96 * Math.sqrt((share * (1 - share)) / sorted.length);
  return {
    ...{ shards, p50us: at(0.5), p90us: at(0.9), p99us: at(0.99) },
    p99Range: [quantile(sorted, share - off), quantile(sorted, Math.min(1, share + off))],
    isGuess: (1 - 0.99 ** (1 / shards)) * sorted.length < ENOUGH_BEYOND,
  };
}

/** The smallest of ascending values that so large a share of them does not exceed. */
export function quantile(ascending: ArrayLike<number>, share: number): number {
  const at = Math.ceil(share * ascending.length) - 1;
  return ascending[Math.min(ascending.length - 1, Math.max(0, at))]!;
}

/** Bytes on the network of a request that goes to every shard, in both directions. */
export interface NetworkBytes {
  /** From the gateway to all shards. */
  readonly requests: number;
  /** Back from them. */
  readonly responses: number;
  /** Both together. */
  readonly total: number;
}

/** What frames a message of `ClusterIndex`, subjects among it, as measured (`npm run bench -- cluster`). */
const MESSAGE_BYTES = 140;

/**
 * What a search of `shards` sends: the vector to each, and k keys and scores back from each.
 * @param keyBytes of a key: 8 for numbers.
 *
 * @example
 * networkBytes(4, { dim: 64, k: 10 }).total; // bytes a request
 */
export function networkBytes(
  shards: number,
  { dim, k, keyBytes = 8 }: { dim: number; k: number; keyBytes?: number },
): NetworkBytes {
  const requests = shards * (4 * dim + MESSAGE_BYTES);
  const responses = shards * (k * (keyBytes + 4) + MESSAGE_BYTES);
  return { requests, responses, total: requests + responses };
}
