import type { TensorFlow } from '../tensorflow/tensorflow.js';

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
  /**
   * `rows * columns` values: the log of how often the negative is expected among the negatives, negated; {@link MASKED}
   * where the negative is none for the row.
   */
  readonly bias: Float32Array;
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
