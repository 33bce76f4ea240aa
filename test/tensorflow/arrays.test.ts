import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ARRANGEMENT_KERNELS } from '../../src/tensorflow/kernels/arrangement.js';
import { REDUCTION_KERNELS } from '../../src/tensorflow/kernels/reduction.js';
import { ROW_KERNELS } from '../../src/tensorflow/kernels/rows.js';
import {
  expectSeen,
  nativeCases,
  prepareBackends,
  random,
  randomBools,
  randomIntegers,
  type Result,
} from './backends.js';

beforeAll(prepareBackends);

afterAll(() => expectSeen({ ...ARRANGEMENT_KERNELS, ...REDUCTION_KERNELS, ...ROW_KERNELS }));

describe('reductions', () => {
  const kinds = {
    sum: tf.sum,
    mean: tf.mean,
    max: tf.max,
    min: tf.min,
    prod: tf.prod,
  } as const;
  const table: Record<string, () => Result> = {};
  for (const [name, reduce] of Object.entries(kinds)) {
    for (const axes of [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2], [-1]]) {
      table[`${name} over ${axes.join(', ')}`] = () => [
        reduce(random([6, 7, 40], 1), axes),
        reduce(random([6, 7, 40], 1), axes, true),
      ];
    }
    table[`${name} of all`] = () => reduce(random([500, 700], 2, 0.999, 1.001));
    table[`${name} over long columns`] = () => reduce(random([300, 513], 2, 0.99, 1.01), 0);
    table[`${name} of a scalar`] = () => reduce(tf.scalar(3));
    table[`${name} of NaN and infinity`] = () =>
      reduce(
        tf.tensor2d([
          [1, NaN, 2],
          [3, 1, Infinity],
          [NaN, 1, 1],
        ]),
        1,
      );
  }
  nativeCases(2e-6, {
    ...table,
    'sum of nothing': () => [tf.sum(tf.zeros([3, 0]), 1), tf.sum(tf.zeros([0, 3]), 1)],
    argMax: () => [0, 1, 2].map((axis) => tf.argMax(random([5, 6, 33], 1), axis)),
    argMin: () => [0, 1, 2].map((axis) => tf.argMin(random([5, 6, 33], 1), axis)),
    'argMax of equals and NaN': () =>
      tf.argMax(
        tf.tensor2d([
          [1, 3, 3],
          [NaN, 1, 2],
          [1, NaN, 2],
        ]),
        1,
      ),
    softmax: () => tf.softmax(random([7, 3, 45], 1, -30, 30)),
    'softmax of large values': () =>
      tf.softmax(
        tf.tensor2d([
          [1e30, 1e30, -1e30],
          [-1e9, 0, 1],
        ]),
      ),
    'softmax of NaN': () =>
      tf.softmax(
        tf.tensor2d([
          [1, NaN, 2],
          [Infinity, 1, 2],
        ]),
      ),
    logSoftmax: () => tf.logSoftmax(random([21, 45], 1, -30, 30)),
    topk: () => Object.values(tf.topk(random([9, 50], 1), 7)),
    'topk of equals': () =>
      Object.values(tf.topk(randomIntegers([9, 50], 1, 0, 4).cast('float32'), 50)),
  });
});

