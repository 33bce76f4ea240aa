import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { lichenFallbacks, resetLichenFallbacks } from '../../src/tensorflow/lichen-backend.js';
import {
  expectNative,
  expectSame,
  prepareBackends,
  random,
  randomIntegers,
  resultsOn,
} from './backends.js';

beforeAll(prepareBackends);

type Loss = (...parameters: tf.Tensor[]) => tf.Scalar;

/** Expects the loss and its gradients by all parameters to be native, and the same as of the cpu backend. */
async function expectSameGradients(
  loss: Loss,
  parameters: () => tf.Tensor[],
  tolerance = 2e-5,
): Promise<void> {
  await expectNative(() => {
    const { value, grads } = tf.valueAndGrads(loss)(parameters());
    return [value, ...grads];
  }, tolerance);
}

const scalar = (x: tf.Tensor): tf.Scalar => x.asScalar();
const square = (x: tf.Tensor): tf.Scalar => scalar(tf.mean(tf.square(x)));

/** Exact GELU (Hendrycks and Gimpel, 2016). */
const gelu = (x: tf.Tensor): tf.Tensor =>
  tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1));

function layerNorm(x: tf.Tensor, gain: tf.Tensor, shift: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-6))), gain), shift);
}

describe('gradients', () => {
  const activations: Readonly<Record<string, (x: tf.Tensor) => tf.Tensor>> = {
    relu: tf.relu,
    tanh: tf.tanh,
    sigmoid: tf.sigmoid,
    elu: tf.elu,
    selu: tf.selu,
    softplus: tf.softplus,
    leakyRelu: (x) => tf.leakyRelu(x, 0.2),
    gelu,
    'clipped squares': (x) => tf.clipByValue(tf.pow(x, 2), 0.1, 3),
    'roots and logarithms': (x) =>
      tf.add(tf.sqrt(tf.exp(tf.div(x, 8))), tf.log(tf.add(tf.abs(x), 1))),
    'absolute values and signs': (x) => tf.mul(tf.abs(x), tf.sign(x)),
  };
  it.each(Object.entries(activations))('of a tower with %s', async (_, activation) => {
    const masks = random([64, 32], 9, 0, 1);
    await expectSameGradients(
      (x, w1, b1, w2, b2) => {
        const hidden = activation(tf.add(tf.matMul(x, w1), b1));
        // Dropout by a mask that is given, so that both backends drop the same.
        const kept = tf.mul(hidden, tf.div(tf.cast(tf.greater(masks, 0.3), 'float32'), 0.7));
        return square(tf.add(tf.matMul(kept, w2), b2));
      },
      () => [
        random([64, 20], 1),
        random([20, 32], 2),
        random([32], 3),
        random([32, 16], 4),
        random([16], 5),
      ],
    );
    masks.dispose();
  });

  it('of layer normalization', async () => {
    await expectSameGradients(
      (x, gain, shift, weights) => square(tf.matMul(layerNorm(x, gain, shift), weights)),
      () => [random([40, 24], 1), random([24], 2), random([24], 3), random([24, 8], 4)],
    );
  });

  it('of attention with a mask', async () => {
    const [batch, length, dim] = [3, 10, 8];
    const lengths = tf.tensor1d([10, 4, 7]);
    const positions = tf.range(0, length);
    await expectSameGradients(
      (x, query, key, value) => {
        const rows = (weights: tf.Tensor) =>
          tf.reshape(tf.matMul(tf.reshape(x, [batch * length, dim]), weights), [
            batch,
            length,
            dim,
          ]);
        const scores = tf.matMul(rows(query), rows(key), false, true);
        const isThere = tf.less(positions.expandDims(0), lengths.expandDims(1)).expandDims(1);
        const masked = tf.where(
          tf.broadcastTo(isThere, [batch, length, length]),
          tf.div(scores, Math.sqrt(dim)),
          tf.fill([batch, length, length], -1e9),
        );
        return square(tf.matMul(tf.softmax(masked), rows(value)));
      },
      () => [
        random([batch, length, dim], 1),
        random([dim, dim], 2),
        random([dim, dim], 3),
        random([dim, dim], 4),
      ],
    );
    tf.dispose([lengths, positions]);
  });

  it('of attention by heads', async () => {
    const [batch, length, heads, dim] = [2, 7, 3, 4];
    const split = (x: tf.Tensor) =>
      tf.transpose(tf.reshape(x, [batch, length, heads, dim]), [0, 2, 1, 3]);
    await expectSameGradients(
      (q, k, v) => {
        const scores = tf.matMul(split(q), split(k), false, true);
        const joined = tf.transpose(tf.matMul(tf.softmax(scores), split(v)), [0, 2, 1, 3]);
        return square(tf.reshape(joined, [batch, length, heads * dim]));
      },
      () => [1, 2, 3].map((seed) => random([batch, length, heads * dim], seed)),
    );
  });

  it('of embeddings looked up, joined and pooled', async () => {
    const users = randomIntegers([30], 8, 0, 12);
    const items = randomIntegers([30, 5], 9, 0, 20);
    await expectSameGradients(
      (userTable, itemTable, bias) => {
        const user = tf.gather(userTable, users);
        const item = tf.mean(tf.gather(itemTable, items as tf.Tensor2D), 1);
        const both = tf.concat([user, item, tf.tile(bias.expandDims(0), [30, 1])], 1);
        const parts = tf.split(
          tf.pad(both, [
            [0, 0],
            [0, 2],
          ]),
          2,
          1,
        );
        const stacked = tf.stack([parts[0]!, parts[1]!], 1);
        const picked = tf.slice(stacked, [0, 0, 1], [-1, -1, 4]);
        return square(tf.sub(tf.max(picked, 2), tf.logSumExp(tf.unstack(stacked, 1)[1]!, 1, true)));
      },
      () => [random([12, 6], 1), random([20, 6], 2), random([4], 3)],
    );
    tf.dispose([users, items]);
  });

  it('of in-batch softmax by hinge and by logarithm', async () => {
    await expectSameGradients(
      (users, items) => {
        const scores = tf.matMul(users, items, false, true);
        const logs = tf.logSoftmax(scores);
        const own = tf.oneHot(tf.range(0, 16, 1, 'int32'), 16);
        const hinge = tf.maximum(tf.sub(scores, 1), tf.zerosLike(scores));
        return scalar(tf.sub(tf.mean(tf.minimum(hinge, 2)), tf.mean(tf.sum(tf.mul(logs, own), 1))));
      },
      () => [random([16, 12], 1), random([16, 12], 2)],
    );
  });
});

