import { describe, expect, it } from 'vitest';
import { codesignReport, codesignSummary } from '../../src/planning/codesign-report.js';
import type { CodesignOptions } from '../../src/planning/codesign-options.js';
import { codesign } from '../../src/planning/codesign.js';
import { DesignBench } from '../../src/planning/design-bench.js';
import { DesignCosts } from '../../src/planning/design-cost.js';
import { designName, designsOf, sampleDesigns, type Design } from '../../src/planning/design.js';
import { DEFAULT_PRICES } from '../../src/planning/prices.js';
import { makeTrace } from '../../src/planning/trace.js';
import { madeVectors } from '../../src/vectors/made.js';
import { matrixRow } from '../../src/vectors/matrix.js';
import { Random } from '../../src/vectors/random.js';

const DIM = 16;
const items = madeVectors(600, DIM, 5);
const users = madeVectors(120, DIM, 6);
const random = new Random(3);
// Users like what is near in all values, with noise: so the first half of the values tells less.
const nearest = (user: number, noise: number): number[] => {
  const vector = matrixRow(users, user);
  const scores = Array.from({ length: items.rows }, (_, row) => {
    const item = matrixRow(items, row);
    return item.reduce((sum, value, d) => sum + value * vector[d]!, 0) + noise * random.gaussian();
  });
  return scores
    .map((score, row) => ({ score, row }))
    .sort((a, b) => b.score - a.score)
    .map(({ row }) => row);
};
const requests = Array.from({ length: 100 }, (_, user) => ({
  ...{ user, relevant: nearest(user, 0.05).slice(0, 5) },
  exclude: Uint32Array.of(user),
}));
const wanted = new Map(requests.map(({ user, relevant }) => [user, new Set(relevant)]));
const spin = (us: number) => {
  const until = performance.now() + us / 1000;
  while (performance.now() < until);
};
/** Knows what is relevant, and takes its time for each item. */
const oracle = (user: number, rows: Uint32Array): Float64Array => {
  spin(20 * rows.length);
  return Float64Array.from(rows, (row) => (wanted.get(user)!.has(row) ? 1 : 0));
};
const base: CodesignOptions = {
  ...{ items, users, metric: 'dot', k: 5, requests: requests.slice(0, 60) },
  reportRequests: requests.slice(60),
  // By the median: what comes between must not decide a test.
  demand: { qps: 1000, sloMs: 10, percentile: 50 },
  space: { dims: [8, 16], storages: ['f32', 'i8'], efs: [16, 64], m: [8] },
  ...{ firstRung: 12, factor: 3, overheadUs: 50 },
};

