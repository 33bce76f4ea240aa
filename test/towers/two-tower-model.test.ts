import { describe, expect, it } from 'vitest';
import { LichenAbortError } from '../../src/errors.js';
import {
  interactionsFromPairs,
  itemsOf,
  type Interactions,
} from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import type { TwoTowerProgress } from '../../src/towers/options.js';
import { loadTensorFlow } from '../../src/tensorflow/tensorflow.js';
import { TwoTowerModel } from '../../src/towers/two-tower-model.js';
import { prefixOf } from '../../src/towers/prefix-loss.js';
import { twoGroups } from './planted.js';

const groups = twoGroups(200, 100, 8);

/** The rows of the `k` items that score highest for a user, without those the user has met. */
function recommend(model: TwoTowerModel, met: Interactions, user: number, k: number): number[] {
  const { itemVectors, userVectors, dim } = model;
  const query = userVectors.data.subarray(user * dim, (user + 1) * dim);
  const known = new Set(itemsOf(met, user));
  return Array.from({ length: itemVectors.rows }, (_, item) => ({
    item,
    score: query.reduce((sum, value, at) => sum + value * itemVectors.data[item * dim + at]!, 0),
  }))
    .filter(({ item }) => !known.has(item))
    .sort((a, b) => b.score - a.score)
    .slice(0, k)
    .map(({ item }) => item);
}

/** Share of recommended items that are of the user's group; chance is a half. */
function shareInGroup(model: TwoTowerModel, met: Interactions): number {
  let own = 0;
  for (let user = 0; user < met.users.size; user++) {
    own += recommend(model, met, user, 10).filter((item) => item % 2 === user % 2).length;
  }
  return own / (10 * met.users.size);
}

function lengthsOf(vectors: { data: Float32Array; rows: number; dim: number }): number[] {
  const { data, rows, dim } = vectors;
  return Array.from({ length: rows }, (_, row) =>
    Math.hypot(...data.subarray(row * dim, (row + 1) * dim)),
  );
}

