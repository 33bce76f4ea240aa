import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  meanUsAt,
  measureCapacity,
  recallAt,
  samplesAt,
  type Capacity,
} from '../../src/planning/capacity.js';
import { sizeFleet, sizeFleets, type Demand, type ServedWork } from '../../src/planning/fleet.js';
import { planCapacity, type PlanOptions } from '../../src/planning/plan.js';
import { DEFAULT_PRICES, parsePrices, readPrices } from '../../src/planning/prices.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const GIB = 2 ** 30;
const capacity: Capacity = {
  points: [
    { rows: 1000, meanUs: 10, bytesPerVector: 220, recall: 0.99, buildSeconds: 0.1 },
    { rows: 1_000_000, meanUs: 100, bytesPerVector: 200, recall: 0.96, buildSeconds: 60 },
  ],
  ...{ fixedUs: -80, growthUs: 90 / Math.log(1000), grows: 'logarithmically' },
  ...{ bytesPerVector: 200, samplesUs: [50, 80, 100, 120, 150] },
};
const demand: Demand = { qps: 1000, sloMs: 50 };
const options: PlanOptions = {
  ...{ items: 1_000_000, dim: 64, demand, capacity, growth: 0, requests: 2000 },
};

describe('prices', () => {
  const at = temporaryFolder();

  it('are dated, of one source, in proportion to the size', () => {
    expect(DEFAULT_PRICES.asOf).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect(DEFAULT_PRICES.source).toMatch(/\w/);
    const of = (name: string) => DEFAULT_PRICES.machines.find((one) => one.name === name)!;
    expect(of('m7g.large')).toEqual({
      ...{ name: 'm7g.large', vcpus: 2, memoryGiB: 8, usdPerHour: 0.0816 },
    });
    expect(of('m7g.4xlarge').usdPerHour).toBeCloseTo(8 * 0.0816, 5);
    expect(of('r7a.2xlarge')).toMatchObject({ vcpus: 8, memoryGiB: 64 });
  });

  it('can be one’s own', async () => {
    const own = {
      ...{ asOf: '2026-01-01', source: 'ours' },
      machines: [{ name: 'box', vcpus: 32, memoryGiB: 256, usdPerHour: 0.5, speed: 1.2 }],
    };
    writeFileSync(at('prices.json'), JSON.stringify(own));
    expect(await readPrices(at('prices.json'))).toEqual({
      ...own,
      usdPerGB: DEFAULT_PRICES.usdPerGB,
      machineAvailability: DEFAULT_PRICES.machineAvailability,
    });
    await expect(readPrices(at('none.json'))).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    writeFileSync(at('torn.json'), '{"asOf":');
    await expect(readPrices(at('torn.json'))).rejects.toMatchObject({ code: 'ERR_LICHEN_FORMAT' });
  });

  const box = { name: 'box', vcpus: 2, memoryGiB: 4, usdPerHour: 0.1 };
  it.each([
    [null],
    [{}],
    [{ asOf: 'x' }],
    [{ asOf: 'x', machines: [] }],
    [{ asOf: 'x', machines: [null] }],
    [{ asOf: 'x', machines: [{ ...box, vcpus: 0 }] }],
    [{ asOf: 'x', machines: [{ ...box, usdPerHour: '1' }] }],
    [{ asOf: 'x', machines: [{ ...box, memoryGiB: Infinity }] }],
    [{ asOf: 'x', machines: [{ ...box, speed: -1 }] }],
    [{ asOf: 'x', machines: [box], usdPerGB: -1 }],
    [{ asOf: 'x', machines: [box], machineAvailability: 1.5 }],
  ])('refuse %j', (value) => {
    expect(() => parsePrices(value)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});

describe('sizeFleet', () => {
  const box = { name: 'box', vcpus: 4, memoryGiB: 8, usdPerHour: 0.2 };
  const prices = { ...DEFAULT_PRICES, machines: [box] };
  const work: ServedWork = {
    ...{ bytes: 4 * GIB, fixedBytes: 0.5 * GIB, mostShards: 100 },
    serviceUs: () => [1000],
    ...{ gatewayUs: (shards) => (shards === 1 ? 0 : 100), networkBytes: (shards) => 500 * shards },
  };

  it('has servers for the load at the utilization, and machines to be missed', () => {
    const fleet = sizeFleet(work, { qps: 10_000, sloMs: 50, availability: 0.99 }, box, prices);
    if (typeof fleet === 'string') throw new Error(fleet);
    // 10,000 requests of 1 ms are 10 servers at work; at 60% 16.7, at 4 a machine 5.
    expect(fleet.shards).toBe(1);
    expect(fleet.replicas).toBeGreaterThanOrEqual(5);
    expect(fleet.utilization).toBeLessThanOrEqual(0.6);
    expect(fleet.utilization).toBeCloseTo(10_000 / 1000 / (4 * fleet.replicas), 10);
    expect(fleet.availability).toBeGreaterThanOrEqual(0.99);
    expect(fleet.usdPerMonth).toBeCloseTo(fleet.replicas * 0.2 * 730, 6);
    expect(fleet.usdPerMillion).toBeCloseTo((fleet.usdPerHour / (10_000 * 3600)) * 1e6, 10);
    expect(fleet.gateways).toBe(0);
  });

  it('cuts what does not fit into shards, with gateways and traffic', () => {
    const large = { ...work, bytes: 20 * GIB };
    const fleet = sizeFleet(large, { qps: 100, sloMs: 50 }, box, prices);
    if (typeof fleet === 'string') throw new Error(fleet);
    // 0.75 × 8 - 0.5 = 5.5 GiB a machine.
    expect(fleet.shards).toBe(4);
    expect(fleet.usedBytes).toBeLessThanOrEqual(0.75 * 8 * GIB);
    expect(fleet.gateways).toBeGreaterThan(0);
    expect(fleet.networkUsdPerMonth).toBeCloseTo(
      ((500 * 4) / 2 / 1e9) * 100 * 3600 * 730 * prices.usdPerGB,
      6,
    );
  });

  it('has more replicas the more must be available, and for the tail of more shards', () => {
    const replicas = (availability: number, shards: number) => {
      const cut = { ...work, bytes: 5 * shards * GIB };
      const fleet = sizeFleet(cut, { qps: 1000, sloMs: 50, availability }, box, prices);
      if (typeof fleet === 'string') throw new Error(fleet);
      expect(fleet.availability).toBeGreaterThanOrEqual(availability);
      return fleet.replicas;
    };
    expect(replicas(0.9999, 1)).toBeGreaterThan(replicas(0.99, 1));
    expect(replicas(0.999, 20)).toBeGreaterThanOrEqual(replicas(0.999, 1));
  });

  it('says why a machine cannot be used', () => {
    const slow = { ...work, serviceUs: () => [60_000] };
    expect(sizeFleet(slow, { qps: 1, sloMs: 50 }, box, prices)).toMatch(
      /p99 is 60\.0 ms without any waiting, the SLO 50 ms/,
    );
    const wide = { ...work, bytes: 1000 * GIB };
    expect(sizeFleet(wide, demand, box, prices)).toMatch(/would need 182 shards/);
    const heavy = { ...work, fixedBytes: 7 * GIB };
    expect(sizeFleet(heavy, demand, box, prices)).toMatch(/no room beside/);
    const { fleets, unfit } = sizeFleets(slow, { qps: 1, sloMs: 50 }, prices);
    expect([fleets.length, unfit[0]!.machine]).toEqual([0, 'box']);
  });

  it('is cheaper on a faster machine of the same price', () => {
    const fast = { ...box, name: 'fast', speed: 4 };
    const { fleets } = sizeFleets(
      work,
      { qps: 20_000, sloMs: 50 },
      { ...prices, machines: [box, fast] },
    );
    expect(fleets[0]!.machine.name).toBe('fast');
  });
});

describe('capacity', () => {
  it('follows the lines that were measured', () => {
    expect(meanUsAt(capacity, 1000)).toBeCloseTo(10, 0);
    expect(meanUsAt(capacity, 1e6)).toBeCloseTo(100, 0);
    expect(meanUsAt(capacity, 1e9)).toBeCloseTo(190, 0);
    expect(meanUsAt(capacity, 10)).toBeGreaterThanOrEqual(0);
    const samples = samplesAt(capacity, 1e9);
    expect(samples[2]! / 100).toBeCloseTo(1.9, 1);
    expect(recallAt(capacity, 1e9)).toBeCloseTo(0.93, 2);
    expect(recallAt(capacity, 10)).toBeLessThanOrEqual(1);
  });

  it('is measured on small indexes and foretells a larger one', async () => {
    const measured = await measureCapacity({
      candidate: { index: 'flat', storage: 'f32' },
      ...{ dim: 16, metric: 'dot', k: 5, rows: [4000, 8000, 16_000] },
    });
    expect(measured.grows).toBe('linearly');
    expect(measured.points.map(({ rows }) => rows)).toEqual([4000, 8000, 16_000]);
    expect(measured.points.every(({ recall }) => recall === 1)).toBe(true);
    expect(measured.bytesPerVector).toBeGreaterThanOrEqual(64);
    // How much longer more vectors take depends on the machine's moment.
    expect(meanUsAt(measured, 64_000)).toBeGreaterThanOrEqual(meanUsAt(measured, 16_000));
    const graph = await measureCapacity({
      candidate: { index: 'hnsw', storage: 'i8', m: 8 },
      ...{ dim: 16, metric: 'cosine', k: 5, ef: 32, rows: [2000, 4000] },
    });
    expect(graph.grows).toBe('logarithmically');
    expect(graph.samplesUs.length).toBe(3000);
  });

  it.each([
    [{ rows: [100] }, 'ARGUMENT'],
    [{ rows: [2, 100] }, 'ARGUMENT'],
    [{ vectors: { data: new Float32Array(160), rows: 10, dim: 16 }, rows: [5, 20] }, 'DIMENSION'],
  ])('refuses %j', async (wrong, code) => {
    const given = {
      candidate: { index: 'flat', storage: 'f32' } as const,
      ...{ dim: 16, metric: 'dot' as const, k: 5 },
    };
    await expect(measureCapacity({ ...given, ...wrong })).rejects.toMatchObject({
      code: `ERR_LICHEN_${code}`,
    });
  });
});

describe('planCapacity', () => {
  it('keeps to the SLO in the simulation, also without a replica', () => {
    const plan = planCapacity(options);
    expect(plan.bytes).toBe(200e6);
    expect(plan.isWithinSlo).toBe(true);
    expect(plan.isWithinSloDegraded).toBe(true);
    expect(plan.fleet.usdPerMonth).toBeLessThanOrEqual(
      Math.min(...plan.alternatives.map(({ usdPerMonth }) => usdPerMonth)),
    );
    const { p50us } = plan.simulated;
    expect(p50us.low).toBeLessThanOrEqual(p50us.mean);
    // 100 µs of search and 250 beside it.
    expect(p50us.mean).toBeGreaterThan(300);
    expect(plan.isExtrapolated).toBe(false);
  });

  it('agrees with its own formula where little waits', () => {
    const { fleet, simulated } = planCapacity({ ...options, requests: 20_000 });
    expect(simulated.p99us.mean / 1000 / fleet.tailMs).toBeGreaterThan(0.85);
    expect(simulated.p99us.mean / 1000 / fleet.tailMs).toBeLessThan(1.15);
    expect(simulated.utilization.mean / fleet.utilization).toBeGreaterThan(0.9);
    expect(simulated.utilization.mean / fleet.utilization).toBeLessThan(1.1);
  });

  it.each([1e6, 1e8, 1e9])('has a plan for %i items', (items) => {
    const plan = planCapacity({ ...options, items, demand: { ...demand, qps: 10_000 } });
    expect(plan.fleet.usedBytes).toBeLessThanOrEqual(0.75 * plan.fleet.memoryBytes);
    expect(plan.fleet.shards * (plan.fleet.usedBytes - 512 * 2 ** 20)).toBeCloseTo(items * 200, -3);
    expect(plan.isWithinSlo).toBe(true);
    expect(plan.isExtrapolated).toBe(items > 1e6);
  });

  it('costs more for more items, more requests and more availability', () => {
    const cost = (more: Partial<PlanOptions>) =>
      planCapacity({ ...options, ...more }).fleet.usdPerMonth;
    const base = cost({});
    expect(cost({ items: 1e9 })).toBeGreaterThan(base);
    expect(cost({ demand: { ...demand, qps: 100_000 } })).toBeGreaterThan(base);
    expect(cost({ demand: { ...demand, availability: 0.9999999 } })).toBeGreaterThan(base);
  });

  it('says why nothing bears a demand', () => {
    expect(() => planCapacity({ ...options, demand: { qps: 10, sloMs: 0.1 } })).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_UNSUPPORTED',
        message: expect.stringMatching(/without any waiting, the SLO 0\.1 ms/) as string,
      }),
    );
  });

  it.each([
    [{ items: 0 }],
    [{ items: 1.5 }],
    [{ demand: { qps: 0, sloMs: 50 } }],
    [{ demand: { qps: NaN, sloMs: 50 } }],
    [{ demand: { qps: 1, sloMs: -1 } }],
    [{ demand: { ...demand, utilization: 1 } }],
    [{ demand: { ...demand, availability: 1 } }],
    [{ demand: { ...demand, memoryShare: 0 } }],
    [{ demand: { ...demand, percentile: 100 } }],
  ])('refuses %j', (wrong) => {
    expect(() => planCapacity({ ...options, ...wrong })).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});
