import { describe, expect, it } from 'vitest';
import {
  openLayersModel,
  Random,
  saveLayersModel,
  trainRanker,
  type RankerEpoch,
  type RankingGroup,
} from '../../src/index.js';
import { outcome } from '../batching/helpers.js';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FEATURES = 3;

/**
 * Relevant is where the first two features have the same sign, which no weights of the two alone can tell; the third says
 * nothing. They are on scales as different as popularity and cosine.
 */
function groupsOf(seed: number, count: number, size = 12): RankingGroup[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const features = new Float32Array(size * FEATURES);
    const relevance = Array.from({ length: size }, (_, at) => {
      const [a, b, c] = [random.gaussian(), random.gaussian(), random.gaussian()];
      features.set([5000 + 1000 * a, 0.01 * b, c], at * FEATURES);
      return a * b > 0.5 ? 1 : 0;
    });
    return { features, relevance };
  });
}

/** Share of groups whose best candidate is relevant. */
async function precision(
  model: Awaited<ReturnType<typeof trainRanker>>['model'],
  groups: readonly RankingGroup[],
): Promise<number> {
  const { tensor2d, tidy } = await import('@tensorflow/tfjs');
  let hits = 0;
  for (const { features, relevance } of groups) {
    const scores = tidy(() =>
      (
        model.predict(tensor2d(features, [relevance.length, FEATURES])) as {
          dataSync(): Float32Array;
        }
      ).dataSync(),
    );
    const best = scores.indexOf(Math.max(...scores));
    hits += relevance[best]! > 0 ? 1 : 0;
  }
  return hits / groups.length;
}

const test = groupsOf(99, 200);

describe('trainRanker', () => {
  it('learns what no weighted sum of the features can', async () => {
    const groups = groupsOf(1, 400);
    const common = { features: FEATURES, epochs: 30, learningRate: 0.01 } as const;
    const deep = await trainRanker(groups, common);
    const linear = await trainRanker(groups, { ...common, hidden: [] });
    expect(await precision(deep.model, test)).toBeGreaterThan(0.85);
    expect(await precision(linear.model, test)).toBeLessThan(0.6);
    const losses = deep.epochs.map(({ loss }) => loss);
    expect(losses).toHaveLength(30);
    expect(losses.at(-1)!).toBeLessThan(0.8 * losses[0]!);
    deep.model.dispose();
    linear.model.dispose();
  });

  it('gives the same model for the same seed, and another for another', async () => {
    const groups = groupsOf(2, 30);
    const weights: string[] = [];
    for (const seed of [5, 5, 6]) {
      const { model } = await trainRanker(groups, { features: FEATURES, epochs: 2, seed });
      weights.push(
        JSON.stringify(model.getWeights().map((tensor) => Array.from(tensor.dataSync()))),
      );
      model.dispose();
    }
    expect(weights[0]).toBe(weights[1]);
    expect(weights[0]).not.toBe(weights[2]);
  });

  it('keeps the weights of the best epoch on groups that it does not train on', async () => {
    // Few groups, which it learns by heart.
    const told: RankerEpoch[] = [];
    const { model, epochs } = await trainRanker(groupsOf(3, 12), {
      ...{ features: FEATURES, epochs: 300, learningRate: 0.02, hidden: [64, 64], patience: 4 },
      validation: groupsOf(4, 60),
      onEpoch: (epoch) => told.push(epoch),
    });
    expect(told).toEqual(epochs);
    expect(epochs.length).toBeLessThan(300);
    const losses = epochs.map(({ validationLoss }) => validationLoss!);
    const best = losses.indexOf(Math.min(...losses));
    expect(epochs.length - 1 - best).toBe(4);
    model.dispose();
  });

  it('takes groups of different sizes, graded relevance, and features that never change', async () => {
    const groups = [...groupsOf(5, 40, 5), ...groupsOf(6, 40, 30)].map(
      ({ features, relevance }) => ({
        features: features.map((value, at) => (at % FEATURES === 2 ? 7 : value)),
        relevance: Float32Array.from(relevance, (value) => 3 * value),
      }),
    );
    const { model, epochs } = await trainRanker(groups, { features: FEATURES, epochs: 3 });
    expect(epochs.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    const scores = (model.getWeights() as { dataSync(): Float32Array }[]).flatMap((tensor) => [
      ...tensor.dataSync(),
    ]);
    expect(scores.every(Number.isFinite)).toBe(true);
    model.dispose();
  });

  it('gives a model that can be saved', async () => {
    const { model } = await trainRanker(groupsOf(7, 30), { features: FEATURES, epochs: 2 });
    const folder = await mkdtemp(join(tmpdir(), 'lichen-ranker-'));
    await saveLayersModel(model, join(folder, 'ranker'));
    const opened = await openLayersModel(join(folder, 'ranker'));
    expect(await precision(opened, test)).toBe(await precision(model, test));
    model.dispose();
    opened.dispose();
    await rm(folder, { recursive: true });
  });

  it('says what is wrong', async () => {
    const groups = groupsOf(8, 3);
    const nothing = groups.map(({ features }) => ({ features, relevance: new Float32Array(12) }));
    const cases: [string, unknown, unknown][] = [
      ['ARGUMENT', groups, {}],
      ['ARGUMENT', groups, { features: 3, hidden: 5 }],
      ['ARGUMENT', groups, { features: 3, hidden: [0] }],
      ['ARGUMENT', groups, { features: 3, learningRate: 0 }],
      ['ARGUMENT', groups, { features: 3, seed: -1 }],
      ['ARGUMENT', groups, { features: 3, backend: 'abacus' }],
      ['ARGUMENT', groups, { features: 3, units: 5 }],
      ['ARGUMENT', 5, { features: 3 }],
      ['ARGUMENT', [null], { features: 3 }],
      [
        'ARGUMENT',
        [{ features: groups[0]!.features, relevance: new Array(12).fill(-1) }],
        { features: 3 },
      ],
      ['ARGUMENT', [{ features: groups[0]!.features, relevance: 5 }], { features: 3 }],
      ['DIMENSION', groups, { features: 4 }],
      [
        'NOT_FINITE',
        [{ features: new Float32Array(6).fill(NaN), relevance: [1, 0] }],
        { features: 3 },
      ],
      ['EMPTY', [], { features: 3 }],
      ['EMPTY', nothing, { features: 3 }],
      ['EMPTY', groups, { features: 3, validation: nothing }],
      ['ABORTED', groups, { features: 3, signal: AbortSignal.abort() }],
    ];
    for (const [code, given, options] of cases) {
      expect(await outcome(trainRanker(given as never, options as never))).toBe(
        `ERR_LICHEN_${code}`,
      );
    }
  });
});
