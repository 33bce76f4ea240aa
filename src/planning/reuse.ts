import { LichenArgumentError } from '../errors.js';
import type { Trace } from './trace.js';

/** Options of {@link reuseProfile}. */
export interface ReuseOptions {
  /**
   * The share of the keys that are looked at, chosen by a hash, between 0 and 1: enough for traces of many millions of
   * requests (SHARDS; Waldspurger et al., FAST 2015). Default 1, all.
   */
  readonly sampleShare?: number | undefined;
}

/** A cache whose hit ratio is asked for. */
export interface CacheShape {
  /** Most entries. Infinity: no limit. */
  readonly entries: number;
  /** Milliseconds after which an entry that was loaded counts no more. Default Infinity. */
  readonly ttlMs?: number | undefined;
  /** Every so many milliseconds all entries lose their worth, as when a new model is published. Default: never. */
  readonly publishEveryMs?: number | undefined;
}

/** What is known of a trace for caches of any size that give up what was used longest ago (LRU). */
export interface ReuseProfile {
  /** Requests of the whole trace. */
  readonly requests: number;
  /** Keys of the whole trace. */
  readonly keyCount: number;
  /** The share of requests that LRU would have answered. */
  hitRatio(shape: CacheShape): number;
  /** The most that any cache could have: all but first requests. */
  readonly mostHits: number;
  /**
   * Of each request (of the sample) how many different keys were asked for since its key was last, itself included;
   * Infinity for a first request (Mattson et al., 1970).
   */
  readonly distances: Float64Array;
}

/**
 * Measures reuse distances: a request is a hit in a cache of n entries by LRU if at most n different keys were asked for
 * since, itself included; so one pass tells of all sizes. A time to live counts from when the entry was loaded.
 * @throws ERR_LICHEN_ARGUMENT
 *
 * @example
 * reuseProfile(trace).hitRatio({ entries: 10_000, ttlMs: 60_000 });
 */
export function reuseProfile(trace: Trace, options: ReuseOptions = {}): ReuseProfile {
  const { sampleShare = 1 } = options;
  if (!(sampleShare > 0 && sampleShare <= 1)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `sampleShare must be a number above 0, at most 1, got ${String(sampleShare)}`,
    );
  }
  const { keys, times } = sampleTrace(trace, sampleShare);
  const wanted = sampleShare * trace.keys.length;
  const distances = distancesOf(keys, trace.keyCount).map((distance) => distance / sampleShare);
  let first = 0;
  for (const distance of distances) if (distance === Infinity) first++;
  return {
    requests: trace.keys.length,
    keyCount: trace.keyCount,
    distances,
    mostHits: fullHits(keys.length === 0 ? 0 : 1 - first / keys.length, keys.length, wanted),
    hitRatio: (shape) =>
      fullHits(hitRatioOf(keys, times, trace.keyCount, distances, shape), keys.length, wanted),
  };
}

/**
 * The hits of a whole trace by those of a sample of its keys. That the sample has fewer requests than its share, or more,
 * comes from the few keys that are asked for most; such requests are hits (SHARDS' adjustment).
 * @param wanted requests that the sample's share comes to.
 */
export function fullHits(hits: number, sampled: number, wanted: number): number {
  if (sampled === 0) return 0;
  return Math.min(1, Math.max(0, 1 - ((1 - hits) * sampled) / wanted));
}

/** The requests of some of the keys. */
export function sampleTrace(trace: Trace, share: number): Trace {
  if (share === 1) return trace;
  const bound = share * 2 ** 32;
  const kept = trace.keys.reduce<number[]>((list, key, at) => {
    if (hashOf(key) < bound) list.push(at);
    return list;
  }, []);
  return {
    keys: Uint32Array.from(kept, (at) => trace.keys[at]!),
    times: Float64Array.from(kept, (at) => trace.times[at]!),
    keyCount: trace.keyCount,
  };
}

/** The finisher of MurmurHash3, which spreads numbers that lie side by side. */
function hashOf(key: number): number {
  let hash = key ^ (key >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Stack distances: a Fenwick tree counts the places at which a key stands for the last time so far. */
function distancesOf(keys: Uint32Array, keyCount: number): Float64Array {
  const { length } = keys;
  const tree = new Int32Array(length + 1);
  const add = (at: number, by: number) => {
    for (let node = at + 1; node <= length; node += node & -node) tree[node]! += by;
  };
  const upTo = (at: number) => {
    let sum = 0;
    for (let node = at + 1; node > 0; node -= node & -node) sum += tree[node]!;
    return sum;
  };
  const last = new Int32Array(keyCount).fill(-1);
  const distances = new Float64Array(length);
  let distinct = 0;
  for (let at = 0; at < length; at++) {
    const key = keys[at]!;
    const before = last[key]!;
    if (before < 0) {
      distances[at] = Infinity;
      distinct++;
    } else {
      distances[at] = distinct - upTo(before) + 1;
      add(before, -1);
    }
    add(at, 1);
    last[key] = at;
  }
  return distances;
}

/** @throws ERR_LICHEN_ARGUMENT */
export function requireShape({
  entries,
  ttlMs = Infinity,
  publishEveryMs = Infinity,
}: CacheShape): void {
  if (entries >= 0 && ttlMs > 0 && publishEveryMs > 0) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `a cache must have entries of 0 or more and times above 0, got ${entries}, ${ttlMs}, ${publishEveryMs}`,
  );
}

/** How many new versions came before a time. */
export function periods(start: number, everyMs: number): (time: number) => number {
  return (time) => (everyMs === Infinity ? 0 : Math.floor((time - start) / everyMs));
}

function hitRatioOf(
  keys: Uint32Array,
  times: Float64Array,
  keyCount: number,
  distances: Float64Array,
  { entries, ttlMs = Infinity, publishEveryMs = Infinity }: CacheShape,
): number {
  requireShape({ entries, ttlMs, publishEveryMs });
  if (keys.length === 0) return 0;
  const loadedAt = new Float64Array(keyCount);
  const periodOf = periods(times[0]!, publishEveryMs);
  let hits = 0;
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at]!;
    const now = times[at]!;
    const loaded = loadedAt[key]!;
    // A first request is none of a cache without a limit either.
    const isKept = distances[at]! <= entries && distances[at] !== Infinity;
    if (isKept && now - loaded < ttlMs && periodOf(loaded) === periodOf(now)) hits++;
    else loadedAt[key] = now;
  }
  return hits / keys.length;
}
