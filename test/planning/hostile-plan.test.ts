import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import {
  measureCapacity,
  recallAt,
  type Capacity,
  type CapacityOptions,
} from '../../src/planning/capacity.js';
import type { Demand } from '../../src/planning/fleet.js';
import { planCapacity, type CapacityPlan, type PlanOptions } from '../../src/planning/plan.js';
import { DEFAULT_PRICES, parsePrices, readPrices } from '../../src/planning/prices.js';
import { madeVectors } from '../../src/vectors/made.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

const at = temporaryFolder();
const code = (name: string) => expect.objectContaining({ code: `ERR_LICHEN_${name}` }) as Error;

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
  ...{ items: 1_000_000, dim: 64, demand, capacity, growth: 0, requests: 500 },
};
const box = { name: 'box', vcpus: 2, memoryGiB: 64, usdPerHour: 0.1 };
const one = (machine: object) => ({ asOf: '2026-01-01', machines: [{ ...box, ...machine }] });

/** The plan, or the code of what was thrown. */
function outcome(given: Partial<PlanOptions>): CapacityPlan | string {
  try {
    return planCapacity({ ...options, ...given });
  } catch (error) {
    return error instanceof LichenError ? error.code : String(error);
  }
}

/** In a process that can be ended: what never returns cannot be timed out here. */
function inChild(code: string): string {
  const main = join(__dirname, '..', '..', 'dist', 'index.js');
  const script = `const lichen = require(${JSON.stringify(main)});
    try { console.log('' + (${code})); } catch (error) { console.log(error.code ?? String(error)); }`;
  const { stdout, status } = spawnSync(process.execPath, ['-e', script], {
    ...{ encoding: 'utf8', timeout: 8000 },
  });
  return status === 0 ? stdout.trim() : 'never returned';
}

