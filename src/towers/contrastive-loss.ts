import type { Tensor2D } from '@tensorflow/tfjs-core';
import {
  BiasTile,
  addPairGradients,
  pairScores,
  type Loss,
  type LossBatch,
  type LossStep,
} from './loss.js';
import type { TensorFlow } from '../tensorflow/tensorflow.js';

/** Settings of {@link contrastiveLoss}. */
export interface ContrastiveOptions {
  /** Cosines of negatives below it cost nothing. */
  readonly margin: number;
  /** What all negatives of a pair together weigh beside the pair. */
  readonly negativeWeight: number;
}

/**
 * Cosine contrastive loss (Mao et al., SimpleX, CIKM 2021): 1 - the pair's cosine, plus `negativeWeight` times the mean
 * over the negatives of what their cosines are above `margin`. Its vectors have length 1.
 */
export function contrastiveLoss(options: ContrastiveOptions): Loss {
  const tile = new BiasTile();
  return (tf, batch) => step(tf, batch, options, tile.of(batch));
}

function step(
  tf: TensorFlow,
  batch: LossBatch,
  { margin, negativeWeight }: ContrastiveOptions,
  tile: Float32Array,
): LossStep {
  const { dim, pairOffsets, rowWeights } = batch;
  const rows = pairOffsets.length - 1;
  const columns = batch.negatives.length / dim;
  const pairs = pairScores(batch);
  const slopes = new Float32Array(pairs.length);
  const weights = new Float32Array(rows);
  let ofPairs = 0;
  for (let row = 0; row < rows; row++) {
    const weight = rowWeights[row]!;
    weights[row] =
      ((pairOffsets[row + 1]! - pairOffsets[row]!) * weight * negativeWeight) / columns;
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      ofPairs += weight * (1 - pairs[pair]!);
      slopes[pair] = -weight;
    }
  }
  let result: LossStep | undefined;
  tf.tidy(() => {
    const users = tf.tensor2d(batch.users, [rows, dim]);
    const negatives = tf.tensor2d(batch.negatives, [columns, dim]);
    const bias = tf.tensor2d(tile, [rows, columns]);
    // Of the bias, only its masks mean anything here.
    const masked = tf.less(bias, MASK_LIMIT);
    const above = tf.sub(tf.matMul(users, tf.transpose(negatives)), margin);
    const excess = tf.where(masked, tf.zerosLike(above), tf.relu(above));
    const weighted = tf.mul(excess, tf.tensor2d(weights, [rows, 1]));
    const pull = tf.mul<Tensor2D>(tf.step(excess), tf.tensor2d(weights, [rows, 1]));
    result = {
      loss: ofPairs + tf.sum(weighted).dataSync<'float32'>()[0]!,
      users: tf.matMul(pull, negatives).dataSync<'float32'>().slice(),
      negatives: tf.transpose(tf.matMul(tf.transpose(users), pull)).dataSync<'float32'>(),
      targets: new Float32Array(batch.targets.length),
    };
    addPairGradients(batch, slopes, result);
  });
  return result!;
}

/** Below any correction for sampling, above any mask. */
const MASK_LIMIT = -1e8;
