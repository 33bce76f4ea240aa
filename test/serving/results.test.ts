import { pass } from '../batching/helpers.js';
import { describe, expect, it, vi } from 'vitest';
import { Recommender } from '../../src/serving/recommender.js';
import type { ServeOptions } from '../../src/serving/recommender-options.js';
import {
  AMPLE,
  bestOf,
  deploymentOf,
  flatOf,
  gate,
  rowsOf,
  vectorOf,
  settled,
  stopClock,
} from './helpers.js';
import { cacheOf, KEPT_ITEMS as items, keeping as serving } from './services.js';

const resultCache = { maxUsers: 1000, ttlMs: AMPLE };

describe('results that are kept', () => {
  it('are given without tower and search, and say so', async () => {
    const { service, asked, index } = await serving({ resultCache });
    const first = await service.recommend({ user: 'a' }, { k: 5 });
    const again = await service.recommend({ user: 'a' }, { k: 5 });
    expect([asked.length, index.searches]).toEqual([1, 1]);
    expect(again).toMatchObject({ items: first.items, scores: first.scores });
    expect(again.explanation).toMatchObject({
      ...{ version: 'v1', cache: 'result', isDegraded: false, steps: [] },
      scoredBy: first.explanation.scoredBy,
    });
    await service.close();
  });

  it('are of one k and one condition each', async () => {
    const index = await flatOf(items, {
      schema: { year: 'number' },
      attributes: { year: items.map((_, at) => at) },
    });
    const service = new Recommender({ slo: AMPLE, resultCache, warmUp: 0 });
    await service.deploy(deploymentOf(index).deployment);
    const variants: [ServeOptions, (row: number) => boolean][] = [
      [{ k: 5 }, () => true],
      [{ k: 6 }, () => true],
      [{ k: 5, where: { year: { lt: 50 } } }, (row) => row < 50],
      [{ k: 5, where: { year: { gte: 50 } } }, (row) => row >= 50],
      [{ k: 5, where: { year: { gt: -Infinity } } }, () => true],
      [{ k: 5, where: { year: { gt: Infinity } } }, () => false],
    ];
    for (let round = 0; round < 2; round++) {
      for (const [options, admits] of variants) {
        const without = items.map((_, at) => at).filter((at) => !admits(at));
        const { items: got } = await service.recommend({ user: 'a' }, options);
        expect(got).toEqual(rowsOf(bestOf(items, vectorOf('a'), { k: options.k!, without })));
      }
    }
    await service.close();
  });

  it.each([[[]], [[1]], [['no such']]])(
    'are neither used nor made for a request that excludes %j',
    async (exclude) => {
      const { service, asked } = await serving({ resultCache });
      await service.recommend({ user: 'a' });
      expect(await cacheOf(service, { user: 'a' }, { exclude })).toBe('none');
      expect(await cacheOf(service, { user: 'b' }, { exclude })).toBe('none');
      expect(await cacheOf(service, { user: 'b' })).toBe('none');
      expect(asked).toHaveLength(4);
      await service.close();
    },
  );

  it('are none of a degraded answer', async () => {
    const score = vi.fn((_query: unknown, { keys }: { keys: Float64Array }) => {
      if (score.mock.calls.length < 2) throw new Error('not yet');
      return keys;
    });
    const { service } = await serving(
      { resultCache },
      { stages: [{ name: 'late', candidates: 30, score }] },
    );
    expect((await service.recommend({ user: 'a' })).explanation.isDegraded).toBe(true);
    const second = await service.recommend({ user: 'a' });
    expect(second.explanation).toMatchObject({ isDegraded: false, cache: 'none' });
    expect(await cacheOf(service, { user: 'a' })).toBe('result');
    await service.close();
  });

  it('are forgotten all at once when items have changed', async () => {
    const { service, index } = await serving({ resultCache });
    const { items: before } = await service.recommend({ user: 'a' }, { k: 3 });
    await service.recommend({ user: 'b' }, { k: 3 });
    await index.remove([before[0] as number]);
    service.forgetResults();
    const { items: after, explanation } = await service.recommend({ user: 'a' }, { k: 3 });
    expect(explanation.cache).toBe('none');
    expect(after).toEqual(
      rowsOf(bestOf(items, vectorOf('a'), { k: 3, without: [before[0] as number] })),
    );
    expect(await cacheOf(service, { user: 'b' }, { k: 3 })).toBe('none');
    await service.close();
  });

  it('are not those of before they were forgotten, when that happens while a request is at work', async () => {
    const { service, index } = await serving(
      { resultCache },
      {
        stages: [
          {
            ...{ name: 'slow', candidates: 10 },
            score: async (_query, { keys }) => {
              begun.open();
              await slow.promise;
              return Float64Array.from(keys, (_, at) => -at);
            },
          },
        ],
      },
    );
    const [begun, slow] = [gate(), gate()];
    const request = service.recommend({ user: 'a' }, { k: 3 });
    await begun.promise;
    const [gone] = rowsOf(bestOf(items, vectorOf('a'), { k: 1 }));
    await index.remove([gone!]);
    service.forgetResults();
    slow.open();
    expect((await request).items).toContain(gone);
    expect((await service.recommend({ user: 'a' }, { k: 3 })).items).not.toContain(gone);
    await service.close();
  });

  it('do not change when a caller changes what was given to him', async () => {
    const { service } = await serving({ resultCache });
    const expected = bestOf(items, vectorOf('a'), { k: 5 });
    for (let round = 0; round < 3; round++) {
      const given = await service.recommend({ user: 'a' }, { k: 5 });
      expect(given.items).toEqual(rowsOf(expected));
      expected.forEach(({ score }, at) => expect(given.scores[at]).toBeCloseTo(score, 4));
      given.scores.fill(0);
      (given.items as number[]).reverse();
    }
    await service.close();
  });

  it('last as long as they may, and no longer', async () => {
    stopClock();
    try {
      const { service, asked } = await serving({ resultCache: { maxUsers: 10, ttlMs: 1000 } });
      const cached = (user: string): Promise<string> => settled(cacheOf(service, { user }));
      expect(await cached('a')).toBe('none');
      await pass(999);
      expect(await cached('a')).toBe('result');
      await pass(2);
      expect(await cached('a')).toBe('none');
      expect(await cached('a')).toBe('result');
      expect(asked).toHaveLength(2);
      await settled(service.close());
    } finally {
      vi.useRealTimers();
    }
  });

  it('are of no more users than there is room for', async () => {
    const { service } = await serving({ resultCache: { maxUsers: 5, ttlMs: AMPLE } });
    for (let user = 0; user < 50; user++) await service.recommend({ user });
    const { results } = service.stats().deployment!;
    expect(results!.size).toBeLessThanOrEqual(5);
    await service.close();
  });

  it('of a user in many variants do not grow without end', async () => {
    const { service } = await serving({ resultCache });
    for (let k = 1; k <= 50; k++) await service.recommend({ user: 'a' }, { k });
    let kept = 0;
    for (let k = 1; k <= 50; k++) {
      const { items: got, explanation } = await service.recommend({ user: 'a' }, { k });
      expect(got).toEqual(rowsOf(bestOf(items, vectorOf('a'), { k })));
      if (explanation.cache === 'result') kept++;
    }
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(20);
    await service.close();
  });
});
