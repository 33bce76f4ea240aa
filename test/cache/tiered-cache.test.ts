import { describe, expect, it } from 'vitest';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import { FakeClock, ManualOrigin, settled, withCode } from './helpers.js';

const vector = (...values: number[]) => Float32Array.from(values);

function make(options: object = {}) {
  const origin = new ManualOrigin<number | string, Float32Array>();
  const clock = new FakeClock();
  const cache = new TieredCache<number | string, Float32Array>({
    ...{ name: 'test', load: origin.load, maxBytes: 2 ** 24, ttlMs: 1000, jitter: 0 },
    ...{ earlyRefresh: 0, now: clock.now },
    ...options,
  });
  return { origin, clock, cache };
}

describe('TieredCache', () => {
  it('loads a value once for all who wait, and then has it', async () => {
    const { origin, cache } = make();
    const waiting = Array.from({ length: 50 }, () => cache.get('a'));
    expect(origin.calls.map(({ keys }) => keys)).toEqual([['a']]);
    const loaded = vector(1, 2);
    await origin.answer(0, loaded);
    const values = await Promise.all(waiting);
    expect(new Set(values).size).toBe(50);
    for (const value of values) expect(value).toEqual(vector(1, 2));
    expect(await cache.get('a')).toEqual(vector(1, 2));
    expect(cache.peek('a')).toEqual(vector(1, 2));
    expect(origin.calls).toHaveLength(1);
    expect(cache.stats()).toMatchObject({
      ...{ requests: 51, joined: 49, hits: { memory: 1, origin: 1, shared: 0 } },
      origin: { loads: 1, keys: 1, errors: 0 },
    });
  });

  it('shares no memory with the origin, nor among those who asked', async () => {
    const { origin, cache } = make();
    const [one, two] = [cache.get(1), cache.get(1)];
    const loaded = vector(1, 2);
    origin.calls[0]!.resolve([loaded]);
    const first = (await one)!;
    loaded.fill(9);
    first.fill(8);
    expect(await two).toEqual(vector(1, 2));
    expect(await cache.get(1)).toEqual(vector(1, 2));
  });

  it('loads the keys of getMany that it does not have by one call, each once', async () => {
    const { origin, cache } = make();
    await cache.set('here', vector(7));
    const before = cache.get('coming');
    const many = cache.getMany(['b', 'here', 'a', 'b', 'coming', 'none', 'a']);
    expect(origin.calls.map(({ keys }) => keys)).toEqual([['coming'], ['b', 'a', 'none']]);
    await origin.answer(1, vector(2), vector(1), undefined);
    await origin.answer(0, vector(3));
    const all = [vector(2), vector(7), vector(1), vector(2), vector(3), undefined, vector(1)];
    expect(await many).toEqual(all);
    expect(await before).toEqual(vector(3));
    const [b, , , again] = await many;
    b!.fill(0);
    expect(again).toEqual(vector(2));
    expect(await cache.getMany([])).toEqual([]);
    const { requests, joined, hits } = cache.stats();
    expect(hits.memory + hits.shared + hits.origin + joined).toBe(requests);
  });

  it('knows that there is no value, for as long as it may', async () => {
    const { origin, clock, cache } = make({ negativeTtlMs: 100, staleMs: 5000 });
    const first = cache.get(1);
    await origin.answer(0, undefined);
    expect(await first).toBeUndefined();
    clock.pass(99);
    expect(await cache.get(1)).toBeUndefined();
    expect(cache.stats().hits.negative).toBe(1);
    clock.pass(1);
    // Not served stale: it is asked for anew.
    const second = cache.get(1);
    expect(origin.calls).toHaveLength(2);
    await origin.answer(1, vector(4));
    expect(await second).toEqual(vector(4));
  });

  it('does not remember the absence of values if that lasts no time', async () => {
    const { origin, cache } = make({ negativeTtlMs: 0 });
    for (let n = 0; n < 3; n++) {
      const value = cache.get(1);
      await origin.answer(n, undefined);
      expect(await value).toBeUndefined();
    }
    expect(cache.stats().memory.entries).toBe(0);
  });

  it('has no value without a load', async () => {
    const { cache } = make({ load: undefined });
    expect(await cache.get(1)).toBeUndefined();
    await cache.set(1, vector(1));
    expect(await cache.getMany([1, 2])).toEqual([vector(1), undefined]);
  });

  it('hands on what load throws, and stores nothing', async () => {
    for (const isSync of [true, false]) {
      let calls = 0;
      const load = (): Promise<never> => {
        calls++;
        if (isSync) throw new Error('origin');
        return Promise.reject(new Error('origin'));
      };
      const { cache } = make({ load });
      const waiting = [cache.get(1), cache.getMany([1, 2])];
      for (const one of waiting) await expect(one).rejects.toThrow('origin');
      await expect(cache.get(1)).rejects.toThrow('origin');
      expect(calls).toBe(3);
      expect(cache.stats()).toMatchObject({ memory: { entries: 0 }, origin: { errors: 3 } });
    }
  });

  it.each([[[]], [[vector(1)]], [[vector(1), vector(2), vector(3)]], [undefined], ['ab'], [null]])(
    'refuses %s of a load for two keys',
    async (loaded) => {
      const { cache } = make({ load: () => loaded });
      await expect(cache.getMany([1, 2])).rejects.toEqual(withCode('ERR_LICHEN_ARGUMENT'));
      expect(cache.stats()).toMatchObject({ memory: { entries: 0 }, origin: { errors: 1 } });
    },
  );

  it('refuses values of a load that cannot be stored or are not valid', async () => {
    const isValid = (value: Float32Array): boolean => value.length === 2;
    const { cache } = make({ load: (keys: number[]) => keys.map((key) => vector(key)), isValid });
    await expect(cache.get(1)).rejects.toEqual(withCode('ERR_LICHEN_FORMAT'));
    await expect(cache.set(1, vector(1))).rejects.toEqual(withCode('ERR_LICHEN_ARGUMENT'));
    const odd = make({ load: (keys: number[]) => keys.map(() => () => 1) });
    await expect(odd.cache.get(1)).rejects.toEqual(withCode('ERR_LICHEN_ARGUMENT'));
    expect(cache.stats().memory.entries + odd.cache.stats().memory.entries).toBe(0);
  });

  it('gives a load up that takes too long, and tells it', async () => {
    const { origin, cache } = make({ loadTimeoutMs: 20 });
    await expect(cache.get(1)).rejects.toEqual(withCode('ERR_LICHEN_DEADLINE'));
    expect(origin.calls[0]!.signal.aborted).toBe(true);
    // What comes late is not stored.
    await origin.answer(0, vector(1));
    expect(cache.peek(1)).toBeUndefined();
    const second = cache.get(1);
    await origin.answer(1, vector(2));
    expect(await second).toEqual(vector(2));
  });

  // setTimeout makes 1 ms of what it cannot hold.
  it.each([Infinity, 2 ** 31])('waits %s ms for a load if told so', async (loadTimeoutMs) => {
    const load = async (): Promise<Float32Array[]> => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return [vector(1)];
    };
    const { cache } = make({ load, loadTimeoutMs });
    expect(await cache.get(1)).toEqual(vector(1));
  });

  it('rejects all requests once it is closed', async () => {
    const { origin, cache } = make();
    const closed = withCode('ERR_LICHEN_CLOSED');
    const waiting = cache.get(1);
    const rejected = expect(waiting).rejects.toEqual(closed);
    await cache.close();
    await rejected;
    expect(origin.calls[0]!.signal.aborted).toBe(true);
    await origin.answer(0, vector(1));
    await expect(cache.get(1)).rejects.toEqual(closed);
    await expect(cache.getMany([1])).rejects.toEqual(closed);
    await expect(cache.set(1, vector(1))).rejects.toEqual(closed);
    await expect(cache.invalidate(1)).rejects.toEqual(closed);
    await expect(cache.publish('2')).rejects.toEqual(closed);
    expect(cache.peek(1)).toBeUndefined();
    await cache.close();
    await settled();
  });

  it('refuses options that are none', () => {
    const bad = withCode('ERR_LICHEN_ARGUMENT');
    const odd: Record<string, unknown[]> = {
      name: ['', 5, undefined],
      maxBytes: [undefined, 0, -1, NaN, '9', null],
      ttlMs: [undefined, 0, -1, NaN, null, '1000', true],
      load: [5, null, {}],
      staleMs: [-1, NaN, '1', null],
      negativeTtlMs: [-1, NaN],
      jitter: [-0.1, 1, NaN],
      earlyRefresh: [-1, NaN],
      loadTimeoutMs: [-1, NaN, '5'],
      sharedTimeoutMs: [-1, NaN],
      version: ['', 5, null],
    };
    for (const [option, values] of Object.entries(odd)) {
      for (const value of values) {
        expect(() => make({ [option]: value }), `${option} ${String(value)}`).toThrow(bad);
      }
    }
    expect(() => make({ shared: {}, ttlMs: Infinity })).toThrow(bad);
  });

  it('refuses arguments that are none', async () => {
    const { origin, cache } = make();
    const bad = withCode('ERR_LICHEN_ARGUMENT');
    for (const key of [undefined, null, NaN, 1.5, {}, 2 ** 53, true, Symbol('s')] as never[]) {
      await expect(cache.get(key)).rejects.toEqual(bad);
      await expect(cache.getMany(['a', key])).rejects.toEqual(bad);
      await expect(cache.set(key, vector(1))).rejects.toEqual(bad);
      await expect(cache.invalidate([key])).rejects.toEqual(bad);
    }
    await expect(cache.set(1, undefined as never)).rejects.toEqual(bad);
    await expect(cache.set(1, vector(1), { ttlMs: -1 })).rejects.toEqual(bad);
    for (const version of ['', 5, undefined]) {
      await expect(cache.publish(version as never)).rejects.toEqual(bad);
    }
    expect(origin.calls).toHaveLength(0);
    expect(cache.stats()).toMatchObject({ requests: 0, version: '0', memory: { entries: 0 } });
  });
});
