import { beforeAll, describe, expect, it } from 'vitest';
import { itemsOf } from '../../src/interactions/interactions.js';
import { foldIn } from '../../src/towers/fold-in.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { matrix } from '../../src/vectors/matrix.js';
import { randomValues } from './pairs.js';
import { twoGroups } from './planted.js';

const groups = twoGroups(120, 60, 8);
const options = { dim: 8, epochs: 12, negatives: 40, batchSize: 32, learningRate: 0.03 };
const items = Array.from({ length: groups.items.size }, (_, item) => item);
/** Of the group of even or odd items, with a list of which group the users of each parity belong to. */
const kind = {
  type: 'categorical',
  values: items.map((item) => ['even', 'odd'][item % 2]),
} as const;

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a, (value, at) => value * b[at]!).reduce((sum, value) => sum + value, 0);
}

const vectorOf = ({ data, dim }: { data: Float32Array; dim: number }, row: number): Float32Array =>
  data.subarray(row * dim, (row + 1) * dim);

/** Share of pairs of an item of the user's group and one of the other in which the first scores higher. */
function preference(model: TwoTowerModel, user: ArrayLike<number>, group: number): number {
  const scores = items.map((item) => dot(user, vectorOf(model.itemVectors, item)));
  const own = scores.filter((_, item) => item % 2 === group);
  const other = scores.filter((_, item) => item % 2 !== group);
  return (
    own.reduce((sum, one) => sum + other.filter((two) => one > two).length, 0) /
    (own.length * other.length)
  );
}

describe.each(['history', 'id'] as const)('new users of a tower of %s', (userTower) => {
  let model: TwoTowerModel;
  beforeAll(async () => {
    const scoring = userTower === 'id' ? { epochs: 30 } : {};
    model = await TwoTowerModel.train(groups, {
      dim: 8,
      negatives: 40,
      userTower,
      ...(userTower === 'history' ? options : scoring),
    });
  });

  it('are placed by what they have met', async () => {
    const vectors = matrix(
      await model.encodeNewUsers([
        { history: [0, 2, 8] },
        { history: [1, 5] },
        { history: [3, 9] },
      ]),
      model.dim,
    );
    expect(preference(model, vectorOf(vectors, 0), 0)).toBeGreaterThan(0.9);
    expect(preference(model, vectorOf(vectors, 1), 1)).toBeGreaterThan(0.9);
    expect(preference(model, vectorOf(vectors, 2), 1)).toBeGreaterThan(0.8);
  });

  it('are the mean user if nothing is known of them', async () => {
    const [none, unknown] = [{ history: [] }, { history: ['nobody', 999] }];
    const vectors = await model.encodeNewUsers([none, unknown]);
    expect(vectors.subarray(0, model.dim)).toEqual(vectors.subarray(model.dim));
    expect(vectors.some((value) => value !== 0)).toBe(true);
    const wrong = model.encodeNewUsers([{ history: [1], features: { age: 3 } }]);
    await expect(wrong).rejects.toThrow(/age/);
  });
});

describe('new users of towers of histories', () => {
  it.each([{ ordered: false }, { ordered: true }, { userTower: 'attention', layers: 1 }] as const)(
    'have the vectors that users with the same items have (%j)',
    async (kind) => {
      const model = await TwoTowerModel.train(groups, { ...options, epochs: 1, ...kind });
      const histories = [3, 4, 5].map((user) => ({ history: [...itemsOf(groups, user)] }));
      const vectors = matrix(await model.encodeNewUsers(histories), model.dim);
      [3, 4, 5].forEach((user, row) => {
        vectorOf(model.userVectors, user).forEach((value, at) =>
          expect(vectorOf(vectors, row)[at]).toBeCloseTo(value, 5),
        );
      });
    },
  );
});

