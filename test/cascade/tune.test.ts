import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Cascade } from '../../src/cascade/cascade.js';
import type { CascadeOptions } from '../../src/cascade/cascade-options.js';
import { tuneCascade, type TuningRequest } from '../../src/cascade/tune.js';
import { Random } from '../../src/vectors/random.js';
import { outcome, stopTime } from '../batching/helpers.js';

const ITEMS = 300;
const random = new Random(4);
/** What each request likes, and what cheaper stages know of it. */
const requests = Array.from({ length: 40 }, () => {
  const liking = Array.from({ length: ITEMS }, () => random.gaussian());
  const noisy = (noise: number): number[] =>
    liking.map((value) => value + noise * random.gaussian());
  const relevant = liking
    .map((value, key) => ({ value, key }))
    .sort((a, b) => b.value - a.value)
    .slice(0, 5)
    .map(({ key }) => key);
  return { query: { liking, light: noisy(0.5), cheap: noisy(1.5) }, relevant };
});
type Query = (typeof requests)[number]['query'];

beforeEach(stopTime);
afterEach(() => {
  vi.useRealTimers();
});

const options = (counts: readonly [number, number, number]): CascadeOptions<Query, number> => ({
  retrieval: {
    ...{ name: 'cheap', candidates: counts[0] },
    retrieve: ({ cheap }, count) => {
      const order = cheap.map((score, key) => ({ score, key })).sort((a, b) => b.score - a.score);
      const first = order.slice(0, count);
      return {
        keys: Float64Array.from(first, ({ key }) => key),
        scores: first.map(({ score }) => score),
      };
    },
  },
  stages: [
    {
      ...{ name: 'light', candidates: counts[1], leastCandidates: Math.min(10, counts[1]) },
      score: ({ light }, { keys }) => Float64Array.from(keys, (key) => light[key]!),
    },
    {
      ...{ name: 'heavy', candidates: counts[2], leastCandidates: Math.min(10, counts[2]) },
      score: ({ liking }, { keys }) => {
        // In time that is not real, and so the same on every machine.
        vi.advanceTimersByTime(5 + keys.length);
        return Float32Array.from(keys, (key) => liking[key]!);
      },
    },
  ],
  k: 10,
});

/** nDCG at 10 of what the cascade itself gives. */
async function measured(counts: readonly [number, number, number]): Promise<number> {
  const cascade = new Cascade(options(counts));
  let sum = 0;
  for (const { query, relevant } of requests) {
    const { keys } = await cascade.rank(query);
    let gain = 0;
    keys.forEach((key, rank) => (gain += relevant.includes(key) ? 1 / Math.log2(rank + 2) : 0));
    sum += gain / [0, 1, 2, 3, 4].reduce((all, rank) => all + 1 / Math.log2(rank + 2), 0);
  }
  return sum / requests.length;
}

describe('tuneCascade', () => {
  it('finds numbers of candidates that come near the best quality for a fraction of its cost', async () => {
    const tuning = await tuneCascade(options([200, 200, 200]), { requests, steps: 6 });
    const { full, front } = tuning;
    expect(full.candidates).toEqual([200, 200, 200]);
    expect(full.ndcg).toBeCloseTo(await measured([200, 200, 200]), 9);
    expect(tuning.points).toEqual(expect.arrayContaining([full, ...front]));
    const tried = tuning.points.map(({ candidates }) => candidates.join());
    expect(new Set(tried).size).toBe(tried.length);
    const best = Math.max(...tuning.points.map(({ ndcg }) => ndcg));
    expect(front.at(-1)!.ndcg).toBe(best);
    // From cheap to dear, and each better than the one before.
    for (let at = 1; at < front.length; at++) {
      expect(front[at]!.costMs).toBeGreaterThanOrEqual(front[at - 1]!.costMs);
      expect(front[at]!.ndcg).toBeGreaterThan(front[at - 1]!.ndcg);
    }
    // What it says of a point is what a cascade of those numbers does.
    for (const point of [front[0]!, front[front.length >> 1]!, front.at(-1)!]) {
      const [first, light, heavy] = point.candidates as [number, number, number];
      if (light > 0 && heavy > 0) {
        expect(point.ndcg).toBeCloseTo(await measured([first, light, heavy]), 9);
      }
    }
    expect(front.some(({ candidates: [, light, heavy] }) => light! > 0 && heavy! > 0)).toBe(true);
    const good = front.find(({ ndcg }) => ndcg >= 0.95 * full.ndcg)!;
    expect(good.candidates[2]).toBeLessThan(100);
    const [, , heavy] = tuning.costs;
    expect(heavy!.name).toBe('heavy');
    expect(heavy!.fixedMs).toBeCloseTo(5, 3);
    expect(heavy!.candidateMs).toBeCloseTo(1, 3);
  });

  it('keeps to a bound on the cost', async () => {
    const bound = await tuneCascade(options([200, 200, 200]), {
      requests,
      maxCostMs: 60,
      steps: 5,
    });
    expect(bound.best!.costMs).toBeLessThanOrEqual(60);
    expect(bound.best!.candidates[2]).toBeLessThanOrEqual(55);
    expect(bound.best!.candidates[2]).toBeGreaterThan(0);
    const none = await tuneCascade(options([200, 200, 200]), {
      requests,
      maxCostMs: 1e-9,
      steps: 2,
    });
    expect(none.best).toBeUndefined();
    expect(none.front.length).toBeGreaterThan(0);
  });

  it('tells its progress, stops when it is aborted, and leaves out what nothing is relevant to', async () => {
    const done: number[] = [];
    const some: TuningRequest<Query, number>[] = [
      ...requests.slice(0, 2),
      { query: requests[2]!.query, relevant: [] },
    ];
    const small = options([20, 20, 20]);
    await tuneCascade(small, { requests: some, onProgress: (count) => done.push(count) });
    expect(done).toEqual([1, 2]);
    const signal = AbortSignal.abort();
    expect(await outcome(tuneCascade(small, { requests, signal }))).toBe('ERR_LICHEN_ABORTED');
    expect(await outcome(tuneCascade(small, { requests: some.slice(2) }))).toBe('ERR_LICHEN_EMPTY');
  });

  it.each([{ steps: 1 }, { steps: 65 }, { maxCostMs: 0 }, { maxCostMs: NaN }, { bound: 1 }])(
    'refuses %j',
    async (wrong) => {
      const given = { requests, ...wrong } as never;
      expect(await outcome(tuneCascade(options([20, 20, 20]), given))).toBe('ERR_LICHEN_ARGUMENT');
    },
  );

  it('fails with what a stage throws, or gives that is no score', async () => {
    const broken = options([20, 20, 20]);
    const score = () => {
      throw new Error('no model');
    };
    const stages = [{ ...broken.stages[0]!, score }];
    expect(await outcome(tuneCascade({ ...broken, stages }, { requests }))).toBe('no model');
    const few = [{ ...broken.stages[0]!, score: () => [1] }];
    expect(await outcome(tuneCascade({ ...broken, stages: few }, { requests }))).toBe(
      'ERR_LICHEN_ARGUMENT',
    );
  });
});
