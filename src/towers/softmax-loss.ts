import type { Tensor2D } from '@tensorflow/tfjs-core';
import { embeddingBag } from './embedding-bag.js';
import type { EmbeddingBags } from './embedding-table.js';
import type { PairBatch } from './pair-batches.js';
import type { TensorFlow } from '../tensorflow/tensorflow.js';

/** What one step of in-batch softmax is computed from. */
export interface SoftmaxBatch {
  /** The tile's pairs: `rows` users by `columns` items. */
  readonly pairs: PairBatch;
  /** Values a vector. */
  readonly dim: number;
  /** `rows * dim` values, the users' table rows. */
  readonly users: Float32Array;
  /** `columns * dim` values, the items' table rows. */
  readonly items: Float32Array;
  /**
   * `rows * columns` values added to the scaled scores. It carries the logQ correction and masks columns that must
   * not count as negatives (a large negative number).
   */
  readonly bias: Float32Array;
  /** Scores are divided by it. */
  readonly temperature: number;
  /** Whether a score is the cosine of the two rows rather than their dot product. */
  readonly normalize: boolean;
}

/** The loss of a batch and its gradients with respect to the table rows. */
export interface SoftmaxStep {
  /** Mean over the pairs of -log softmax(the pair's item among all columns of its row), in nats. */
  readonly loss: number;
  /** `rows * dim` values. */
  readonly userGradients: Float32Array;
  /** `columns * dim` values. */
  readonly itemGradients: Float32Array;
}

/** Keeps log() finite where a float32 probability has underflowed to 0; reported losses end at 69. */
const LEAST_PROBABILITY = 1e-30;

/** Keeps the length of a zero row from dividing by zero. */
const LEAST_SQUARE = 1e-24;

/**
 * In-batch sampled softmax (Yi et al., RecSys 2019): each pair's item is to be told from the other items of the
 * batch. Pairs that share a row share its softmax (the multinomial likelihood of Liang et al., WWW 2018), so that
 * many pairs cost one row. Computed by TensorFlow.js on its current backend; every tensor is disposed before it
 * returns.
 *
 * The gradient is written out. tfjs-core alone registers none for its own operations, and a derived one would use
 * products with transposed operands, which take about 10 times as long in the wasm backend as an explicit transpose
 * of the smaller operand.
 */
export function inBatchSoftmax(tf: TensorFlow, batch: SoftmaxBatch): SoftmaxStep {
  const { pairs, dim, temperature, normalize } = batch;
  const { pairOffsets, pairColumns } = pairs;
  const rows = pairs.users.length;
  const columns = pairs.items.length;
  const own = ownCells(pairs);
  // Not the tidy's result: tidy looks for tensors in what it returns, one value of a typed array after another,
  // which takes several times as long as the step.
  let step: SoftmaxStep | undefined;
  tf.tidy(() => {
    const user = tower(tf, tf.tensor2d(batch.users, [rows, dim]), normalize);
    const item = tower(tf, tf.tensor2d(batch.items, [columns, dim]), normalize);
    const bias = tf.tensor2d(batch.bias, [rows, columns]);
    const scaled = tf.mul(user.output, 1 / temperature);
    const scores = tf.add(tf.matMul(scaled, tf.transpose(item.output)), bias);
    const chosen = tf.softmax<Tensor2D>(scores as Tensor2D);
    const likelihoods = tf.gather(tf.reshape(chosen, [rows * columns]), tf.tensor1d(own, 'int32'));

    // d loss / d scores = (pairs of the row * chosen - own cells) / all pairs. Own cells are few, so what they add is
    // summed by rows instead of making another tile, and the rows' weights go to what is smaller than the tile.
    const weights = tf.tensor2d(
      Float32Array.from(pairs.users, (_, row) => pairOffsets[row + 1]! - pairOffsets[row]!),
      [rows, 1],
    );
    const ownItems = sumsOf(tf, item.output, { offsets: pairOffsets, rows: pairColumns });
    const ownUsers = sumsOf(tf, user.output, rowsByColumn(pairs));
    const toUsers = tf.sub<Tensor2D>(tf.mul(tf.matMul(chosen, item.output), weights), ownItems);
    const weighted = tf.transpose(tf.mul(user.output, weights));
    const toItems = tf.sub<Tensor2D>(tf.transpose(tf.matMul(weighted, chosen)), ownUsers);
    const scale = 1 / (pairColumns.length * temperature);
    step = {
      loss: meanSurprise(likelihoods.dataSync<'float32'>()),
      userGradients: tf.mul(user.pullBack(toUsers), scale).dataSync<'float32'>(),
      itemGradients: tf.mul(item.pullBack(toItems), scale).dataSync<'float32'>(),
    };
  });
  return step!;
}

/** Mean of -log, in nats. Not by TensorFlow.js: its maximum of NaN and a number is the number in the wasm backend. */
function meanSurprise(likelihoods: Float32Array): number {
  let sum = 0;
  for (const likelihood of likelihoods) sum -= Math.log(Math.max(likelihood, LEAST_PROBABILITY));
  return sum / likelihoods.length;
}

/** Where in the tile, row-major, each pair stands. */
function ownCells({ items, pairOffsets, pairColumns }: PairBatch): Int32Array {
  const cells = new Int32Array(pairColumns.length);
  for (let row = 0; row + 1 < pairOffsets.length; row++) {
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      cells[pair] = row * items.length + pairColumns[pair]!;
    }
  }
  return cells;
}

/** The tile rows that have a pair in each column. */
function rowsByColumn({ items, pairOffsets, pairColumns }: PairBatch): EmbeddingBags {
  const offsets = new Int32Array(items.length + 1);
  for (const column of pairColumns) offsets[column + 1]!++;
  for (let column = 0; column < items.length; column++) offsets[column + 1]! += offsets[column]!;
  const next = offsets.slice();
  const rows = new Int32Array(pairColumns.length);
  for (let row = 0; row + 1 < pairOffsets.length; row++) {
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      rows[next[pairColumns[pair]!]!++] = row;
    }
  }
  return { offsets, rows };
}

/** The sum of the vectors of each bag, a row each. */
function sumsOf(tf: TensorFlow, vectors: Tensor2D, bags: EmbeddingBags): Tensor2D {
  const [, dim] = vectors.shape;
  const sums = embeddingBag(vectors.dataSync<'float32'>(), dim, bags);
  return tf.tensor2d(sums, [bags.offsets.length - 1, dim]);
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
