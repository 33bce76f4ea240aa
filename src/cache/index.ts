/**
 * Caches: in memory, by bytes, and in tiers of memory, Redis and origin.
 * @packageDocumentation
 */
export type { CacheKey } from './key-hash.js';
export {
  MemoryCache,
  type MemoryCacheOptions,
  type MemoryCacheStatistics,
} from './memory-cache.js';
export { ByteCache, type ByteCacheOptions, type ByteCacheStatistics } from './byte-cache.js';
export { TieredCache } from './tiered-cache.js';
export type {
  CacheGetOptions,
  CacheSetOptions,
  LoadMany,
  SharedStatistics,
  TieredCacheOptions,
  TieredCacheStatistics,
} from './tiered-options.js';
export type { GuardStatistics } from './guarded.js';
export type { BreakerState } from './breaker.js';
export type { SharedEntry, SharedTier } from './shared-tier.js';
export { openRedisTier, RedisTier, type RedisTierOptions } from './redis-tier.js';
export type { ValueArray } from './value-bytes.js';
export type { Clock } from './cache-limits.js';
