import { describe, expect, it } from 'vitest';
import { fanOut, networkBytes } from '../../src/planning/fan-out.js';
import {
  atLeastWorking,
  erlangC,
  queueLatency,
  squareRootStaffing,
} from '../../src/planning/queueing.js';
import { simulateFleet, type SimulateOptions } from '../../src/planning/simulate.js';
import { Random } from '../../src/vectors/random.js';

const wrong = expect.objectContaining({
  code: expect.stringMatching(/^ERR_LICHEN_(ARGUMENT|NOT_FINITE|EMPTY|MEMORY)$/) as string,
}) as Error;

const exponential = (mean: number, count: number): Float64Array => {
  const random = new Random(11);
  return Float64Array.from({ length: count }, () => -mean * Math.log(1 - random.uniform()));
};

/** By logarithms, which neither overflow nor vanish. */
function binomialTail(count: number, least: number, working: number): number {
  const logs = new Float64Array(count + 1);
  for (let n = 1; n <= count; n++) logs[n] = logs[n - 1]! + Math.log(n);
  let sum = 0;
  for (let n = least; n <= count; n++) {
    const ways = logs[count]! - logs[n]! - logs[count - n]!;
    sum += Math.exp(ways + n * Math.log(working) + (count - n) * Math.log(1 - working));
  }
  return Math.min(1, sum);
}

describe('atLeastWorking', () => {
  it.each([
    [3, 2, 0.995],
    [500, 495, 0.995],
    [1000, 990, 0.995],
    [1100, 1090, 0.995],
    [5000, 4970, 0.995],
    [2000, 1000, 0.5],
  ])('of %i, %i needed at %f is the sum of the binomial terms', (count, least, working) => {
    const expected = binomialTail(count, least, working);
    expect(atLeastWorking(count, least, working)).toBeCloseTo(expected, 8);
  });

  it('is 1 and 0 at the ends', () => {
    expect(atLeastWorking(3, 3, 1)).toBe(1);
    expect(atLeastWorking(3, 1, 0)).toBe(0);
    expect(atLeastWorking(2000, 2000, 1)).toBe(1);
  });
});

describe('queueLatency', () => {
  // All take as long: the wait of those that wait is exponential by the approximation, so its quantiles are a formula.
  it.each([0.9, 0.99, 1 - 1e-5, 1 - 1e-7, 1 - 1e-9])('has the quantile %f', (share) => {
    const latency = queueLatency({ servers: 1, rate: 8000, serviceUs: [100] });
    const waitUs = (100 / (1 - 0.8)) * 0.5;
    const expected = 100 + waitUs * Math.log(0.8 / (1 - share));
    expect(latency.quantileUs(share) / expected).toBeCloseTo(1, 6);
  });

  it('never falls with the share', () => {
    const latency = queueLatency({ servers: 3, rate: 20_000, serviceUs: exponential(100, 300) });
    const quantiles = [0, 0.2, 0.5, 0.9, 0.999, 1 - 1e-8].map((one) => latency.quantileUs(one));
    expect(quantiles).toEqual([...quantiles].sort((a, b) => a - b));
  });

  it('is 0 where all takes no time', () => {
    const latency = queueLatency({ servers: 2, rate: 1000, serviceUs: [0, 0] });
    expect([latency.utilization, latency.meanUs, latency.quantileUs(0.99)]).toEqual([0, 0, 0]);
  });

  const load = { servers: 2, rate: 1000, serviceUs: [100] };
  it.each([
    { servers: 0 },
    { servers: 1.5 },
    { servers: NaN },
    { rate: NaN },
    { rate: -1 },
    { serviceUs: [] },
    { serviceUs: [NaN] },
    { serviceUs: [1, Infinity] },
    { serviceUs: [-100, 150] },
  ])('refuses %o', (other) => {
    expect(() => queueLatency({ ...load, ...other })).toThrow(wrong);
  });
});

describe('squareRootStaffing', () => {
  it('has servers for any load, and refuses what is none', () => {
    expect(squareRootStaffing(0, 1)).toBe(1);
    for (const [load, quality] of [
      [NaN, 1],
      [-1, 1],
      [Infinity, 1],
      [1, NaN],
    ] as const) {
      expect(() => squareRootStaffing(load, quality), `${load} ${quality}`).toThrow(wrong);
    }
    expect(() => erlangC(3, Infinity)).not.toThrow();
  });
});

describe('fanOut', () => {
  it('takes thousands of shards', () => {
    const { p99us, isGuess } = fanOut([1, 2, 3], 100_000);
    expect([p99us, isGuess]).toEqual([3, true]);
    expect(networkBytes(5000, { dim: 8, k: 3 }).total).toBe(5000 * (4 * 8 + 3 * 12 + 280));
  });

  it('refuses measurements that are no numbers', () => {
    expect(() => fanOut([1, NaN], 2)).toThrow(wrong);
    expect(() => fanOut([1], NaN)).toThrow(wrong);
  });
});

