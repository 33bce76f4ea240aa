import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../src/planning/event-queue.js';
import { fanOut, networkBytes } from '../../src/planning/fan-out.js';
import {
  atLeastWorking,
  erlangC,
  queueLatency,
  squareRootStaffing,
} from '../../src/planning/queueing.js';
import { simulateFleet, type SimulateOptions } from '../../src/planning/simulate.js';
import { Random } from '../../src/vectors/random.js';

const exponential = (mean: number, count: number, seed = 1): Float64Array => {
  const random = new Random(seed);
  return Float64Array.from({ length: count }, () => -mean * Math.log(1 - random.uniform()));
};

describe('erlangC', () => {
  // By summing the terms of the definition; the last three stand in tables of Erlang's C.
  it.each([
    [1, 0.5, 0.5],
    [2, 1, 1 / 3],
    [5, 4, 0.5541],
    [10, 8, 0.4092],
    [20, 18, 0.5508],
  ])('of %i servers at a load of %f is %f', (servers, load, expected) => {
    expect(erlangC(servers, load)).toBeCloseTo(expected, 3);
    let term = 1;
    let sum = 1;
    for (let at = 1; at < servers; at++) sum += term *= load / at;
    const last = ((term * load) / servers) * (servers / (servers - load));
    expect(erlangC(servers, load)).toBeCloseTo(last / (sum + last), 10);
  });

  it('does not overflow, and is 1 where the load is too great', () => {
    expect(erlangC(5000, 4900)).toBeGreaterThan(0);
    expect(erlangC(5000, 4900)).toBeLessThan(1);
    expect(erlangC(4, 4)).toBe(1);
    expect(erlangC(4, 0)).toBe(0);
    for (const [servers, load] of [
      [0, 1],
      [1.5, 1],
      [2, -1],
      [2, NaN],
    ] as const) {
      expect(() => erlangC(servers, load)).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
      );
    }
  });
});

describe('queueLatency', () => {
  it('is exact for one server and exponential times', () => {
    const serviceUs = exponential(100, 200_000);
    const latency = queueLatency({ servers: 1, rate: 7000, serviceUs });
    expect(latency.utilization).toBeCloseTo(0.7, 2);
    expect(latency.meanUs / (100 / 0.3)).toBeCloseTo(1, 1);
    expect(latency.quantileUs(0.99) / ((100 / 0.3) * Math.log(100))).toBeCloseTo(1, 1);
  });

  it('has Pollaczek and Khinchine’s mean where all take as long', () => {
    const { meanUs } = queueLatency({ servers: 1, rate: 8000, serviceUs: [100] });
    expect(meanUs).toBeCloseTo(100 + (100 * 0.8) / (2 * 0.2), 6);
  });

  it('never ends where the load is too great', () => {
    const latency = queueLatency({ servers: 2, rate: 20_000, serviceUs: [100] });
    expect([latency.quantileUs(0.5), latency.meanUs]).toEqual([Infinity, Infinity]);
  });

  it('grows with the load and falls with servers', () => {
    const serviceUs = exponential(50, 500);
    const tail = (servers: number, rate: number) =>
      queueLatency({ servers, rate, serviceUs }).quantileUs(0.99);
    expect(tail(4, 30_000)).toBeLessThan(tail(4, 60_000));
    expect(tail(8, 60_000)).toBeLessThan(tail(4, 60_000));
  });
});

it('squareRootStaffing leaves so many waiting as Halfin and Whitt say', () => {
  for (const load of [10, 100, 1000]) {
    expect(erlangC(squareRootStaffing(load, 1), load)).toBeCloseTo(0.22, 1);
    expect(erlangC(squareRootStaffing(load, 2), load)).toBeLessThan(0.035);
  }
});

it('atLeastWorking sums the binomial terms', () => {
  expect(atLeastWorking(3, 3, 0.9)).toBeCloseTo(0.729, 10);
  expect(atLeastWorking(3, 2, 0.9)).toBeCloseTo(0.729 + 3 * 0.081, 10);
  expect(atLeastWorking(3, 0, 0.9)).toBe(1);
  expect(atLeastWorking(2, 3, 0.9)).toBe(0);
});

