import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { requireGradients } from '../../src/tensorflow/gradients.js';
import { loadTensorFlow, type TensorFlow } from '../../src/tensorflow/tensorflow.js';
import type { DualEncoderOptions } from '../../src/towers/dual-encoder-options.js';
import { DualEncoder } from '../../src/towers/dual-encoder.js';
import type { TwoTowerProgress } from '../../src/towers/options.js';
import { matrixRow, type Matrix } from '../../src/vectors/matrix.js';
import { importer } from '../tensorflow/stubs.js';
import {
  groups,
  ITEMS,
  itemInputs,
  itemTower,
  network,
  quick,
  USERS,
  userInputs,
  userTower,
} from './networks.js';

/** Mean dot product of users with items of the own group, less that with the other's. */
async function margin(encoder: DualEncoder, dim?: number): Promise<number> {
  const users = await encoder.encodeUsers(undefined, { dim });
  const items = await encoder.encodeItems(undefined, { dim });
  let sum = 0;
  for (let user = 0; user < users.rows; user++) {
    for (let item = 0; item < items.rows; item++) {
      const same = (Number(groups.users.idAt(user)) + Number(groups.items.idAt(item))) % 2 === 0;
      sum += (same ? 1 : -1) * dot(users, user, items, item);
    }
  }
  return sum / ((users.rows * items.rows) / 2);
}

function dot(users: Matrix, user: number, items: Matrix, item: number): number {
  const other = matrixRow(items, item);
  return matrixRow(users, user).reduce((sum, value, at) => sum + value * other[at]!, 0);
}