describe('optimizers', () => {
  const optimizers: Readonly<Record<string, () => tf.Optimizer>> = {
    sgd: () => tf.train.sgd(0.1),
    momentum: () => tf.train.momentum(0.05, 0.9),
    adagrad: () => tf.train.adagrad(0.1),
    adam: () => tf.train.adam(0.05),
    rmsprop: () => tf.train.rmsprop(0.05, 0.9, 0.5, 1e-7, true),
    adamax: () => tf.train.adamax(0.05),
  };
  it.each(Object.entries(optimizers))('%s takes the same path', async (_, make) => {
    const train = () => {
      const weights = tf.variable(random([12, 5], 1));
      const bias = tf.variable(tf.zeros([5]));
      const optimizer = make();
      for (let step = 0; step < 5; step++) {
        optimizer.minimize(() =>
          square(tf.sub(tf.relu(tf.add(tf.matMul(random([20, 12], 2), weights), bias)), 1)),
        );
      }
      const result = [tf.clone(weights), tf.clone(bias)];
      tf.dispose([weights, bias]);
      optimizer.dispose();
      return result;
    };
    const expected = await resultsOn('cpu', train);
    resetLichenFallbacks();
    const actual = await resultsOn('lichen', train);
    expect([...lichenFallbacks()]).toEqual([]);
    expectSame(actual, expected, 2e-5);
  });
});

describe('a model of layers', () => {
  it('trains natively: embedding, dense, layer normalization, dropout', async () => {
    await tf.setBackend('lichen');
    const before = tf.memory().numTensors;
    const model = tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: 30, outputDim: 8, inputLength: 6 }),
        tf.layers.globalAveragePooling1d({}),
        tf.layers.dense({ units: 16, activation: 'relu' }),
        tf.layers.layerNormalization(),
        tf.layers.dropout({ rate: 0.2, seed: 3 }),
        tf.layers.dense({ units: 1, activation: 'sigmoid' }),
      ],
    });
    model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
    const x = randomIntegers([64, 6], 1, 0, 30).cast('float32');
    const y = tf.tidy(() => tf.cast(tf.greater(tf.mean(x, 1, true), 15), 'float32'));
    resetLichenFallbacks();
    const history = await model.fit(x, y, { epochs: 12, batchSize: 32, verbose: 0 });
    expect([...lichenFallbacks()]).toEqual([]);
    const losses = history.history['loss'] as number[];
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    tf.dispose([x, y]);
    model.dispose();
    // The optimizer's own variables go with it.
    model.optimizer.dispose();
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before + 2);
  });
});
