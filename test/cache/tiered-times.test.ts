import { afterEach, describe, expect, it, vi } from 'vitest';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { FakeClock, ManualOrigin, settled, withCode } from './helpers.js';

const vector = (...values: number[]) => Float32Array.from(values);

function make(options: object = {}) {
  const origin = new ManualOrigin<number, Float32Array>();
  const clock = new FakeClock();
  const cache = new TieredCache<number, Float32Array>({
    ...{ name: 'test', load: origin.load, maxBytes: 2 ** 24, ttlMs: 1000, jitter: 0 },
    ...{ earlyRefresh: 0, now: clock.now },
    ...options,
  });
  return { origin, clock, cache };
}

afterEach(() => vi.restoreAllMocks());

describe('the time of values in a TieredCache', () => {
  it('is over after ttlMs', async () => {
    const { origin, clock, cache } = make();
    const first = cache.get(1);
    await origin.answer(0, vector(1));
    await first;
    clock.pass(999);
    expect(await cache.get(1)).toEqual(vector(1));
    clock.pass(1);
    expect(cache.peek(1)).toBeUndefined();
    const second = cache.get(1);
    await origin.answer(1, vector(2));
    expect(await second).toEqual(vector(2));
  });

  it('is another for what was set with one', async () => {
    const { origin, clock, cache } = make();
    await cache.set(1, vector(1), { ttlMs: 10 });
    await cache.set(2, vector(2), { ttlMs: 5000 });
    await cache.set(3, vector(3), { ttlMs: 0 });
    expect(cache.peek(3)).toBeUndefined();
    clock.pass(10);
    expect(cache.peek(1)).toBeUndefined();
    clock.pass(4989);
    expect(await cache.get(2)).toEqual(vector(2));
    clock.pass(1);
    expect(cache.peek(2)).toBeUndefined();
    expect(origin.calls).toHaveLength(0);
  });

  it('is followed by one in which they are served while they are loaded anew, once', async () => {
    const { origin, clock, cache } = make({ staleMs: 500 });
    await cache.set(1, vector(1));
    clock.pass(1000);
    const values = await Promise.all([cache.get(1), cache.get(1), cache.get(1)]);
    expect(values).toEqual([vector(1), vector(1), vector(1)]);
    expect(origin.calls.map(({ keys }) => keys)).toEqual([[1]]);
    await origin.answer(0, vector(2));
    expect(await cache.get(1)).toEqual(vector(2));
    // The new value has all of its time before it.
    clock.pass(999);
    expect(await cache.get(1)).toEqual(vector(2));
    expect(origin.calls).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ hits: { stale: 3 }, origin: { refreshed: 1, early: 0 } });
  });

  it('goes on when loading anew fails, until it is over for good', async () => {
    const { origin, clock, cache } = make({ staleMs: 500 });
    await cache.set(1, vector(1));
    clock.pass(1000);
    for (let n = 0; n < 5; n++) {
      clock.pass(99);
      expect(await cache.get(1)).toEqual(vector(1));
      expect(origin.calls).toHaveLength(n + 1);
      origin.calls[n]!.reject(new Error('origin'));
      await settled();
    }
    expect(cache.stats().origin.errors).toBe(5);
    clock.pass(5);
    const last = cache.get(1);
    origin.calls[5]!.reject(new Error('origin'));
    await expect(last).rejects.toThrow('origin');
  });

  it('ends for many stale keys by one load', async () => {
    const { origin, clock, cache } = make({ staleMs: 500 });
    for (const key of [1, 2, 3]) await cache.set(key, vector(key));
    clock.pass(1200);
    expect(await cache.getMany([3, 1, 3, 2])).toEqual([3, 1, 3, 2].map((n) => vector(n)));
    expect(origin.calls.map(({ keys }) => keys)).toEqual([[3, 1, 2]]);
  });

  it('is shortened at random, by a tenth at most', async () => {
    const random = vi.spyOn(Math, 'random');
    for (const [jitter, drawn, lasts] of [
      [undefined, 0, 1000],
      [undefined, 0.999999, 900.001],
      [0.5, 0.5, 750],
      [0, 0.9, 1000],
    ]) {
      const { clock, cache } = make(jitter === undefined ? { jitter } : { jitter });
      random.mockReturnValue(drawn!);
      await cache.set(1, vector(1));
      clock.pass(lasts! - 0.1);
      expect(cache.peek(1), `jitter ${jitter}, ${drawn}`).toBeDefined();
      clock.pass(0.2);
      expect(cache.peek(1), `jitter ${jitter}, ${drawn}`).toBeUndefined();
    }
  });

  it('differs from key to key, within bounds', async () => {
    const { clock, cache } = make({ jitter: 0.2 });
    for (let key = 0; key < 300; key++) await cache.set(key, vector(key));
    const left = (): number => [...Array(300).keys()].filter((key) => cache.peek(key)).length;
    clock.pass(799.9);
    expect(left()).toBe(300);
    clock.pass(100.1);
    expect(left()).toBeGreaterThan(90);
    expect(left()).toBeLessThan(210);
    clock.pass(100);
    expect(left()).toBe(0);
  });

  it('ends early, at random, for what takes long to load', async () => {
    // How long loading takes is measured, so the time of a value is short instead.
    const { clock, cache } = make({
      load: async (keys: number[]) => {
        await new Promise((resolve) => setTimeout(resolve, 12));
        return keys.map(() => vector(1));
      },
      ...{ ttlMs: 1, earlyRefresh: 1 },
    });
    const random = vi.spyOn(Math, 'random').mockReturnValue(0.999999);
    await cache.get(1);
    clock.pass(0.5);
    // -ln(.999999) of 12 ms is nothing, -ln(.5) of them far more than is left.
    await cache.get(1);
    expect(cache.stats().origin).toMatchObject({ early: 0, loads: 1 });
    random.mockReturnValue(0.5);
    expect(await cache.get(1)).toEqual(vector(1));
    await cache.get(1);
    expect(cache.stats().origin).toMatchObject({ early: 1, refreshed: 0, loads: 2 });
    expect(cache.stats().hits.stale).toBe(0);
  });

  it('does not end early if that is not wanted', async () => {
    const { origin, clock, cache } = make({ ttlMs: 1 });
    vi.spyOn(Math, 'random').mockReturnValue(1e-9);
    const value = cache.get(1);
    await new Promise((resolve) => setTimeout(resolve, 12));
    await origin.answer(0, vector(1));
    await value;
    clock.pass(0.9);
    await cache.get(1);
    expect(origin.calls).toHaveLength(1);
  });

  it('does not end since a request for news of it was aborted', async () => {
    const { origin, clock, cache } = make({ staleMs: 500 });
    await cache.set(1, vector(1));
    clock.pass(1000);
    const controller = new AbortController();
    expect(await cache.get(1, { signal: controller.signal })).toEqual(vector(1));
    controller.abort();
    expect(origin.calls[0]!.signal.aborted).toBe(false);
    await origin.answer(0, vector(2));
    expect(await cache.get(1)).toEqual(vector(2));
    await expect(cache.get(1, { signal: controller.signal })).rejects.toEqual(
      withCode('ERR_LICHEN_ABORTED'),
    );
  });

  // A load in the background counts as an answer to a request.
  it('does not change that each request is counted once', async () => {
    const { origin, clock, cache } = make({ staleMs: 500 });
    await cache.set(1, vector(1));
    clock.pass(1000);
    await cache.get(1);
    await origin.answer(0, vector(2));
    await cache.get(1);
    const { requests, joined, hits } = cache.stats();
    expect(hits.memory + hits.shared + hits.origin + joined).toBe(requests);
  });
});
