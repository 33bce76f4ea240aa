import { describe, expect, it, vi } from 'vitest';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { settled, withCode } from './helpers.js';
import { LocalStore, LocalTier } from './local-tier.js';

const vector = (...values: number[]) => Float32Array.from(values);

async function make(store: LocalStore, from: number, options: object = {}) {
  const tier = new LocalTier(store);
  const cache = new TieredCache<number | string, Float32Array>({
    ...{ name: 'test', shared: tier, maxBytes: 2 ** 24, ttlMs: 60_000 },
    load: (keys) => keys.map(() => vector(from)),
    ...options,
  });
  await settled();
  return { tier, cache };
}

/** Long enough for some retries (one each 250 ms) once the tier is there again. */
const soon = { timeout: 1500, interval: 20 };

describe('the shared tier of a TieredCache, in odd cases', () => {
  // Nothing tries again after a set that could not be told, until something else is invalidated.
  it('hears of a set when it is back', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    const b = await make(store, 2);
    await b.cache.get(1);
    await settled();
    a.tier.isCut = true;
    await a.cache.set(1, vector(5));
    expect(a.cache.stats().shared!.pendingInvalidations).toBe(1);
    a.tier.mend();
    await vi.waitFor(() => expect(a.cache.stats().shared!.pendingInvalidations).toBe(0), soon);
    expect(b.cache.peek(1)).toBeUndefined();
  });

  // The version is asked for once, and not again if that fails.
  it('tells its version to a process that could not ask at first', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    await a.cache.publish('v1');
    const tier = new LocalTier(store);
    tier.failures = 1;
    const cache = new TieredCache<number, Float32Array>({
      ...{ name: 'test', shared: tier, maxBytes: 2 ** 24, ttlMs: 60_000 },
    });
    await settled();
    await vi.waitFor(async () => {
      await cache.get(1);
      expect(cache.version).toBe('v1');
    }, soon);
  });

  // What a process with its own version hears first, it takes for something published before it began.
  it('tells a process with a version of its own of the first one that it missed', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    const b = await make(store, 2, { version: 'mine' });
    b.tier.isCut = true;
    await a.cache.publish('v1');
    b.tier.mend();
    await settled();
    expect(b.cache.version).toBe('v1');
  });

  // "PX Infinity" is an error to Redis.
  it('takes no value that never ends', async () => {
    const { cache } = await make(new LocalStore(), 1);
    await expect(cache.set(1, vector(1), { ttlMs: Infinity })).rejects.toEqual(
      withCode('ERR_LICHEN_ARGUMENT'),
    );
  });

  // Names are joined by colons that names and versions may hold themselves.
  it('keeps caches of different names apart', async () => {
    const store = new LocalStore();
    const a = await make(store, 1, { name: 'a', version: '1:2' });
    await a.cache.set(1, vector(5));
    const b = await make(store, 2, { name: 'a:1', version: '2' });
    expect(await b.cache.get(1)).toEqual(vector(2));
  });

  it('waits as long as it is told', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    await a.cache.set(1, vector(5));
    const b = await make(store, 2, { sharedTimeoutMs: Infinity });
    const getMany = b.tier.getMany.bind(b.tier);
    b.tier.getMany = async (keys) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return getMany(keys);
    };
    expect(await b.cache.get(1)).toEqual(vector(5));
  });

  it.each(['1000', true])('takes no ttlMs of %j', (ttlMs) => {
    const options = { name: 'test', maxBytes: 2 ** 24, ttlMs: ttlMs as never, negativeTtlMs: 5 };
    expect(() => void new TieredCache(options)).toThrow(withCode('ERR_LICHEN_ARGUMENT'));
  });

  it('refuses to invalidate null', async () => {
    const { cache } = await make(new LocalStore(), 1);
    await expect(cache.invalidate(null as never)).rejects.toEqual(withCode('ERR_LICHEN_ARGUMENT'));
  });

  // An origin that says "no value" while an old one is still served.
  it('drops a stale value when the origin has none any more', async () => {
    let now = 0;
    const { cache } = await make(new LocalStore(), 1, {
      ...{ load: () => [undefined], ttlMs: 1, staleMs: 60_000, negativeTtlMs: 0 },
      ...{ now: () => now, time: () => now },
    });
    await cache.set(1, vector(1));
    now = 2;
    expect(await cache.get(1)).toEqual(vector(1));
    await settled();
    expect(cache.peek(1)).toBeUndefined();
  });
});
