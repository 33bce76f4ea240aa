import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random, requireSeed } from '../../src/vectors/random.js';

const M = 0xffffffffn;
const rotated = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (32n - by))) & M;

/** xoshiro128** and its seeding, written in big integers. */
function* reference(seed: number): Generator<number> {
  const whole = BigInt(seed);
  let state = (whole & M) ^ (((whole >> 32n) * 0x9e3779b1n) & M);
  const s = [0, 0, 0, 0].map(() => {
    state = (state + 0x9e3779b9n) & M;
    let mixed = ((state ^ (state >> 16n)) * 0x21f0aaadn) & M;
    mixed = ((mixed ^ (mixed >> 15n)) * 0x735a2d97n) & M;
    return mixed ^ (mixed >> 15n);
  }) as [bigint, bigint, bigint, bigint];
  s[3] |= 1n;
  for (;;) {
    yield Number((rotated((s[1] * 5n) & M, 7n) * 9n) & M);
    const shifted = (s[1] << 9n) & M;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotated(s[3], 11n);
  }
}

describe('Random', () => {
  it('is xoshiro128** from any seed', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seed) => {
        const random = new Random(seed);
        const expected = reference(seed);
        for (let n = 0; n < 20; n++) expect(random.uint32()).toBe(expected.next().value);
      }),
    );
  });

  it('starts elsewhere for other seeds', () => {
    const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 40, 2 ** 53 - 1];
    expect(new Set(seeds.map((seed) => new Random(seed).uint32())).size).toBe(seeds.length);
  });

  it('is uniform in its range', () => {
    const random = new Random(5);
    const counts = new Array<number>(10).fill(0);
    for (let n = 0; n < 100_000; n++) {
      const value = random.uniform();
      if (value < 0 || value >= 1) throw new Error(`out of range: ${value}`);
      counts[Math.floor(value * 10)]!++;
    }
    // Five standard deviations of a binomial count, about 95.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(475);
    const below = Array.from({ length: 2000 }, () => random.below(3));
    expect([...new Set(below)].sort()).toEqual([0, 1, 2]);
    expect(random.below(1)).toBe(0);
  });

  it('has normal numbers', () => {
    const random = new Random(6);
    const values = Array.from({ length: 100_000 }, () => random.gaussian());
    const moment = (power: number): number =>
      values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    expect(moment(1)).toBeCloseTo(0, 1);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.03);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.2);
    // One number after another, without the two of a pair being alike.
    const products = values.slice(1).reduce((sum, value, at) => sum + value * values[at]!, 0);
    expect(Math.abs(products / values.length)).toBeLessThan(0.02);
  });

  it('shuffles every order alike, in place', () => {
    const random = new Random(7);
    const counts = new Map<string, number>();
    for (let n = 0; n < 24_000; n++) {
      const order = random.shuffle([1, 2, 3, 4]).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(160);
    const typed = Uint32Array.from({ length: 100 }, (_, at) => at);
    expect(random.shuffle(typed)).toBe(typed);
    expect(typed.slice().sort()).toEqual(Uint32Array.from({ length: 100 }, (_, at) => at));
    expect([random.shuffle([]), random.shuffle(['a'])]).toEqual([[], ['a']]);
  });

  it('forks into another sequence', () => {
    const random = new Random(8);
    const fork = random.fork();
    const numbers = (of: Random): number[] => Array.from({ length: 50 }, () => of.uint32());
    const both = [...numbers(random), ...numbers(fork)];
    expect(new Set(both).size).toBe(100);
    expect(numbers(new Random(8).fork())).toEqual(both.slice(50));
  });
});

describe('requireSeed', () => {
  it.each([-1, 0.5, NaN, Infinity, 2 ** 53, '5' as never, undefined as never])(
    'refuses %s',
    (seed) => {
      for (const call of [() => requireSeed(seed), () => new Random(seed)]) {
        expect(call).toThrow(`seed must be a whole number in 0..2^53-1, got ${String(seed)}`);
        expect(call).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }));
      }
    },
  );

  it('takes the ends of the range', () => {
    for (const seed of [0, 2 ** 53 - 1]) expect(() => requireSeed(seed)).not.toThrow();
  });
});
