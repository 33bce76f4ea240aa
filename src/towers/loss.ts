import type { TensorFlow } from '../tensorflow/tensorflow.js';
import { MASKED } from './score-bias.js';

/** What the loss of one step is computed from: the towers' vectors, row-major, `dim` values each. */
export interface LossBatch {
  /** Values a vector. */
  readonly dim: number;
  /** `rows * dim` values, the users. */
  readonly users: Float32Array;
  /** `columns * dim` values, the items drawn as negatives of all rows. */
  readonly negatives: Float32Array;
  /** `targets * dim` values, the items that stand in pairs. */
  readonly targets: Float32Array;
  /** `rows + 1` positions: the pairs of row r are `pairOffsets[r] … pairOffsets[r + 1] - 1`. */
  readonly pairOffsets: Int32Array;
  /** What each pair of a row weighs; all pairs together 1. */
  readonly rowWeights: Float32Array;
  /** Of each pair, which target. */
  readonly pairTargets: Int32Array;
  /** Of each pair, what is added to its score as `bias` is to a negative's. */
  readonly pairBias: Float32Array;
  /** Of each negative, what is added to its scores: the log of how often it is expected among the negatives, negated. */
  readonly columnBias: Float32Array;
  /** `rows + 1` positions: row r has the masked columns `maskOffsets[r] … maskOffsets[r + 1] - 1`. */
  readonly maskOffsets: Int32Array;
  /** The negatives that are none for the row. */
  readonly maskedColumns: Int32Array;
}

/** A loss and its gradients by the vectors it was computed from. */
export interface LossStep {
  /** Weighted mean a pair, in nats where the loss is a likelihood. */
  readonly loss: number;
  readonly users: Float32Array;
  readonly negatives: Float32Array;
  readonly targets: Float32Array;
}

/** A loss; the dense part of its work is done by TensorFlow.js on the current backend. */
export type Loss = (tf: TensorFlow, batch: LossBatch) => LossStep;

/** What is added to the scores of a batch's negatives, as a tile of rows and columns; {@link MASKED} where one is none. */
export class BiasTile {
  #values = new Float32Array(0);

  /** @returns `rows * columns` values, the same array as for the batch before if it is large enough. */
  of({ columnBias, maskOffsets, maskedColumns }: LossBatch): Float32Array {
    const width = columnBias.length;
    const rows = maskOffsets.length - 1;
    if (this.#values.length < rows * width) this.#values = new Float32Array(rows * width);
    const tile = this.#values.subarray(0, rows * width);
    for (let row = 0; row < rows; row++) {
      tile.set(columnBias, row * width);
      for (let at = maskOffsets[row]!; at < maskOffsets[row + 1]!; at++) {
        tile[row * width + maskedColumns[at]!] = MASKED;
      }
    }
    return tile;
  }
}

/** Row r of `a` times row `b`-row of each of its pairs: the scores of the pairs. */
export function pairScores({
  dim,
  users,
  targets,
  pairOffsets,
  pairTargets,
}: LossBatch): Float32Array {
  const scores = new Float32Array(pairTargets.length);
  for (let row = 0; row + 1 < pairOffsets.length; row++) {
    const user = row * dim;
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      const target = pairTargets[pair]! * dim;
      let sum = 0;
      for (let at = 0; at < dim; at++) sum += users[user + at]! * targets[target + at]!;
      scores[pair] = sum;
    }
  }
  return scores;
}

/** Adds to the gradients of users and targets what pairs give whose loss by the score is `slopes`. */
export function addPairGradients(
  { dim, users, targets, pairOffsets, pairTargets }: LossBatch,
  slopes: Float32Array,
  to: { readonly users: Float32Array; readonly targets: Float32Array },
): void {
  for (let row = 0; row + 1 < pairOffsets.length; row++) {
    const user = row * dim;
    for (let pair = pairOffsets[row]!; pair < pairOffsets[row + 1]!; pair++) {
      const target = pairTargets[pair]! * dim;
      const slope = slopes[pair]!;
      for (let at = 0; at < dim; at++) {
        to.users[user + at]! += slope * targets[target + at]!;
        to.targets[target + at]! += slope * users[user + at]!;
      }
    }
  }
}
