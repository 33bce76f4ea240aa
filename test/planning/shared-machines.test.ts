import { describe, expect, it } from 'vitest';
import { simulateFleet, type Hedging, type SimulateOptions } from '../../src/planning/simulate.js';
import { Random } from '../../src/vectors/random.js';

/** When requests come at random, as many a second. */
const poisson = (rate: number, count: number, seed = 3): Float64Array => {
  const random = new Random(seed);
  const times = new Float64Array(count);
  for (let at = 1; at < count; at++) {
    times[at] = times[at - 1]! - (1e6 / rate) * Math.log(1 - random.uniform());
  }
  return times;
};

describe('simulateFleet of replicas that share machines', () => {
  const fleet: SimulateOptions = {
    ...{ shards: 1, replicas: 1, servers: 1, serviceUs: [100] },
    ...{ arrivalsUs: poisson(7000, 40_000), runs: 2 },
  };

  it('is as without sharing where each has a machine', () => {
    const { utilization, ...apart } = simulateFleet({ ...fleet, shards: 3 });
    const { utilization: shared, ...same } = simulateFleet({ ...fleet, shards: 3, machines: 3 });
    for (const key of Object.keys(apart) as (keyof typeof apart)[]) {
      expect(same[key].mean, key).toBeCloseTo(apart[key].mean, 3);
    }
    expect(shared.mean).toBeCloseTo(utilization.mean, 6);
  });

  it('takes two shards on one machine as one with twice the work', () => {
    const both = simulateFleet({ ...fleet, shards: 2, serviceUs: [50], machines: 1 });
    const one = simulateFleet(fleet);
    expect(both.p50us.mean).toBeCloseTo(one.p50us.mean, 3);
    expect(both.p99us.mean).toBeCloseTo(one.p99us.mean, 3);
    expect(both.utilization.mean).toBeCloseTo(one.utilization.mean, 6);
  });

  // M/G/1 under processor sharing: of the times of service only the mean counts (Kleinrock, 1967).
  it.each([
    ['all as long', [100]],
    ['most short, some long', [...new Array<number>(19).fill(50), 1050]],
  ])(
    'is processor sharing where hardly ever two requests go to one replica: %s',
    (_, serviceUs) => {
      const many = { ...fleet, replicas: 2000, machines: 1, serviceUs };
      const { meanUs } = simulateFleet({ ...many, arrivalsUs: poisson(6000, 100_000) });
      expect(meanUs.mean / (100 / 0.4)).toBeGreaterThan(0.93);
      expect(meanUs.mean / (100 / 0.4)).toBeLessThan(1.07);
    },
  );

  it('lets nobody wait where a machine has a processor for each', () => {
    const { p99us } = simulateFleet({ ...fleet, shards: 4, servers: 64, machines: 2 });
    expect(p99us.mean).toBeCloseTo(100, 6);
  });

  it('leaves other machines alone', () => {
    // Four replicas, of one shard, two on each of two machines: as one machine with two at half the load.
    const four = { ...fleet, replicas: 4, machines: 2, arrivalsUs: poisson(12_000, 60_000) };
    const two = { ...fleet, replicas: 2, machines: 1, arrivalsUs: poisson(6000, 60_000) };
    const ratio = simulateFleet(four).meanUs.mean / simulateFleet(two).meanUs.mean;
    expect(ratio).toBeGreaterThan(0.93);
    expect(ratio).toBeLessThan(1.07);
  });

  describe('with hedges', () => {
    // One in a hundred takes a hundred times as long.
    const serviceUs = Float64Array.from({ length: 1000 }, (_, at) =>
      at % 100 === 0 ? 10_000 : 100,
    );
    const many = { ...fleet, shards: 2, replicas: 3, servers: 8, serviceUs };
    const after = (afterMs: number, most = Infinity): Hedging & { seen: number[] } => {
      let left = most;
      return {
        ...{ afterMs, seen: [], asked: () => undefined },
        answered(ms) {
          this.seen.push(ms);
        },
        mayHedge: () => left-- > 0,
      };
    };

    it('cuts the tail, as without sharing', () => {
      const hedgeAfterUs = 300;
      const apart = simulateFleet({ ...many, hedgeAfterUs });
      const shared = simulateFleet({ ...many, hedgeAfterUs, machines: 6 });
      const decided = simulateFleet({ ...many, hedging: () => after(0.3) });
      for (const { p99us, hedged } of [shared, decided]) {
        expect(p99us.mean / apart.p99us.mean).toBeGreaterThan(0.9);
        expect(p99us.mean / apart.p99us.mean).toBeLessThan(1.1);
        expect(hedged.mean / apart.hedged.mean).toBeGreaterThan(0.8);
        expect(hedged.mean / apart.hedged.mean).toBeLessThan(1.2);
      }
    });

    it('asks whoever decides, and tells it of each first answer', () => {
      const made: ReturnType<typeof after>[] = [];
      const { hedged, p99us } = simulateFleet({
        ...many,
        runs: 1,
        hedging: () => {
          made.push(after(0.3, 7));
          return made[0]!;
        },
      });
      expect(hedged.mean * 2 * 40_000).toBeCloseTo(7, 6);
      expect(made[0]!.seen).toHaveLength(2 * 40_000);
      expect(Math.min(...made[0]!.seen)).toBeCloseTo(0.1, 6);
      expect(p99us.mean).toBeGreaterThan(9000);
    });

    it('asks nobody a second time where there is but one replica', () => {
      const { hedged, p50us } = simulateFleet({ ...many, replicas: 1, hedging: () => after(0) });
      expect(hedged.mean).toBe(0);
      expect(p50us.mean).toBeGreaterThanOrEqual(100);
    });

    it('refuses what decides wrongly', () => {
      const bad = expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }) as Error;
      expect(() => simulateFleet({ ...many, hedging: () => after(-1) })).toThrow(bad);
      expect(() => simulateFleet({ ...many, hedging: () => after(NaN) })).toThrow(bad);
      expect(() => simulateFleet({ ...many, hedging: 3 as never })).toThrow(bad);
      expect(() => simulateFleet({ ...many, hedging: () => after(1), hedgeAfterUs: 1000 })).toThrow(
        bad,
      );
    });
  });

  it.each([0, -1, 1.5, 7, NaN, '2'])('refuses %s machines for six replicas', (machines) => {
    const six = { ...fleet, shards: 2, replicas: 3, machines: machines as number };
    expect(() => simulateFleet(six)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});
