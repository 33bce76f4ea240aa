import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReadAhead } from '../../src/cache/read-ahead.js';
import { TieredCache } from '../../src/cache/tiered-cache.js';
import type { TieredCacheOptions } from '../../src/cache/tiered-options.js';

type Key = string | number;

/** A cache over an origin that has `v` and the key for each, and what was asked of that. */
function cacheOf(options: Partial<TieredCacheOptions<Key, string>> = {}) {
  const calls: Key[][] = [];
  const cache = new TieredCache<Key, string>({
    ...{ name: 'ahead', maxBytes: 1e6, ttlMs: 1000, jitter: 0, earlyRefresh: 0, readAhead: 2 },
    load: (keys) => {
      calls.push([...keys]);
      return keys.map((key) => `v${key}`);
    },
    ...options,
  });
  return { cache, calls };
}

async function ask(cache: TieredCache<Key, string>, keys: readonly Key[]): Promise<void> {
  for (const key of keys) expect(await cache.get(key)).toBe(`v${key}`);
}

describe('readAhead', () => {
  it('loads what followed the last time in the call of the key that is missing', async () => {
    const { cache, calls } = cacheOf();
    await ask(cache, ['a', 'b', 'c', 'd', 'x']);
    await cache.invalidate(['a', 'b', 'c', 'd']);
    calls.length = 0;
    await ask(cache, ['a', 'b', 'c', 'd']);
    expect(calls).toEqual([['a', 'b', 'c'], ['d', 'x'].slice(0, 1)]);
    const { ahead, hits, requests, joined, origin } = cache.stats();
    expect(ahead).toEqual({ keys: 2, used: 2 });
    expect(requests).toBe(9);
    expect(hits.memory + hits.shared + hits.origin + joined).toBe(9);
    expect([hits.origin, origin.loads, origin.keys]).toEqual([7, 7, 9]);
    await cache.close();
  });

  it('does so for all keys of a request together, each once', async () => {
    const { cache, calls } = cacheOf({ readAhead: 3 });
    await cache.getMany([1, 2, 3, 4, 5]);
    await cache.invalidate([1, 2, 3, 4]);
    calls.length = 0;
    expect(await cache.getMany([1, 3])).toEqual(['v1', 'v3']);
    expect(calls).toEqual([[1, 3, 4]]);
    await cache.close();
  });

  it('is off unless it is asked for', async () => {
    const { cache, calls } = cacheOf({ readAhead: 0 });
    await ask(cache, ['a', 'b', 'a']);
    await cache.invalidate(['a', 'b']);
    await ask(cache, ['a']);
    expect(calls.every((keys) => keys.length === 1)).toBe(true);
    expect(cache.stats().ahead).toEqual({ keys: 0, used: 0 });
    await cache.close();
  });

  it('lets nobody wait twice: whoever asks for a key that is on its way ahead gets that', async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let isSlow = false;
    const { cache, calls } = cacheOf({
      load: async (keys) => {
        calls.push([...keys]);
        if (isSlow) await gate;
        return keys.map((key) => `v${key}`);
      },
    });
    await ask(cache, ['a', 'b', 'c']);
    await cache.invalidate(['a', 'b', 'c']);
    calls.length = 0;
    isSlow = true;
    const [first, second] = [cache.get('a'), cache.get('b')];
    release();
    expect(await Promise.all([first, second])).toEqual(['va', 'vb']);
    expect(calls).toEqual([['a', 'b', 'c']]);
    const { requests, hits, joined } = cache.stats();
    expect(hits.memory + hits.shared + hits.origin + joined).toBe(requests);
    await cache.close();
  });

  it('stores nothing that was invalidated on its way, and fails nobody for a key ahead', async () => {
    let isOdd = false;
    const { cache } = cacheOf({
      isValid: (value) => value !== 'vb' || !isOdd,
    });
    await ask(cache, ['a', 'b', 'c']);
    await cache.invalidate(['a', 'b', 'c']);
    isOdd = true;
    expect(await cache.get('a')).toBe('va');
    expect(cache.peek('b')).toBeUndefined();
    expect(cache.peek('c')).toBe('vc');
    await expect(cache.get('b')).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
    isOdd = false;
    expect(await cache.get('b')).toBe('vb');
    await cache.close();

    const during: { act?: () => void } = {};
    const other = cacheOf({
      load: (keys) => {
        during.act?.();
        return keys.map((key) => `v${key}`);
      },
    });
    await ask(other.cache, ['a', 'b']);
    await other.cache.invalidate(['a', 'b']);
    during.act = () => void other.cache.invalidate('b');
    expect(await other.cache.get('a')).toBe('va');
    expect(other.cache.peek('b')).toBeUndefined();
    await other.cache.close();
  });

  it('fails with the load, and loads anew after', async () => {
    let isDown = false;
    const { cache } = cacheOf({
      load: (keys) => {
        if (isDown) throw new Error('down');
        return keys.map((key) => `v${key}`);
      },
    });
    await ask(cache, ['a', 'b']);
    await cache.invalidate(['a', 'b']);
    isDown = true;
    await expect(cache.get('a')).rejects.toThrow('down');
    isDown = false;
    await ask(cache, ['b', 'a']);
    await cache.close();
  });

  it('gives what the origin has, whatever is asked, invalidated and changed', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ get: fc.integer({ min: 0, max: 9 }) }) },
      { weight: 2, arbitrary: fc.record({ many: fc.array(fc.integer({ min: 0, max: 9 })) }) },
      { weight: 2, arbitrary: fc.record({ change: fc.integer({ min: 0, max: 9 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 400, max: 4000 }),
        async (steps, readAhead, maxBytes) => {
          const versions = new Array<number>(10).fill(0);
          const { cache } = cacheOf({
            ...{ readAhead, maxBytes },
            load: (keys) => keys.map((key) => `${key}.${versions[key as number]}`),
          });
          const now = (key: number) => `${key}.${versions[key]}`;
          for (const one of steps) {
            if ('get' in one) expect(await cache.get(one.get)).toBe(now(one.get));
            else if ('many' in one)
              expect(await cache.getMany(one.many)).toEqual(one.many.map(now));
            else {
              versions[one.change]!++;
              await cache.invalidate(one.change);
            }
          }
          const { requests, hits, joined, ahead } = cache.stats();
          expect(hits.memory + hits.shared + hits.origin + joined).toBe(requests);
          expect(ahead.used).toBeLessThanOrEqual(ahead.keys);
          await cache.close();
        },
      ),
    );
  });

  it.each([-1, 65, 1.5, NaN, '2'])('refuses %o', (readAhead) => {
    expect(() => cacheOf({ readAhead: readAhead as number })).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});