describe('arrangements', () => {
  const table: Record<string, () => Result> = {};
  for (const order of [
    [0, 2, 1],
    [1, 0, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
    [0, 1, 2],
  ]) {
    table[`transpose ${order.join(', ')}`] = () => tf.transpose(random([33, 20, 70], 1), order);
  }
  nativeCases(0, {
    ...table,
    'transpose of a matrix': () => tf.transpose(random([150, 270], 1)),
    'transpose of four axes': () => tf.transpose(random([3, 4, 5, 6], 1), [0, 2, 1, 3]),
    'transpose of axes of one': () => tf.transpose(random([1, 20, 1, 7], 1), [1, 2, 0, 3]),
    'transpose of int32 and bool': () => [
      tf.transpose(randomIntegers([20, 30], 1, 0, 99)),
      tf.transpose(randomBools([20, 30], 1)),
    ],
    'transpose of nothing': () => tf.transpose(tf.zeros([0, 3])),
    slice: () => tf.slice(random([5, 6, 7], 1), [1, 2, 3], [2, 3, 4]),
    'slice to the end': () => tf.slice(random([5, 6], 1), [2, 0], [-1, 3]),
    'slice of nothing': () => tf.slice(random([5, 6], 1), [2, 0], [0, 3]),
    stridedSlice: () => tf.stridedSlice(random([9, 8], 1), [1, 0], [9, 8], [2, 3]),
    'stridedSlice backwards': () => tf.stridedSlice(random([9, 8], 1), [8, 7], [0, 1], [-2, -1]),
    reverse: () => tf.reverse(random([4, 5, 6], 1), [0, 2]),
    tile: () => tf.tile(random([2, 3, 4], 1), [3, 1, 2]),
    'tile of one row': () => tf.tile(random([1, 40], 1), [9, 1]),
    broadcastTo: () => tf.broadcastTo(random([3, 1, 5], 1), [3, 4, 5]),
    concat: () =>
      [0, 1, 2].map((axis) => tf.concat([random([2, 3, 4], 1), random([2, 3, 4], 2)], axis)),
    'concat of different extents': () =>
      tf.concat([random([3, 2], 1), random([3, 5], 2), tf.zeros([3, 0])], 1),
    'concat of int32': () =>
      tf.concat([randomIntegers([3], 1, 0, 9), randomIntegers([4], 2, 0, 9)]),
    stack: () =>
      [0, 1, 2, -1].map((axis) => tf.stack([random([3, 4], 1), random([3, 4], 2)], axis)),
    unstack: () => [...tf.unstack(random([3, 4, 2], 1), 1), ...tf.unstack(random([3, 4], 1))],
    split: () => [...tf.split(random([6, 4], 1), 3), ...tf.split(random([4, 7], 1), [2, 5], 1)],
    pad: () =>
      tf.pad(
        random([3, 4], 1),
        [
          [1, 2],
          [0, 3],
        ],
        1.5,
      ),
    'pad of int32': () => tf.pad(randomIntegers([3], 1, 0, 9), [[2, 2]]),
  });
});

describe('stridedSlice', () => {
  it('drops an axis, which the cpu backend does not where others have steps', async () => {
    await tf.setBackend('lichen');
    const x = random([9, 8], 1);
    const dropped = tf.stridedSlice(x, [3, 1], [4, 7], [1, 2], 0, 0, 0, 0, 1);
    const values = x.dataSync<'float32'>();
    expect(dropped.shape).toEqual([3]);
    expect([...dropped.dataSync()]).toEqual([1, 3, 5].map((column) => values[3 * 8 + column]));
    tf.dispose([x, dropped]);
  });
});

describe('rows', () => {
  nativeCases(1e-6, {
    gather: () =>
      [0, 1, 2].map((axis) => tf.gather(random([5, 6, 7], 1), randomIntegers([9], 2, 0, 5), axis)),
    'gather by a matrix of numbers': () =>
      tf.gather(random([50, 7], 1), randomIntegers([4, 9], 2, 0, 50)),
    'gather of batches': () =>
      tf.gather(random([4, 6, 7], 1), randomIntegers([4, 3], 2, 0, 6), 1, 1),
    'gather of int32 and bool': () => [
      tf.gather(randomIntegers([9, 3], 1, 0, 99), randomIntegers([20], 2, 0, 9)),
      tf.gather(randomBools([9, 3], 1), randomIntegers([20], 2, 0, 9)),
    ],
    'gather of nothing': () => tf.gather(random([5, 2], 1), tf.tensor1d([], 'int32')),
    unsortedSegmentSum: () =>
      tf.unsortedSegmentSum(random([40, 5], 1), randomIntegers([40], 2, 0, 7) as tf.Tensor1D, 9),
    'unsortedSegmentSum with ids that are none': () =>
      tf.unsortedSegmentSum(
        random([40, 2, 3], 1),
        randomIntegers([40], 2, -2, 9) as tf.Tensor1D,
        5,
      ),
    where: () => tf.where(randomBools([5, 40], 3), random([5, 40], 4), random([5, 40], 5)),
    'where, broadcast': () =>
      tf.where(randomBools([40], 3), random([5, 40], 4), random([1, 40], 5)),
    'where of NaN': () =>
      tf.where(tf.tensor1d([1, 0], 'bool'), tf.tensor1d([NaN, NaN]), tf.tensor1d([1, 2])),
    oneHot: () => tf.oneHot(randomIntegers([3, 5], 1, -1, 6), 5),
    'oneHot with values': () => tf.oneHot(randomIntegers([7], 1, 0, 4), 4, 2.5, -1, 'float32'),
  });
});
