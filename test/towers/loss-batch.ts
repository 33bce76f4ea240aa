import type { LossBatch } from '../../src/towers/loss.js';
import { randomValues } from './pairs.js';

/** The masks of a batch. */
export function maskedPlaces(
  rows: number,
  columns: number,
  isMasked: (row: number, column: number) => boolean,
): Pick<LossBatch, 'maskOffsets' | 'maskedColumns'> {
  const all = Array.from({ length: columns }, (_, column) => column);
  const ofRows = Array.from({ length: rows }, (_, row) =>
    all.filter((column) => isMasked(row, column)),
  );
  const offsets = ofRows.map((_, row) => ofRows.slice(0, row + 1).flat().length);
  return {
    maskOffsets: Int32Array.of(0, ...offsets),
    maskedColumns: Int32Array.from(ofRows.flat()),
  };
}

/** A batch of 5 rows with 2, 0, 1, 3 and 1 pairs, 9 negatives of which some are masked, and 4 targets. */
export function lossBatch(dim: number, spread = 1): LossBatch {
  const rows = 5;
  const columns = 9;
  return {
    dim,
    users: randomValues(rows * dim, 1).map((value) => value * spread),
    negatives: randomValues(columns * dim, 2).map((value) => value * spread),
    targets: randomValues(4 * dim, 3).map((value) => value * spread),
    pairOffsets: Int32Array.of(0, 2, 2, 3, 6, 7),
    // The second row has no pairs; all pairs together weigh 1.
    rowWeights: Float32Array.of(0.05, 0.7, 0.3, 0.15, 0.15),
    pairTargets: Int32Array.of(0, 3, 1, 0, 1, 2, 3),
    pairBias: randomValues(7, 5),
    columnBias: randomValues(columns, 4),
    ...maskedPlaces(rows, columns, (row, column) => (row * columns + column) % 7 === 3),
  };
}

type Vectors = Record<'users' | 'negatives' | 'targets', Float64Array>;

/** A loss from its definition, in float64: of the scores of a row's pairs and those of its negatives that are none masked. */
export type PlainLoss = (
  pairs: readonly { score: number; bias: number }[],
  negatives: readonly { score: number; bias: number }[],
) => number;

/** The weighted mean over all pairs of a plain loss, which gives the sum over a row's. */
export function plainLoss(batch: LossBatch, loss: PlainLoss, vectors: Vectors): number {
  const { dim, pairOffsets, pairTargets, pairBias, rowWeights } = batch;
  const dot = (a: Float64Array, row: number, b: Float64Array, other: number): number => {
    let sum = 0;
    for (let at = 0; at < dim; at++) sum += a[row * dim + at]! * b[other * dim + at]!;
    return sum;
  };
  const { columnBias, maskOffsets, maskedColumns } = batch;
  let sum = 0;
  for (let row = 0; row + 1 < pairOffsets.length; row++) {
    const first = pairOffsets[row]!;
    const ofRow = pairTargets.subarray(first, pairOffsets[row + 1]);
    const pairs = Array.from(ofRow, (target, at) => ({
      score: dot(vectors.users, row, vectors.targets, target),
      bias: pairBias[first + at]!,
    }));
    const masked = maskedColumns.subarray(maskOffsets[row], maskOffsets[row + 1]);
    const negatives = Array.from(columnBias, (bias, column) => ({
      score: dot(vectors.users, row, vectors.negatives, column),
      bias,
    })).filter((_, column) => !masked.includes(column));
    sum += rowWeights[row]! * loss(pairs, negatives);
  }
  return sum;
}

/** The vectors of a batch in float64. */
export function vectorsOf(batch: LossBatch): Vectors {
  return {
    users: Float64Array.from(batch.users),
    negatives: Float64Array.from(batch.negatives),
    targets: Float64Array.from(batch.targets),
  };
}

/** The gradient of `loss` by the vectors, from differences. */
export function numericGradients(vectors: Vectors, loss: (vectors: Vectors) => number): Vectors {
  const gradients = {} as Vectors;
  for (const side of ['users', 'negatives', 'targets'] as const) {
    const values = vectors[side];
    gradients[side] = values.map((value, at) => {
      const [below, above] = [-1e-5, 1e-5].map((shift) => {
        values[at] = value + shift;
        return loss(vectors);
      });
      values[at] = value;
      return (above! - below!) / 2e-5;
    });
  }
  return gradients;
}