describe('ReadAhead', () => {
  const of = (ahead: ReadAhead<Key>, key: Key, entries = 1000) => ahead.of(new Set([key]), entries);

  /** Of 0, 1, 2 … those whose follower is known; all that is given counts as used. */
  const knownOf = (ahead: ReadAhead<Key>): number => {
    let known = 0;
    for (let key = 0; key < 199_999; key++) {
      const [follower] = of(ahead, key, 1000);
      if (follower === undefined) continue;
      ahead.use();
      if (follower === key + 1) known++;
    }
    return known;
  };

  it('follows the last order, not in circles, and not where somebody has the key', () => {
    const there = new Set<Key>(['d']);
    const ahead = new ReadAhead<Key>(4, (key) => !there.has(key));
    for (const key of ['a', 'b', 'c', 'a', 'b', 'd', 'e']) ahead.note(key);
    // After b came d, which is there, and then e.
    expect(of(ahead, 'a')).toEqual(['b', 'e']);
    expect(of(ahead, 'c')).toEqual(['a', 'b', 'e']);
    expect(of(ahead, 'e')).toEqual([]);
    const circle = new ReadAhead<Key>(64, () => true);
    for (const key of [1, 2, 1, 2, 1]) circle.note(key);
    expect(of(circle, 1)).toEqual([2]);
  });

  it('remembers about eight keys an entry, however many come, and grows with the entries', () => {
    const ahead = new ReadAhead<Key>(1, () => true);
    of(ahead, 0, 1000);
    const bytes = ahead.bytes;
    for (let key = 0; key < 200_000; key++) ahead.note(key);
    expect(ahead.bytes).toBe(bytes);
    const known = knownOf(ahead);
    expect(known).toBeGreaterThan(6000);
    expect(known).toBeLessThanOrEqual(8192);
    // What is known stays known as it grows.
    of(ahead, 0, 100_000);
    expect(knownOf(ahead)).toBe(known);
    expect(ahead.bytes).toBeGreaterThan(50 * bytes);
  });

  it('rests where what it gives is not asked for, and goes on once that has changed', () => {
    const ahead = new ReadAhead<Key>(1, () => true);
    const given = (rounds: number, isUsed: boolean): number => {
      const before = ahead.keys;
      for (let round = 0; round < rounds; round++) {
        const some = of(ahead, 1).length;
        for (let at = 0; at < some && isUsed; at++) ahead.use();
      }
      return ahead.keys - before;
    };
    for (const key of [1, 2]) ahead.note(key);
    expect(given(512, false)).toBe(512);
    expect(given(1600, false)).toBe(100);
    // Now all of it is used: once a quarter is, it gives each time.
    expect(given(16 * 400, true)).toBeGreaterThan(1000);
    expect(given(1000, true)).toBe(1000);
    expect(ahead.used).toBeLessThanOrEqual(ahead.keys);
  });

  it('counts the bytes of texts', () => {
    const ahead = new ReadAhead<Key>(1, () => true);
    const before = ahead.bytes;
    ahead.note('a');
    ahead.note('b'.repeat(1000));
    expect(ahead.bytes - before).toBeGreaterThanOrEqual(1000);
    ahead.note('a');
    ahead.note('c');
    // What a followed is c now.
    expect(ahead.bytes - before).toBeLessThan(1000);
  });
});
