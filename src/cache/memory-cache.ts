import { shown } from '../errors.js';
import {
  badArgument,
  requireDuration,
  requireLimit,
  steadyClock,
  type Clock,
} from './cache-limits.js';
import { CacheTable, type CacheTableStatistics } from './cache-table.js';
import { requireCacheKey, type CacheKey } from './key-hash.js';

/** Options of {@link MemoryCache}. */
export interface MemoryCacheOptions<K extends CacheKey, V> {
  /** Most entries. One of the two limits is needed. */
  maxEntries?: number;
  /** Most that `sizeOf` may come to over all entries. */
  maxSize?: number;
  /** The size of an entry, above 0, in whatever unit `maxSize` has. Default 1. */
  sizeOf?: (value: V, key: K) => number;
  /** Milliseconds that an entry lasts, unless `set` says otherwise. Default: as long as there is room. */
  ttlMs?: number;
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  now?: Clock;
}

/** What happened in a {@link MemoryCache} so far; its size is what `sizeOf` comes to. */
export type MemoryCacheStatistics = CacheTableStatistics;

/**
 * A cache of values by reference in this process, for any value that nobody changes. What it gives up is chosen by what
 * it has seen of each key and of such keys (how often, how long ago), so that a scan over many keys does not drive out
 * what is in use.
 *
 * @example
 * const cache = new MemoryCache<string, User>({ maxEntries: 10_000, ttlMs: 60_000 });
 * cache.set('u1', user);
 * cache.get('u1'); // user itself
 */
export class MemoryCache<K extends CacheKey, V> {
  private readonly table: CacheTable;
  private readonly sizeOf: ((value: V, key: K) => number) | undefined;
  private readonly ttlMs: number;
  private readonly now: Clock;

  /** @throws ERR_LICHEN_ARGUMENT without a limit, for a limit below 1, for `maxSize` without `sizeOf`. */
  constructor(options: MemoryCacheOptions<K, V>) {
    const { maxEntries, maxSize, sizeOf, ttlMs = Infinity, now = steadyClock } = options;
    requireLimit('maxEntries', maxEntries);
    requireLimit('maxSize', maxSize);
    requireDuration('ttlMs', ttlMs);
    if (maxEntries === undefined && maxSize === undefined) {
      throw badArgument('a cache needs a limit: maxEntries or maxSize');
    }
    if (maxSize !== undefined && sizeOf === undefined) throw badArgument('maxSize needs sizeOf');
    this.sizeOf = sizeOf;
    this.ttlMs = ttlMs;
    this.now = now;
    this.table = new CacheTable({
      maxEntries: maxEntries ?? Infinity,
      maxWeight: maxSize ?? Infinity,
      now,
    });
  }

  /** Number of entries. */
  get size(): number {
    return this.table.size;
  }

  /** The value of a key, undefined if it is not there (any more). */
  get(key: K): V | undefined {
    const row = this.table.ask(key);
    return row < 0 ? undefined : (this.table.values[row] as V);
  }

  /** The value of a key, without counting as a request. */
  peek(key: K): V | undefined {
    const row = this.table.rowOf(key);
    return row < 0 ? undefined : (this.table.values[row] as V);
  }

  /**
   * Puts a value in, or in the place of the key's old one. False: it is not kept, since it is larger than the cache or
   * worth less than what would have to go.
   * @throws ERR_LICHEN_ARGUMENT for a key that is no safe integer or string, for undefined and for a size of 0 or less.
   */
  set(key: K, value: V, options?: { ttlMs?: number }): boolean {
    requireCacheKey(key);
    if (value === undefined) throw badArgument('value is undefined, which stands for absence');
    let { ttlMs } = this;
    if (options?.ttlMs !== undefined) {
      requireDuration('ttlMs', options.ttlMs);
      ttlMs = options.ttlMs;
    }
    const size = this.sizeOf === undefined ? 1 : this.sizeOf(value, key);
    if (!(typeof size === 'number' && size > 0 && size < Infinity)) {
      throw badArgument(`sizeOf gave ${shown(size)}, expected a number above 0`);
    }
    const expiry = ttlMs === Infinity ? Infinity : this.now() + ttlMs;
    const old = this.table.rowOf(key);
    const row = old >= 0 ? old : this.table.admit(key, size, expiry);
    if (row < 0) return false;
    if (old >= 0 && !this.table.reweigh(row, size, expiry)) return false;
    this.table.values[row] = value;
    return true;
  }

  /** Whether the key was there. */
  delete(key: K): boolean {
    return this.table.delete(key);
  }

  /** Forgets all entries. */
  clear(): void {
    this.table.clear();
  }

  /** What was asked for and given up so far. */
  stats(): MemoryCacheStatistics {
    return this.table.stats();
  }
}
