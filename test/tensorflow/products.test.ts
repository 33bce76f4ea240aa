import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe } from 'vitest';
import { CREATION_KERNELS } from '../../src/tensorflow/kernels/creation.js';
import { NORMALIZATION_KERNELS } from '../../src/tensorflow/kernels/normalization.js';
import { PRODUCT_KERNELS } from '../../src/tensorflow/kernels/product.js';
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

afterAll(() => expectSeen({ ...CREATION_KERNELS, ...NORMALIZATION_KERNELS, ...PRODUCT_KERNELS }));

describe('products', () => {
  const product = (m: number, k: number, n: number, transposeA = false, transposeB = false) =>
    tf.matMul(
      random(transposeA ? [k, m] : [m, k], 1),
      random(transposeB ? [n, k] : [k, n], 2),
      transposeA,
      transposeB,
    );
  const shapes = [
    [1, 1, 1],
    [3, 5, 7],
    [1, 70, 33],
    [17, 1, 31],
    [40, 300, 37],
    [9, 64, 65],
    [33, 520, 16],
  ] as const;
  const table: Record<string, () => Result> = {};
  for (const [m, k, n] of shapes) {
    for (const [a, b] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      table[`${m} × ${k} × ${n}${a ? ', left transposed' : ''}${b ? ', right transposed' : ''}`] =
        () => product(m, k, n, a, b);
    }
  }
  const fused = (activation: string, bias?: tf.Tensor, preluActivationWeights?: tf.Tensor) =>
    tf.fused.matMul({
      a: random([9, 20], 1),
      b: random([20, 35], 2),
      activation: activation as 'relu',
      leakyreluAlpha: 0.1,
      ...(bias && { bias }),
      ...(preluActivationWeights && { preluActivationWeights }),
    });
  // Sums of up to 520 products, those of the other side in another order.
  nativeCases(1e-4, {
    ...table,
    'of a batch': () => tf.matMul(random([4, 5, 9, 20], 1), random([4, 5, 20, 11], 2)),
    'of a batch, transposed': () =>
      tf.matMul(random([4, 20, 9], 1), random([4, 11, 20], 2), true, true),
    'of a batch and one matrix': () => tf.matMul(random([6, 9, 20], 1), random([1, 20, 11], 2)),
    'of one matrix and a batch': () => tf.matMul(random([9, 20], 1), random([6, 20, 11], 2)),
    'of a large batch': () => tf.matMul(random([64, 40, 40], 1), random([64, 40, 40], 2)),
    'large enough for threads': () => product(200, 260, 150),
    'without depth': () => tf.matMul(tf.zeros([3, 0]), tf.zeros([0, 4])),
    'without rows': () => tf.matMul(tf.zeros([0, 3]), tf.zeros([3, 4])),
    'of NaN and infinity': () =>
      tf.matMul(
        tf.tensor2d([
          [1, NaN],
          [Infinity, 0],
        ]),
        tf.tensor2d([
          [1, 2],
          [3, 4],
        ]),
      ),
    'fused, linear': () => fused('linear', random([35], 3)),
    'fused, relu': () => fused('relu', random([35], 3)),
    'fused, relu6': () => fused('relu6', random([1, 35], 3)),
    'fused, sigmoid': () => fused('sigmoid', random([35], 3)),
    'fused, elu': () => fused('elu', random([35], 3)),
    'fused, leakyrelu': () => fused('leakyrelu', random([35], 3)),
    'fused, prelu': () => fused('prelu', random([35], 3), random([35], 4)),
    'fused, without bias': () => fused('relu'),
    'fused, one bias for all': () => fused('relu', random([1], 3)),
  });
});

describe('creation', () => {
  nativeCases(0, {
    fill: () => [tf.fill([3, 4], 2.5), tf.fill([2000], -1, 'int32')],
    zerosLike: () => [tf.zerosLike(random([40, 50], 1)), tf.zerosLike(randomBools([4], 1))],
    onesLike: () => [tf.onesLike(random([40, 50], 1)), tf.onesLike(randomIntegers([4], 1, 0, 9))],
    range: () => [
      tf.range(0, 9),
      tf.range(9, 0),
      tf.range(0, 1, 0.1),
      tf.range(5, -5, -3, 'int32'),
      tf.range(3, 3),
      tf.range(0, 5, -1),
    ],
    addN: () => tf.addN([random([3, 4], 1), random([3, 4], 2), random([3, 4], 3)]),
  });
});

describe('normalization', () => {
  const vectors = (): tf.Tensor1D[] =>
    [1, 2, 3, 4].map((seed) => random([12], seed, 0.1) as tf.Tensor1D);
  nativeCases(2e-6, {
    batchNorm: () => {
      const [mean, variance, offset, scale] = vectors();
      return tf.batchNorm(random([5, 6, 12], 5), mean!, variance!, offset, scale, 1e-5);
    },
    'batchNorm without offset and scale': () => {
      const [mean, variance] = vectors();
      return tf.batchNorm(random([30, 12], 5), mean!, variance!);
    },
    'batchNorm by positions': () => {
      const [mean, variance, offset, scale] = [1, 2, 3, 4].map((seed) => random([6, 4], seed, 0.1));
      return tf.batchNorm2d(
        random([6, 4], 5) as tf.Tensor2D,
        mean as tf.Tensor2D,
        variance as tf.Tensor2D,
        offset as tf.Tensor2D,
        scale as tf.Tensor2D,
      );
    },
  });
});
