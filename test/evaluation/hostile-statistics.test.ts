import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadedLatency } from '../../src/evaluation/loaded-latency.js';
import { paretoFront, paretoRanks, type Objective } from '../../src/evaluation/pareto.js';
import { meanInterval, pairedRatio, spreadOf } from '../../src/evaluation/statistics.js';
import { Random } from '../../src/vectors/random.js';

describe('meanInterval', () => {
  it('keeps to the rule of three for any shares that are all the same', () => {
    const shares = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 2, max: 500 }));
    fc.assert(
      fc.property(shares, fc.nat(20), ([k, count], found) => {
        const share = Math.min(k, found) / k;
        const { mean, low, high } = meanInterval(new Float64Array(count).fill(share), [0, 1]);
        expect(mean).toBeCloseTo(share, 12);
        const seen = Math.min(1, 3 / count);
        expect(low).toBeCloseTo(share - seen * share, 9);
        expect(high).toBeCloseTo(share + seen * (1 - share), 9);
      }),
    );
  });

  it('knows nothing of the variance of recalls of 0.9 at every query', () => {
    const { low, high } = meanInterval(new Float64Array(10).fill(0.9), [0, 1]);
    expect([low, high]).toEqual([expect.closeTo(0.63, 9), expect.closeTo(0.93, 9)]);
  });

  it('holds the true mean in about 95 of 100 samples', () => {
    const random = new Random(8);
    let held = 0;
    for (let sample = 0; sample < 4000; sample++) {
      const values = Float64Array.from({ length: 6 }, () => 3 + random.gaussian());
      const { low, high } = meanInterval(values);
      if (low <= 3 && 3 <= high) held++;
    }
    expect(held / 4000).toBeGreaterThan(0.935);
    expect(held / 4000).toBeLessThan(0.965);
  });
});

describe('spreadOf', () => {
  it('is the middle and the ends of any values', () => {
    const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
    fc.assert(
      fc.property(values, (list) => {
        const sorted = [...list].sort((a, b) => a - b);
        const half = Math.floor(list.length / 2);
        const median = (sorted[half]! + sorted[list.length - 1 - half]!) / 2;
        const found = spreadOf(list);
        expect(found.median).toBeCloseTo(median, 6);
        expect([found.min + 0, found.max + 0]).toEqual([sorted[0]! + 0, sorted.at(-1)! + 0]);
      }),
    );
  });
});

describe('pairedRatio', () => {
  it('is the same by the same seed, and refuses to draw nothing', () => {
    const above = [0.1, 0.9, 0.4, 0.6];
    const below = [0.2, 1, 0.5, 0.5];
    expect(pairedRatio(above, below, { seed: 9 })).toEqual(pairedRatio(above, below, { seed: 9 }));
    for (const resamples of [0, -1, 1.5, NaN]) {
      expect(() => pairedRatio(above, below, { resamples }), `${resamples}`).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
      );
    }
  });
});

describe('paretoFront', () => {
  type P = readonly [number, number];
  const objectives: Objective<P>[] = [
    { value: ([x]) => x, better: 'higher' },
    { value: ([, y]) => y, better: 'lower' },
  ];
  const value = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(NaN, Infinity, -Infinity));
  const points = fc.array(fc.tuple(value, value), { maxLength: 40 });

  it('is what the definition says, also with values that are none and with equals', () => {
    fc.assert(
      fc.property(points, (list) => {
        const isGood = ([x, y]: P) => !Number.isNaN(x) && !Number.isNaN(y);
        const beats = (a: P, b: P) => a[0] >= b[0] && a[1] <= b[1] && (a[0] > b[0] || a[1] < b[1]);
        const expected = list.filter(
          (one) => isGood(one) && !list.some((other) => isGood(other) && beats(other, one)),
        );
        expect(paretoFront(list, objectives)).toEqual(expected);
        const ranks = paretoRanks(list, objectives);
        expect(ranks.flat().length).toBe(list.length);
        expect(ranks.every((front) => front.length > 0)).toBe(true);
      }),
    );
  });
});

describe('loadedLatency', () => {
  it('has Pollaczek and Khinchine’s mean wait where all take as long', () => {
    for (const utilization of [0.3, 0.7]) {
      const means = [1, 2, 3, 4, 5].map(
        (seed) => loadedLatency(new Float64Array(100_000).fill(100), utilization, seed).meanUs,
      );
      const expected = 100 + (100 * utilization) / (2 * (1 - utilization));
      expect(spreadOf(means).median / expected).toBeGreaterThan(0.97);
      expect(spreadOf(means).median / expected).toBeLessThan(1.03);
    }
  });

  it('makes all who come meanwhile wait for a pause', () => {
    const times = new Float64Array(1000).fill(10);
    times[500] = 10_000;
    expect(loadedLatency(times, 0.5).p90us).toBeGreaterThan(1000);
    expect(loadedLatency([0, 0, 0], 0.5)).toMatchObject({ meanUs: 0, maxUs: 0 });
  });

  it.each([
    [[1], NaN],
    [[1], 0],
    [[1], 1],
    [[NaN], 0.5],
    [[-1], 0.5],
    [[], 0.5],
  ] as const)('refuses %j at %f', (times, utilization) => {
    expect(() => loadedLatency(times, utilization)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_LICHEN_/) as string }),
    );
  });
});
