import type { Matrix } from '../vectors/matrix.js';

/** How much an item that the user has not met pulls its score to 0, beside one that pulls to 1. */
const UNMET_WEIGHT = 0.05;

/** Pull of the vector to 0, beside the items' own squares. */
const RIDGE = 0.1;

/**
 * The vector of a user who was not in training, for towers of ids: the one whose dot products come nearest to 1 on the
 * items of the history and to 0 elsewhere (the fold-in of implicit factors, Hu, Koren and Volinsky, ICDM 2008). No items
 * give zeros.
 */
export function foldIn(items: Matrix, history: readonly number[]): Float64Array {
  const { dim, data } = items;
  const right = new Float64Array(dim);
  if (history.length === 0) return right;
  const system = gramOf(items).map((value) => value * UNMET_WEIGHT);
  for (const item of history) {
    const row = data.subarray(item * dim, (item + 1) * dim);
    for (let at = 0; at < dim; at++) {
      right[at]! += row[at]!;
      for (let other = 0; other < dim; other++) system[at * dim + other]! += row[at]! * row[other]!;
    }
  }
  let trace = 0;
  for (let at = 0; at < dim; at++) trace += system[at * dim + at]!;
  for (let at = 0; at < dim; at++) system[at * dim + at]! += (RIDGE * trace) / dim + 1e-12;
  return solve(system, right);
}

const grams = new WeakMap<Float32Array, Float64Array>();

/** The sum over the items of the products of their values, `dim * dim`; computed once a matrix. */
function gramOf({ data, rows, dim }: Matrix): Float64Array {
  const known = grams.get(data);
  if (known !== undefined) return known;
  const gram = new Float64Array(dim * dim);
  for (let row = 0; row < rows; row++) {
    const from = row * dim;
    for (let at = 0; at < dim; at++) {
      const value = data[from + at]!;
      if (value === 0) continue;
      for (let other = 0; other <= at; other++)
        gram[at * dim + other]! += value * data[from + other]!;
    }
  }
  for (let at = 0; at < dim; at++) {
    for (let other = 0; other < at; other++) gram[other * dim + at] = gram[at * dim + other]!;
  }
  grams.set(data, gram);
  return gram;
}

/** x of A x = b for a symmetric positive definite A, by Cholesky; A is overwritten. */
function solve(system: Float64Array, right: Float64Array): Float64Array {
  const dim = right.length;
  for (let row = 0; row < dim; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = system[row * dim + column]!;
      for (let at = 0; at < column; at++)
        sum -= system[row * dim + at]! * system[column * dim + at]!;
      system[row * dim + column] =
        row === column ? Math.sqrt(sum) : sum / system[column * dim + column]!;
    }
  }
  const x = right.slice();
  for (let row = 0; row < dim; row++) {
    for (let at = 0; at < row; at++) x[row]! -= system[row * dim + at]! * x[at]!;
    x[row]! /= system[row * dim + row]!;
  }
  for (let row = dim - 1; row >= 0; row--) {
    for (let at = row + 1; at < dim; at++) x[row]! -= system[at * dim + row]! * x[at]!;
    x[row]! /= system[row * dim + row]!;
  }
  return x;
}
