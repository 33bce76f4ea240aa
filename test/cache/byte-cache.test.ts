import { describe, expect, it } from 'vitest';
import { ByteCache } from '../../src/cache/byte-cache.js';
import { Random } from '../../src/vectors/random.js';
import { FakeClock, withCode } from './helpers.js';

const MIB = 2 ** 20;
const bad = withCode('ERR_LICHEN_ARGUMENT');

describe('ByteCache', () => {
  it('never mixes values up while they come, go and change their length', () => {
    const random = new Random(4);
    const cache = new ByteCache<number, Uint8Array>({ maxBytes: MIB });
    const oracle = new Map<number, Uint8Array>();
    for (let round = 0; round < 40_000; round++) {
      const key = random.below(3000);
      const held = cache.get(key);
      // What is there is what was put there last.
      if (held !== undefined && Buffer.compare(held, oracle.get(key)!) !== 0) {
        expect(held).toEqual(oracle.get(key));
      }
      const value = new Uint8Array(random.below(random.below(3000) + 1)).fill(random.below(256));
      value.set(Uint8Array.of(key, key >>> 8).subarray(0, value.length));
      if (random.below(10) === 0) cache.delete(key);
      else if (cache.set(key, value)) oracle.set(key, value);
      else expect(cache.get(key)).toBeUndefined();
    }
    const { evictions, entries, size } = cache.stats();
    expect(evictions).toBeGreaterThan(100);
    expect(entries).toBeGreaterThan(500);
    expect(size).toBeLessThanOrEqual(MIB);
  });

  it.each([20, 32])('stays within %s MiB, whatever the size of values', staysWithin);

  // Memory is taken in segments of 1.06 MiB, the last of which counts for nothing in the weights.
  it.each([0.25, 8, 12])('stays within %s MiB, too', staysWithin);

  function staysWithin(mib: number): void {
    for (const [length, keyOf] of [
      [1, (at: number) => at],
      [64, (at: number) => at],
      [256, (at: number) => `user:${at}`],
      [10_000, (at: number) => `\u4e00${at}`],
    ] as const) {
      const cache = new ByteCache<number | string, Uint8Array>({ maxBytes: mib * MIB });
      const value = new Uint8Array(length);
      const count = Math.ceil((2 * mib * MIB) / (length + 200));
      for (let at = 0; at < count; at++) cache.set(keyOf(at), value);
      const { bytes, evictions, rejections } = cache.stats();
      expect(evictions + rejections).toBeGreaterThan(0);
      expect(bytes / (mib * MIB), `values of ${length} bytes`).toBeLessThanOrEqual(1.05);
      expect(bytes / (mib * MIB), `values of ${length} bytes`).toBeGreaterThan(0.7);
    }
  }

  it('takes no more memory for values that are written over', () => {
    const cache = new ByteCache<number, Float32Array>({ maxBytes: 4 * MIB });
    for (let key = 0; key < 1000; key++) cache.set(key, new Float32Array(64));
    const { bytes, size } = cache.stats();
    for (let round = 0; round < 50; round++) {
      for (let key = 0; key < 1000; key++) cache.set(key, new Float32Array(64));
    }
    expect(cache.stats()).toMatchObject({ bytes, size, entries: 1000 });
  });

  it('refuses a value larger than the cache, and drops the one it would replace', () => {
    const cache = new ByteCache<string, Uint8Array>({ maxBytes: 10_000 });
    expect(cache.set('a', Uint8Array.of(1))).toBe(true);
    expect(cache.set('b', new Uint8Array(10_000))).toBe(false);
    expect(cache.set('a', new Uint8Array(10_000))).toBe(false);
    expect(cache.size).toBe(0);
    expect(cache.get('a')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ size: 0, entries: 0 });
  });

  it('ends entries when their time is over', () => {
    const clock = new FakeClock();
    const cache = new ByteCache<string, string>({ maxBytes: MIB, ttlMs: 100, now: clock.now });
    cache.set('default', 'a');
    cache.set('short', 'b', { ttlMs: 10 });
    cache.set('never', 'c', { ttlMs: Infinity });
    cache.set('none', 'd', { ttlMs: 0 });
    expect(cache.get('none')).toBeUndefined();
    clock.pass(10);
    expect(cache.get('short')).toBeUndefined();
    expect(cache.get('default')).toBe('a');
    cache.set('default', 'e');
    clock.pass(99);
    expect(cache.get('default')).toBe('e');
    clock.pass(1);
    expect(cache.delete('default')).toBe(false);
    expect(cache.set('default', 'f')).toBe(true);
    expect(cache.get('default')).toBe('f');
    clock.pass(1e12);
    expect(cache.get('never')).toBe('c');
  });

  it('counts and forgets', () => {
    const cache = new ByteCache<number, string>({ maxBytes: MIB });
    cache.set(1, 'a');
    cache.set(2, 'b');
    expect([cache.get(1), cache.get(2), cache.get(3)]).toEqual(['a', 'b', undefined]);
    expect(cache.delete(2)).toBe(true);
    expect(cache.stats()).toMatchObject({ entries: 1, hits: 2, misses: 1, evictions: 0 });
    cache.clear();
    expect(cache.size).toBe(0);
    expect(cache.get(1)).toBeUndefined();
    expect(cache.set(1, 'c')).toBe(true);
    expect(cache.get(1)).toBe('c');
  });

  it('copies into arrays of 4-byte elements', () => {
    const cache = new ByteCache<number, Float32Array>({ maxBytes: MIB });
    cache.set(1, Float32Array.of(1, 2, 3));
    cache.set(
      2,
      Float32Array.from({ length: 100 }, (_, at) => at),
    );
    const to = new Float32Array(103).fill(-1);
    expect(cache.getInto(1, to, 2)).toBe(true);
    expect(to.slice(0, 6)).toEqual(Float32Array.of(-1, -1, 1, 2, 3, -1));
    expect(cache.getInto(2, to, 3)).toBe(true);
    expect(to.slice(0, 5)).toEqual(Float32Array.of(-1, -1, 1, 0, 1));
    expect(to[102]).toBe(99);
    expect(cache.getInto(3, to)).toBe(false);
    expect(to[0]).toBe(-1);
    // A part of a larger array, then another part of the same.
    const whole = new Float32Array(9);
    expect(cache.getInto(1, whole.subarray(5))).toBe(true);
    expect(cache.getInto(1, whole.subarray(1))).toBe(true);
    expect(whole).toEqual(Float32Array.of(0, 1, 2, 3, 0, 1, 2, 3, 0));
    const words = new Uint32Array(3);
    expect(cache.getInto(1, words)).toBe(true);
    expect(new Float32Array(words.buffer)).toEqual(Float32Array.of(1, 2, 3));
  });

  it('copies nothing where it does not fit', () => {
    const cache = new ByteCache<number, Float32Array | string>({ maxBytes: MIB });
    cache.set(1, Float32Array.of(1, 2, 3));
    cache.set(2, 'abc');
    const to = new Float32Array(4);
    for (const at of [2, 4, -1, NaN, Infinity]) {
      expect(() => cache.getInto(1, to, at), String(at)).toThrow(bad);
    }
    expect(() => cache.getInto(2, to)).toThrow(bad);
    expect(() => cache.getInto(1, new Float64Array(9) as never)).toThrow(bad);
    expect(() => cache.getInto(1, [0, 0, 0] as never)).toThrow(bad);
    expect(to).toEqual(new Float32Array(4));
  });

  it('does not take a place between two elements', () => {
    const cache = new ByteCache<number, Float32Array>({ maxBytes: MIB });
    cache.set(1, Float32Array.of(1, 2, 3));
    expect(() => cache.getInto(1, new Float32Array(8), 0.5)).toThrow(bad);
  });

  it('refuses what it cannot take', () => {
    const options: unknown[] = [
      { maxBytes: 0 },
      { maxBytes: -1 },
      { maxBytes: 1.5 },
      { maxBytes: NaN },
      { maxBytes: '9' },
      { maxBytes: null },
      { maxBytes: 9, ttlMs: -1 },
      { maxBytes: 9, ttlMs: NaN },
    ];
    for (const one of options) {
      expect(() => new ByteCache(one as never), JSON.stringify(one)).toThrow(bad);
    }
    const cache = new ByteCache<never, unknown>({ maxBytes: MIB });
    for (const key of [undefined, null, 1.5, NaN, 2 ** 53, {}, Symbol('s'), true, 1n]) {
      expect(() => cache.set(key as never, 1)).toThrow(bad);
    }
    for (const value of [undefined, () => 1, Symbol('s'), { f: () => 1 }, new WeakMap()]) {
      expect(() => cache.set(1 as never, value)).toThrow(bad);
    }
    for (const ttlMs of [-1, NaN, '1']) {
      expect(() => cache.set(1 as never, 1, { ttlMs: ttlMs as never })).toThrow(bad);
    }
    expect(cache.size).toBe(0);
  });

  it('is not made without a limit', () => {
    expect(() => new ByteCache({} as never)).toThrow(bad);
  });
});