describe('codesign', () => {
  it('chooses the cheapest that is good enough, and says why not the others', async () => {
    const result = await codesign(base);
    const { chosen, best, front, results, rungs, report } = result;
    expect(chosen).toBeDefined();
    expect(chosen!.ofBest.mean).toBeGreaterThanOrEqual(0.99);
    expect(chosen!.usdPerMillion).toBeLessThanOrEqual(best.usdPerMillion);
    expect(best.ndcg.mean).toBe(Math.max(...front.map(({ ndcg }) => ndcg.mean)));
    expect(rungs[0]).toEqual({ designs: result.tried, requests: 12 });
    expect(rungs.at(-1)!.requests).toBe(60);
    expect(results.length).toBe(result.tried);
    expect(results.filter(({ verdict }) => verdict === 'chosen')).toEqual([chosen]);
    for (const one of results) {
      expect(one.reason === '', one.name).toBe(one === chosen);
      expect(one.requests).toBeGreaterThanOrEqual(12);
    }
    // Half of the values lose much.
    const half = results.filter(({ design }) => design.dim === 8);
    expect(half.every(({ ofBest }) => ofBest.mean < 0.95)).toBe(true);
    expect(report!.requests).toBe(40);
    for (let at = 1; at < front.length; at++) {
      expect(front[at]!.usdPerMillion).toBeGreaterThanOrEqual(front[at - 1]!.usdPerMillion);
      expect(front[at]!.ndcg.mean).toBeGreaterThanOrEqual(front[at - 1]!.ndcg.mean);
    }
  });

  it('shows the most accurate design that cannot be served, and what a little less saves', async () => {
    const result = await codesign({
      ...base,
      ...{ ranker: oracle, minQuality: 0.9 },
      space: { ...base.space, candidates: [0, 20, 60, Infinity], indexes: ['flat'] },
    });
    const { whole, best, chosen, saved } = result;
    expect(whole!.design.candidates).toBe(Infinity);
    expect(whole!.ndcg.mean).toBe(1);
    expect(best.ndcg.mean).toBe(1);
    expect(whole!.fleet).toBeUndefined();
    expect(whole!.reason).toMatch(/cannot be served: p50 is .* ms without any waiting, the SLO 10/);
    expect(chosen!.design.candidates).toBeGreaterThan(0);
    expect(chosen!.design.candidates).toBeLessThan(Infinity);
    expect(chosen!.ofBest.mean).toBeGreaterThanOrEqual(0.9);
    expect(saved!.ofWhole).toBeGreaterThan(5);
    // 600 items of 20 µs.
    expect(whole!.processorUs).toBeGreaterThan(12_000);
    const context = {
      ...{ title: 'Test', demand: base.demand, k: 5, minQuality: 0.9, facts: {} },
      prices: DEFAULT_PRICES,
    };
    const text = codesignSummary(result, context).join('\n');
    expect(text).toMatch(/cannot be served/);
    expect(text).toMatch(/saves a factor of .* beside the ranker over all items/);
    const { points } = codesignReport(result, context);
    expect(points.length).toBe(result.tried);
    expect(points.filter(({ isChosen }) => isChosen).length).toBe(1);
  });

  it('keeps to memory and budget', async () => {
    const tight = await codesign({ ...base, memoryBytes: 1 });
    expect(tight.chosen).toBeUndefined();
    expect(
      tight.results.every(({ reason }) => /MiB of memory, allowed are 0 MiB/.test(reason)),
    ).toBe(true);
    const poor = await codesign({ ...base, budgetUsdPerMonth: 1 });
    expect(poor.chosen).toBeUndefined();
    expect(poor.results[0]!.reason).toMatch(/\$ a month, the budget is 1/);
    expect(poor.saved).toBeUndefined();
  });

  it('tries the same designs on the same requests for the same seed', async () => {
    const some = { ...base, maxDesigns: 6 };
    const names = async (seed: number) =>
      (await codesign({ ...some, seed })).results.map(({ name }) => name).sort();
    const first = await names(1);
    expect(first.length).toBe(6);
    expect(await names(1)).toEqual(first);
    expect(await names(2)).not.toEqual(first);
  });

  it('weighs batches and caches', async () => {
    const trace = makeTrace(Array.from({ length: 5000 }, () => Math.floor(50 ** random.uniform())));
    const result = await codesign({
      ...{ ...base, trace, overheadUs: 5 },
      // A batch costs 200 µs and 10 for each user.
      encoder: (count) => spin(200 + 10 * count),
      space: {
        ...{ dims: [16], storages: ['f32'], indexes: ['flat'], batches: [1, 16] },
        caches: [
          { entries: 0, ttlMs: 0 },
          { entries: 20, ttlMs: 60_000 },
        ],
      },
    });
    const of = (batch: number, entries: number) =>
      result.results.find(
        ({ design }) => design.batch === batch && design.cache.entries === entries,
      )!;
    expect(of(1, 0).processorUs).toBeGreaterThan(200);
    expect(of(16, 0).processorUs).toBeLessThan(of(1, 0).processorUs / 2);
    expect(of(16, 20).hitRatio).toBeGreaterThan(0.3);
    expect(of(16, 20).processorUs).toBeLessThan(of(16, 0).processorUs);
    // A batch takes its whole time for each of its users, and must fill.
    expect(of(16, 0).aloneMs).toBeGreaterThan(0.36);
  });

  it('searches under conditions', async () => {
    const kinds = Array.from({ length: items.rows }, (_, row) => (row % 2 === 0 ? 'even' : 'odd'));
    const seen: number[] = [];
    const result = await codesign({
      ...base,
      attributes: { schema: { kind: 'category' }, values: { kind: kinds } },
      requests: base.requests.map((request) => ({ ...request, where: { kind: 'even' } })),
      reportRequests: [],
      ranker: (_, rows) => {
        seen.push(...rows);
        return Float64Array.from(rows, () => 1);
      },
      space: { ...base.space, candidates: [10, Infinity] },
    });
    expect(seen.length).toBeGreaterThan(1000);
    expect(seen.every((row) => row % 2 === 0)).toBe(true);
    expect(result.report).toBeUndefined();
  });

  it('gives up when asked, and passes on what a ranker throws', async () => {
    const controller = new AbortController();
    const aborted = codesign({
      ...{ ...base, signal: controller.signal },
      onProgress: () => controller.abort(),
    });
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
    const broken = codesign({
      ...base,
      ranker: () => {
        throw new RangeError('no idea');
      },
    });
    await expect(broken).rejects.toThrow('no idea');
    const short = codesign({ ...base, ranker: () => [1] });
    await expect(short).rejects.toMatchObject({ code: 'ERR_LICHEN_DIMENSION' });
  });

  it.each([
    [{ requests: [] }, 'EMPTY'],
    [{ users: madeVectors(3, 8, 1) }, 'DIMENSION'],
    [{ k: 0 }, 'ARGUMENT'],
    [{ k: 601 }, 'ARGUMENT'],
    [{ minQuality: 2 }, 'ARGUMENT'],
    [{ demand: { qps: 0, sloMs: 1 } }, 'ARGUMENT'],
    [{ requests: [{ user: 120, relevant: [1] }] }, 'ARGUMENT'],
    [{ requests: [{ user: 1, relevant: [1], where: { kind: 'x' } }] }, 'ARGUMENT'],
    [{ space: { dims: [17] } }, 'ARGUMENT'],
    [{ space: { storages: ['f31'] } }, 'ARGUMENT'],
    [{ space: { candidates: [10] } }, 'ARGUMENT'],
    [{ space: { batches: [4] } }, 'ARGUMENT'],
    [{ space: { caches: [{ entries: 5, ttlMs: 1 }] } }, 'ARGUMENT'],
    [{ space: { efs: [] } }, 'ARGUMENT'],
    [{ factor: 1 }, 'ARGUMENT'],
  ])('refuses %j', async (wrong, code) => {
    const options = { ...base, ...wrong };
    await expect(codesign(options)).rejects.toMatchObject({ code: `ERR_LICHEN_${code}` });
  });
});

