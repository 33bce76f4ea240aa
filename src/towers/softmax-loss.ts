import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { TensorFlow } from './tensorflow.js';

/** What one step of in-batch softmax is computed from. */
export interface SoftmaxBatch {
  /** Pairs in the batch: pair i is row i of `users` and row i of `items`. */
  readonly size: number;
  /** Values a vector. */
  readonly dim: number;
  /** `size * dim` values, the users' table rows. */
  readonly users: Float32Array;
  /** `size * dim` values, the items' table rows. */
  readonly items: Float32Array;
  /**
   * `size * size` values added to the scaled scores: row i is pair i's user, column j pair j's item. It carries
   * the logQ correction and masks columns that must not count as negatives (a large negative number).
   */
  readonly bias: Float32Array;
  /** Scores are divided by it. */
  readonly temperature: number;
  /** Whether a score is the cosine of the two rows rather than their dot product. */
  readonly normalize: boolean;
}

/** The loss of a batch and its gradients with respect to the table rows. */
export interface SoftmaxStep {
  /** Mean over the pairs of -log softmax(pair's own item among all items of the batch), in nats. */
  readonly loss: number;
  /** `size * dim` values. */
  readonly userGradients: Float32Array;
  /** `size * dim` values. */
  readonly itemGradients: Float32Array;
}

/** Keeps log() finite where a float32 probability has underflowed to 0; reported losses end at 69. */
const LEAST_PROBABILITY = 1e-30;

/** Keeps the length of a zero row from dividing by zero. */
const LEAST_SQUARE = 1e-24;

/**
 * In-batch sampled softmax (Yi et al., RecSys 2019): each pair's item is to be told from the other items of the
 * batch. Computed by TensorFlow.js on its current backend; every tensor is disposed before it returns.
 *
 * The gradient is written out. tfjs-core alone registers none for its own operations, and a derived one would use
 * products with transposed operands, which take 10 to 40 times as long in the wasm backend as an explicit transpose
 * of the smaller operand.
 */
export function inBatchSoftmax(tf: TensorFlow, batch: SoftmaxBatch): SoftmaxStep {
  const { size, dim, temperature, normalize } = batch;
  return tf.tidy(() => {
    const user = tower(tf, tf.tensor2d(batch.users, [size, dim]), normalize);
    const item = tower(tf, tf.tensor2d(batch.items, [size, dim]), normalize);
    const bias = tf.tensor2d(batch.bias, [size, size]);
    const scaled = tf.mul(user.output, 1 / temperature);
    const scores = tf.add(tf.matMul(scaled, tf.transpose(item.output)), bias);
    const chosen = tf.softmax<Tensor2D>(scores as Tensor2D);
    const own = tf.gather(
      tf.reshape(chosen, [size * size]),
      tf.range(0, size * size, size + 1, 'int32'),
    );
    const loss = tf.neg(tf.mean(tf.log(tf.maximum(own, LEAST_PROBABILITY))));

    // d loss / d scores = (chosen - identity) / size. The identity's share is subtracted after the products, row by
    // row, so that no second size x size tensor is made.
    const scale = 1 / (size * temperature);
    const toUsers = tf.sub<Tensor2D>(tf.matMul(chosen, item.output), item.output);
    const toItems = tf.sub<Tensor2D>(
      tf.transpose(tf.matMul(tf.transpose(user.output), chosen)),
      user.output,
    );
    return {
      loss: loss.dataSync()[0]!,
      userGradients: tf.mul(user.pullBack(toUsers), scale).dataSync<'float32'>(),
      itemGradients: tf.mul(item.pullBack(toItems), scale).dataSync<'float32'>(),
    };
  });
}

interface Tower {
  /** The tower's vectors. */
  readonly output: Tensor2D;
  /** Turns a gradient by the vectors into one by the table rows. */
  readonly pullBack: (gradient: Tensor2D) => Tensor2D;
}

function tower(tf: TensorFlow, rows: Tensor2D, normalize: boolean): Tower {
  if (!normalize) return { output: rows, pullBack: (gradient) => gradient };
  const inverse = tf.rsqrt(tf.maximum(tf.sum(tf.square(rows), 1, true), LEAST_SQUARE));
  const output = tf.mul<Tensor2D>(rows, inverse);
  const pullBack = (gradient: Tensor2D): Tensor2D => {
    // Only what stands at a right angle to a row changes its direction.
    const along = tf.sum(tf.mul(gradient, output), 1, true);
    return tf.mul<Tensor2D>(tf.sub(gradient, tf.mul(output, along)), inverse);
  };
  return { output, pullBack };
}
