import { describe, expect, it } from 'vitest';
import { interactionsFromPairs } from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { singleRows } from '../../src/towers/bags.js';
import { InteractionGraph } from '../../src/towers/interaction-graph.js';
import type { UserItems } from '../../src/towers/pair-batches.js';
import { SmoothedTable } from '../../src/towers/smoothed-table.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { randomUserItems, randomValues, expectNear } from './pairs.js';
import { twoGroups } from './planted.js';
import { ReferenceAdam } from './reference-adam.js';

const ITEMS = 11;
const DIM = 5;

/** The mean of the powers 0 to `layers` of the normalized adjacency, in float64, from its definition. */
function smoother({ offsets, items }: UserItems, itemCount: number, layers: number): number[][] {
  const nodes = itemCount + offsets.length - 1;
  const zeros = () => Array.from({ length: nodes }, () => new Array<number>(nodes).fill(0));
  const adjacency = zeros();
  for (let user = 0; user + 1 < offsets.length; user++) {
    for (const item of items.subarray(offsets[user], offsets[user + 1])) {
      adjacency[item]![itemCount + user]! += 1;
      adjacency[itemCount + user]![item]! += 1;
    }
  }
  const degrees = adjacency.map((row) => row.reduce((sum, one) => sum + one, 0));
  const step = adjacency.map((row, a) =>
    row.map((one, b) => (one === 0 ? 0 : one / Math.sqrt(degrees[a]! * degrees[b]!))),
  );
  let power = zeros().map((row, at) => row.map((_, column): number => (at === column ? 1 : 0)));
  let sum = power;
  for (let layer = 0; layer < layers; layer++) {
    power = power.map((row) =>
      row.map((_, column) => row.reduce((all, one, at) => all + one * step[at]![column]!, 0)),
    );
    sum = sum.map((row, at) => row.map((one, column) => one + power[at]![column]!));
  }
  return sum.map((row) => row.map((one) => one / (layers + 1)));
}

function times(matrix: readonly number[][], rows: Float32Array, dim: number): Float32Array {
  const out = new Float32Array(rows.length);
  matrix.forEach((weights, row) => {
    for (let at = 0; at < dim; at++) {
      out[row * dim + at] = weights.reduce(
        (sum, one, node) => sum + one * rows[node * dim + at]!,
        0,
      );
    }
  });
  return out;
}

describe('InteractionGraph', () => {
  // Users 9 and 10 have no items.
  const known = randomUserItems(9, ITEMS, 4, 3);
  const source = { ...known, offsets: Uint32Array.of(...known.offsets, known.items.length) };
  const graph = new InteractionGraph(source, ITEMS);
  const nodes = ITEMS + source.offsets.length - 1;

  it.each([1, 2, 3])('smooths over %i layers as its definition says', (layers) => {
    const rows = randomValues(nodes * DIM, 7);
    const copy = rows.slice();
    const smoothed = graph.smooth(rows, DIM, layers);
    expectNear(smoothed, times(smoother(source, ITEMS, layers), rows, DIM), 1e-6);
    expect(rows).toEqual(copy);
  });

  it('leaves rows as they are without layers', () => {
    const rows = randomValues(nodes * DIM, 7);
    expect(graph.smooth(rows, DIM, 0)).toBe(rows);
  });

  it('steps the rows by what the loss says of the smoothed ones', () => {
    const values = randomValues(nodes * DIM, 5);
    const expected = values.slice();
    const table = new SmoothedTable(values, DIM, 0.1, graph, 2);
    const matrix = smoother(source, ITEMS, 2);
    const reference = new ReferenceAdam(expected, DIM, { weightDecay: 0.1 });
    const all = Int32Array.from({ length: nodes }, (_, node) => node);
    const bags = {
      offsets: Int32Array.of(0, 1, 3),
      rows: Int32Array.of(4, 4, 12),
      weights: Float32Array.of(1, 0.5, -2),
    };
    for (let step = 0; step < 3; step++) {
      const smoothed = times(matrix, values, DIM);
      const single = singleRows(Int32Array.of(3, 12));
      expectNear(table.sums(single).subarray(DIM), smoothed.subarray(12 * DIM, 13 * DIM), 1e-6);
      const gradients = [randomValues(2 * DIM, 20 + step), randomValues(2 * DIM, 30 + step)];
      const ofRows = new Float32Array(nodes * DIM);
      for (let at = 0; at < DIM; at++) {
        const [one, two, three, four] = [
          gradients[0]![at]!,
          gradients[0]![DIM + at]!,
          gradients[1]![at]!,
          gradients[1]![DIM + at]!,
        ];
        ofRows[4 * DIM + at] = one + 0.5 * two;
        ofRows[12 * DIM + at] = -2 * two + four;
        ofRows[3 * DIM + at] = three;
      }
      reference.step(all, times(matrix, ofRows, DIM), 0.05);
      table.step(
        [
          { bags, gradients: gradients[0]! },
          { bags: single, gradients: gradients[1]! },
        ],
        0.05,
      );
      expectNear(values, expected, 1e-5);
    }
  });
});

describe('towers of ids with graphLayers', () => {
  const groups = twoGroups(200, 100, 8);
  const options = { userTower: 'id', normalize: true, temperature: 0.2, dim: 16 } as const;
  const train = (more: object, features = {}) =>
    TwoTowerModel.train(
      groups,
      { ...options, learningRate: 0.02, weightDecay: 0, graphLayers: 2, epochs: 12, ...more },
      features,
    );

  it('find two groups, and keep what a validation finds best', async () => {
    for (const more of [{}, { validation: 0.1, validateEvery: 1 }]) {
      const { userVectors, itemVectors, dim, info } = await train(more);
      let own = 0;
      for (let user = 0; user < 200; user++) {
        const scores = Array.from({ length: 100 }, (_, item) => {
          let score = 0;
          for (let at = 0; at < dim; at++) {
            score += userVectors.data[user * dim + at]! * itemVectors.data[item * dim + at]!;
          }
          return { item, score };
        });
        scores.sort((a, b) => b.score - a.score);
        own += scores.slice(0, 10).filter(({ item }) => item % 2 === user % 2).length;
      }
      expect(own / 2000).toBeGreaterThan(0.98);
      expect('validation' in info ? info.epochs : 12).toBeLessThanOrEqual(12);
    }
  });

  it('give items and users without interactions no vectors of chance', async () => {
    const some = interactionsFromPairs([0, 0, 1, 1], [0, 1, 0, 2]);
    const wider = { ...some, items: Vocabulary.identity(4) };
    const model = await TwoTowerModel.train(wider, { ...options, graphLayers: 2, epochs: 2 });
    expect(model.itemVectors.rows).toBe(4);
    expect([...model.itemVectors.data.subarray(3 * 16)]).toEqual(new Array(16).fill(0));
  });

  it('want ids alone', async () => {
    await expect(train({ userTower: 'history' })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
      message: expect.stringContaining(
        'graphLayers must be 0 with the user tower history',
      ) as string,
    });
    const values = Array.from({ length: 100 }, (_, item) => (item % 2 === 0 ? 'even' : 'odd'));
    const kind = { type: 'categorical', values } as const;
    await expect(train({}, { itemFeatures: { kind } })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
      message: expect.stringContaining('graphLayers must be 0 with features') as string,
    });
  });
});
