import { Redis } from 'ioredis';
import { openRedisTier, type RedisTier } from '../../src/cache/redis-tier.js';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { until } from '../servers/processes.js';

export const vector = (...values: number[]): Float32Array => Float32Array.from(values);

export type VectorCache = TieredCache<number | string, Float32Array>;

/** Caches and connections of a test, all closed after it. */
export class Caches {
  private readonly opened: (() => Promise<unknown>)[] = [];

  /** A cache with a connection of its own, as another process has; it loads the vector [from, key]. */
  async open(
    url: string,
    from: number,
    options: object = {},
    isThere = true,
  ): Promise<{ cache: VectorCache; tier: RedisTier }> {
    const tier = await openRedisTier({ url });
    this.opened.push(() => tier.close());
    const cache: VectorCache = new TieredCache({
      ...{ name: 'test', shared: tier, maxBytes: 2 ** 24, ttlMs: 60_000, earlyRefresh: 0 },
      // Where the machine is busy, an answer may take long.
      sharedTimeoutMs: 1000,
      load: (keys) => keys.map((key) => vector(from, Number(key))),
      ...options,
    });
    this.opened.push(() => cache.close());
    // Once it listens, it asks for the version.
    const isListening = (): boolean => cache.stats().shared!.requests > 0;
    if (isThere) await until(isListening, 'listening');
    return { cache, tier };
  }

  /** A connection to look at what stands in Redis, and to put something else there. */
  raw(url: string): Redis {
    const redis = new Redis(url);
    redis.on('error', () => undefined);
    this.opened.push(() => Promise.resolve(redis.disconnect()));
    return redis;
  }

  async close(): Promise<void> {
    for (const close of this.opened.splice(0).reverse()) await close();
  }
}
