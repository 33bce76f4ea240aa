import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOf, keyBytes, type CacheKey } from '../../src/cache/key-hash.js';
import { KeyIndex } from '../../src/cache/key-index.js';

const ROWS = 400;
const KEYS: readonly CacheKey[] = Array.from({ length: ROWS }, (_, at) =>
  at % 3 === 0 ? `key ${at}` : at,
);

/** Hashes that collide, that fill the end of the ring and run over it, and proper ones. */
const HASHES: Record<string, (at: number) => number> = {
  'all the same': () => 7,
  'few, at the end of the ring': (at) => 0xffffffff - (at % 5),
  'runs that touch': (at) => at >>> 2,
  'the same low bits': (at) => (at << 16) >>> 0,
  'well mixed': (at) => hashOf(KEYS[at]!),
};

describe.each(Object.keys(HASHES))('KeyIndex, with hashes that are %s', (kind) => {
  const hashes = Int32Array.from(KEYS, (_, at) => HASHES[kind]!(at));

  it('finds what a Map finds', () => {
    const step = fc.record({ at: fc.nat(ROWS - 1), isAdd: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), fc.nat(60), (steps, most) => {
        const keys: (CacheKey | undefined)[] = [];
        const index = new KeyIndex(keys);
        const oracle = new Map<CacheKey, number>();
        const free = Array.from({ length: ROWS }, (_, row) => row);
        // Few keys, so that what is added is often there already, and removed again.
        for (const { at, isAdd } of steps) {
          const key = KEYS[at % (most + 1)]!;
          const hash = hashes[at % (most + 1)]!;
          const row = oracle.get(key);
          if (isAdd && row === undefined) {
            const fresh = free.pop()!;
            keys[fresh] = key;
            index.add(fresh, hash);
            oracle.set(key, fresh);
          } else if (!isAdd && row !== undefined) {
            index.remove(row, hash);
            keys[row] = undefined;
            oracle.delete(key);
            free.push(row);
          }
          for (let other = 0; other <= most; other++) {
            expect(index.find(KEYS[other]!, hashes[other]!)).toBe(oracle.get(KEYS[other]!) ?? -1);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('grows, shrinks and is cleared', () => {
    const keys = [...KEYS];
    const index = new KeyIndex(keys);
    for (let row = 0; row < ROWS; row++) index.add(row, hashes[row]!);
    for (let row = 0; row < ROWS; row += 2) index.remove(row, hashes[row]!);
    for (let row = 0; row < ROWS; row++) {
      expect(index.find(keys[row]!, hashes[row]!)).toBe(row % 2 === 0 ? -1 : row);
    }
    index.clear();
    expect(index.find(keys[1]!, hashes[1]!)).toBe(-1);
    expect(index.bytes).toBeLessThan(200);
  });
});

describe('KeyIndex', () => {
  it('does not grow for keys that come and go', () => {
    const keys = [...KEYS];
    const hashes = KEYS.map(hashOf);
    const index = new KeyIndex(keys);
    for (let row = 0; row < 10; row++) index.add(row, hashes[row]!);
    const { bytes } = index;
    for (let round = 0; round < 50; round++) {
      for (let row = 0; row < ROWS; row += 10) {
        for (let at = row; at < row + 10; at++) index.remove(at % ROWS, hashes[at % ROWS]!);
        for (let at = row + 10; at < row + 20; at++) index.add(at % ROWS, hashes[at % ROWS]!);
      }
    }
    expect(index.bytes).toBe(bytes);
  });
});

describe('hashOf', () => {
  it('spreads near numbers and texts over all bits', () => {
    const makers: ((at: number) => CacheKey)[] = [
      (at) => at,
      (at) => -at,
      (at) => at * 2 ** 32,
      (at) => 2 ** 53 - 1 - at,
      (at) => `user:${at}`,
    ];
    for (const make of makers) {
      const hashes = Array.from({ length: 20_000 }, (_, at) => hashOf(make(at)));
      expect(hashes.every((hash) => hash === (hash | 0))).toBe(true);
      expect(new Set(hashes).size).toBeGreaterThan(19_950);
      for (let bit = 0; bit < 32; bit++) {
        const ones = hashes.filter((hash) => (hash >>> bit) & 1).length;
        expect(Math.abs(ones - 10_000)).toBeLessThan(600);
      }
    }
  });

  it('says that texts of wide characters take two bytes each', () => {
    expect(keyBytes('\u0100'.repeat(80)) - keyBytes('\u00ff'.repeat(80))).toBe(80);
    expect(keyBytes(2 ** 40)).toBeGreaterThan(keyBytes(1));
  });
});
