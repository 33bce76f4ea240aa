import type { LichenArgumentError } from '../errors.js';
import { shown } from '../errors.js';
import {
  badArgument,
  requireDuration,
  requireLimit,
  steadyClock,
  type Clock,
} from './cache-limits.js';
import type { ByteCacheStatistics } from './byte-cache.js';
import type { GuardStatistics } from './guarded.js';
import type { CacheKey } from './key-hash.js';
import type { SharedTier } from './shared-tier.js';

/**
 * Gets values from where they come from: one for each key, in their order, undefined where there is none. The signal
 * fires when nobody waits any more, or for too long.
 */
export type LoadMany<K extends CacheKey, V> = (
  keys: readonly K[],
  options: { signal: AbortSignal },
) => Promise<readonly (V | undefined)[]> | readonly (V | undefined)[];

/** Options of {@link TieredCache}. Times are in milliseconds. */
export interface TieredCacheOptions<K extends CacheKey, V> {
  /** What the cache is called in the shared tier; caches of one name share their entries. */
  name: string;
  /** Where values come from that no tier has. Default: nowhere, and a missing value is undefined. */
  load?: LoadMany<K, V>;
  /** Most memory that the tier in this process takes, in bytes. */
  maxBytes: number;
  /** For how long a value is fresh. */
  ttlMs: number;
  /** For how long after that it is still served, while it is loaded anew in the background. Default 0. */
  staleMs?: number;
  /** For how long it is remembered that the origin has no value. Default: as `ttlMs`; 0: not at all. */
  negativeTtlMs?: number;
  /** Up to which share of `ttlMs` a value's time is shortened, at random, so that not all end at once. Default .1. */
  jitter?: number;
  /**
   * How eagerly values are loaded anew before their time is over, at random, the earlier the longer loading takes
   * (XFetch: Vattani, Chierichetti and Lowenstein, VLDB 2015). 0: not. Default 1.
   */
  earlyRefresh?: number;
  /**
   * Of a key that has to be loaded, so many of the keys that were asked for after it the last time are loaded with it, in
   * the same call, where memory does not have them; 0 to 64. It saves loads where keys come in the same order again, and
   * loads some in vain: `stats().ahead` tells how many. Where less than a quarter of them is asked for, it rests. Default 0.
   */
  readAhead?: number;
  /** How long a load may take. Default 10,000. */
  loadTimeoutMs?: number;
  /** A tier that processes share. */
  shared?: SharedTier;
  /** How long a request may wait for the shared tier. Default 50. */
  sharedTimeoutMs?: number;
  /** Whether a value is what it should be; one from the shared tier that is not counts as missing. */
  isValid?: (value: V, key: K) => boolean;
  /**
   * The version of what values are made by, such as that of a model. Each version has values of its own. Default: what
   * was published last.
   */
  version?: string;
  /** Milliseconds of a clock that never goes back, and the time of day. Default: the system's. */
  now?: Clock;
  /** The time of day, in milliseconds since 1970. */
  time?: Clock;
}

/** Options that were given and the defaults of the others. */
export interface ResolvedTieredOptions<K extends CacheKey, V> {
  readonly name: string;
  readonly load: LoadMany<K, V> | undefined;
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly staleMs: number;
  readonly negativeTtlMs: number;
  readonly jitter: number;
  readonly earlyRefresh: number;
  readonly readAhead: number;
  readonly loadTimeoutMs: number;
  readonly shared: SharedTier | undefined;
  readonly sharedTimeoutMs: number;
  readonly isValid: ((value: V, key: K) => boolean) | undefined;
  readonly now: Clock;
  readonly time: Clock;
}

/** Options of {@link TieredCache.get} and `getMany`. */
export interface CacheGetOptions {
  /** Gives up waiting; the load goes on if others wait for it. */
  signal?: AbortSignal;
}

/** Options of {@link TieredCache.set}. */
export interface CacheSetOptions {
  /** Milliseconds for which the value is fresh. Default: `ttlMs` of the cache. */
  ttlMs?: number;
}

