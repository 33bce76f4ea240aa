import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classOf, CLASSES, HitDensity, MOST_COUNT } from '../../src/cache/hit-density.js';

const BINS = 64;

/** The greatest n with 2^(n/2) <= age, found by counting. */
function binOf(age: number): number {
  let bin = 0;
  while (2 ** ((bin + 1) / 2) <= Math.max(1, age)) bin++;
  return bin;
}

/** The best ratio of hits to time from a bin on, by trying all later ends: what the hull of `learn` must find. */
function bestRatio(asked: number, ages: readonly number[], from: number): number {
  const hits = new Array<number>(BINS).fill(0);
  for (const age of ages) hits[binOf(age)]!++;
  let left = Math.max(asked, ages.length) + 1;
  for (let bin = 0; bin < from; bin++) left -= hits[bin]!;
  let best = 0;
  let time = 0;
  let had = 0;
  for (let bin = from; bin < BINS; bin++) {
    const span = 2 ** ((bin + 1) / 2) - (bin === 0 ? 0 : 2 ** (bin / 2));
    time += span * (left - hits[bin]! / 2);
    left -= hits[bin]!;
    had += hits[bin]!;
    best = Math.max(best, had / time);
  }
  return best;
}

describe('classes of counts', () => {
  it('keeps 1 to 4 apart and never falls', () => {
    expect([1, 2, 3, 4].map(classOf)).toEqual([0, 1, 2, 3]);
    for (let count = 1; count <= MOST_COUNT; count++) {
      expect(classOf(count)).toBeGreaterThanOrEqual(classOf(count - 1));
      expect(classOf(count)).toBeLessThan(CLASSES);
    }
    expect(classOf(MOST_COUNT)).toBe(CLASSES - 1);
  });
});

describe('HitDensity', () => {
  it('guesses at first that more often and more recently is better', () => {
    const density = new HitDensity(1000);
    for (const count of [1, 2, 3, 4, 10, 100]) {
      for (const age of [1, 10, 100, 1e4, 1e6]) {
        expect(density.of(count, age)).toBeGreaterThan(density.of(count, age * 10));
        if (count < 100) expect(density.of(count * 2, age)).toBeGreaterThan(density.of(count, age));
      }
    }
  });

  it('learns the best ratio of hits to time over all later ages', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 400 }),
        fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 2 ** 31 })), {
          maxLength: 300,
        }),
        (asked, ages) => {
          const density = new HitDensity(1000);
          for (let n = 0; n < asked; n++) density.saw(0, 0);
          for (const age of ages) density.saw(1, age);
          density.learn();
          for (const age of [0, 1, 2, 3, 7, 50, 1000, 2 ** 20, 2 ** 31, 2 ** 32 - 1]) {
            const expected = bestRatio(asked, ages, binOf(age));
            const got = density.of(1, age);
            expect(Math.abs(got - expected)).toBeLessThanOrEqual(expected * 1e-9 + 1e-18);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('sees that a key which comes back after a while is worth more just before than just after', () => {
    const density = new HitDensity(1000);
    for (let n = 0; n < 1000; n++) {
      density.saw(0, 0);
      density.saw(1, 1000);
    }
    density.learn();
    expect(density.of(1, 800)).toBeGreaterThan(density.of(1, 10));
    expect(density.of(1, 800)).toBeGreaterThan(10 * density.of(1, 3000));
  });

  it('keeps what it had for a class of which it saw little', () => {
    const density = new HitDensity(1000);
    const before = density.of(1, 100);
    for (let n = 0; n < 49; n++) density.saw(0, 0);
    density.learn();
    expect(density.of(1, 100)).toBe(before);
    for (let n = 0; n < 50; n++) density.saw(0, 0);
    density.learn();
    expect(density.of(1, 100)).toBe(0);
  });

  it('forgets old habits', () => {
    const density = new HitDensity(1000);
    const live = (age: number): void => {
      for (let n = 0; n < 1000; n++) {
        density.saw(0, 0);
        density.saw(1, age);
      }
      density.learn();
    };
    live(10_000);
    const old = density.of(1, 9000);
    for (let period = 0; period < 40; period++) live(5);
    expect(density.of(1, 9000)).toBeLessThan(old);
    expect(density.of(1, 1)).toBeGreaterThan(100 * density.of(1, 9000));
  });
});
