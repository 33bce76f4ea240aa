import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Recommender, type Recommendation } from '../../src/serving/recommender.js';
import type { EncodeContext } from '../../src/index.js';
import type { Metric } from '../../src/vectors/metric.js';
import { outcome } from '../batching/helpers.js';
import {
  after,
  bestOf,
  deploymentOf,
  flatOf,
  gate,
  heldOf,
  rowsOf,
  settled,
  stopClock,
  until,
  vectorOf,
  wait,
} from './helpers.js';
import {
  HASTY_ITEMS as items,
  hasty as serving,
  never,
  usualItems,
  usualVector,
} from './services.js';

beforeEach(stopClock);
afterEach(() => {
  vi.useRealTimers();
});

describe('a stage', () => {
  it('that is not done in time leaves the order of the search', async () => {
    const signals: AbortSignal[] = [];
    const { service } = await serving({
      stages: [
        {
          ...{ name: 'slow', candidates: 10 },
          score: async (_query, { keys }, { signal }) => {
            signals.push(signal);
            await wait(500);
            return keys;
          },
        },
      ],
    });
    const { items: got, explanation } = (await after(
      50,
      service.recommend({ user: 1 }),
    )) as Recommendation;
    expect(got).toEqual(rowsOf(bestOf(items, vectorOf(1), { k: 5 })));
    expect(explanation.isDegraded).toBe(true);
    expect(explanation.steps.map(({ outcome: how }) => how)).toEqual(['full', 'full', 'late']);
    expect(new Set(explanation.scoredBy)).toEqual(new Set(['retrieval']));
    expect(signals[0]!.aborted).toBe(true);
    // The next request knows what it takes.
    const next = (await after(50, service.recommend({ user: 1 }))) as Recommendation;
    expect(next.explanation.steps.at(-1)).toMatchObject({ name: 'slow', outcome: 'skipped' });
    expect(next.items).toEqual(got);
  });

  it('that fails leaves the order of the one before', async () => {
    const { service } = await serving({
      stages: [
        { name: 'turn', candidates: 10, score: (_query, { keys }) => keys },
        { name: 'bad', candidates: 10, score: () => Promise.reject(new Error('no model')) },
      ],
    });
    const { items: got, explanation } = await settled(service.recommend({ user: 1 }));
    const turned = rowsOf(bestOf(items, vectorOf(1), { k: 10 })).sort((a, b) => b - a);
    expect(got).toEqual(turned.slice(0, 5));
    expect(explanation.steps.at(-1)).toMatchObject({ outcome: 'failed', reason: 'no model' });
    expect(service.stats().outcomes).toMatchObject({ degraded: 1 });
  });
});

describe('an abort', () => {
  it('before the request ends it before anything is asked', async () => {
    const { service, asked } = await serving();
    expect(await after(0, service.recommend({ user: 1 }, { signal: AbortSignal.abort() }))).toBe(
      'ERR_LICHEN_ABORTED',
    );
    expect(asked).toEqual([]);
    expect(service.stats()).toMatchObject({ admitted: 0, outcomes: { aborted: 1 } });
  });

  it.each(['tower', 'search', 'stage'])('ends it while the %s is at work', async (where) => {
    const begun = gate();
    const hang = async <T>(what: string, result: T): Promise<T> => {
      if (what !== where) return result;
      begun.open();
      return never();
    };
    const signals: AbortSignal[] = [];
    const { service, index } = await serving({
      // Neither is a usual vector given to somebody who has gone.
      usualVector,
      encode: (queries, { signal }: EncodeContext<unknown>) => {
        signals.push(signal);
        return hang(
          'tower',
          queries.map(({ user }) => vectorOf(user)),
        );
      },
      stages: [{ name: 'last', candidates: 5, score: (_query, { keys }) => hang('stage', keys) }],
    });
    index.before = () => hang('search', undefined);
    const abort = new AbortController();
    const request = outcome(service.recommend({ user: 1 }, { signal: abort.signal }));
    await settled(begun.promise);
    abort.abort();
    expect(await settled(request)).toBe('ERR_LICHEN_ABORTED');
    expect(signals[0]!.aborted).toBe(where === 'tower');
    expect(service.stats()).toMatchObject({
      inFlight: 0,
      outcomes: { aborted: 1, failed: 0, deadline: 0 },
    });
  });

  it('of one request does not touch others of its batch', async () => {
    const [slow, begun] = [gate(), gate()];
    const { service } = await serving({
      encode: async (queries) => {
        begun.open();
        await slow.promise;
        return queries.map(({ user }) => vectorOf(user));
      },
    });
    const abort = new AbortController();
    const [gone, stays] = [
      outcome(service.recommend({ user: 1 }, { signal: abort.signal })),
      service.recommend({ user: 2 }),
    ];
    await settled(begun.promise);
    abort.abort();
    expect(await gone).toBe('ERR_LICHEN_ABORTED');
    slow.open();
    expect((await settled(stays)).items).toEqual(rowsOf(bestOf(items, vectorOf(2), { k: 5 })));
  });
});