/** What happened in a {@link TieredCache} so far. */
export interface TieredCacheStatistics {
  /** The version of the values that are served now. */
  readonly version: string;
  /** Keys asked for, and what answered for each: exactly one of these. */
  readonly requests: number;
  /** Keys by what answered. */
  readonly hits: {
    /** The tier in this process. */
    readonly memory: number;
    /** The tier that processes share. */
    readonly shared: number;
    /** `load`. */
    readonly origin: number;
    /** Of those from memory or the shared tier: past their time, served while they were loaded anew. */
    readonly stale: number;
    /** Of those from memory or the shared tier: known to have no value. */
    readonly negative: number;
  };
  /** Keys that waited for a load that another request had begun. */
  readonly joined: number;
  /** Of reading ahead. */
  readonly ahead: {
    /** Keys that were loaded with others before anybody asked for them. */
    readonly keys: number;
    /** Those of them that somebody did ask for. */
    readonly used: number;
  };
  /** Of the tier in this process. */
  readonly memory: ByteCacheStatistics;
  /** Of the tier that processes share; undefined without one. */
  readonly shared: (GuardStatistics & SharedStatistics) | undefined;
  /** Of `load`. */
  readonly origin: {
    /** Calls of `load`. */
    readonly loads: number;
    /** Keys in them. */
    readonly keys: number;
    /** Calls that failed. */
    readonly errors: number;
    /** Keys loaded anew before their time was over. */
    readonly early: number;
    /** Keys loaded anew after their time was over. */
    readonly refreshed: number;
    /** Microseconds that half of the calls took at most. */
    readonly p50us: number;
    /** Microseconds that 99 in 100 calls took at most. */
    readonly p99us: number;
  };
}

/** What a shared tier held that was no value, and what it could not be told yet. */
export interface SharedStatistics {
  /** Entries found that were damaged or not valid; they count as missing. */
  readonly poisoned: number;
  /** Invalidations that it could not be told yet; they are tried again. */
  readonly pendingInvalidations: number;
}

const MOST_AHEAD = 64;

/** @throws ERR_LICHEN_ARGUMENT for an option that is missing or out of range. */
export function resolveTiered<K extends CacheKey, V>(
  options: TieredCacheOptions<K, V>,
): ResolvedTieredOptions<K, V> {
  const { name, load, maxBytes, ttlMs, shared, isValid, version } = options;
  if (typeof name !== 'string' || name === '') throw bad('name', 'a text', name);
  requireLimit('maxBytes', maxBytes);
  if (maxBytes === undefined) throw bad('maxBytes', 'a number of bytes', maxBytes);
  if (!(typeof ttlMs === 'number' && ttlMs > 0))
    throw bad('ttlMs', 'a number of milliseconds above 0', ttlMs);
  if (load !== undefined && typeof load !== 'function') throw bad('load', 'a function', load);
  if (version !== undefined && (typeof version !== 'string' || version === '')) {
    throw bad('version', 'a text', version);
  }
  const { staleMs = 0, negativeTtlMs = ttlMs, jitter = 0.1, earlyRefresh = 1 } = options;
  const { readAhead = 0, loadTimeoutMs = 10_000, sharedTimeoutMs = 50 } = options;
  if (!(Number.isInteger(readAhead) && readAhead >= 0 && readAhead <= MOST_AHEAD)) {
    throw bad('readAhead', `an integer from 0 to ${MOST_AHEAD}`, readAhead);
  }
  requireDuration('staleMs', staleMs);
  requireDuration('negativeTtlMs', negativeTtlMs);
  requireDuration('loadTimeoutMs', loadTimeoutMs);
  requireDuration('sharedTimeoutMs', sharedTimeoutMs);
  requireDuration('earlyRefresh', earlyRefresh);
  if (!(jitter >= 0 && jitter < 1)) throw bad('jitter', 'a number of at least 0, below 1', jitter);
  if (shared !== undefined && Math.max(ttlMs, staleMs, negativeTtlMs) === Infinity) {
    throw bad('ttlMs, staleMs and negativeTtlMs', 'finite: what is shared must end', Infinity);
  }
  return {
    ...{ name, load, maxBytes, ttlMs, staleMs, negativeTtlMs, jitter, earlyRefresh, readAhead },
    ...{ loadTimeoutMs, shared, sharedTimeoutMs, isValid },
    now: options.now ?? steadyClock,
    time: options.time ?? Date.now,
  };
}

function bad(name: string, expected: string, value: unknown): LichenArgumentError {
  return badArgument(`${name} must be ${expected}, got ${shown(value)}`);
}