describe('simulateFleet', () => {
  const fleet: SimulateOptions = {
    ...{ shards: 1, replicas: 2, servers: 1, rate: 1000, serviceUs: [100] },
    ...{ requests: 200, runs: 2 },
  };

  it('by the replica with least to do, is one queue with as many servers', () => {
    const serviceUs = exponential(100, 100_000);
    const mean = serviceUs.reduce((sum, value) => sum + value, 0) / serviceUs.length;
    const rate = 28_000;
    const { meanUs, utilization } = simulateFleet({
      ...{ ...fleet, replicas: 4, rate, serviceUs, routing: 'least-loaded' },
      ...{ requests: 60_000, runs: 4 },
    });
    const load = (rate * mean) / 1e6;
    const expected = mean + (erlangC(4, load) * mean) / (4 - load);
    expect(meanUs.mean / expected).toBeGreaterThan(0.95);
    expect(meanUs.mean / expected).toBeLessThan(1.05);
    expect(utilization.mean).toBeCloseTo(load / 4, 1);
  });

  it('says that all answers lack a shard that is down', () => {
    const { partial, p50us } = simulateFleet({ ...fleet, shards: 2, down: 2 });
    expect(partial.mean).toBe(1);
    expect(p50us.mean).toBeGreaterThanOrEqual(100);
  });

  it('keeps to the deadline, and leaves out what comes later', () => {
    const result = simulateFleet({ ...fleet, serviceUs: [10, 1e6], deadlineUs: 50, rate: 1 });
    expect(result.p999us.mean).toBeLessThanOrEqual(50.001);
    expect(result.partial.mean).toBeGreaterThan(0.3);
  });

  it('takes thousands of shards, one request, and the largest seed', () => {
    const wide = simulateFleet({ ...fleet, shards: 5000, requests: 3, runs: 1 });
    expect(wide.p50us.mean).toBeGreaterThanOrEqual(100);
    expect(simulateFleet({ ...fleet, requests: 1 }).p99us.mean).toBeGreaterThanOrEqual(100);
    expect(() => simulateFleet({ ...fleet, seed: Number.MAX_SAFE_INTEGER })).not.toThrow();
  });

  it('takes requests when they came', () => {
    const idle = { ...fleet, shards: 1, replicas: 1, serviceUs: [100], rate: undefined };
    // Three at once wait for each other; the last finds nobody.
    const four = simulateFleet({ ...idle, servers: 1, arrivalsUs: [50, 50, 50, 1000] });
    expect([four.p50us.mean, four.p99us.mean, four.meanUs.mean]).toEqual([100, 300, 175]);
    expect(four.utilization.mean).toBeCloseTo(0.4);
    const poisson = new Float64Array(60_000);
    const random = new Random(3);
    for (let at = 1; at < poisson.length; at++) {
      poisson[at] = poisson[at - 1]! - 200 * Math.log(1 - random.uniform());
    }
    // M/D/1 at a load of a half: the mean wait is half a time of service.
    const { meanUs } = simulateFleet({ ...idle, servers: 1, arrivalsUs: poisson });
    expect(Math.abs(meanUs.mean - 150)).toBeLessThan(5);
  });

  it('takes times of messages as they were measured', () => {
    const idle = { ...fleet, shards: 1, rate: 1, serviceUs: [100], requests: 5000 };
    const none = simulateFleet(idle);
    expect(simulateFleet({ ...idle, networkUs: [30] }).p99us.mean).toBeCloseTo(
      none.p99us.mean + 30,
    );
    const two = simulateFleet({ ...idle, networkUs: Float64Array.of(0, 0, 0, 50) });
    expect(two.p50us.mean).toBeCloseTo(100);
    expect(two.p99us.mean).toBeCloseTo(150);
    expect(Math.abs(two.meanUs.mean - 112.5)).toBeLessThan(2);
  });

  it('is the same by the same seed, and another by another', () => {
    const more = { ...fleet, serviceUs: exponential(100, 50), hedgeAfterUs: 120, networkUs: 30 };
    expect(simulateFleet({ ...more, seed: 5 })).toEqual(simulateFleet({ ...more, seed: 5 }));
    expect(simulateFleet({ ...more, seed: 5 })).not.toEqual(simulateFleet({ ...more, seed: 9 }));
  });

  it.each([
    [{ shards: 0 }],
    [{ down: 3 }],
    [{ rate: NaN }],
    [{ serviceUs: [] }],
    [{ serviceUs: null }],
    [{ serviceUs: [NaN] }],
    [{ serviceUs: [-1] }],
    [{ serviceUs: [Infinity] }],
    [{ networkUs: NaN }],
    [{ networkUs: -1 }],
    [{ networkUs: null }],
    [{ rate: undefined }],
    [{ arrivalsUs: [1, 2] }],
    [{ rate: undefined, arrivalsUs: [] }],
    [{ rate: undefined, arrivalsUs: [2, 1] }],
    [{ rate: undefined, arrivalsUs: [-1] }],
    [{ rate: undefined, arrivalsUs: null }],
    [{ networkUs: [] }],
    [{ networkUs: [10, -1] }],
    [{ mergeUs: NaN }],
    [{ mergeUs: -1 }],
    [{ hedgeAfterUs: NaN }],
    [{ deadlineUs: NaN }],
    [{ deadlineUs: -1 }],
    [{ routing: 'best' }],
    [{ seed: -1 }],
    [{ runs: 0 }],
    [{ requests: 0 }],
    [{ shards: 100_000, replicas: 100_000, servers: 100_000 }],
  ])('refuses %o', (other) => {
    expect(() => simulateFleet({ ...fleet, ...other } as SimulateOptions)).toThrow(wrong);
  });
});
