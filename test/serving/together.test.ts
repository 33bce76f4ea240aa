import { describe, expect, it } from 'vitest';
import type { Where } from '../../src/index/where.js';
import { outcome } from '../batching/helpers.js';
import { bestOf, flatOf, randomVectors, rowsOf, vectorOf } from './helpers.js';
import { batching as serving } from './services.js';

const items = randomVectors(300, 7);

describe('requests that come together', () => {
  const years = items.map((_, at) => at);
  const yearly = () => flatOf(items, { schema: { year: 'number' }, attributes: { year: years } });
  const conditions: [Where | undefined, (row: number) => boolean][] = [
    [undefined, () => true],
    [{ year: { lt: 100 } }, (row) => row < 100],
    [{ year: { gte: 100 } }, (row) => row >= 100],
    [{ year: { gt: -Infinity } }, () => true],
    [{ year: { gt: Infinity } }, () => false],
    [{ year: { lt: -Infinity } }, () => false],
    [{ year: { lt: Infinity } }, () => true],
  ];

  it('are answered each by its own vector, number, condition and exclusion', async () => {
    const { service } = await serving(await yearly(), { seen: ({ user }) => [Number(user) % 300] });
    const answers = Array.from({ length: 50 }, async (_, user) => {
      const [where, admits] = conditions[user % conditions.length]!;
      const k = 1 + (user % 9);
      const exclude = user % 2 ? rowsOf(bestOf(items, vectorOf(user), { k: 2 })) : undefined;
      const without = [...years.filter((row) => !admits(row)), ...(exclude ?? []), user];
      const expected = rowsOf(bestOf(items, vectorOf(user), { k, without }));
      const { items: got } = await service.recommend({ user }, { k, where, exclude });
      expect({ user, got }).toEqual({ user, got: expected });
    });
    await Promise.all(answers);
    expect(service.stats().outcomes).toMatchObject({ ok: 50 });
    await service.close();
  });

  it.each<[string, unknown]>([
    ['one that is wrong', { year: { gt: NaN } }],
    ['one of another kind', { year: { gt: null } }],
    ['one without a value', { year: { gt: undefined } }],
    ['a big number', { year: 5n }],
    ['a function', () => true],
    ['one that says it is another', { year: { gt: 5, toJSON: () => ({ gt: null }) } }],
    ['one that holds itself', Object.assign(Object.create(null) as object, { not: 'set below' })],
  ])('do not suffer from, or answer, %s', async (what, where) => {
    if (what === 'one that holds itself') Object.assign(where as object, { not: where });
    const { service } = await serving(await yearly());
    const plain = service.recommend({ user: 4 }, { k: 5 });
    const good = service.recommend({ user: 1 }, { k: 5, where: { year: { gt: -Infinity } } });
    const bad = outcome(service.recommend({ user: 2 }, { k: 5, where: where as Where }));
    const other = service.recommend({ user: 3 }, { k: 5 });
    expect((await plain).items).toEqual(rowsOf(bestOf(items, vectorOf(4), { k: 5 })));
    expect(await bad).toBe('ERR_LICHEN_ARGUMENT');
    expect((await good).items).toEqual(rowsOf(bestOf(items, vectorOf(1), { k: 5 })));
    expect((await other).items).toEqual(rowsOf(bestOf(items, vectorOf(3), { k: 5 })));
    await service.close();
  });
});
