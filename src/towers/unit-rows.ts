/** Keeps the length of a zero row from dividing by zero. */
const LEAST_SQUARE = 1e-24;

/** Rows of length 1, and what they were divided by. */
export interface UnitRows {
  /** Row-major. */
  readonly unit: Float32Array;
  /** One a row: 1 / its length. */
  readonly inverse: Float32Array;
}

/** Each row of `dim` values divided by its length; zeros stay zeros. */
export function unitRows(values: Float32Array, dim: number): UnitRows {
  const rows = values.length / dim;
  const unit = new Float32Array(values.length);
  const inverse = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const from = row * dim;
    let square = 0;
    for (let at = from; at < from + dim; at++) square += values[at]! * values[at]!;
    const scale = 1 / Math.sqrt(Math.max(square, LEAST_SQUARE));
    inverse[row] = scale;
    for (let at = from; at < from + dim; at++) unit[at] = values[at]! * scale;
  }
  return { unit, inverse };
}

/** Turns a gradient by the unit rows into one by the rows themselves, in place. */
export function pullBackUnit(gradients: Float32Array, { unit, inverse }: UnitRows): Float32Array {
  const dim = unit.length / inverse.length;
  for (let row = 0; row < inverse.length; row++) {
    const from = row * dim;
    // Only what stands at a right angle to a row changes its direction.
    let along = 0;
    for (let at = from; at < from + dim; at++) along += gradients[at]! * unit[at]!;
    const scale = inverse[row]!;
    for (let at = from; at < from + dim; at++) {
      gradients[at] = (gradients[at]! - along * unit[at]!) * scale;
    }
  }
  return gradients;
}
