import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Cascade, type CascadeResult } from '../../src/cascade/cascade.js';
import type { CascadeOptions } from '../../src/cascade/cascade-options.js';
import type { Stage, StageContext } from '../../src/cascade/stage.js';
import { outcome, pass, stopTime } from '../batching/helpers.js';

beforeEach(stopTime);
afterEach(async () => {
  await pass(1);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Items 0 to 999, the lower the better; what a stage says of them is up to the test. */
const retrieval = (ms = 0, candidates = 100) => ({
  name: 'retrieval',
  candidates,
  retrieve: async (_query: number, count: number) => {
    if (ms > 0) await wait(ms);
    return {
      keys: Float64Array.from({ length: count }, (_, at) => at),
      scores: Float32Array.from({ length: count }, (_, at) => -at),
    };
  },
});

/** Turns the order of its candidates round. */
const turning = (name: string, candidates: number, ms: (count: number) => number) => {
  const asked: { keys: number[]; context: StageContext }[] = [];
  const stage: Stage<number, number> = {
    ...{ name, candidates },
    score: async (_query, { keys }, context) => {
      asked.push({ keys: [...keys], context });
      const took = ms(keys.length);
      if (took > 0) await wait(took);
      return keys;
    },
  };
  return { stage, asked };
};

async function ranked(
  cascade: Cascade<number>,
  options: Parameters<Cascade<number>['rank']>[1] = {},
  ms = 1000,
): Promise<CascadeResult<number>> {
  const result = cascade.rank(1, options);
  await pass(ms);
  return result;
}

const outcomesOf = ({ stages }: CascadeResult<number>): string[] =>
  stages.map(({ outcome: how }) => how);

describe('a cascade with time', () => {
  it('lets each stage score the best of the one before, and says so', async () => {
    const light = turning('light', 10, () => 2);
    const heavy = turning('heavy', 4, () => 5);
    const cascade = new Cascade({
      retrieval: retrieval(1),
      stages: [light.stage, heavy.stage],
      k: 6,
    });
    const result = await ranked(cascade);
    expect(light.asked[0]!.keys).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(heavy.asked[0]!.keys).toEqual([9, 8, 7, 6]);
    // Turned round twice are the first four; then come those of the light stage alone.
    expect([...result.keys]).toEqual([9, 8, 7, 6, 5, 4]);
    expect([...result.scoredBy]).toEqual([2, 2, 2, 2, 1, 1]);
    expect([...result.scores]).toEqual([9, 8, 7, 6, 5, 4]);
    expect(result.isDegraded).toBe(false);
    expect(result.stages).toMatchObject([
      { name: 'retrieval', outcome: 'full', wanted: 100, candidates: 100, ms: 1 },
      { name: 'light', outcome: 'full', wanted: 10, candidates: 10, ms: 2 },
      { name: 'heavy', outcome: 'full', wanted: 4, candidates: 4, ms: 5 },
    ]);
    expect(result.ms).toBe(8);
  });

  it('leaves out what a stage gives −Infinity', async () => {
    const stage: Stage<number, number> = {
      ...{ name: 'rules', candidates: 5 },
      score: (_query, { keys }) =>
        Float64Array.from(keys, (key) => (key % 2 === 0 ? -Infinity : key)),
    };
    const result = await ranked(new Cascade({ retrieval: retrieval(), stages: [stage] }), { k: 4 });
    expect([...result.keys]).toEqual([3, 1, 5, 6]);
  });

  it('gives as many as are wanted, and what there is of fewer', async () => {
    const { stage, asked } = turning('all', 1000, () => 0);
    const few = { ...retrieval(0, 3) };
    const cascade = new Cascade({ retrieval: few, stages: [stage], k: 2 });
    expect([...(await ranked(cascade)).keys]).toEqual([2, 1]);
    // The retrieval is asked for as many as are wanted.
    expect([...(await ranked(cascade, { k: 5 })).keys]).toEqual([4, 3, 2, 1, 0]);
    const none = { ...few, retrieve: () => ({ keys: new Float64Array(0), scores: [] }) };
    const empty = await ranked(new Cascade({ retrieval: none, stages: [stage] }));
    expect(empty).toMatchObject({ keys: new Float64Array(0), isDegraded: false });
    expect(asked).toHaveLength(2);
  });

  it('takes keys that are texts', async () => {
    const cascade = new Cascade<number, string>({
      retrieval: {
        ...{ name: 'retrieval', candidates: 3 },
        retrieve: () => ({ keys: ['a', 'b', 'c'], scores: [3, 2, 1] }),
      },
      stages: [{ name: 'last', candidates: 2, score: () => [1, 2] }],
    });
    expect((await cascade.rank(1)).keys).toEqual(['b', 'a', 'c']);
  });
});

describe('a cascade under a deadline', () => {
  /** With costs that are known from requests before. */
  async function measured(retrievalMs = { now: 2 }) {
    const light = turning('light', 100, (count) => 1 + count / 50);
    const heavy = turning('heavy', 50, (count) => 5 + count);
    const found = retrieval();
    const slow = {
      ...found,
      retrieve: async (query: number, count: number) => {
        await wait(retrievalMs.now);
        return found.retrieve(query, count);
      },
    };
    const cascade = new Cascade({ retrieval: slow, stages: [light.stage, heavy.stage], k: 10 });
    for (let round = 0; round < 30; round++) await ranked(cascade, { k: 10 });
    // Of fewer candidates as well, so that the line is known.
    for (const deadline of [50, 40, 30]) await ranked(cascade, { deadline }, 100);
    heavy.asked.length = 0;
    return { cascade, heavy };
  }

  it('scores fewer candidates when time is short, and meets it', async () => {
    const { cascade, heavy } = await measured();
    const result = await ranked(cascade, { deadline: 45 });
    expect(outcomesOf(result)[2]).toBe('reduced');
    expect(heavy.asked[0]!.keys.length).toBeGreaterThanOrEqual(10);
    expect(heavy.asked[0]!.keys.length).toBeLessThan(40);
    expect(result.ms).toBeLessThanOrEqual(45);
    expect(result.isDegraded).toBe(true);
    expect(result.keys).toHaveLength(10);
  });

  it('leaves out the dearest stage when there is no time for it, and says why', async () => {
    const { cascade, heavy } = await measured();
    const result = await ranked(cascade, { deadline: 12 });
    expect(outcomesOf(result).slice(1)).toEqual(['full', 'skipped']);
    expect(result.stages[2]!.reason).toMatch(
      /10 candidates take \d+\.\d ms, and \d\.\d ms were left/,
    );
    expect(heavy.asked).toHaveLength(0);
    expect([...result.scoredBy]).toEqual(new Array(10).fill(1));
    expect(result.ms).toBeLessThanOrEqual(12);
  });

  it('tries a stage that it leaves out once a second, so that it is taken again when it has become faster', async () => {
    let factor = 20;
    const heavy = turning('heavy', 50, (count) => factor * (1 + count / 10));
    const cascade = new Cascade({ retrieval: retrieval(), stages: [heavy.stage], k: 10 });
    const next = async (ms: number): Promise<string> =>
      outcomesOf(await ranked(cascade, { deadline: 30 }, ms))[1]!;
    const first: string[] = [];
    for (let round = 0; round < 8; round++) first.push(await next(50));
    expect(first[0]).toBe('late');
    expect(first.at(-1)).toBe('skipped');
    await pass(1000);
    expect(await next(100)).toBe('late');
    factor = 0.5;
    expect(await next(1100)).toBe('skipped');
    const outcomes: string[] = [];
    for (let round = 0; round < 20; round++) outcomes.push(await next(1100));
    expect(outcomes[0]).toBe('reduced');
    expect(outcomes.at(-1)).toBe('full');
  });

  it('plans anew after a stage that took longer than it should', async () => {
    const retrievalMs = { now: 2 };
    const { cascade, heavy } = await measured(retrievalMs);
    expect(outcomesOf(await ranked(cascade, { deadline: 75 }, 100))).toEqual([
      'full',
      'full',
      'full',
    ]);
    retrievalMs.now = 30;
    const result = await ranked(cascade, { deadline: 75 }, 100);
    expect(outcomesOf(result)).toEqual(['full', 'full', 'reduced']);
    expect(heavy.asked[1]!.keys.length).toBeLessThan(45);
    expect(result.ms).toBeLessThanOrEqual(75);
  });

  it('gives the order of the stage before when one is not done in time, and tells it to stop', async () => {
    const light = turning('light', 10, () => 1);
    const heavy = turning('heavy', 10, () => 500);
    const cascade = new Cascade({
      retrieval: retrieval(),
      stages: [light.stage, heavy.stage],
      k: 5,
    });
    const result = await ranked(cascade, { deadline: 20 });
    expect(outcomesOf(result)).toEqual(['full', 'full', 'late']);
    expect([...result.keys]).toEqual([9, 8, 7, 6, 5]);
    expect(result.ms).toBeLessThanOrEqual(20);
    expect(heavy.asked[0]!.context.signal.aborted).toBe(true);
    expect(heavy.asked[0]!.context.leftMs).toBeLessThanOrEqual(19);
    // What it costs is known now, if only by what it took at least.
    expect(cascade.stats()[2]!.fixedMs + 10 * cascade.stats()[2]!.candidateMs).toBeGreaterThan(15);
  });

  it('uses costs that it is told until it has measured', async () => {
    const heavy = turning('heavy', 100, () => 1);
    const told = { ...heavy.stage, cost: { fixedMs: 0, candidateMs: 1 } };
    const cascade = new Cascade({ retrieval: retrieval(), stages: [told], k: 10 });
    const result = await ranked(cascade, { deadline: 31 });
    expect(heavy.asked[0]!.keys).toHaveLength(30);
    expect(outcomesOf(result)).toEqual(['full', 'reduced']);
    expect(cascade.stats()[1]!.candidateMs).toBeLessThan(0.1);
  });

  it('fails if there are no candidates in time, unless there is a fallback', async () => {
    const slow = retrieval(100);
    const without = outcome(new Cascade({ retrieval: slow, stages: [] }).rank(1, { deadline: 10 }));
    await pass(200);
    expect(await without).toBe('ERR_LICHEN_DEADLINE');
    const fallback = (_query: number, count: number) => ({
      keys: Float64Array.from({ length: count }, (_, at) => 500 + at),
      scores: new Float32Array(count),
    });
    const { stage } = turning('last', 10, () => 0);
    const cascade = new Cascade({ retrieval: { ...slow, fallback }, stages: [stage], k: 3 });
    const result = await ranked(cascade, { deadline: 10 });
    expect([...result.keys]).toEqual([500, 501, 502]);
    expect(result.stages[0]).toMatchObject({ outcome: 'late', candidates: 100 });
    expect(result.stages[0]!.reason).toContain('fallback');
    expect(result.stages[1]).toMatchObject({ outcome: 'skipped' });
  });
});

describe('a stage that fails', () => {
  const failing = (score: Stage<number, number>['score']) => ({
    name: 'bad',
    candidates: 10,
    score,
  });

  it.each<[string, Stage<number, number>['score'], RegExp]>([
    [
      'throws',
      () => {
        throw new Error('out of order');
      },
      /out of order/,
    ],
    ['rejects', () => Promise.reject(new Error('no model')), /no model/],
    [
      'throws nothing',
      () => {
        const nothing: unknown = undefined;
        throw nothing as Error;
      },
      /undefined/,
    ],
    ['gives too few', () => [1, 2], /a score for each of 10 candidates, got 2/],
    ['gives nothing', () => undefined as never, /got undefined/],
    ['gives NaN', (_query, { keys }) => Array.from(keys, () => NaN), /no number/],
    ['gives texts', (_query, { keys }) => Array.from(keys, String) as never, /no number/],
  ])('because it %s leaves the order as it was', async (_what, score, reason) => {
    const cascade = new Cascade({ retrieval: retrieval(), stages: [failing(score)], k: 3 });
    const result = await ranked(cascade);
    expect([...result.keys]).toEqual([0, 1, 2]);
    expect(result.isDegraded).toBe(true);
    expect(result.stages[1]).toMatchObject({ outcome: 'failed', candidates: 0 });
    expect(result.stages[1]!.reason).toMatch(reason);
  });

  it('again and again is left alone for a while, then tried', async () => {
    let isBroken = true;
    const score = vi.fn((_query: number, { keys }: { keys: Float64Array }) => {
      if (isBroken) throw new Error('broken');
      return keys;
    });
    const cascade = new Cascade({ retrieval: retrieval(), stages: [failing(score)], k: 3 });
    for (let round = 0; round < 10; round++) await ranked(cascade, {}, 1);
    expect(score).toHaveBeenCalledTimes(3);
    expect(cascade.stats()[1]!.outcomes).toMatchObject({ failed: 3, skipped: 7 });
    isBroken = false;
    await pass(10_000);
    expect([...(await ranked(cascade)).keys]).toEqual([9, 8, 7]);
  });

  it('is not one for which a request had no time', async () => {
    const { stage, asked } = turning('heavy', 10, () => 30);
    const cascade = new Cascade({ retrieval: retrieval(), stages: [stage], k: 3 });
    for (let round = 0; round < 5; round++) await ranked(cascade, { deadline: 10 }, 2000);
    const { length } = asked;
    expect(outcomesOf(await ranked(cascade))).toEqual(['full', 'full']);
    expect(asked.length).toBe(length + 1);
  });

  it('as the retrieval fails the request, unless there is a fallback', async () => {
    const broken = {
      ...retrieval(),
      retrieve: () => Promise.reject(new RangeError('index gone')),
    };
    expect(await outcome(new Cascade({ retrieval: broken, stages: [] }).rank(1))).toBe(
      'index gone',
    );
    const wrong = { ...retrieval(), retrieve: () => ({ keys: [1] }) as never };
    expect(await outcome(new Cascade({ retrieval: wrong, stages: [] }).rank(1))).toBe(
      'ERR_LICHEN_ARGUMENT',
    );
    const fallback = () => ({ keys: Float64Array.of(7), scores: [1] });
    const result = await ranked(new Cascade({ retrieval: { ...broken, fallback }, stages: [] }));
    expect([...result.keys]).toEqual([7]);
    expect(result.stages[0]!.reason).toContain('index gone');
  });
});

describe('a request that is aborted', () => {
  it('ends at once, and its stage is told', async () => {
    const { stage, asked } = turning('heavy', 10, () => 500);
    const cascade = new Cascade({ retrieval: retrieval(), stages: [stage] });
    const abort = new AbortController();
    const result = outcome(cascade.rank(1, { signal: abort.signal }));
    await pass(5);
    abort.abort();
    expect(await result).toBe('ERR_LICHEN_ABORTED');
    expect(asked[0]!.context.signal.aborted).toBe(true);
    expect(await outcome(cascade.rank(1, { signal: abort.signal }))).toBe('ERR_LICHEN_ABORTED');
    await pass(1000);
  });
});

describe('arguments', () => {
  const good = { retrieval: retrieval(), stages: [] };
  const stage = turning('a', 5, () => 0).stage;
  it.each<[string, unknown]>([
    ['retrieval', { stages: [] }],
    ['retrieval.retrieve', { ...good, retrieval: { name: 'x', candidates: 5 } }],
    ['retrieval.name', { ...good, retrieval: { ...retrieval(), name: '' } }],
    ['retrieval.candidates', { ...good, retrieval: { ...retrieval(), candidates: 0 } }],
    ['retrieval.leastCandidates', { ...good, retrieval: { ...retrieval(), leastCandidates: 101 } }],
    ['retrieval.fallback', { ...good, retrieval: { ...retrieval(), fallback: 5 } }],
    ['stages', { ...good, stages: 5 }],
    ['stages', { ...good, stages: new Array(255).fill(stage) }],
    ['stages[0]', { ...good, stages: [null] }],
    ['stages[0].score', { ...good, stages: [{ ...stage, score: 1 }] }],
    [
      'stages[0].cost.fixedMs',
      { ...good, stages: [{ ...stage, cost: { fixedMs: -1, candidateMs: 0 } }] },
    ],
    ['stages[0].cost', { ...good, stages: [{ ...stage, cost: null }] }],
    ['name "a"', { ...good, stages: [stage, stage] }],
    ['k', { ...good, k: 0 }],
    ['reserveMs', { ...good, reserveMs: NaN }],
    ['unknown option', { ...good, depth: 3 }],
  ])('says what is wrong with %s', (name, options) => {
    expect(() => new Cascade(options as CascadeOptions<number, number>)).toThrowError(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: expect.stringContaining(name) as string,
      }),
    );
  });

  it.each([{ k: 0 }, { k: 1.5 }, { deadline: -1 }, { signal: 5 }, { ef: 10 }])(
    'refuses a request with %j',
    async (options) => {
      const cascade = new Cascade(good);
      expect(await outcome(cascade.rank(1, options as never))).toBe('ERR_LICHEN_ARGUMENT');
    },
  );
});