it('EventQueue gives events in order, those of one time as they came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (times) => {
      const queue = new EventQueue<number>();
      times.forEach((time, at) => queue.push(time, at));
      const expected = times.map((time, at) => ({ time, at }));
      expected.sort((a, b) => a.time - b.time || a.at - b.at);
      for (const { time, at } of expected) {
        expect(queue.time).toBe(time);
        expect(queue.pop()).toBe(at);
      }
      expect([queue.size, queue.time, queue.pop()]).toEqual([0, Infinity, undefined]);
    }),
  );
});

describe('fanOut', () => {
  it.each([1, 2, 8, 32])('is the distribution of the slowest of %i', (shards) => {
    const latencies = exponential(10, 200_000);
    const { p50us, p99us, isGuess } = fanOut(latencies, shards);
    // P(max <= t) = (1 - exp(-t / 10)) ** shards
    const at = (share: number) => -10 * Math.log(1 - share ** (1 / shards));
    expect(p50us / at(0.5)).toBeCloseTo(1, 1);
    expect(p99us / at(0.99)).toBeCloseTo(1, 1);
    expect(isGuess).toBe(false);
  });

  it('holds the true p99 within its range in about 95 of 100 samples', () => {
    let held = 0;
    for (let sample = 0; sample < 400; sample++) {
      const [low, high] = fanOut(exponential(10, 4000, sample + 1), 4).p99Range;
      const truth = -10 * Math.log(1 - 0.99 ** (1 / 4));
      if (low <= truth && truth <= high) held++;
    }
    expect(held / 400).toBeGreaterThan(0.9);
    expect(held / 400).toBeLessThan(0.99);
  });

  it('says when too little was measured', () => {
    expect(fanOut(exponential(10, 1000), 1).isGuess).toBe(false);
    expect(fanOut(exponential(10, 1000), 16).isGuess).toBe(true);
    expect(() => fanOut([], 2)).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_EMPTY' }));
    expect(() => fanOut([1], 0)).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }));
  });

  it('grows by the vector in one direction and by the results in the other', () => {
    const one = networkBytes(1, { dim: 64, k: 10 });
    const four = networkBytes(4, { dim: 64, k: 10 });
    expect(four.total).toBe(4 * one.total);
    expect(networkBytes(1, { dim: 128, k: 10 }).requests - one.requests).toBe(256);
    expect(networkBytes(1, { dim: 64, k: 20 }).responses - one.responses).toBe(120);
  });
});

