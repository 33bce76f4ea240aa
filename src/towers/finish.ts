import { matrix, requireFinite, type Matrix } from '../vectors/matrix.js';
import type { ResolvedTwoTowerOptions } from './options.js';
import type { UserItems } from './pair-batches.js';
import type { TwoTowerTrainer } from './trainer.js';

/**
 * The vectors that a trained model gives out, made in place of the trainer's tables: of length 1 if scores are
 * cosines. What was never trained still has random values: such items become zeros and such users the mean user.
 * @throws ERR_LICHEN_NOT_FINITE when the training diverged in its last step.
 */
export function finishVectors(
  trainer: Pick<TwoTowerTrainer, 'users' | 'items'>,
  source: UserItems,
  { dim, normalize }: Pick<ResolvedTwoTowerOptions, 'dim' | 'normalize'>,
): { userVectors: Matrix; itemVectors: Matrix } {
  const userVectors = matrix(trainer.users, dim);
  const itemVectors = matrix(trainer.items, dim);
  requireFinite(userVectors, 'training diverged: user vectors');
  requireFinite(itemVectors, 'training diverged: item vectors');
  if (normalize) {
    normalizeRows(userVectors);
    normalizeRows(itemVectors);
  }
  const { offsets, items } = source;
  fillRows(userVectors, (user) => offsets[user] === offsets[user + 1], 'mean', normalize);
  const met = new Uint8Array(itemVectors.rows);
  for (const item of items) met[item] = 1;
  fillRows(itemVectors, (item) => met[item] === 0, 'zeros', normalize);
  return { userVectors, itemVectors };
}

/** Sets the untrained rows to zeros or to the mean of the trained ones. */
function fillRows(
  { data, rows, dim }: Matrix,
  isUntrained: (row: number) => boolean,
  by: 'mean' | 'zeros',
  normalize: boolean,
): void {
  const mean = new Float64Array(dim);
  const untrained: number[] = [];
  for (let row = 0; row < rows; row++) {
    if (isUntrained(row)) untrained.push(row);
    else if (by === 'mean') {
      for (let at = 0; at < dim; at++) mean[at]! += data[row * dim + at]!;
    }
  }
  const filler = Float32Array.from(mean, (sum) => sum / Math.max(1, rows - untrained.length));
  if (normalize) normalizeRows(matrix(filler, dim));
  for (const row of untrained) data.set(filler, row * dim);
}

function normalizeRows({ data, rows, dim }: Matrix): void {
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * dim, (row + 1) * dim);
    let square = 0;
    for (const value of values) square += value * value;
    const length = Math.sqrt(square);
    if (length > 0) for (let at = 0; at < dim; at++) values[at]! /= length;
  }
}
