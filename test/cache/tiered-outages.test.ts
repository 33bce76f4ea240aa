import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort, until, type ServerProcess } from '../servers/processes.js';
import { REDIS_MISSING, REDIS_NOTE, startRedis } from '../servers/redis.js';
import { Caches, vector, type VectorCache } from './redis-caches.js';
import { Proxy } from './redis-proxy.js';

/** Far more than the budget of 50 ms, far less than a request that waits for the server. */
const BOUND_MS = 2000;

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}

const shared = (cache: VectorCache) => cache.stats().shared!;

describe.skipIf(REDIS_MISSING)(`TieredCache when Redis is dead or slow${REDIS_NOTE}`, () => {
  let server: ServerProcess;
  let url: string;
  let port: number;
  const caches = new Caches();

  beforeAll(async () => {
    ({ server, url, port } = await startRedis());
  });
  afterEach(() => caches.close());
  afterAll(() => server.kill());

  it('goes on without one that was never there', async () => {
    const none = `redis://127.0.0.1:${await freePort()}`;
    const { cache } = await caches.open(none, 1, { name: 'none', sharedTimeoutMs: 50 }, false);
    for (let key = 0; key < 10; key++) {
      const { result, ms } = await timed(() => cache.get(key));
      expect(result).toEqual(vector(1, key));
      expect(ms).toBeLessThan(BOUND_MS);
    }
    expect(await cache.getMany([1, 20])).toEqual([vector(1, 1), vector(1, 20)]);
    await cache.set(1, vector(7));
    expect(await cache.get(1)).toEqual(vector(7));
    expect(await cache.invalidate(1)).toBe(false);
    expect(await cache.publish('v2')).toBe(false);
    expect(cache.version).toBe('v2');
    expect(shared(cache)).toMatchObject({ state: 'open' });
    expect(shared(cache).pendingInvalidations).toBe(2);
    const closing = await timed(() => cache.close());
    expect(closing.ms).toBeLessThan(BOUND_MS);
  });

  it('uses one that comes later, and its version', async () => {
    await server.kill();
    const options = { name: 'late' };
    const { cache } = await caches.open(url, 1, options, false);
    expect(await cache.get(1)).toEqual(vector(1, 1));
    expect(await cache.invalidate(1)).toBe(false);
    await server.start();
    const other = await caches.open(url, 2, options);
    await until(() => shared(cache).pendingInvalidations === 0, 'telling');
    await other.cache.publish('v2');
    await until(() => cache.version === 'v2', 'the news');
    await other.cache.set(5, vector(9));
    await until(async () => {
      await cache.get(5);
      return cache.peek(5)?.[0] === 9;
    }, 'sharing');
  });

  it('takes no longer than its budget while Redis is halted, and finds back', async () => {
    const options = { name: 'slow', sharedTimeoutMs: 50 };
    const { cache } = await caches.open(url, 1, options);
    await cache.get('here');
    server.halt();
    try {
      const calls: ((key: number) => Promise<unknown>)[] = [
        (key) => cache.get(key),
        (key) => cache.getMany([key, key + 1]),
        (key) => cache.set(key, vector(1, key)),
        (key) => cache.invalidate(key),
      ];
      for (let at = 0; at < 12; at++) {
        const { ms } = await timed(() => calls[at % 4]!(100 * at));
        expect(ms).toBeLessThan(BOUND_MS);
      }
      expect((await timed(() => cache.get('here'))).ms).toBeLessThan(BOUND_MS);
      expect(shared(cache).timeouts).toBeGreaterThanOrEqual(3);
      // A try may be under way just now.
      await until(() => shared(cache).state === 'open', 'opening');
      const { skipped, timeouts } = shared(cache);
      for (let key = 2000; key < 2100; key++) {
        expect(await cache.get(key)).toEqual(vector(1, key));
      }
      expect(shared(cache).skipped - skipped).toBeGreaterThan(50);
      expect(shared(cache).timeouts - timeouts).toBeLessThan(10);
    } finally {
      server.resume();
    }
    await until(async () => {
      await cache.get(Math.random().toString());
      return shared(cache).state === 'closed' && shared(cache).pendingInvalidations === 0;
    }, 'closing');
    // It is asked again.
    const { requests } = shared(cache);
    await cache.get('after');
    expect(shared(cache).requests).toBeGreaterThan(requests);
  });

  it('tells what was invalidated while Redis was halted, and none takes the old value', async () => {
    const options = { name: 'halted', sharedTimeoutMs: 50 };
    const a = await caches.open(url, 1, options);
    const b = await caches.open(url, 2, options);
    await b.cache.get(1);
    const raw = caches.raw(url);
    await until(async () => (await raw.strlen('halted:0:i1')) > 40, 'filling');
    server.halt();
    try {
      expect(await a.cache.invalidate(1)).toBe(false);
      expect(shared(a.cache).pendingInvalidations).toBe(1);
      expect(await a.cache.get(1)).toEqual(vector(1, 1));
    } finally {
      server.resume();
    }
    await until(() => shared(a.cache).pendingInvalidations === 0, 'telling');
    await until(() => b.cache.peek(1) === undefined, 'the news');
    expect(await b.cache.get(1)).toEqual(vector(2, 1));
    expect(b.cache.stats().hits).toMatchObject({ shared: 0, origin: 2 });
  });

  it('goes on while Redis is killed, tells what was pending, and shares again', async () => {
    const a = await caches.open(url, 1, { name: 'killed' });
    const b = await caches.open(url, 2, { name: 'killed' });
    await b.cache.get(1);
    await b.cache.get(2);
    await server.kill();
    await until(async () => {
      await a.cache.get(Math.random().toString());
      return shared(a.cache).errors + shared(a.cache).timeouts > 0;
    }, 'an error');
    for (let key = 10; key < 40; key++) {
      const { result, ms } = await timed(() => a.cache.get(key));
      expect(result).toEqual(vector(1, key));
      expect(ms).toBeLessThan(BOUND_MS);
    }
    expect(await a.cache.invalidate([1, 2])).toBe(false);
    expect(shared(a.cache).pendingInvalidations).toBe(2);
    // It has not heard of it yet.
    expect(await b.cache.get(1)).toEqual(vector(2, 1));
    await server.start();
    await until(() => shared(a.cache).pendingInvalidations === 0, 'telling');
    await until(() => b.cache.peek(1) === undefined, 'the news');
    for (const { cache } of [a, b]) await until(() => cache.invalidate('x'), 'reaching Redis');
    await a.cache.set('again', vector(3));
    await until(async () => {
      await b.cache.get('again');
      return b.cache.peek('again')?.[0] === 3;
    }, 'sharing again');
    expect(b.cache.stats().hits.shared).toBeGreaterThan(0);
    await a.cache.invalidate('again');
    await until(() => b.cache.peek('again') === undefined, 'news after the restart');
  });

  it('does not take from Redis what was invalidated by one who could not reach it', async () => {
    const proxy = new Proxy(port);
    await proxy.mend();
    const a = await caches.open(proxy.url, 1, { name: 'cut' });
    const b = await caches.open(url, 2, { name: 'cut' });
    const raw = caches.raw(url);
    await b.cache.get(1);
    await until(async () => (await raw.strlen('cut:0:i1')) > 40, 'filling');
    await proxy.cut();
    try {
      expect(await a.cache.invalidate(1)).toBe(false);
      // The old value is still there, for those who know no better.
      expect(await raw.strlen('cut:0:i1')).toBeGreaterThan(40);
    } finally {
      await proxy.mend();
    }
    // The old value can be read again before Redis is told, but not by who knows that it is old.
    expect(await a.cache.get(1)).toEqual(vector(1, 1));
    await until(() => shared(a.cache).pendingInvalidations === 0, 'telling');
    await until(() => b.cache.peek(1) === undefined, 'the news');
    const again = await b.cache.get(1);
    expect(b.cache.stats().hits).toMatchObject({ shared: 0, origin: 2 });
    expect(again).toEqual(vector(2, 1));
    await proxy.cut();
  });

  it('forgets what it may have missed news of while it was cut off', async () => {
    const proxy = new Proxy(port);
    await proxy.mend();
    const a = await caches.open(proxy.url, 1, { name: 'missed' });
    const b = await caches.open(url, 2, { name: 'missed' });
    await a.cache.get(1);
    await a.cache.get(2);
    await proxy.cut();
    await b.cache.set(1, vector(5));
    await b.cache.publish('v2');
    expect(a.cache.peek(1)).toEqual(vector(1, 1));
    await proxy.mend();
    await until(() => a.cache.version === 'v2', 'the version');
    expect(a.cache.peek(1)).toBeUndefined();
    expect(a.cache.peek(2)).toBeUndefined();
    await proxy.cut();
  });

  // A set that could not be told waits until something else is.
  it('tells what was set while it was cut off', async () => {
    const proxy = new Proxy(port);
    await proxy.mend();
    const a = await caches.open(proxy.url, 1, { name: 'set' });
    const b = await caches.open(url, 2, { name: 'set' });
    await b.cache.get(1);
    await proxy.cut();
    await a.cache.set(1, vector(5));
    await proxy.mend();
    // Many times what telling an invalidation takes.
    const end = performance.now() + 1500;
    await until(() => b.cache.peek(1) === undefined || performance.now() > end, 'anything');
    await proxy.cut();
    expect(b.cache.peek(1)).toBeUndefined();
  });
});
