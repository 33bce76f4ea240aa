import type { Tensor2D } from '@tensorflow/tfjs-core';
import { native } from '../native.js';
import { TENSORFLOW_NAMES } from '../tensorflow/backends.js';
import {
  BiasTile,
  addPairGradients,
  pairScores,
  type Loss,
  type LossBatch,
  type LossStep,
} from './loss.js';
import type { TensorFlow } from '../tensorflow/tensorflow.js';

/** Backends on which the step is a native call; a device would have to give the scores back in the middle of it. */
const ONE_CALL: ReadonlySet<string> = new Set([
  TENSORFLOW_NAMES.lichen,
  TENSORFLOW_NAMES['lichen-cuda'],
]);

/**
 * Sampled softmax with the correction for sampling bias (Yi et al., RecSys 2019): each pair's item is to be told from
 * the negatives, which stand for all items, and from the other items of the row's pairs. The pairs of a row share its
 * softmax (the multinomial likelihood of Liang et al., WWW 2018). On the backends `lichen` and `lichen-cuda` the step is one
 * native call.
 * @param temperature scores are divided by it.
 */
export function softmaxLoss(temperature: number): Loss {
  const tile = new BiasTile();
  return (tf, batch) =>
    ONE_CALL.has(tf.getBackend())
      ? nativeStep(batch, temperature)
      : composedStep(tf, batch, temperature, tile.of(batch));
}

function nativeStep(batch: LossBatch, temperature: number): LossStep {
  const of = {
    users: new Float32Array(batch.users.length),
    negatives: new Float32Array(batch.negatives.length),
    targets: new Float32Array(batch.targets.length),
  };
  const loss = native().sampledSoftmaxStep(
    batch.users,
    batch.negatives,
    batch.targets,
    batch.dim,
    temperature,
    batch.columnBias,
    batch.maskOffsets,
    batch.maskedColumns,
    batch.pairOffsets,
    batch.pairTargets,
    batch.pairBias,
    batch.rowWeights,
    of.users,
    of.negatives,
    of.targets,
  );
  return { loss, ...of };
}

function composedStep(
  tf: TensorFlow,
  batch: LossBatch,
  temperature: number,
  bias: Float32Array,
): LossStep {
  const { dim, pairOffsets, rowWeights } = batch;
  const rows = pairOffsets.length - 1;
  const columns = batch.negatives.length / dim;
  const pairs = pairScores(batch).map((score, at) => score / temperature + batch.pairBias[at]!);
  const slopes = new Float32Array(pairs.length);
  let loss = 0;
  let result: LossStep | undefined;
  // Not the tidy's result: tidy looks for tensors in what it returns, one value of a typed array after another,
  // which takes several times as long as the step.
  tf.tidy(() => {
    const users = tf.tensor2d(batch.users, [rows, dim]);
    const negatives = tf.tensor2d(batch.negatives, [columns, dim]);
    const scaled = tf.mul(users, 1 / temperature);
    // The gradients are written out: tfjs-core alone registers none for its own operations. The smaller operand is
    // transposed for itself, which the wasm backend does about 10 times as fast as within the product.
    const scores = tf.add<Tensor2D>(
      tf.matMul(scaled, tf.transpose(negatives)),
      tf.tensor2d(bias, [rows, columns]),
    );
    const greatest = rowGreatest(tf.max(scores, 1).dataSync<'float32'>(), pairs, pairOffsets);
    const exponentials = tf.exp(tf.sub(scores, tf.tensor2d(greatest, [rows, 1])));
    const sums = tf.sum(exponentials, 1).dataSync<'float32'>();

    const factors = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      const first = pairOffsets[row]!;
      const end = pairOffsets[row + 1]!;
      let sum = sums[row]!;
      for (let pair = first; pair < end; pair++) sum += Math.exp(pairs[pair]! - greatest[row]!);
      const surprise = greatest[row]! + Math.log(sum);
      const scale = rowWeights[row]! / temperature;
      factors[row] = ((end - first) * scale) / sum;
      for (let pair = first; pair < end; pair++) {
        loss += rowWeights[row]! * (surprise - pairs[pair]!);
        const share = Math.exp(pairs[pair]! - surprise);
        slopes[pair] = ((end - first) * share - 1) * scale;
      }
    }

    const pull = tf.mul<Tensor2D>(exponentials, tf.tensor2d(factors, [rows, 1]));
    result = {
      loss,
      users: tf.matMul(pull, negatives).dataSync<'float32'>().slice(),
      negatives: tf.transpose(tf.matMul(tf.transpose(users), pull)).dataSync<'float32'>(),
      targets: new Float32Array(batch.targets.length),
    };
    addPairGradients(batch, slopes, result);
  });
  return result!;
}

/** Of each row the greatest score, of its negatives or its pairs. */
function rowGreatest(
  ofNegatives: Float32Array,
  pairs: Float32Array,
  pairOffsets: Int32Array,
): Float32Array {
  return ofNegatives.map((greatest, row) => {
    const end = pairOffsets[row + 1]!;
    for (let pair = pairOffsets[row]!; pair < end; pair++)
      greatest = Math.max(greatest, pairs[pair]!);
    return greatest;
  });
}
