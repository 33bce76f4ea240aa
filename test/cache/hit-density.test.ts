import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classOf, CLASSES, HitDensity, MOST_COUNT } from '../../src/cache/hit-density.js';

const BINS = 64;

/** The first age of each half octave: 0, none, 2, 3, 4, 6, 8, 12 and so on. */
const FIRST_AGES = Array.from({ length: BINS + 1 }, (_, bin) => {
  if (bin < 2) return 2 * bin;
  return 2 ** Math.floor(bin / 2) * (bin % 2 === 0 ? 1 : 1.5);
});

/** The half octave of an age, found by counting. */
function binOf(age: number): number {
  let bin = 0;
  while (FIRST_AGES[bin + 1]! <= age) bin++;
  return bin;
}

/** Levels are whole numbers of 1/1024 octave. */
function densityOf(density: HitDensity, count: number, age: number): number {
  return 2 ** (density.level(count, age) / 1024);
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
    const span = FIRST_AGES[bin + 1]! - FIRST_AGES[bin]!;
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
        expect(densityOf(density, count, age)).toBeGreaterThan(densityOf(density, count, age * 10));
        if (count < 100)
          expect(densityOf(density, count * 2, age)).toBeGreaterThan(
            densityOf(density, count, age),
          );
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
            const got = densityOf(density, 1, age);
            expect(Math.abs(got - expected)).toBeLessThanOrEqual(expected * 4e-4);
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
    expect(densityOf(density, 1, 800)).toBeGreaterThan(densityOf(density, 1, 10));
    expect(densityOf(density, 1, 800)).toBeGreaterThan(10 * densityOf(density, 1, 3000));
  });

  it('keeps what it had for a class of which it saw little', () => {
    const density = new HitDensity(1000);
    const before = densityOf(density, 1, 100);
    for (let n = 0; n < 49; n++) density.saw(0, 0);
    density.learn();
    expect(densityOf(density, 1, 100)).toBe(before);
    for (let n = 0; n < 50; n++) density.saw(0, 0);
    density.learn();
    expect(densityOf(density, 1, 100)).toBe(0);
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
    const old = densityOf(density, 1, 9000);
    for (let period = 0; period < 40; period++) live(5);
    expect(densityOf(density, 1, 9000)).toBeLessThan(old);
    expect(densityOf(density, 1, 1)).toBeGreaterThan(100 * densityOf(density, 1, 9000));
  });
});
