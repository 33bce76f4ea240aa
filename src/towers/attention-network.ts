import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { TensorFlow } from '../tensorflow/tensorflow.js';
import type { Random } from '../vectors/random.js';

/** Shape of an {@link AttentionNetwork}. */
export interface AttentionShape {
  /** Values a vector. */
  readonly dim: number;
  readonly layers: number;
  /** Places of a sequence, at most. */
  readonly maxHistory: number;
}

/** What each layer has: matrices of `dim` rows, and single rows. */
const LAYER_PARTS = [
  ['query', 'matrix'],
  ['key', 'matrix'],
  ['value', 'matrix'],
  ['inner', 'matrix'],
  ['outer', 'matrix'],
  ['innerBias', 'row'],
  ['outerBias', 'row'],
  ['attentionGain', 'row'],
  ['attentionBias', 'row'],
  ['forwardGain', 'row'],
  ['forwardBias', 'row'],
] as const;

type LayerPart = (typeof LAYER_PARTS)[number][0];

/** Added to the logit of what comes later. */
const HIDDEN = -1e9;

/** Keeps the deviation of a constant row from dividing by zero. */
const LEAST_VARIANCE = 1e-8;

/** Rows of `dim` values that a network is made of. */
export function networkRows({ dim, layers, maxHistory }: AttentionShape): number {
  const matrices = LAYER_PARTS.filter(([, kind]) => kind === 'matrix').length;
  const ofLayer = matrices * dim + (LAYER_PARTS.length - matrices);
  // Last come the gain and the bias of the output.
  return maxHistory + layers * ofLayer + 2;
}

/** Sets the first values of a network in `weights`: matrices and places at random, gains at 1 and biases at 0. */
export function initializeNetwork(
  weights: Float32Array,
  shape: AttentionShape,
  random: Random,
): void {
  const { dim, layers, maxHistory } = shape;
  let at = maxHistory * dim;
  weights.subarray(0, at).forEach((_, place) => (weights[place] = 0.1 * random.gaussian()));
  const spread = 1 / Math.sqrt(dim);
  for (let layer = 0; layer < layers; layer++) {
    for (const [part, kind] of LAYER_PARTS) {
      const size = kind === 'matrix' ? dim * dim : dim;
      for (let end = at + size; at < end; at++) {
        if (kind === 'matrix') weights[at] = spread * random.gaussian();
        else weights[at] = part.endsWith('Gain') ? 1 : 0;
      }
    }
  }
  weights.fill(1, at, at + dim);
  weights.fill(0, at + dim, at + 2 * dim);
}

/**
 * A self-attention network over sequences of vectors (SASRec, Kang and McAuley, ICDM 2018), each place seeing those
 * before it: `layers` of one-headed attention and a network of two layers, both normalized before and added to what they
 * were given. It keeps no state of its own but a view of its weights.
 */
export class AttentionNetwork {
  constructor(
    private readonly tf: TensorFlow,
    readonly shape: AttentionShape,
    /** {@link networkRows} rows of `dim` values. */
    readonly weights: Float32Array,
  ) {}

  /** The weights as tensors, in the order in which {@link apply} takes them. */
  tensors(): Tensor[] {
    const { tf, weights } = this;
    const { dim, layers, maxHistory } = this.shape;
    let at = 0;
    const next = (rows: number): Tensor => {
      const from = at;
      at += rows * dim;
      return tf.tensor2d(weights.subarray(from, at), [rows, dim]);
    };
    const tensors = [next(maxHistory)];
    for (let layer = 0; layer < layers; layer++) {
      for (const [, kind] of LAYER_PARTS) tensors.push(next(kind === 'matrix' ? dim : 1));
    }
    tensors.push(next(1), next(1));
    return tensors;
  }

  /**
   * The vectors of sequences at every place: [sequences, places, dim] of the same shape, sequences beginning at place 0.
   * @param keep gives a mask by which activations are multiplied in training.
   */
  apply(inputs: Tensor3D, weights: readonly Tensor[], keep?: () => Tensor3D): Tensor3D {
    const { tf } = this;
    const { dim, layers } = this.shape;
    const [sequences, places] = inputs.shape;
    const dropped = (x: Tensor3D): Tensor3D => (keep === undefined ? x : tf.mul(x, keep()));
    const dense = (x: Tensor3D, matrix: Tensor): Tensor3D =>
      tf.reshape(tf.matMul(tf.reshape(x, [sequences * places, dim]), matrix), [
        sequences,
        places,
        dim,
      ]);
    const positions = tf.slice(weights[0] as Tensor2D, [0, 0], [places, dim]);
    let x = dropped(tf.add<Tensor3D>(inputs, tf.reshape(positions, [1, places, dim])));
    for (let layer = 0; layer < layers; layer++) {
      const first = 1 + layer * LAYER_PARTS.length;
      const part = (name: LayerPart): Tensor =>
        weights[first + LAYER_PARTS.findIndex(([known]) => known === name)]!;
      const seen = this.normalized(x, part('attentionGain'), part('attentionBias'));
      const logits = tf.mul(
        tf.matMul(dense(seen, part('query')), dense(seen, part('key')), false, true),
        1 / Math.sqrt(dim),
      );
      const attended = tf.matMul(
        tf.softmax<Tensor3D>(tf.add(logits, this.causal(places))),
        dense(seen, part('value')),
      );
      x = tf.add(x, dropped(attended as Tensor3D));
      const normal = this.normalized(x, part('forwardGain'), part('forwardBias'));
      const inner = tf.relu(tf.add<Tensor3D>(dense(normal, part('inner')), part('innerBias')));
      x = tf.add(x, dropped(tf.add<Tensor3D>(dense(inner, part('outer')), part('outerBias'))));
    }
    return this.normalized(x, weights.at(-2)!, weights.at(-1)!);
  }

  /** Layer normalization (Ba, Kiros and Hinton, 2016). */
  private normalized(x: Tensor3D, gain: Tensor, bias: Tensor): Tensor3D {
    const { tf } = this;
    const centred = tf.sub(x, tf.mean(x, 2, true));
    const variance = tf.mean(tf.square(centred), 2, true);
    const scaled = tf.mul(centred, tf.rsqrt(tf.add(variance, LEAST_VARIANCE)));
    return tf.add<Tensor3D>(tf.mul(scaled, gain), bias);
  }

  private causal(places: number): Tensor {
    const mask = new Float32Array(places * places);
    for (let row = 0; row < places; row++)
      mask.fill(HIDDEN, row * places + row + 1, (row + 1) * places);
    return this.tf.tensor3d(mask, [1, places, places]);
  }
}
