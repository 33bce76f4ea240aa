import { describe, expect, it } from 'vitest';
import type { Interactions } from '../../src/interactions/interactions.js';
import { InteractionRanker } from '../../src/towers/interaction-ranker.js';
import { RANKING_FEATURES, RankingFeatures } from '../../src/towers/ranking-features.js';
import { madeVectors } from '../../src/vectors/made.js';
import { twoGroups } from '../towers/planted.js';

const DIM = 8;
const known = twoGroups(40, 20, 4);
/** The other items of each user's group: what is met later. */
const later: Interactions = twoGroups(40, 20, 8, 2);
const users = madeVectors(known.users.size, DIM, 1);
const items = madeVectors(known.items.size, DIM, 2);
const learners = Array.from({ length: 40 }, (_, user) => user);
const source = { known, users, items, metric: 'dot' as const, later, learners };
const options = { epochs: 1, seed: 3, backend: 'cpu' as const };

const wrong = expect.objectContaining({
  code: expect.stringMatching(/^ERR_LICHEN_(ARGUMENT|DIMENSION|EMPTY|NOT_FINITE)$/) as string,
}) as Error;

describe('RankingFeatures', () => {
  const features = new RankingFeatures(known, users, items);
  const rows = Array.from({ length: items.rows }, (_, row) => row);

  it('are of mean 0 and variance 1 over the nearest, or 0 where all are alike', () => {
    const values = features.of(features.user(3), rows);
    expect(values.every(Number.isFinite)).toBe(true);
    for (let d = 0; d < RANKING_FEATURES; d++) {
      const column = rows.map((row) => values[row * RANKING_FEATURES + d]!);
      const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
      const square = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length;
      expect(mean).toBeCloseTo(0, 4);
      expect([0, 1].some((one) => Math.abs(square - one) < 1e-4)).toBe(true);
    }
  });

  it('take no candidates, one, and one that stands twice', () => {
    const user = features.user(0);
    expect(features.of(user, []).length).toBe(0);
    expect([...features.of(user, [5])]).toEqual([0, 0, 0, 0, 0, 0]);
    const twice = features.of(user, [5, 5, 7]);
    expect(twice.slice(0, 6)).toEqual(twice.slice(6, 12));
  });

  it('count walks from items to users and on as doing so one by one gives', () => {
    const { together, history } = features.user(2);
    const metBy = (user: number) =>
      known.itemIndices.subarray(known.offsets[user], known.offsets[user + 1]);
    const expected = new Float64Array(items.rows);
    for (const item of history) {
      const others = learners.filter((user) => metBy(user).includes(item));
      for (const other of others) {
        for (const next of metBy(other)) {
          expected[next]! += 1 / Math.sqrt(others.length * metBy(other).length);
        }
      }
    }
    expected.forEach((value, row) => expect(together[row]).toBeCloseTo(value, 5));
  });

  it.each([-1, 40, NaN, 0.5])('know no user %f', (user) => {
    expect(() => features.user(user)).toThrow(wrong);
  });

  it.each([-1, 20, NaN, 1.5])('know no item %f', (item) => {
    expect(() => features.of(features.user(0), [1, item])).toThrow(wrong);
  });

  it('refuse vectors that are too few for their rows', () => {
    const cut = { ...items, data: items.data.subarray(0, 10) };
    expect(() => new RankingFeatures(known, users, cut)).toThrow(wrong);
  });
});

describe('InteractionRanker', () => {
  it.each([
    ['share', { validationShare: -0.1 }, {}],
    ['share', { validationShare: NaN }, {}],
    ['share', { validationShare: 1.5 }, {}],
    ['number of epochs', { epochs: 0 }, {}],
    ['seed', { seed: -1 }, {}],
    ['learner', {}, { learners: [0, 1, 40] }],
    ['learner', {}, { learners: [NaN] }],
    ['list of learners', {}, { learners: [] }],
    ['later', {}, { later: twoGroups(30, 20, 8, 2) }],
    ['later', {}, { later: twoGroups(40, 30, 8, 2) }],
    ['metric', {}, { metric: 'near' }],
  ])('refuses a wrong %s: %o %o', async (_, given, other) => {
    const training = InteractionRanker.train({ ...source, ...other } as typeof source, {
      ...options,
      ...given,
    });
    await expect(training.then((ranker) => ranker.close())).rejects.toThrow(wrong);
  });

  it('is given up when asked', async () => {
    const signal = AbortSignal.abort();
    const training = InteractionRanker.train(source, { ...options, signal });
    await expect(training).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });

  it('scores what it is asked for, in any order, by the seed', async () => {
    using ranker = await InteractionRanker.train(source, options);
    using again = await InteractionRanker.train(source, options);
    const rows = [3, 1, 19, 0];
    const scores = await ranker.score(5, rows);
    expect([...scores]).toEqual([...(await again.score(5, rows))]);
    const turned = await ranker.score(5, [...rows].reverse());
    turned.reverse().forEach((score, at) => expect(score).toBeCloseTo(scores[at]!, 4));
    expect((await ranker.score(5, [])).length).toBe(0);
    await expect(ranker.score(40, rows)).rejects.toThrow(wrong);
    await expect(ranker.score(5, [20])).rejects.toThrow(wrong);
  });

  it('scores nothing once it is closed, and can be closed twice', async () => {
    const ranker = await InteractionRanker.train(source, options);
    ranker.close();
    expect(() => ranker.close()).not.toThrow();
    await expect(ranker.score(1, [2])).rejects.toMatchObject({ code: 'ERR_LICHEN_CLOSED' });
  });
});