describe.each(['history', 'attention'] as const)('user features of a tower of %s', (userTower) => {
  it('are learned: they tell the group of a user of whom nothing else is known', async () => {
    const side = Array.from({ length: groups.users.size }, (_, user) => ['even', 'odd'][user % 2]!);
    const model = await TwoTowerModel.train(
      groups,
      { ...options, userTower, layers: 1 },
      { userFeatures: { side: { type: 'categorical', values: side } } },
    );
    const asked = ['even', 'odd'].map((value) => ({ history: [], features: { side: value } }));
    const vectors = matrix(await model.encodeNewUsers(asked), model.dim);
    expect(preference(model, vectorOf(vectors, 0), 0)).toBeGreaterThan(0.8);
    expect(preference(model, vectorOf(vectors, 1), 1)).toBeGreaterThan(0.8);
  });
});

describe('new items', () => {
  it('are placed by their features, which help items without interactions in training too', async () => {
    const shown = items.map((item) => (item < 50 ? item : undefined));
    const known = twoGroups(120, 50, 8);
    const vocabulary = groups.items;
    const train = { ...known, items: vocabulary };
    const itemFeatures = { kind, shelf: { type: 'numeric', values: items } as const };
    const model = await TwoTowerModel.train(train, options, { itemFeatures });
    expect(shown.filter((item) => item === undefined)).toHaveLength(10);
    // Items 50 to 59 are in no interaction.
    for (const user of [0, 1, 2, 3]) {
      const vector = vectorOf(model.userVectors, user);
      expect(preference(model, vector, user % 2)).toBeGreaterThan(0.9);
    }
    const vectors = matrix(
      model.encodeNewItems([
        { kind: 'even', shelf: 55 },
        { kind: 'odd', shelf: 55 },
        { kind: 'other' },
      ]),
      model.dim,
    );
    const user = vectorOf(model.userVectors, 0);
    expect(dot(user, vectorOf(vectors, 0))).toBeGreaterThan(dot(user, vectorOf(vectors, 1)) + 0.3);
    expect([...vectorOf(vectors, 2)]).toEqual(new Array(8).fill(0));
    expect(() => model.encodeNewItems([{ size: 3 }])).toThrow(/size/);
    const plain = await TwoTowerModel.train(groups, { ...options, epochs: 1 });
    expect(() => plain.encodeNewItems([{}])).toThrow(/without itemFeatures/);
  });
});

describe('foldIn', () => {
  it('solves its equations', () => {
    const dim = 5;
    const vectors = matrix(randomValues(40 * dim, 3), dim);
    const history = [1, 7, 9];
    const x = foldIn(vectors, history);
    const gram = (rows: readonly number[]): number[][] =>
      Array.from({ length: dim }, (_, a) =>
        Array.from({ length: dim }, (_, b) =>
          rows.reduce(
            (sum, row) => sum + vectorOf(vectors, row)[a]! * vectorOf(vectors, row)[b]!,
            0,
          ),
        ),
      );
    const all = gram(Array.from({ length: 40 }, (_, row) => row));
    const met = gram(history);
    const system = all.map((row, a) => row.map((value, b) => 0.05 * value + met[a]![b]!));
    const trace = system.reduce((sum, row, at) => sum + row[at]!, 0);
    system.forEach((row, at) => {
      const left = dot(row, x) + ((0.1 * trace) / dim) * x[at]!;
      const right = history.reduce((sum, item) => sum + vectorOf(vectors, item)[at]!, 0);
      expect(left).toBeCloseTo(right, 8);
    });
    expect([...foldIn(vectors, [])]).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('warm start', () => {
  it('takes over the rows of the same ids and feature values', async () => {
    const itemFeatures = { kind };
    const first = await TwoTowerModel.train(groups, options, { itemFeatures });
    const again = (initial?: TwoTowerModel): Promise<TwoTowerModel> =>
      TwoTowerModel.train(
        groups,
        { ...options, epochs: 1, learningRate: 1e-9, seed: 2 },
        { itemFeatures, initial },
      );
    const [warm, cold] = [await again(first), await again()];
    warm.weights.table.data.forEach((value, at) =>
      expect(value).toBeCloseTo(first.weights.table.data[at]!, 5),
    );
    expect(warm.info.loss).toBeLessThan(cold.info.loss);
    await expect(TwoTowerModel.train(groups, { dim: 4 }, { initial: first })).rejects.toMatchObject(
      { code: 'ERR_LICHEN_DIMENSION' },
    );
  });
});
