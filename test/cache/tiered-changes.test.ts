import { describe, expect, it } from 'vitest';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { ManualOrigin, settled, withCode } from './helpers.js';
import { LocalStore, LocalTier } from './local-tier.js';

const vector = (...values: number[]) => Float32Array.from(values);
const aborted = withCode('ERR_LICHEN_ABORTED');

/** The same must hold with a shared tier and without. */
describe.each([false, true])(
  'changes of a TieredCache during a load (shared tier: %s)',
  (isShared) => {
    async function make() {
      const origin = new ManualOrigin<number, Float32Array>();
      const cache = new TieredCache<number, Float32Array>({
        ...{ name: 'test', load: origin.load, maxBytes: 2 ** 24, ttlMs: 60_000 },
        ...(isShared && { shared: new LocalTier(new LocalStore()) }),
      });
      await settled();
      /** Begins a request and waits until the origin has been asked; in an array, or it would be waited for. */
      const get = async (key: number, signal?: AbortSignal): Promise<Promise<unknown>[]> => {
        const value = cache.get(key, signal === undefined ? {} : { signal });
        value.catch(() => undefined);
        await settled();
        return [value];
      };
      return { origin, cache, get };
    }

    it('one waiter leaves: the others get the value', async () => {
      const { origin, cache, get } = await make();
      const controller = new AbortController();
      const [one] = await get(1, controller.signal);
      const [two] = await get(1);
      controller.abort();
      await expect(one).rejects.toEqual(aborted);
      expect(origin.calls[0]!.signal.aborted).toBe(false);
      await origin.answer(0, vector(1));
      expect(await two).toEqual(vector(1));
      expect(cache.peek(1)).toEqual(vector(1));
    });

    it('all waiters leave: the load is told, and the next request begins another', async () => {
      const { origin, get } = await make();
      const controllers = [new AbortController(), new AbortController()];
      const waiting: Promise<unknown>[] = [];
      for (const { signal } of controllers) waiting.push(...(await get(1, signal)));
      for (const controller of controllers) controller.abort();
      for (const one of waiting) await expect(one).rejects.toEqual(aborted);
      expect(origin.calls).toHaveLength(1);
      expect(origin.calls[0]!.signal.aborted).toBe(true);
      const [next] = await get(1);
      expect(origin.calls).toHaveLength(2);
      origin.calls[0]!.reject(new Error('given up'));
      await origin.answer(1, vector(2));
      expect(await next).toEqual(vector(2));
    });

    it('the request of several keys is aborted: what it alone wanted is given up', async () => {
      const { origin, cache, get } = await make();
      const controller = new AbortController();
      const many = cache.getMany([1, 2], { signal: controller.signal });
      many.catch(() => undefined);
      await settled();
      const [other] = await get(3);
      controller.abort();
      await expect(many).rejects.toEqual(aborted);
      expect(origin.calls.map(({ signal }) => signal.aborted)).toEqual([true, false]);
      await origin.answer(1, vector(3));
      expect(await other).toEqual(vector(3));
    });

    it('invalidate: the old value is not stored, and whoever asks afterwards gets the new one', async () => {
      const { origin, cache, get } = await make();
      const [old] = await get(1);
      expect(await cache.invalidate(1)).toBe(true);
      const [fresh] = await get(1);
      expect(origin.calls).toHaveLength(2);
      await origin.answer(1, vector(2));
      await origin.answer(0, vector(1));
      expect(await old).toEqual(vector(1));
      expect(await fresh).toEqual(vector(2));
      expect(cache.peek(1)).toEqual(vector(2));
      await cache.invalidate([1, 2, 3]);
      expect(cache.peek(1)).toBeUndefined();
      void (await get(1));
      expect(origin.calls).toHaveLength(3);
    });

    it('publish: nothing of the old version is served or stored', async () => {
      const { origin, cache, get } = await make();
      await cache.set(2, vector(20));
      const [old] = await get(1);
      const told = cache.publish('v2');
      // At once, whether the shared tier has been told or not.
      expect(cache.version).toBe('v2');
      expect(cache.peek(2)).toBeUndefined();
      await origin.answer(0, vector(1));
      expect(await old).toEqual(vector(1));
      expect(cache.peek(1)).toBeUndefined();
      expect(await told).toBe(true);
      const [fresh] = await get(1);
      expect(origin.calls).toHaveLength(2);
      await origin.answer(1, vector(2));
      expect(await fresh).toEqual(vector(2));
      expect(cache.stats().version).toBe('v2');
    });

    it('set: it wins over the load', async () => {
      const { origin, cache, get } = await make();
      const [old] = await get(1);
      await cache.set(1, vector(5));
      await origin.answer(0, vector(1));
      expect(await old).toEqual(vector(1));
      expect(await cache.get(1)).toEqual(vector(5));
      expect(origin.calls).toHaveLength(1);
    });

    // A load that nobody waits for any more is no longer known, so nothing makes it out of date.
    it('invalidate, after all waiters left: the old value is not stored', async () => {
      const { origin, cache, get } = await make();
      const controller = new AbortController();
      void (await get(1, controller.signal));
      controller.abort();
      await cache.invalidate(1);
      // The loader does not look at its signal.
      await origin.answer(0, vector(1));
      expect(cache.peek(1)).toBeUndefined();
    });

    it('publish, after all waiters left: the old value is not stored', async () => {
      const { origin, cache, get } = await make();
      const controller = new AbortController();
      void (await get(1, controller.signal));
      controller.abort();
      await cache.publish('v2');
      await origin.answer(0, vector(1));
      expect(cache.peek(1)).toBeUndefined();
    });

    it('set, after all waiters left: it wins over the load', async () => {
      const { origin, cache, get } = await make();
      const controller = new AbortController();
      void (await get(1, controller.signal));
      controller.abort();
      await cache.set(1, vector(5));
      await origin.answer(0, vector(1));
      expect(cache.peek(1)).toEqual(vector(5));
    });
  },
);
