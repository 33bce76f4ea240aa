import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { TensorFlow } from '../tensorflow/tensorflow.js';
import type { PairBatch } from './pair-batches.js';

/** Keeps the length of a zero row from dividing by zero. */
const LEAST_SQUARE = 1e-12;

/** What {@link softmaxLoss} compares vectors by. */
export interface SoftmaxLossOptions {
  /** Scores are divided by it. */
  readonly temperature: number;
  /** Whether a score is the cosine of two vectors rather than their dot product. */
  readonly normalize: boolean;
  /** Ascending numbers of leading values that are to be vectors of their own; the last is all of them. */
  readonly prefixes: readonly number[];
}

/** A batch as tensors, of shape [users, items]. */
export interface LossTile {
  /** Added to the scaled scores. */
  readonly bias: Tensor2D;
  /** For each cell its share of the loss: 1 / pairs where user and item are a pair, else 0. */
  readonly weights: Tensor2D;
}

/** Which cells of a batch's tile are pairs, as weights that add up to 1; row-major. */
export function pairWeights({ items, pairOffsets, pairColumns }: PairBatch): Float32Array {
  const rows = pairOffsets.length - 1;
  const weights = new Float32Array(rows * items.length);
  for (let row = 0; row < rows; row++) {
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      weights[row * items.length + pairColumns[pair]!] = 1 / pairColumns.length;
    }
  }
  return weights;
}

/**
 * In-batch sampled softmax (Yi et al., RecSys 2019): the mean over the pairs of -log softmax(the pair's item among all
 * items of the batch), in nats. With several prefixes the mean over them, each a vector of its own (Matryoshka
 * representation learning, Kusupati et al., NeurIPS 2022). Made of operations that TensorFlow.js can derive.
 */
export function softmaxLoss(
  tf: TensorFlow,
  users: Tensor2D,
  items: Tensor2D,
  { bias, weights }: LossTile,
  { temperature, normalize, prefixes }: SoftmaxLossOptions,
): Scalar {
  const losses = prefixes.map((prefix): Tensor => {
    const user = prefixOf(tf, users, prefix, normalize);
    const item = prefixOf(tf, items, prefix, normalize);
    const scores = tf.add(scoresOf(tf, tf.mul(user, 1 / temperature), item), bias);
    return tf.neg(tf.sum(tf.mul(weights, tf.logSoftmax(scores))));
  });
  const sum = losses.reduce((a, b) => tf.add(a, b));
  return tf.div<Scalar>(sum, losses.length);
}

function prefixOf(tf: TensorFlow, rows: Tensor2D, prefix: number, normalize: boolean): Tensor2D {
  const [count, dim] = rows.shape;
  const values = prefix === dim ? rows : tf.slice(rows, [0, 0], [count, prefix]);
  if (!normalize) return values;
  const squares = tf.sum(tf.square(values), 1, true);
  return tf.mul<Tensor2D>(values, tf.rsqrt(tf.add(squares, LEAST_SQUARE)));
}

/**
 * The dot products of all users with all items. TensorFlow.js derives a product by products with operands that are to
 * be read as transposed, which the wasm backend does at a tenth of its speed.
 */
function scoresOf(tf: TensorFlow, users: Tensor2D, items: Tensor2D): Tensor2D {
  const product = tf.customGrad((a, b, save) => {
    const [user, item] = [a as Tensor2D, b as Tensor2D];
    (save as (tensors: Tensor[]) => void)([user, item]);
    return {
      value: tf.matMul(user, tf.transpose(item)),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [savedUser, savedItem] = saved as [Tensor2D, Tensor2D];
        const toItems = tf.transpose(tf.matMul(tf.transpose(savedUser), dy as Tensor2D));
        return [tf.matMul(dy, savedItem), toItems];
      },
    };
  });
  return product(users, items) as Tensor2D;
}