const checkPlan = (plan: CapacityPlan) => {
  const { fleet, simulated } = plan;
  const numbers = [
    ...[fleet.replicas, fleet.utilization, fleet.p50Ms, fleet.tailMs, fleet.availability],
    ...[fleet.usdPerMonth, fleet.usdPerMillion, fleet.usedBytes, plan.searchUs, plan.recall],
    ...[simulated.p99us.mean, simulated.utilization.mean],
  ];
  expect(numbers.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  expect(fleet.machines).toBe(fleet.replicas * fleet.shards);
};

describe('planCapacity', () => {
  it('has machines to be missed also where thousands are needed', () => {
    const prices = parsePrices(one({}));
    const plan = planCapacity({ ...options, prices, demand: { ...demand, qps: 5e6 } });
    checkPlan(plan);
    expect(plan.fleet.replicas).toBeGreaterThan(1000);
    // One of two hundred does not work at any time: those that are left must suffice.
    expect(plan.fleet.utilization).toBeLessThan(0.6 * 0.995);
    expect(plan.fleet.availability).toBeGreaterThanOrEqual(0.999);
  });

  it('says that what is measured is exceeded once the items have grown', () => {
    const { searchUs, isExtrapolated } = planCapacity({ ...options, growth: 0.2 });
    // The time is of 1.2 million, a million was measured.
    expect(searchUs).toBeGreaterThan(102);
    expect(isExtrapolated).toBe(true);
  });

  it.each([1e7, 1e9])('plans or refuses %f requests a second', (qps) => {
    const found = outcome({ demand: { ...demand, qps }, prices: parsePrices(one({})) });
    if (typeof found === 'string') expect(found).toBe('ERR_LICHEN_UNSUPPORTED');
    else checkPlan(found);
  });

  it('comes to an end for any number of requests', () => {
    const given = JSON.stringify({ ...options, demand: { ...demand, qps: 1e12 } });
    expect(inChild(`lichen.planCapacity(${given}).fleet.replicas`)).toMatch(
      /^(\d+|ERR_LICHEN_UNSUPPORTED)$/,
    );
  });

  it.each([1, 999, 1000])('plans for %i items', (items) => {
    checkPlan(planCapacity({ ...options, items }));
  });

  it('tells availability and utilization of the fleet with the replicas that were added', () => {
    // Few and very different times: the formula is too kind.
    const samplesUs = [...new Array<number>(997).fill(10), 8000, 8000, 8000];
    const points = capacity.points.map((point) => ({ ...point, meanUs: 33.97 }));
    const { fleet, addedReplicas } = planCapacity({
      ...{ ...options, capacity: { ...capacity, points, samplesUs, fixedUs: 33.97, growthUs: 0 } },
      ...{ dim: 8, requests: 3000, overheadUs: 0 },
      demand: { qps: 9000, sloMs: 5, utilization: 0.8, availability: 0.5 },
      prices: parsePrices({ ...one({ vcpus: 1 }), machineAvailability: 1 }),
    });
    expect(addedReplicas).toBeGreaterThan(0);
    const load = fleet.utilization * fleet.replicas;
    expect(fleet.utilizationDegraded).toBeCloseTo(load / (fleet.replicas - 1), 6);
  });

  const many = { items: 1_000_000_000 };
  it.each([
    [{ growth: NaN }],
    [{ growth: -1 }],
    [{ growth: -3 }],
    [{ overheadUs: NaN }],
    [{ overheadUs: -1000 }],
    [{ ...many, messageUs: NaN }],
    [{ ...many, messageUs: -1000 }],
    [{ fixedBytes: NaN }],
    [{ fixedBytes: -1e12 }],
    [{ ...many, dim: NaN }],
    [{ ...many, dim: -5 }],
    [{ ...many, k: NaN }],
    [{ ...many, k: 0 }],
    [{ seed: -1 }],
    [{ requests: 0 }],
    [{ ...many, demand: { ...demand, networkUs: NaN } }],
    [{ ...many, demand: { ...demand, networkUs: -1e6 } }],
    [{ demand: { ...demand, meanShare: 0 } }],
    [{ demand: { ...demand, percentile: '99' } }],
    [{ capacity: { ...capacity, points: [] } }],
    [{ capacity: { ...capacity, samplesUs: [] } }],
    [{ capacity: { ...capacity, samplesUs: [NaN] } }],
    [{ capacity: { ...capacity, bytesPerVector: NaN } }],
    [{ capacity: { ...capacity, bytesPerVector: -200 } }],
  ])('refuses %o', (wrong) => {
    const found = outcome(wrong as unknown as Partial<PlanOptions>);
    expect(found).toMatch(/^ERR_LICHEN_(ARGUMENT|EMPTY|NOT_FINITE)$/);
  });

  it('is given up when asked', () => {
    expect(outcome({ signal: AbortSignal.abort() })).toBe('ERR_LICHEN_ABORTED');
  });
});

describe('prices', () => {
  // What is taken for a table must be one that plans can be made of.
  it.each([
    [{ vcpus: 0.5 }],
    [{ vcpus: 2.5 }],
    [{ vcpus: 200_000 }],
    [{ usdPerHour: 1e-300 }],
    [{ speed: 1e-9 }],
    [{ speed: 1e9 }],
    [{ speed: 1e200 }],
    [{ memoryGiB: 1e-9 }],
    [{ memoryGiB: 1e300 }],
    [{ name: '__proto__' }],
  ])('with %o are refused, or good for plans', (machine) => {
    let prices;
    try {
      prices = parsePrices(one(machine));
    } catch (error) {
      expect(error).toEqual(code('ARGUMENT'));
      return;
    }
    const found = outcome({ prices });
    if (typeof found === 'string') expect(found).toBe('ERR_LICHEN_UNSUPPORTED');
    else checkPlan(found);
  });

  it.each(['', 'null', '[]', '{"__proto__":1}', '{"asOf":"x","machines":{"length":1}}', '7', '\0'])(
    'in a file that holds %j are refused',
    async (text) => {
      writeFileSync(at('prices.json'), text);
      await expect(readPrices(at('prices.json'))).rejects.toThrow(code('FORMAT'));
    },
  );

  it('of a machine with more processors than can be counted end in time', () => {
    const table = JSON.stringify(one({ vcpus: 4e15 }));
    const given = JSON.stringify(options);
    const plan = `lichen.planCapacity({ ...${given}, prices: lichen.parsePrices(${table}) })`;
    expect(inChild(`${plan}.fleet.replicas`)).toMatch(/^(\d+|ERR_LICHEN_\w+)$/);
  });

  it('that are built in cannot be changed', () => {
    expect(Object.isFrozen(DEFAULT_PRICES.machines)).toBe(true);
  });
});

describe('measureCapacity', () => {
  const given: CapacityOptions = {
    ...{ candidate: { index: 'flat', storage: 'f32' }, dim: 8, metric: 'dot', k: 5 },
    rows: [100, 200],
  };

  it('searches for something also in vectors of one’s own', async () => {
    const { points } = await measureCapacity({ ...given, vectors: madeVectors(200, 8, 1) });
    expect(points.map(({ recall }) => recall)).toEqual([1, 1]);
  });

  it.each([
    { rows: [100, NaN] },
    { rows: [100, 150.5] },
    { rows: [100, Infinity] },
    { rows: [-100, 200] },
    { k: NaN },
    { k: 0 },
    { dim: 0 },
    { seed: -1 },
    { ef: 0, candidate: { index: 'hnsw', storage: 'f32' } },
    { candidate: { index: 'tree', storage: 'f32' } },
    { queries: { data: new Float32Array(0), rows: 0, dim: 8 } },
    { queries: { data: new Float32Array(9), rows: 1, dim: 9 } },
  ])('refuses %o', async (wrong) => {
    await expect(measureCapacity({ ...given, ...wrong } as CapacityOptions)).rejects.toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^ERR_LICHEN_(ARGUMENT|DIMENSION|EMPTY|MEMORY)$/) as string,
      }),
    );
  });

  it('is given up when asked', async () => {
    const signal = AbortSignal.abort();
    await expect(measureCapacity({ ...given, signal })).rejects.toThrow(code('ABORTED'));
  });

  it('knows the recall of one size for what it is', () => {
    expect(recallAt({ ...capacity, points: capacity.points.slice(1) }, 1e6)).toBeCloseTo(0.96, 9);
  });
});
