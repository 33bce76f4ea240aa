import { MemoryCache } from '../cache/memory-cache.js';
import { LichenArgumentError } from '../errors.js';
import {
  fullHits,
  periods,
  requireShape,
  reuseProfile,
  sampleTrace,
  type CacheShape,
} from './reuse.js';
import type { Trace } from './trace.js';

/** Options of {@link cacheability}. */
export interface CacheabilityOptions {
  /** Sizes in entries. Default: 1, 3, 10, 30 and 100 of a hundred keys. */
  readonly entries?: readonly number[] | undefined;
  /** Times to live in milliseconds. Default: none, a minute, an hour. */
  readonly ttlsMs?: readonly number[] | undefined;
  /** Milliseconds between two models, each of which makes all entries worthless. Default: never. */
  readonly publishEveryMs?: number | undefined;
  /** Bytes of an entry with what the cache needs for it, for the bytes of each size. */
  readonly entryBytes?: number | undefined;
  /** Share of the keys that are looked at. Default: what leaves about 2,000,000 requests. */
  readonly sampleShare?: number | undefined;
}

/** How well requests can be cached. */
export interface Cacheability {
  /** Requests of the trace. */
  readonly requests: number;
  /** Different keys of the trace. */
  readonly keys: number;
  /** Share of the keys that were looked at. */
  readonly sampleShare: number;
  /** Share of requests that were asked for before: no cache can have more hits. */
  readonly repeats: number;
  /** Every size with every time to live. */
  readonly points: readonly CachePoint[];
}

/** A cache of one size and time to live. */
export interface CachePoint {
  /** Entries that it has room for. */
  readonly entries: number;
  /** Bytes that those take; undefined without `entryBytes`. */
  readonly bytes: number | undefined;
  /** Infinity: none. */
  readonly ttlMs: number;
  /** Predicted by reuse distances for a cache that gives up what was used longest ago. */
  readonly lruHits: number;
  /** Whether the cache would hold so few of the keys sampled (fewer than 100) that both are guesses. */
  readonly isRough: boolean;
  /** Of lichen's own cache, by replaying the trace (a miniature of it, where it is sampled). */
  readonly hits: number;
}

const SHARES = [0.01, 0.03, 0.1, 0.3, 1];
const MINUTE_MS = 60_000;
const ENOUGH_REQUESTS = 2_000_000;
const ENOUGH_SAMPLED = 100;

/**
 * Predicts what caches of several sizes and times to live would answer of a trace.
 * @throws ERR_LICHEN_ARGUMENT
 *
 * @example
 * const { repeats, points } = cacheability(trace, { ttlsMs: [60_000, 3_600_000] });
 */
export function cacheability(trace: Trace, options: CacheabilityOptions = {}): Cacheability {
  const { publishEveryMs, entryBytes } = options;
  const { sampleShare = Math.min(1, ENOUGH_REQUESTS / trace.keys.length) } = options;
  const sizes = options.entries ?? [
    ...new Set(SHARES.map((share) => Math.max(1, Math.round(share * trace.keyCount)))),
  ];
  const ttls = options.ttlsMs ?? [Infinity, 60 * MINUTE_MS, MINUTE_MS];
  if (entryBytes !== undefined && !(entryBytes >= 0 && entryBytes < Infinity)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `entryBytes must be a number of at least 0, got ${String(entryBytes)}`,
    );
  }
  const profile = reuseProfile(trace, { sampleShare });
  const sample = sampleTrace(trace, sampleShare);
  const points = ttls.flatMap((ttlMs) =>
    sizes.map((entries): CachePoint => {
      const shape = { entries, ttlMs, publishEveryMs };
      return {
        ...{ entries, ttlMs, bytes: entryBytes === undefined ? undefined : entries * entryBytes },
        isRough: sampleShare < 1 && entries * sampleShare < ENOUGH_SAMPLED,
        lruHits: profile.hitRatio(shape),
        hits: fullHits(
          replayedHits(sample, { ...shape, entries: entries * sampleShare }),
          sample.keys.length,
          sampleShare * trace.keys.length,
        ),
      };
    }),
  );
  const { mostHits: repeats } = profile;
  return { requests: trace.keys.length, keys: trace.keyCount, sampleShare, repeats, points };
}

/**
 * The share of requests that lichen's cache answers.
 * @throws ERR_LICHEN_ARGUMENT for sizes or times that are none.
 *
 * @example
 * const share = replayedHits(trace, { entries: 10_000, ttlMs: 60_000 });
 */
export function replayedHits(trace: Trace, shape: CacheShape): number {
  const { keys, times } = trace;
  const { entries, ttlMs = Infinity, publishEveryMs = Infinity } = shape;
  requireShape(shape);
  if (keys.length === 0 || entries === 0) return 0;
  let now = times[0]!;
  const make = () =>
    new MemoryCache<number, true>({
      maxEntries: Math.max(1, Math.min(Math.round(entries), trace.keyCount)),
      ...(ttlMs !== Infinity && { ttlMs }),
      now: () => now,
    });
  let cache = make();
  const periodOf = periods(now, publishEveryMs);
  let period = 0;
  let hits = 0;
  for (let at = 0; at < keys.length; at++) {
    now = times[at]!;
    if (periodOf(now) !== period) {
      cache = make();
      period = periodOf(now);
    }
    if (cache.get(keys[at]!) === true) hits++;
    else cache.set(keys[at]!, true);
  }
  return hits / keys.length;
}