describe('a design', () => {
  const scope = {
    ...{ dim: 16, k: 5, items: 600, hasRanker: true, hasEncoder: false, traceKeys: 0 },
  };

  it('is each with each, nothing twice', () => {
    const space = { dims: [8, 16], storages: ['f32', 'i8+f16'], m: [8, 16], efs: [4, 5, 64] };
    const designs = designsOf({ ...space, candidates: [0, 100] }, scope);
    // Two dims and storages; flat once, two graphs with the beams 5 and 64, or 100 for 100 candidates.
    expect(designs.length).toBe(2 * 2 * (2 + 2 * (2 + 1)));
    expect(new Set(designs.map(designName)).size).toBe(designs.length);
  });

  it('that searches nothing stands once, and stays in a sample', () => {
    const designs = designsOf({ dims: [8, 16] }, scope);
    const whole = designs.filter(({ candidates }) => candidates === Infinity);
    expect(whole.length).toBe(1);
    const some = sampleDesigns(designs, 10, 1);
    expect(some.length).toBe(10);
    expect(some).toContain(whole[0]);
  });

  it('serves what an exact search by float64 finds', async () => {
    const bench = new DesignBench({
      ...{ items, users, metric: 'dot', k: 5, ranker: undefined, attributes: undefined },
    });
    const design: Design = {
      ...{ dim: 16, index: { index: 'flat', storage: 'f32' }, ef: undefined, candidates: 0 },
      ...{ batch: 1, cache: { entries: 0, ttlMs: 0 } },
    };
    const into = { ndcg: [], searchUs: [], rankUs: [] };
    const exact = Array.from({ length: 20 }, (_, user) => {
      const order = nearest(user, 0).filter((row) => row !== user);
      return { user, relevant: order.slice(0, 5), exclude: Uint32Array.of(user) };
    });
    await bench.serve(design, exact, into);
    expect(into.ndcg).toEqual(new Array(20).fill(1));
    expect(await bench.bytesOf(design)).toBeGreaterThanOrEqual(600 * 64);
    bench.close();
  });

  it('costs what its times say', () => {
    const costs = new DesignCosts({
      ...{ demand: { qps: 1000, sloMs: 50 }, prices: DEFAULT_PRICES, k: 10, trace: undefined },
      ...{ encodeUs: undefined, overheadUs: 100, fixedBytes: 1e8 },
    });
    const design: Design = {
      ...{ dim: 16, index: { index: 'flat', storage: 'f32' }, ef: undefined, candidates: 0 },
      ...{ batch: 1, cache: { entries: 0, ttlMs: 0 } },
    };
    const measured = { ndcg: [1, 1], searchUs: [300, 500], rankUs: [1000, 1000] };
    const cost = costs.of(design, measured, 1e8);
    expect(cost.processorUs).toBe(1500);
    // Two times of which nobody knows more.
    const [low, high] = cost.processorRange;
    expect([low < 1400, high > 1600]).toEqual([true, true]);
    expect(cost.aloneMs).toBe(1.6);
    // The cheapest core: 0.0725 $ an hour for two.
    expect(cost.usdPerMillion).toBeCloseTo((1500 * (0.0725 / 2)) / 3600 / 0.6, 8);
    expect(cost.fleet!.machines).toBeGreaterThanOrEqual(2);
    // An index that only machines with more memory hold is dearer by the core.
    const large = costs.of(design, measured, 100 * 2 ** 30);
    expect(large.usdPerMillion).toBeGreaterThan(cost.usdPerMillion);
  });
});
