import { describe, expect, it, vi } from 'vitest';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { until } from '../servers/processes.js';
import { FakeClock, ManualOrigin, sealed, settled } from './helpers.js';
import { LocalStore, LocalTier } from './local-tier.js';

const vector = (...values: number[]) => Float32Array.from(values);

/** A cache of a process of its own, which loads the vector [from, key]. */
async function make(store: LocalStore, from: number, options: object = {}) {
  const tier = new LocalTier(store);
  const clock = new FakeClock();
  const time = new FakeClock(1e12);
  const cache = new TieredCache<number | string, Float32Array>({
    ...{ name: 'test', shared: tier, maxBytes: 2 ** 24, ttlMs: 1000, jitter: 0 },
    load: (keys) => keys.map((key) => vector(from, Number(key))),
    ...{ earlyRefresh: 0, now: clock.now, time: time.now },
    ...options,
  });
  await settled();
  return { tier, cache, clock, time };
}

describe('the shared tier of a TieredCache', () => {
  it('is asked once for all keys of a request', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    await a.cache.getMany([1, 2]);
    await settled();
    const b = await make(store, 2);
    b.tier.reads.length = 0;
    const values = await b.cache.getMany([1, 3, 2, 1]);
    expect(values).toEqual([vector(1, 1), vector(2, 3), vector(1, 2), vector(1, 1)]);
    expect(b.tier.reads).toEqual([['test:0:i1', 'test:0:i3', 'test:0:i2']]);
    expect(b.cache.stats()).toMatchObject({ hits: { shared: 2, origin: 1 }, joined: 1 });
  });

  it('tells that there is no value', async () => {
    const store = new LocalStore();
    const a = await make(store, 1, { load: () => [undefined] });
    await a.cache.get(1);
    await settled();
    const b = await make(store, 2);
    expect(await b.cache.get(1)).toBeUndefined();
    expect(b.cache.stats().hits).toMatchObject({ shared: 1, negative: 1, origin: 0 });
  });

  it('gives an entry as long a life as is left of it', async () => {
    const store = new LocalStore();
    const a = await make(store, 1, { staleMs: 500 });
    await a.cache.get(1);
    await settled();
    expect(store.ttls.get('test:0:i1')).toBe(1500);
    const b = await make(store, 2, { staleMs: 500 });
    b.time.pass(400);
    expect(await b.cache.get(1)).toEqual(vector(1, 1));
    b.clock.pass(599);
    await b.cache.get(1);
    expect(b.cache.stats().hits).toMatchObject({ memory: 1, stale: 0 });
    b.clock.pass(500);
    expect(await b.cache.get(1)).toEqual(vector(1, 1));
    expect(b.cache.stats().hits).toMatchObject({ memory: 2, stale: 1 });
    b.clock.pass(1);
    b.cache.peek(1);
    const c = await make(store, 3, { staleMs: 500 });
    c.time.pass(1000);
    // Past its time: served, and loaded anew.
    expect(await c.cache.get(1)).toEqual(vector(1, 1));
    await settled();
    expect(await c.cache.get(1)).toEqual(vector(3, 1));
    expect(c.cache.stats()).toMatchObject({ hits: { stale: 1 }, origin: { refreshed: 1 } });
  });

  it.each([1, 1e6, 1e12])(
    'gives no entry a longer life when the time of day goes back %s ms',
    async (back) => {
      const store = new LocalStore();
      const a = await make(store, 1, { staleMs: 500 });
      await a.cache.get(1);
      await settled();
      const b = await make(store, 2, { staleMs: 500 });
      b.time.pass(-back);
      expect(await b.cache.get(1)).toEqual(vector(1, 1));
      b.clock.pass(999);
      await b.cache.get(1);
      expect(b.cache.stats().hits.stale).toBe(0);
      b.clock.pass(1);
      await b.cache.get(1);
      expect(b.cache.stats().hits.stale).toBe(1);
      b.clock.pass(500);
      expect(b.cache.peek(1)).toBeUndefined();
    },
  );

  it('is loaded early by XFetch when the one who loaded it waited long', async () => {
    const store = new LocalStore();
    const times = { freshUntil: 1e12 + 1000, freshMs: 1000, servedMs: 1000, loadMs: 1000 };
    store.entries.set('test:0:i1', sealed(vector(7), times));
    const b = await make(store, 2, { earlyRefresh: 1 });
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.5);
    try {
      expect(await b.cache.get(1)).toEqual(vector(7));
      b.clock.pass(300);
      // 1000 ms · ln 2 = 693: less than the 700 that are left.
      await b.cache.get(1);
      expect(b.cache.stats().origin.early).toBe(0);
      b.clock.pass(10);
      expect(await b.cache.get(1)).toEqual(vector(7));
      await settled();
      expect(b.cache.stats().origin.early).toBe(1);
      expect(await b.cache.get(1)).toEqual(vector(2, 1));
    } finally {
      random.mockRestore();
    }
  });

  it('takes a value from another process that loads it anew first', async () => {
    const store = new LocalStore();
    const a = await make(store, 1, { staleMs: 500 });
    const b = await make(store, 2, { staleMs: 500 });
    await b.cache.get(1);
    await settled();
    await a.cache.get(1);
    for (const { clock, time } of [a, b]) [clock, time].forEach((one) => one.pass(1000));
    await a.cache.get(1);
    await settled();
    expect(a.cache.peek(1)).toEqual(vector(1, 1));
    await b.cache.get(1);
    await settled();
    expect(b.cache.peek(1)).toEqual(vector(1, 1));
    expect(b.cache.stats().origin.loads).toBe(1);
  });

  it('does not take the value of a load that another process outdated', async () => {
    const store = new LocalStore();
    const origin = new ManualOrigin<number, Float32Array>();
    const a = await make(store, 1, { load: origin.load });
    const b = await make(store, 2);
    const old = a.cache.get(1);
    await settled();
    await b.cache.invalidate(1);
    await settled();
    await origin.answer(0, vector(0));
    expect(await old).toEqual(vector(0));
    expect(a.cache.peek(1)).toBeUndefined();
    expect(await b.cache.get(1)).toEqual(vector(2, 1));
    // Nor if the process has not heard of it yet.
    const later = a.cache.get(3);
    await settled();
    a.tier.isCut = true;
    await b.cache.invalidate(3);
    a.tier.isCut = false;
    await origin.answer(1, vector(0));
    expect(await later).toEqual(vector(0));
    expect(await b.cache.get(3)).toEqual(vector(2, 3));
  });

  it('forgets what it may have missed news of', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    const b = await make(store, 2);
    await a.cache.get(1);
    await settled();
    await b.cache.get(1);
    a.tier.isCut = true;
    await b.cache.set(1, vector(5));
    await b.cache.publish('v2');
    expect(a.cache.peek(1)).toEqual(vector(1, 1));
    a.tier.mend();
    await settled();
    expect(a.cache.peek(1)).toBeUndefined();
    expect(a.cache.version).toBe('v2');
  });

  it('is followed from a version of its own only by what is published later', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    await a.cache.publish('v1');
    const b = await make(store, 2, { version: 'mine' });
    expect(b.cache.version).toBe('mine');
    const c = await make(store, 3);
    expect(c.cache.version).toBe('v1');
    await a.cache.publish('v2');
    expect([a, b, c].map(({ cache }) => cache.version)).toEqual(['v2', 'v2', 'v2']);
    b.tier.isCut = true;
    await a.cache.publish('v3');
    b.tier.mend();
    await settled();
    expect(b.cache.version).toBe('v3');
  });

  it('keeps integers and texts apart', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    await a.cache.set(1, vector(10));
    await a.cache.set('1', vector(20));
    const b = await make(store, 2);
    expect(await b.cache.getMany([1, '1'])).toEqual([vector(10), vector(20)]);
  });

  it.each(['invalidate', 'publish'] as const)('hears of %s when it is back', async (what) => {
    const store = new LocalStore();
    const a = await make(store, 1);
    const b = await make(store, 2);
    await b.cache.get(1);
    await settled();
    a.tier.isCut = true;
    expect(await a.cache[what]('1')).toBe(false);
    expect(await a.cache.invalidate(1)).toBe(false);
    expect(a.cache.stats().shared!.pendingInvalidations).toBe(2);
    // Not taken from there, as long as that does not know.
    expect(await a.cache.get(1)).toEqual(vector(1, 1));
    a.tier.mend();
    await until(() => a.cache.stats().shared!.pendingInvalidations === 0, 'telling');
    expect(b.cache.peek(1)).toBeUndefined();
    if (what === 'publish') expect(b.cache.version).toBe('1');
    expect(await b.cache.get(1)).toEqual(vector(2, 1));
  });

  it('is left for another version when too much is to be told', async () => {
    const store = new LocalStore();
    const a = await make(store, 1);
    a.tier.isCut = true;
    const keys = Array.from({ length: 100_001 }, (_, at) => at);
    expect(await a.cache.invalidate(keys)).toBe(false);
    expect(a.cache.stats().shared!.pendingInvalidations).toBe(1);
    const { version } = a.cache;
    expect(version).not.toBe('0');
    const b = await make(store, 2);
    a.tier.mend();
    await until(() => b.cache.version === version, 'telling');
  });
});