describe('a search that fails', () => {
  const failing = (): never => {
    throw new Error('index is broken');
  };

  it('gives way to what is popular, without what must not come', async () => {
    const { service, index } = await serving({ usualVector, seen: () => [usualItems()[3]!] });
    const [first, second, third, fourth] = usualItems();
    index.before = failing;
    const query = { user: 1, history: [String(first)] };
    const { items: got, explanation } = await settled(
      service.recommend(query, { exclude: [second!], k: 10 }),
    );
    expect(got).toEqual(usualItems(10, [first!, second!, fourth!]));
    expect(got).toContain(third);
    expect(explanation.isDegraded).toBe(true);
    expect(explanation.steps[1]).toMatchObject({ name: 'retrieval', outcome: 'failed' });
    expect(explanation.steps[1]!.reason).toContain('index is broken');
  });

  it('or takes too long gives way to it within the deadline', async () => {
    const { service, index } = await serving({ usualVector });
    index.before = () => wait(1000);
    const answer = (await after(50, service.recommend({ user: 1 }))) as Recommendation;
    expect(answer.items).toEqual(usualItems());
    expect(answer.explanation.steps[1]).toMatchObject({ name: 'retrieval', outcome: 'late' });
    expect(answer.explanation.ms).toBeLessThanOrEqual(50);
    expect(await after(50, (await serving()).service.recommend({ user: 1 }))).toMatchObject({
      items: expect.any(Array) as unknown,
    });
  });

  it('or takes too long fails the request if nothing popular is known', async () => {
    const { service, index } = await serving();
    index.before = () => wait(1000);
    expect(await after(50, service.recommend({ user: 1 }))).toBe('ERR_LICHEN_DEADLINE');
    index.before = failing;
    expect(await after(1, service.recommend({ user: 1 }))).toBe('index is broken');
    expect(service.stats().outcomes).toMatchObject({ deadline: 1, failed: 1 });
  });

  it.each<Metric>(['dot', 'cosine', 'l2'])(
    'gives popular items scores as a search by %s does',
    async (metric) => {
      const { service, index } = await serving({ usualVector }, metric);
      index.before = failing;
      const expected = bestOf(items, usualVector, { metric, k: 5 });
      const { items: got, scores } = await settled(service.recommend({ user: 1 }));
      expect(got).toEqual(rowsOf(expected));
      expected.forEach(({ score }, at) => expect(scores[at]).toBeCloseTo(score, 4));
    },
  );

  it('because of a bad condition is the error of the caller, not of the index', async () => {
    const { service } = await serving({ usualVector });
    for (const where of [{ nothing: 'like it' }, {}, null, 5, []]) {
      expect(await after(1, service.recommend({ user: 1 }, { where: where as never }))).toBe(
        'ERR_LICHEN_ARGUMENT',
      );
    }
    expect(service.stats().outcomes).toMatchObject({ invalid: 5, degraded: 0 });
  });

  it('does not answer a condition by items that may not fulfil it', async () => {
    const index = await flatOf(items, {
      schema: { year: 'number' },
      attributes: { year: items.map((_, at) => at) },
    });
    const { deployment } = deploymentOf(index, { usualVector });
    const service = new Recommender({ slo: 50, k: 5, warmUp: 0 });
    await settled(service.deploy(deployment));
    vi.spyOn(index, 'search').mockRejectedValue(new Error('index is broken'));
    vi.spyOn(index, 'searchBatch').mockRejectedValue(new Error('index is broken'));
    expect(await after(1, service.recommend({ user: 1 }, { where: { year: 5 } }))).toBe(
      'index is broken',
    );
    const { items: got } = await settled(service.recommend({ user: 1 }));
    expect(got).toEqual(usualItems());
  });
});

describe('overload', () => {
  it('refuses at once, by priority, and asks nothing', async () => {
    const slow = gate();
    const index = await heldOf(items);
    const { deployment, asked } = deploymentOf(index, {
      encode: async (queries) => {
        await slow.promise;
        return queries.map(({ user }) => vectorOf(user));
      },
    });
    const service = new Recommender({ slo: 50, limit: { initial: 10, most: 10 }, warmUp: 0 });
    await settled(service.deploy(deployment));
    const taken = Array.from({ length: 9 }, (_, user) => outcome(service.recommend({ user })));
    expect(await outcome(service.recommend({ user: 'x' }))).toBe('ERR_LICHEN_OVERLOADED');
    expect(await outcome(service.recommend({ user: 'x' }, { priority: -1 }))).toBe(
      'ERR_LICHEN_OVERLOADED',
    );
    expect(await outcome(service.run('search', () => Promise.resolve(1)))).toBe(
      'ERR_LICHEN_OVERLOADED',
    );
    const important = outcome(service.recommend({ user: 'y' }, { priority: 1 }));
    await until(() => service.stats().deployment!.encode.batches.running > 0);
    expect(service.stats()).toMatchObject({
      inFlight: 10,
      admitted: 10,
      shed: 3,
      outcomes: { shed: 3 },
    });
    slow.open();
    for (const result of await settled(Promise.all([...taken, important])))
      expect(result).toHaveProperty('items');
    expect(asked).toEqual([]);
    expect(service.stats()).toMatchObject({ inFlight: 0, outcomes: { ok: 10 } });
  });
});
