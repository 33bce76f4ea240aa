import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LichenError } from '../../src/errors.js';
import type { CodesignOptions } from '../../src/planning/codesign-options.js';
import { codesignReport, codesignSummary } from '../../src/planning/codesign-report.js';
import { codesign, type CodesignResult } from '../../src/planning/codesign.js';
import { DesignBench, type DesignRequest } from '../../src/planning/design-bench.js';
import type { Design } from '../../src/planning/design.js';
import { DEFAULT_PRICES } from '../../src/planning/prices.js';
import { makeTrace } from '../../src/planning/trace.js';
import { madeVectors } from '../../src/vectors/made.js';

const DIM = 8;
const items = madeVectors(60, DIM, 5);
const users = madeVectors(20, DIM, 6);
const requests: DesignRequest[] = Array.from({ length: 12 }, (_, user) => ({
  ...{ user, relevant: Array.from({ length: 20 }, (_, n) => (3 * n + user) % 60) },
}));
const demand = { qps: 100, sloMs: 50 };
const base: CodesignOptions = {
  ...{ items, users, metric: 'dot', k: 5, requests, demand },
  space: { storages: ['f32'], indexes: ['flat'] },
};
const ranker = (_: number, rows: Uint32Array) => Float64Array.from(rows, (row) => -row);

/** The result, or the code of what was thrown. */
function outcome(given: object): Promise<CodesignResult | string> {
  return codesign({ ...base, ...given }).catch((error: unknown) =>
    error instanceof LichenError ? error.code : String(error),
  );
}

const refusal = /^ERR_LICHEN_(ARGUMENT|EMPTY|DIMENSION|NOT_FINITE)$/;

