import { native } from '../native.js';

/** Rows of length 1, and what they were divided by. */
export interface UnitRows {
  /** Row-major. */
  readonly unit: Float32Array;
  /** One a row: 1 / its length. */
  readonly inverse: Float32Array;
}

/** Each row of `dim` values divided by its length; zeros stay zeros. */
export function unitRows(values: Float32Array, dim: number): UnitRows {
  const unit = new Float32Array(values.length);
  const inverse = new Float32Array(values.length / dim);
  native().unitRows(values, dim, unit, inverse);
  return { unit, inverse };
}

/** Turns a gradient by the unit rows into one by the rows themselves, in place. */
export function pullBackUnit(gradients: Float32Array, { unit, inverse }: UnitRows): Float32Array {
  if (inverse.length === 0) return gradients;
  native().pullBackUnitRows(unit, inverse, unit.length / inverse.length, gradients);
  return gradients;
}
