import { LichenArgumentError, shown } from '../errors.js';

/** Row-major vectors over one typed array: row r is `data[r * dim … (r + 1) * dim - 1]`. Nothing is copied. */
export interface Matrix {
  /** `rows * dim` values. */
  readonly data: Float32Array;
  /** Number of vectors. */
  readonly rows: number;
  /** Values a vector, at least 1. */
  readonly dim: number;
}

/** Row-major whole numbers, such as the keys of exact neighbours. */
export interface IntMatrix {
  /** `rows * dim` values. */
  readonly data: Int32Array;
  /** Number of rows. */
  readonly rows: number;
  /** Values a row, at least 1. */
  readonly dim: number;
}

/**
 * Views `data` as vectors of `dim` values, without copying; no values at all are a matrix of 0 rows.
 * @throws ERR_LICHEN_ARGUMENT when data is no Float32Array or dim no positive integer, ERR_LICHEN_DIMENSION when
 * the number of values is no multiple of dim.
 *
 * @example
 * matrix(new Float32Array(6), 3).rows; // 2
 */
export function matrix(data: Float32Array, dim: number): Matrix {
  if (!(data instanceof Float32Array)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `data must be a Float32Array, got ${shown(data)}`,
    );
  }
  if (!Number.isSafeInteger(dim) || dim < 1) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `dim must be a positive integer, got ${String(dim)}`,
    );
  }
  if (data.length % dim !== 0) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `data must hold whole rows of ${dim} values, got ${data.length} values`,
    );
  }
  return { data, rows: data.length / dim, dim };
}

/**
 * A view of one row (`dim` values, not a copy); ERR_LICHEN_ARGUMENT when there is no such row.
 *
 * @example
 * const first = matrixRow(vectors, 0);
 */
export function matrixRow(from: Matrix, row: number): Float32Array {
  if (!Number.isSafeInteger(row) || row < 0 || row >= from.rows) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `row must be in 0..${from.rows - 1}, got ${String(row)}`,
    );
  }
  return from.data.subarray(row * from.dim, (row + 1) * from.dim);
}

/** The rows with these numbers, each of which must be there, in that order; a copy. */
export function matrixRows({ data, dim }: Matrix, rows: Int32Array | Uint32Array): Matrix {
  const chosen = new Float32Array(rows.length * dim);
  rows.forEach((row, at) => chosen.set(data.subarray(row * dim, (row + 1) * dim), at * dim));
  return { data: chosen, rows: rows.length, dim };
}

/**
 * Throws ERR_LICHEN_NOT_FINITE naming the first row and column that is NaN or infinite.
 * @param what the argument or file the matrix came from; the message starts with it.
 */
export function requireFinite(checked: Matrix, what: string): void {
  const { data, dim } = checked;
  for (let at = 0; at < data.length; at++) {
    const value = data[at]!;
    // NaN and the infinities are the only floats that differ from themselves when subtracted.
    if (value - value !== 0) {
      throw new LichenArgumentError(
        'ERR_LICHEN_NOT_FINITE',
        `${what}: row ${Math.floor(at / dim)}, column ${at % dim} is ${value}, expected a finite value`,
      );
    }
  }
}