describe('TwoTowerModel.train', () => {
  it('finds two groups with its defaults', async () => {
    const model = await TwoTowerModel.train(groups);
    expect(shareInGroup(model, groups)).toBeGreaterThan(0.98);
    expect(model).toMatchObject({ dim: 64, metric: 'cosine' });
    expect(model.info).toMatchObject({ users: 200, items: 100, pairs: 1600, metrics: {} });
    expect(model.info.loss).toBeGreaterThan(0);
    expect(new Set(lengthsOf(model.itemVectors)).size).toBeGreaterThan(50);
  });

  it('finds two groups by cosine too, with vectors of length 1', async () => {
    const options = { normalize: true, temperature: 0.13, weightDecay: 0, dim: 16 };
    const model = await TwoTowerModel.train(groups, options);
    expect(shareInGroup(model, groups)).toBeGreaterThan(0.95);
    expect(model).toMatchObject({ dim: 16, metric: 'cosine' });
    for (const length of [...lengthsOf(model.userVectors), ...lengthsOf(model.itemVectors)]) {
      expect(length).toBeCloseTo(1, 5);
    }
  });

  it('gives the same bytes for the same seed, and others for another', async () => {
    const train = (seed: number): Promise<TwoTowerModel> =>
      TwoTowerModel.train(groups, { seed, epochs: 2, dim: 8 });
    const [first, again, other] = [await train(5), await train(5), await train(6)];
    expect(again.userVectors.data).toEqual(first.userVectors.data);
    expect(again.itemVectors.data).toEqual(first.itemVectors.data);
    expect(other.itemVectors.data).not.toEqual(first.itemVectors.data);
  });

  it('comes to the same on both backends, even at the same time', async () => {
    const small = twoGroups(20, 20, 4);
    const [wasm, cpu] = await Promise.all(
      (['wasm', 'cpu'] as const).map((backend) =>
        TwoTowerModel.train(small, { backend, epochs: 3, dim: 8, batchSize: 20 }),
      ),
    );
    expect([wasm!.info.backend, cpu!.info.backend]).toEqual(['wasm', 'cpu']);
    wasm!.itemVectors.data.forEach((value, at) =>
      expect(cpu!.itemVectors.data[at]).toBeCloseTo(value, 2),
    );
  });

  it('tells progress and disposes every tensor', async () => {
    const { tf } = await loadTensorFlow('wasm');
    const before = tf.memory().numTensors;
    const told: TwoTowerProgress[] = [];
    const { info } = await TwoTowerModel.train(groups, {
      epochs: 3,
      dim: 8,
      onProgress: (progress) => told.push(progress),
    });
    expect(tf.memory().numTensors).toBe(before);
    const last = told.at(-1)!;
    expect(last).toMatchObject({ epoch: 3, epochs: 3, loss: info.loss });
    expect(last.step).toBe(last.steps);
    expect(told.map(({ epoch }) => epoch)).toEqual(expect.arrayContaining([1, 2, 3]));
  });

  it('lets the event loop turn, and stops when aborted', async () => {
    const { tf } = await loadTensorFlow('wasm');
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 100);
    const training = TwoTowerModel.train(groups, { epochs: 100_000, signal: controller.signal });
    await expect(training).rejects.toBeInstanceOf(LichenAbortError);
    await expect(training).rejects.toMatchObject({ cause: { message: 'enough' } });
    expect(tf.memory().numTensors).toBe(before);
    await expect(
      TwoTowerModel.train(groups, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ERR_LICHEN_ABORTED' });
  });

  it('keeps the epoch that a validation finds best, and stops when none is better', async () => {
    const told: TwoTowerProgress[] = [];
    const options = { dim: 8, epochs: 40, negatives: 40, validation: 0.2, validateEvery: 1 };
    const { info } = await TwoTowerModel.train(groups, {
      ...options,
      patience: 3,
      onProgress: (progress) => told.push(progress),
    });
    // The last that is told of an epoch has its validation.
    const byEpoch = new Map(
      told.map(({ epoch, validation }) => [epoch, validation?.['recall@20']]),
    );
    const recalls = [...byEpoch.values()].map(Number);
    expect(recalls.every(Number.isFinite)).toBe(true);
    const best = Math.max(...recalls);
    expect(info.epochs).toBe(recalls.indexOf(best) + 1);
    expect(info.metrics['validation recall@20']).toBe(best);
    expect(recalls.length).toBe(Math.min(options.epochs, info.epochs + 3));
  });

  it('makes prefixes that rank as well', async () => {
    const model = await TwoTowerModel.train(groups, { dim: 16, prefixes: [2, 4], negatives: 60 });
    for (const dim of [2, 4, 16]) {
      const cut = (vectors: { data: Float32Array; rows: number }) => ({
        data: prefixOf(vectors.data, 16, dim),
        rows: vectors.rows,
        dim,
      });
      const shortened = Object.create(model, {
        dim: { value: dim },
        userVectors: { value: cut(model.userVectors) },
        itemVectors: { value: cut(model.itemVectors) },
      }) as TwoTowerModel;
      expect(shareInGroup(shortened, groups)).toBeGreaterThan(0.95);
    }
  });

  it('passes on what a callback throws', async () => {
    const onProgress = (): never => {
      throw new Error('mine');
    };
    await expect(TwoTowerModel.train(groups, { onProgress })).rejects.toThrow('mine');
  });

  it('says that it diverged', async () => {
    const options = { normalize: false, learningRate: 1e25, epochs: 5, dim: 4 };
    await expect(TwoTowerModel.train(groups, options)).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FINITE',
      message: expect.stringContaining('learningRate') as string,
    });
  });

  it('refuses bad options and nothing to train on', async () => {
    await expect(TwoTowerModel.train(groups, { dim: -1 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
    await expect(TwoTowerModel.train(interactionsFromPairs([], []))).rejects.toMatchObject({
      code: 'ERR_LICHEN_EMPTY',
    });
  });

  it('copes with one pair, and with users and items that have none', async () => {
    const single = await TwoTowerModel.train(interactionsFromPairs(['a'], ['x']), {
      userTower: 'id',
    });
    expect(single.encodeUsers(['a'])).toHaveLength(64);
    const vocabularies = { users: Vocabulary.identity(3), items: Vocabulary.identity(4) };
    const sparse = interactionsFromPairs([0, 1], [0, 1], vocabularies);
    const options = { dim: 4, epochs: 2, normalize: true, userTower: 'id' } as const;
    const model = await TwoTowerModel.train(sparse, options);
    await expect(TwoTowerModel.train(sparse)).rejects.toMatchObject({
      code: 'ERR_LICHEN_EMPTY',
      message: expect.stringContaining('no user has two items') as string,
    });
    expect([...model.encodeItems([2, 3])]).toEqual(new Array(8).fill(0));
    expect(lengthsOf(model.userVectors)[2]).toBeCloseTo(1, 5);
    const [first, second, mean] = [0, 1, 2].map((user) => model.encodeUsers([user]));
    const sum = first!.map((value, at) => value + second![at]!);
    mean!.forEach((value, at) => expect(value).toBeCloseTo(sum[at]! / Math.hypot(...sum), 5));
  });
});

describe('TwoTowerModel.encode', () => {
  it('gives vectors by id and names what it does not know', async () => {
    const named = interactionsFromPairs(['ann', 'bob', 'bob'], ['x', 'y', 'x']);
    const model = await TwoTowerModel.train(named, { dim: 4, epochs: 1 });
    const { data } = model.userVectors;
    expect(model.encodeUsers(['bob', 'ann', 'bob'])).toEqual(
      Float32Array.of(...data.subarray(4, 8), ...data.subarray(0, 4), ...data.subarray(4, 8)),
    );
    expect(model.encodeItems(['y'])).toEqual(model.itemVectors.data.slice(4, 8));
    expect(model.encodeItems([])).toHaveLength(0);
    expect(() => model.encodeUsers(['ann', 'zoe'])).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_UNKNOWN_KEY',
        message: 'user "zoe" is not among the model\'s 2 users',
      }) as Error,
    );
    expect(() => model.encodeItems([7])).toThrow('item 7 is not among');
  });
});
