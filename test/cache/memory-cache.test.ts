import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryCache } from '../../src/cache/memory-cache.js';
import { FakeClock, withCode } from './helpers.js';

const bad = withCode('ERR_LICHEN_ARGUMENT');

describe('MemoryCache', () => {
  it('gives back what was put in, by reference', () => {
    const cache = new MemoryCache<number | string, object>({ maxEntries: 10 });
    const value = { a: 1 };
    expect(cache.set(1, value)).toBe(true);
    expect(cache.get(1)).toBe(value);
    expect(cache.get('1')).toBeUndefined();
    expect(cache.peek(1)).toBe(value);
    expect(cache.delete(1)).toBe(true);
    expect(cache.delete(1)).toBe(false);
    expect(cache.get(1)).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, hits: 1, misses: 2 });
  });

  it('holds what a Map holds, as long as there is room', () => {
    const key = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom('', 'a', '1', '-1'));
    const step = fc.record({
      kind: fc.constantFrom('set', 'set', 'get', 'delete', 'clear'),
      key,
      value: fc.integer(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const cache = new MemoryCache<number | string, number>({ maxEntries: 50 });
        const oracle = new Map<number | string, number>();
        for (const { kind, key, value } of steps) {
          if (kind === 'set') {
            expect(cache.set(key, value)).toBe(true);
            oracle.set(key, value);
          } else if (kind === 'get') {
            expect(cache.get(key)).toBe(oracle.get(key));
          } else if (kind === 'delete') {
            expect(cache.delete(key)).toBe(oracle.delete(key));
          } else if (value % 5 === 0) {
            cache.clear();
            oracle.clear();
          }
          expect(cache.size).toBe(oracle.size);
        }
        for (const [key, value] of oracle) expect(cache.peek(key)).toBe(value);
      }),
      { numRuns: 300 },
    );
  });

  it('never holds more than its limits, nor a value under another key', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 40 }))), (puts) => {
        const cache = new MemoryCache<number, { key: number; size: number }>({
          maxEntries: 12,
          maxSize: 100,
          sizeOf: ({ size }) => size,
        });
        for (const [key, size] of puts) {
          const isKept = cache.set(key, { key, size });
          expect(cache.peek(key)?.size).toBe(isKept ? size : undefined);
          expect(cache.size).toBeLessThanOrEqual(12);
          expect(cache.stats().size).toBeLessThanOrEqual(100);
          for (let other = 0; other <= 60; other++) {
            expect(cache.peek(other)?.key ?? other).toBe(other);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('drops a value that is replaced by one too large', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 10, sizeOf: (text) => text.length });
    expect(cache.set('a', 'short')).toBe(true);
    expect(cache.set('a', 'far too long a text')).toBe(false);
    expect(cache.get('a')).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, size: 0 });
  });

  it('lets go of what it gave up', () => {
    const cache = new MemoryCache<number, object>({ maxEntries: 4 });
    cache.set(1, { big: true });
    cache.delete(1);
    cache.set(2, {});
    cache.clear();
    expect(
      JSON.stringify((cache as unknown as { table: { values: unknown[] } }).table.values),
    ).not.toContain('{');
  });

  it('ends entries when their time is over', () => {
    const clock = new FakeClock();
    const cache = new MemoryCache<string, number>({ maxEntries: 9, ttlMs: 100, now: clock.now });
    cache.set('default', 1);
    cache.set('short', 2, { ttlMs: 10 });
    cache.set('never', 3, { ttlMs: Infinity });
    cache.set('none', 4, { ttlMs: 0 });
    expect(cache.get('none')).toBeUndefined();
    clock.pass(9);
    expect(cache.get('short')).toBe(2);
    clock.pass(1);
    expect(cache.peek('short')).toBeUndefined();
    expect(cache.get('short')).toBeUndefined();
    cache.set('default', 5);
    clock.pass(99);
    expect(cache.get('default')).toBe(5);
    clock.pass(1);
    expect(cache.delete('default')).toBe(false);
    expect(cache.get('default')).toBeUndefined();
    clock.pass(1e12);
    expect(cache.get('never')).toBe(3);
    cache.set('default', 6);
    expect(cache.get('default')).toBe(6);
    expect(cache.stats().expired).toBe(3);
  });

  it('refuses what it cannot take', () => {
    const limits: unknown[] = [
      {},
      { maxEntries: 0 },
      { maxEntries: 1.5 },
      { maxEntries: NaN },
      { maxEntries: '5' },
      { maxEntries: -1 },
      { maxEntries: 2 ** 60 },
      { maxSize: 5 },
      { maxSize: 0, sizeOf: () => 1 },
      { maxEntries: 5, ttlMs: -1 },
      { maxEntries: 5, ttlMs: NaN },
      { maxEntries: 5, ttlMs: '1' },
    ];
    for (const options of limits)
      expect(() => new MemoryCache(options as never), JSON.stringify(options)).toThrow(bad);
    const cache = new MemoryCache<never, unknown>({ maxEntries: 5 });
    for (const key of [undefined, null, 1.5, NaN, 2 ** 53, {}, Symbol('s'), true, 1n]) {
      expect(() => cache.set(key as never, 1)).toThrow(bad);
    }
    expect(() => cache.set(1 as never, undefined)).toThrow(bad);
    expect(() => cache.set(1 as never, 1, { ttlMs: -1 })).toThrow(bad);
    expect(cache.size).toBe(0);
    for (const size of [0, -1, NaN, Infinity]) {
      const sized = new MemoryCache<number, number>({ maxSize: 5, sizeOf: () => size });
      expect(() => sized.set(1, 1), String(size)).toThrow(bad);
      expect(sized.size).toBe(0);
    }
  });

  // '3' > 0, and what the sizes come to becomes a text.
  it('refuses a size that is a text', () => {
    const cache = new MemoryCache<number, number>({ maxSize: 5, sizeOf: () => '3' as never });
    expect(() => cache.set(1, 1)).toThrow(bad);
  });
});