describe('simulateFleet', () => {
  const fleet: SimulateOptions = {
    ...{ shards: 1, replicas: 1, servers: 1, rate: 7000 },
    ...{ serviceUs: exponential(100, 100_000), requests: 60_000, runs: 4 },
  };

  it('is M/M/1', () => {
    const { meanUs, p99us, utilization } = simulateFleet(fleet);
    expect(utilization.mean).toBeCloseTo(0.7, 1);
    expect(meanUs.mean / (100 / 0.3)).toBeCloseTo(1, 0.9);
    expect(p99us.mean / ((100 / 0.3) * Math.log(100))).toBeGreaterThan(0.9);
    expect(p99us.mean / ((100 / 0.3) * Math.log(100))).toBeLessThan(1.1);
    expect(p99us.low).toBeLessThan(p99us.mean);
  });

  it('is M/M/c with several servers and one queue', () => {
    const { meanUs } = simulateFleet({ ...fleet, servers: 4, rate: 32_000 });
    const load = 3.2;
    const expected = 100 + (erlangC(4, load) * 100) / (4 - load);
    expect(meanUs.mean / expected).toBeGreaterThan(0.95);
    expect(meanUs.mean / expected).toBeLessThan(1.05);
  });

  it('is M/D/1 where all take as long', () => {
    const { meanUs } = simulateFleet({ ...fleet, serviceUs: [100], rate: 8000 });
    expect(meanUs.mean / 300).toBeGreaterThan(0.93);
    expect(meanUs.mean / 300).toBeLessThan(1.07);
  });

  it('waits for the slowest shard, as fanOut predicts where nobody waits in a queue', () => {
    const many = { ...fleet, shards: 8, servers: 64, rate: 1000 };
    const { p99us, p50us } = simulateFleet(many);
    const predicted = fanOut(fleet.serviceUs, 8);
    expect(p99us.mean / predicted.p99us).toBeGreaterThan(0.95);
    expect(p99us.mean / predicted.p99us).toBeLessThan(1.05);
    expect(p50us.mean / predicted.p50us).toBeGreaterThan(0.95);
    expect(p50us.mean / predicted.p50us).toBeLessThan(1.05);
  });

  it('agrees with the formula within a tenth at the loads that plans allow', () => {
    for (const utilization of [0.4, 0.6]) {
      const rate = (4 * 3 * utilization * 1e6) / 100;
      const { p99us } = simulateFleet({ ...fleet, replicas: 3, servers: 4, rate });
      const formula = queueLatency({ servers: 4, rate: rate / 3, serviceUs: fleet.serviceUs });
      expect(p99us.mean / formula.quantileUs(0.99)).toBeGreaterThan(0.9);
      expect(p99us.mean / formula.quantileUs(0.99)).toBeLessThan(1.1);
    }
  });

  it('is quicker where the replica with less to do is asked', () => {
    const busy = { ...fleet, replicas: 8, rate: 0.85 * 8 * 10_000 };
    const [random, two, least] = (['random', 'two-choices', 'least-loaded'] as const).map(
      (routing) => simulateFleet({ ...busy, routing }).p99us.mean,
    );
    expect(two!).toBeLessThan(0.7 * random!);
    expect(least!).toBeLessThan(two!);
  });

  it('cuts the tail by asking a second replica, for a few requests more', () => {
    // One in a hundred takes a hundred times as long.
    const serviceUs = Float64Array.from({ length: 1000 }, (_, at) =>
      at % 100 === 0 ? 10_000 : 100,
    );
    const base = { ...fleet, shards: 4, replicas: 3, servers: 8, rate: 5000, serviceUs };
    const plain = simulateFleet(base);
    const hedged = simulateFleet({ ...base, hedgeAfterUs: 300 });
    expect(plain.p99us.mean).toBeGreaterThan(9000);
    expect(hedged.p99us.mean).toBeLessThan(1000);
    expect(hedged.hedged.mean).toBeGreaterThan(0.005);
    expect(hedged.hedged.mean).toBeLessThan(0.03);
  });

  it('loads those that are left when a replica is down, and answers in part without a shard', () => {
    const base = { ...fleet, shards: 2, replicas: 2, rate: 9000 };
    const whole = simulateFleet(base);
    const down = simulateFleet({ ...base, down: 1 });
    expect(down.utilization.mean / whole.utilization.mean).toBeGreaterThan(1.8);
    expect(down.p99us.mean).toBeGreaterThan(1.5 * whole.p99us.mean);
    expect(whole.partial.mean).toBe(0);
    const without = simulateFleet({ ...base, down: 2 });
    expect(without.partial.mean).toBe(1);
    const late = simulateFleet({ ...base, deadlineUs: 150 });
    expect(late.p999us.mean).toBeLessThanOrEqual(150);
    expect(late.partial.mean).toBeGreaterThan(0.2);
  });

  it('gives the same for the same seed', () => {
    const small = { ...fleet, requests: 2000 };
    expect(simulateFleet(small)).toEqual(simulateFleet(small));
    expect(simulateFleet({ ...small, seed: 2 })).not.toEqual(simulateFleet(small));
  });

  it.each([
    [{ shards: 0 }, 'ARGUMENT'],
    [{ replicas: 1.5 }, 'ARGUMENT'],
    [{ servers: -1 }, 'ARGUMENT'],
    [{ rate: 0 }, 'ARGUMENT'],
    [{ rate: NaN }, 'ARGUMENT'],
    [{ down: 2 }, 'ARGUMENT'],
    [{ requests: 0 }, 'ARGUMENT'],
    [{ runs: 0 }, 'ARGUMENT'],
    [{ serviceUs: [] }, 'EMPTY'],
  ])('refuses %o', (wrong, code) => {
    expect(() => simulateFleet({ ...fleet, ...wrong })).toThrow(
      expect.objectContaining({ code: `ERR_LICHEN_${code}` }),
    );
  });
});