describe('DualEncoder.train', () => {
  beforeAll(() => loadTensorFlow('cpu'));

  it.each([
    ['two models', () => ({ userTower: userTower(), itemTower: itemTower() })],
    [
      'a model of items and a table of users',
      () => ({ itemTower: itemTower(), tableLearningRate: 0.1 }),
    ],
    [
      'a model of users and a table of items',
      () => ({ userTower: userTower(), tableLearningRate: 0.1 }),
    ],
  ])('finds two groups with %s', async (_, towers) => {
    for (const backend of ['cpu', 'wasm'] as const) {
      const encoder = await DualEncoder.train(groups, { ...quick, ...towers(), backend });
      expect(encoder).toMatchObject({ dim: 4, metric: 'cosine', prefixes: [4] });
      expect(encoder.info).toMatchObject({ backend, users: USERS, items: ITEMS, epochs: 12 });
      expect(await margin(encoder)).toBeGreaterThan(1);
      const { data, rows } = await encoder.encodeItems();
      expect(rows).toBe(ITEMS);
      for (let row = 0; row < rows; row++) {
        expect(Math.hypot(...data.subarray(row * 4, row * 4 + 4))).toBeCloseTo(1, 5);
      }
    }
  });

  it('trains the variables of a function, and two towers that share them', async () => {
    const weights = tf.variable(tf.randomNormal([4, 3], 0, 1, 'float32', 5));
    const before = weights.dataSync().slice();
    const model = (x: tf.Tensor2D): tf.Tensor2D => tf.matMul(x, weights);
    const encoder = await DualEncoder.train(groups, {
      ...quick,
      userTower: { model, inputs: userInputs, variables: [weights] },
      itemTower: { model, inputs: itemInputs, variables: [weights] },
    });
    expect(weights.dataSync()).not.toEqual(before);
    expect(await margin(encoder)).toBeGreaterThan(1);
  });

  it('gives a model with several inputs each by its name', async () => {
    const group = tf.input({ shape: [2], name: 'group' });
    const rest = tf.input({ shape: [2], name: 'rest' });
    const joined = tf.layers.concatenate().apply([group, rest]) as tf.SymbolicTensor;
    const output = tf.layers.dense({ units: 4, kernelInitializer: 'ones' }).apply(joined);
    const model = tf.model({ inputs: [group, rest], outputs: output as tf.SymbolicTensor });
    const inputs = (rows: Int32Array): Record<string, tf.Tensor> => {
      const [first, second] = tf.split(itemInputs(rows), 2, 1);
      return { rest: second!, group: first! };
    };
    const encoder = await DualEncoder.train(groups, {
      ...quick,
      epochs: 1,
      normalize: false,
      itemTower: { model, inputs },
    });
    const [row] = [await encoder.encodeItems([3])];
    const expected = tf.tidy(() => {
      const { group: a, rest: b } = inputs(Int32Array.of(3));
      return (model.predict([a!, b!]) as tf.Tensor).dataSync().slice();
    });
    expect(encoder.metric).toBe('dot');
    expected.forEach((value, at) => expect(row.data[at]).toBeCloseTo(value, 5));
    const missing = { model, inputs: (rows: Int32Array) => ({ group: inputs(rows)['group']! }) };
    await expect(DualEncoder.train(groups, { ...quick, itemTower: missing })).rejects.toMatchObject(
      {
        code: 'ERR_LICHEN_DIMENSION',
        message: 'itemTower.inputs must give "rest" of shape [1, 2], got undefined',
      },
    );
  });

  it('makes prefixes vectors of their own', async () => {
    const towers = () => ({ userTower: userTower(), itemTower: itemTower() });
    const encoder = await DualEncoder.train(groups, { ...quick, ...towers(), prefixes: [1, 2, 4] });
    expect(encoder.prefixes).toEqual([1, 2, 4]);
    expect(await margin(encoder, 1)).toBeGreaterThan(1);
    expect(await margin(encoder, 2)).toBeGreaterThan(1);
    const cut = await encoder.encodeUsers([5, 0], { dim: 2 });
    const whole = await encoder.encodeUsers([5, 0]);
    expect([cut.rows, cut.dim]).toEqual([2, 2]);
    const lead = whole.data.subarray(0, 2);
    const length = Math.hypot(...lead);
    expect(cut.data[0]).toBeCloseTo(lead[0]! / length, 5);
    expect(cut.data[1]).toBeCloseTo(lead[1]! / length, 5);
  });

  it('comes to the same with the same seed, and to another with another', async () => {
    const train = async (seed: number): Promise<Matrix> => {
      const encoder = await DualEncoder.train(groups, {
        ...quick,
        epochs: 2,
        itemTower: itemTower(),
        seed,
      });
      return encoder.encodeUsers();
    };
    const [first, second, other] = [await train(3), await train(3), await train(4)];
    expect(second).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('takes another optimizer', async () => {
    // One that leaves everything as it is, which the default would not.
    const optimizer = tf.train.sgd(0);
    const steps = vi.spyOn(optimizer, 'applyGradients');
    const rest = { ...quick, learningRate: undefined };
    const tower = itemTower();
    const weights = (): unknown[] =>
      (tower.model as tf.LayersModel).getWeights().map((weight) => [...weight.dataSync()]);
    const before = weights();
    const told: TwoTowerProgress[] = [];
    const onProgress = (progress: TwoTowerProgress): void => void told.push(progress);
    await DualEncoder.train(groups, {
      ...rest,
      epochs: 2,
      optimizer,
      itemTower: tower,
      onProgress,
    });
    expect(weights()).toEqual(before);
    expect(steps).toHaveBeenCalledTimes(told.at(-1)!.steps);
  });

  it('gives zeros to rows of a table that have no interactions', async () => {
    const [first, ...lists] = Array.from({ length: USERS }, (_, user) => [
      ...groups.itemIndices.subarray(groups.offsets[user], groups.offsets[user + 1]),
    ]);
    expect(first).toHaveLength(6);
    const offsets = Uint32Array.from([0, ...[[], ...lists].map((list) => list.length)]);
    for (let at = 1; at < offsets.length; at++) offsets[at]! += offsets[at - 1]!;
    const partial = { ...groups, offsets, itemIndices: Uint32Array.from(lists.flat()) };
    const encoder = await DualEncoder.train(partial, {
      ...quick,
      epochs: 1,
      itemTower: itemTower(),
    });
    const { data } = await encoder.encodeUsers([0, 1]);
    expect([...data.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    expect(Math.hypot(...data.subarray(4))).toBeCloseTo(1, 5);
  });

  it('disposes of its tensors, tells progress and lets the event loop turn', async () => {
    await tf.setBackend('cpu');
    const towers = { userTower: userTower(), itemTower: itemTower() };
    const before = tf.memory().numTensors;
    const told: TwoTowerProgress[] = [];
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const options = { ...quick, ...towers, onProgress: (p: TwoTowerProgress) => told.push(p) };
    const encoder = await DualEncoder.train(groups, options);
    clearInterval(timer);
    await encoder.encodeItems();
    expect(tf.memory().numTensors).toBe(before);
    expect(told.at(-1)).toMatchObject({ epoch: 12, epochs: 12, loss: encoder.info.loss });
    expect(turns).toBeGreaterThan(0);
  });

  it('stops when aborted, and says that it diverged', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const endless = {
      ...quick,
      epochs: 100_000,
      itemTower: itemTower(),
      signal: controller.signal,
    };
    await expect(DualEncoder.train(groups, endless)).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
    });
    const weights = tf.variable(tf.fill([4, 2], 1e30));
    const model = (x: tf.Tensor2D): tf.Tensor2D => tf.matMul(x, weights);
    const vast = {
      userTower: { model, inputs: userInputs, variables: [weights] },
      itemTower: { model, inputs: itemInputs, variables: [weights] },
    };
    const training = DualEncoder.train(groups, { ...quick, ...vast, normalize: false });
    await expect(training).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FINITE',
      message: expect.stringMatching(
        /training diverged: the loss is NaN in epoch 1 \(step 1\)/,
      ) as string,
    });
  });

  it.each([
    ['no tower', {}, 'ERR_LICHEN_ARGUMENT', /userTower or itemTower must be given/],
    [
      'what is no model',
      { itemTower: { model: 3, inputs: itemInputs } },
      'ERR_LICHEN_ARGUMENT',
      /itemTower.model must be a LayersModel or a function, got 3/,
    ],
    [
      'no inputs',
      { itemTower: { model: network(1) } },
      'ERR_LICHEN_ARGUMENT',
      /itemTower.inputs must be a function/,
    ],
    [
      'a function without variables',
      { itemTower: { model: (x: unknown) => x, inputs: itemInputs } },
      'ERR_LICHEN_ARGUMENT',
      /itemTower.variables must be an array/,
    ],
    [
      'variables beside a model',
      { itemTower: { model: network(1), inputs: itemInputs, variables: [] } },
      'ERR_LICHEN_ARGUMENT',
      /belong to a model that is a function/,
    ],
    [
      'a function that gives no tensor',
      { itemTower: { model: () => 3, inputs: itemInputs, variables: [] } },
      'ERR_LICHEN_DIMENSION',
      /itemTower must give a tensor of shape \[1, dim\], got 3/,
    ],
    [
      'inputs of another shape',
      { itemTower: { model: network(1), inputs: () => tf.zeros([2, 4]) } },
      'ERR_LICHEN_DIMENSION',
      /must give ".*" of shape \[1, 4\], got \[2, 4\]/,
    ],
    [
      'towers of two dims',
      { itemTower: itemTower(), userTower: { model: network(1, 5), inputs: userInputs } },
      'ERR_LICHEN_DIMENSION',
      /vectors of one dim, got 5 and 4/,
    ],
    [
      'prefixes that do not ascend',
      { itemTower: itemTower(), prefixes: [2, 2, 4] },
      'ERR_LICHEN_ARGUMENT',
      /prefixes must be ascending whole numbers .* got \[2,2,4\]/,
    ],
    [
      'prefixes beyond the dim',
      { itemTower: itemTower(), prefixes: [2, 8] },
      'ERR_LICHEN_DIMENSION',
      /prefixes must end with the towers' dim, 4, got 8/,
    ],
    [
      'what is no optimizer',
      { itemTower: itemTower(), optimizer: {} },
      'ERR_LICHEN_ARGUMENT',
      /optimizer must be an optimizer/,
    ],
    [
      'a learning rate beside an optimizer',
      { itemTower: itemTower(), learningRate: 1, optimizer: tf.train.sgd(1) },
      'ERR_LICHEN_ARGUMENT',
      /learningRate belongs to the default optimizer/,
    ],
    [
      'a temperature of 0',
      { itemTower: itemTower(), temperature: 0 },
      'ERR_LICHEN_ARGUMENT',
      /temperature must be above 0/,
    ],
    [
      'a flag that is a number',
      { itemTower: itemTower(), normalize: 1 },
      'ERR_LICHEN_ARGUMENT',
      /normalize must be true or false/,
    ],
    [
      'an unknown option',
      { itemTower: itemTower(), layers: 1 },
      'ERR_LICHEN_ARGUMENT',
      /unknown option 'layers'/,
    ],
  ])('refuses %s', async (_, options, code, message) => {
    const given = { backend: 'cpu', ...options } as unknown as DualEncoderOptions;
    const training = DualEncoder.train(groups, given);
    await expect(training).rejects.toMatchObject({ code });
    await expect(training).rejects.toThrow(message);
  });

  it('names the operation that a backend lacks', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: ITEMS, outputDim: 4, inputLength: 1 }),
        tf.layers.flatten(),
      ],
    });
    const inputs = (rows: Int32Array): tf.Tensor => tf.tensor2d(rows, [rows.length, 1], 'int32');
    const embedding = { ...quick, epochs: 1, itemTower: { model, inputs } };
    await expect(
      DualEncoder.train(groups, { ...embedding, backend: 'wasm' }),
    ).rejects.toMatchObject({
      code: 'ERR_LICHEN_UNSUPPORTED',
      message: expect.stringContaining('no UnsortedSegmentSum') as string,
    });
    const encoder = await DualEncoder.train(groups, embedding);
    expect((await encoder.encodeItems()).rows).toBe(ITEMS);
  });

  it('says which package has the gradients', async () => {
    const without = {
      BatchMatMul: 'BatchMatMul',
      getGradient: () => undefined,
    } as unknown as TensorFlow;
    await expect(
      requireGradients(without, importer({ '@tensorflow/tfjs': undefined })),
    ).rejects.toMatchObject({
      code: 'ERR_LICHEN_MISSING_PACKAGE',
      message: expect.stringContaining('npm install @tensorflow/tfjs') as string,
    });
    const load = importer({}, false);
    await requireGradients(tf, load);
    expect(load.asked).toEqual([]);
  });
});