describe('codesign', () => {
  it('has an answer where no design finds anything that is relevant', async () => {
    const nothing = requests.map(({ user }) => ({ user, relevant: [] }));
    const result = await outcome({ requests: nothing, reportRequests: nothing });
    expect(result).toBeTypeOf('object');
    const { best, results } = result as CodesignResult;
    expect(best.ndcg.mean).toBe(0);
    expect(results.every(({ reason, verdict }) => verdict === 'chosen' || reason !== '')).toBe(
      true,
    );
    const context = {
      title: 'x',
      k: 5,
      minQuality: 0.99,
      demand,
      facts: {},
      prices: DEFAULT_PRICES,
    };
    expect(codesignSummary(result as CodesignResult, context).join(' ')).not.toMatch(
      /NaN|undefined|Infinity/,
    );
    expect(codesignReport(result as CodesignResult, context).points.length).toBe(results.length);
  });

  it('judges all designs alike also by what can be walked through once only', async () => {
    const once = requests.map(({ user, relevant }) => ({
      ...{ user, relevant: new Set(relevant).values() },
    }));
    const expected = (await codesign(base)).best.ndcg.mean;
    expect(expected).toBeGreaterThan(0);
    const result = await outcome({ requests: once });
    expect(typeof result === 'string' ? result : result.best.ndcg.mean).toBe(expected);
  });

  it('has the same to say where all users like the same', async () => {
    const same = requests.map(({ user }) => ({ user, relevant: [1, 2, 3] }));
    const result = await outcome({
      requests: same,
      ranker,
      space: { ...base.space, candidates: [0, 20, Infinity] },
    });
    expect(result).toBeTypeOf('object');
    const { chosen, whole } = result as CodesignResult;
    expect(chosen!.ofBest.mean).toBeGreaterThanOrEqual(0.99);
    // Rows 0 to 4 stand first, of which 1, 2 and 3 are relevant.
    const gain = (ranks: number[]) => ranks.reduce((sum, rank) => sum + 1 / Math.log2(rank + 2), 0);
    expect(whole!.ndcg.mean).toBeCloseTo(gain([1, 2, 3]) / gain([0, 1, 2]), 12);
  });

  it('takes as many results as there are items', async () => {
    const result = await codesign({ ...base, k: items.rows });
    expect(result.best.ndcg.mean).toBeGreaterThan(0.3);
    expect(result.best.ndcg.mean).toBeLessThanOrEqual(1);
  });

  it.each([
    ['no candidates that there are items for', { ranker, space: { candidates: [1000] } }],
    ['no candidates', { ranker, space: { candidates: [] } }],
    ['no storages', { space: { storages: [] } }],
    ['no indexes', { space: { indexes: [] } }],
    ['no caches', { space: { caches: [] } }],
  ])('refuses a space of %s', async (_, given) => {
    expect(await outcome(given)).toMatch(refusal);
  });

  const trace = makeTrace([1, 2, 1, 2, 3]);
  const cache = (entries: number, ttlMs: number) => ({
    ...{ trace, space: { ...base.space, caches: [{ entries, ttlMs }] } },
  });
  it.each([
    ['entries', cache(NaN, 1000)],
    ['entries', cache(-5, 1000)],
    ['time to live', cache(5, NaN)],
    ['time to live', cache(5, 0)],
    ['index', { space: { indexes: ['tree'] } }],
    ['storage', { space: { storages: ['f33'] } }],
    ['batch', { space: { batches: [0] }, encoder: () => 0 }],
    ['budget', { budgetUsdPerMonth: NaN }],
    ['memory', { memoryBytes: NaN }],
    ['percentile', { demand: { ...demand, percentile: 150 } }],
    ['percentile', { demand: { ...demand, percentile: NaN } }],
    ['utilization', { demand: { ...demand, utilization: 1.5 } }],
    ['utilization', { demand: { ...demand, utilization: -1 } }],
    ['memory share', { demand: { ...demand, memoryShare: NaN } }],
    ['mean share', { demand: { ...demand, meanShare: 0 } }],
    ['rate', { demand: { ...demand, qps: Infinity } }],
    ['relevant row', { requests: [{ user: 0, relevant: [...items.data.keys()] }] }],
    ['relevant row', { requests: [{ user: 0, relevant: [...requests[0]!.relevant, -1, NaN] }] }],
    ['user', { requests: [{ user: 20, relevant: [1] }] }],
    ['user', { reportRequests: [{ user: NaN, relevant: [1] }] }],
    ['seed', { seed: -1 }],
    ['ranker', { ranker: () => undefined }],
    ['ranker', { ranker: () => null }],
    ['ranker', { ranker: () => [1] }],
    [
      'ranker',
      {
        ranker: (_: number, rows: Uint32Array) =>
          rows
            .map(() => 0)
            .fill(0, 1)
            .slice(1),
      },
    ],
    ['score', { ranker: (_: number, rows: Uint32Array) => Float64Array.from(rows, () => NaN) }],
    ['score', { ranker: (_: number, rows: Uint32Array) => Array.from(rows, () => 'x') }],
  ])('refuses a wrong %s: %o', async (_, given) => {
    expect(await outcome(given)).toMatch(refusal);
  });

  it.each([
    ['utilization 0', { ...demand, utilization: 0 }],
    ['availability 2', { ...demand, availability: 2 }],
    ['1e12 requests a second', { ...demand, qps: 1e12 }],
  ])('comes to an end for a demand of %s', (_, hard) => {
    const main = join(__dirname, '..', '..', 'dist', 'index.js');
    const script = `const { codesign, matrix } = require(${JSON.stringify(main)});
      const vectors = (rows) => ({ data: Float32Array.from({ length: rows * 4 }, (_, n) => Math.sin(n)), rows, dim: 4 });
      codesign({ items: vectors(50), users: vectors(5), metric: 'dot', k: 5, demand: ${JSON.stringify(hard)},
        requests: [{ user: 0, relevant: [...Array(50).keys()] }], space: { storages: ['f32'], indexes: ['flat'] } })
        .then(() => console.log('done'), (error) => console.log(error.code ?? String(error)));`;
    const { status, stdout } = spawnSync(process.execPath, ['-e', script], {
      ...{ encoding: 'utf8', timeout: 8000 },
    });
    expect(status === 0 ? stdout.trim() : 'never returned').toMatch(/^(done|ERR_LICHEN_\w+)$/);
  });

  it.each([
    ['with', { encoder: () => 0 }],
    ['without', {}],
  ])('is given up at once when asked, %s an encoder', async (_, given) => {
    let calls = 0;
    const counted = (user: number, rows: Uint32Array) => (calls++, ranker(user, rows));
    const signal = AbortSignal.abort();
    expect(await outcome({ ...given, ranker: counted, signal })).toBe('ERR_LICHEN_ABORTED');
    expect(calls).toBe(0);
  });

  it('is given up at any moment', async () => {
    for (const stop of [1, 5, 9, 30]) {
      const controller = new AbortController();
      let calls = 0;
      const stopping = (user: number, rows: Uint32Array) => {
        if (++calls === stop) controller.abort();
        return Promise.resolve(ranker(user, rows));
      };
      const { signal } = controller;
      const given = { ranker: stopping, signal, reportRequests: requests };
      expect(await outcome(given), `call ${stop}`).toBe('ERR_LICHEN_ABORTED');
    }
  });

  it.each([1, 15, 29])('throws what the ranker throws, at call %i', async (late) => {
    let calls = 0;
    const failing = (user: number, rows: Uint32Array) =>
      ++calls < late ? ranker(user, rows) : Promise.reject(new Error('no more'));
    await expect(codesign({ ...base, ranker: failing })).rejects.toThrow('no more');
  });
});

describe('DesignBench', () => {
  it('never shows what a request excludes, whether it searches or not', async () => {
    using made = {
      bench: new DesignBench({
        ...{ items, users, metric: 'dot' as const, k: items.rows, ranker, attributes: undefined },
      }),
      [Symbol.dispose]() {
        this.bench.close();
      },
    };
    const design = (candidates: number): Design => ({
      ...{ dim: DIM, index: { index: 'flat', storage: 'f32' }, ef: undefined, candidates },
      ...{ batch: 1, cache: { entries: 0, ttlMs: 0 } },
    });
    for (const candidates of [0, 60, Infinity]) {
      const into = { ndcg: [], searchUs: [], rankUs: [] };
      const request = { user: 0, relevant: [7], exclude: Uint32Array.of(7) };
      await made.bench.serve(design(candidates), [request], into);
      expect(into.ndcg, String(candidates)).toEqual([0]);
    }
  });
});
