import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadedLatency } from '../../src/evaluation/loaded-latency.js';
import { paretoFront, paretoRanks } from '../../src/evaluation/pareto.js';
import { meanInterval, pairedRatio, spreadOf } from '../../src/evaluation/statistics.js';
import { Random } from '../../src/vectors/random.js';

describe('meanInterval', () => {
  it.each([
    [5, 'normal', (random: Random) => 3 + random.gaussian(), 3],
    [30, 'normal', (random: Random) => 3 + random.gaussian(), 3],
    [200, 'skewed', (random: Random) => -Math.log(1 - random.uniform()), 1],
    [400, 'shares', (random: Random) => Math.round(10 * random.uniform() ** 0.2) / 10, undefined],
  ])('holds the true mean in 95 of 100 samples of %i values, %s', (count, _, draw, known) => {
    const random = new Random(7);
    const truth =
      known ??
      Array.from({ length: 400_000 }, () => draw(random)).reduce((a, b) => a + b) / 400_000;
    let held = 0;
    for (let sample = 0; sample < 2000; sample++) {
      const { low, high } = meanInterval(Array.from({ length: count }, () => draw(random)));
      if (low <= truth && truth <= high) held++;
    }
    expect(held / 2000).toBeGreaterThan(0.93);
    expect(held / 2000).toBeLessThan(0.97);
  });

  it('does not claim certainty where nothing varied', () => {
    const ones = meanInterval(new Float64Array(1000).fill(1), [0, 1]);
    expect(ones).toEqual({ mean: 1, low: 0.997, high: 1 });
    expect(meanInterval([0.5, 0.5], [0, 1])).toEqual({ mean: 0.5, low: 0, high: 1 });
    expect(meanInterval([0.3], [0, 1])).toEqual({ mean: 0.3, low: 0, high: 1 });
    // Times have no greatest value, of which a share could be missing.
    expect(meanInterval([7, 7, 7], [0, Infinity])).toEqual({ mean: 7, low: 7, high: 7 });
  });

  it('keeps to its bounds and needs values', () => {
    const { low, high } = meanInterval([0, 1, 0, 1], [0, 1]);
    expect([low, high]).toEqual([0, 1]);
    expect(() => meanInterval([])).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_EMPTY' }));
    expect(() => spreadOf([])).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_EMPTY' }));
  });
});

describe('pairedRatio', () => {
  it('sees a small difference that the noise of both hides', () => {
    const random = new Random(3);
    const below = Array.from({ length: 300 }, () => random.uniform());
    const above = below.map((value) => 0.98 * value);
    const { mean, low, high } = pairedRatio(above, below);
    expect(mean).toBeCloseTo(0.98, 10);
    expect(high - low).toBeLessThan(1e-9);
    const alone = meanInterval(below);
    expect((alone.high - alone.low) / alone.mean).toBeGreaterThan(0.1);
  });

  it('holds the true ratio in about 95 of 100 samples', () => {
    const random = new Random(11);
    let held = 0;
    for (let sample = 0; sample < 400; sample++) {
      const below = Array.from({ length: 80 }, () => 1 + random.uniform());
      const above = below.map((value) => value * 0.9 + 0.2 * random.gaussian());
      const { low, high } = pairedRatio(above, below, { resamples: 400, seed: sample });
      if (low <= 0.9 && 0.9 <= high) held++;
    }
    expect(held / 400).toBeGreaterThan(0.91);
    expect(held / 400).toBeLessThan(0.98);
  });

  it('wants pairs', () => {
    expect(() => pairedRatio([1], [1, 2])).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }),
    );
    expect(() => pairedRatio([], [])).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_EMPTY' }),
    );
  });
});

it('spreadOf gives median, least and greatest', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 });
  expect(spreadOf([10, 9, 1, 2])).toEqual({ median: 5.5, min: 1, max: 10, count: 4 });
});

describe('paretoFront', () => {
  const values = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })),
    {
      maxLength: 30,
    },
  );
  const objectives = [
    { value: (point: readonly [number, number]) => point[0], better: 'higher' as const },
    { value: (point: readonly [number, number]) => point[1], better: 'lower' as const },
  ];
  const beats = (a: readonly [number, number], b: readonly [number, number]) =>
    a[0] >= b[0] && a[1] <= b[1] && (a[0] > b[0] || a[1] < b[1]);

  it('is what its definition says', () => {
    fc.assert(
      fc.property(values, (points) => {
        const expected = points.filter((point) => !points.some((other) => beats(other, point)));
        expect(paretoFront(points, objectives)).toEqual(expected);
      }),
    );
  });

  it('leaves a next front once it is taken away, until all are ranked', () => {
    fc.assert(
      fc.property(values, (points) => {
        const ranks = paretoRanks(points, objectives);
        expect(ranks.flat().length).toBe(points.length);
        ranks.forEach((front, rank) => {
          expect(front).toEqual(paretoFront(ranks.slice(rank).flat(), objectives));
        });
      }),
    );
  });

  it('never holds what is no number', () => {
    const points = [
      [NaN, 1],
      [1, 5],
      [2, NaN],
    ] as const;
    expect(paretoFront(points, objectives)).toEqual([points[1]]);
    expect(paretoRanks(points, objectives)).toEqual([[points[1]], [points[0], points[2]]]);
  });
});

describe('loadedLatency', () => {
  it.each([0.3, 0.6, 0.8])('is that of M/M/1 at a utilization of %f', (utilization) => {
    const random = new Random(5);
    const service = Array.from({ length: 1_000_000 }, () => -100 * Math.log(1 - random.uniform()));
    const { meanUs, p50us, p99us } = loadedLatency(service, utilization);
    // Times of response are exponential with this mean.
    const mean = 100 / (1 - utilization);
    expect(meanUs / mean).toBeCloseTo(1, 1);
    expect(p50us / (mean * Math.log(2))).toBeCloseTo(1, 1);
    expect(p99us / (mean * Math.log(100))).toBeCloseTo(1, 1);
  });

  it('is that of M/D/1 where all take as long (Pollaczek and Khinchine)', () => {
    const { meanUs } = loadedLatency(new Float64Array(500_000).fill(100), 0.8);
    expect(meanUs / (100 + (100 * 0.8) / (2 * 0.2))).toBeCloseTo(1, 1);
  });

  it('lets everybody behind a pause feel it, where a closed loop has one slow answer', () => {
    const service = new Float64Array(1000).fill(10);
    service[500] = 20_000;
    const { p99us, maxUs } = loadedLatency(service, 0.5);
    expect(p99us).toBeGreaterThan(1000);
    expect(maxUs).toBeGreaterThanOrEqual(20_000);
  });

  it('wants a share of the capacity', () => {
    for (const utilization of [0, 1, NaN, -1]) {
      expect(() => loadedLatency([1], utilization)).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
      );
    }
    expect(() => loadedLatency([], 0.5)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_EMPTY' }),
    );
  });
});
