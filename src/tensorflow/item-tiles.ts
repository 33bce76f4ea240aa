import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { TensorFlow } from './tensorflow.js';

/** Some consecutive rows. */
interface HostTile {
  /** Number of its first row. */
  readonly first: number;
  readonly rows: number;
  /** `rows * dim` values. */
  readonly values: Float32Array;
  /** Half the squared length of each row, for l2. */
  readonly halfSquares: Float32Array | undefined;
}

/** The same on the device. */
export interface ItemTile {
  /** Number of its first row. */
  readonly first: number;
  readonly rows: number;
  /** Of shape [rows, dim]. */
  readonly values: Tensor2D;
  /** Of shape [1, rows]. */
  readonly halfSquares: Tensor2D | undefined;
}

/** Vectors as tiles are cut from: a copy, with rows of length 1 for cosine (zeros stay zeros). */
export function preparedRows({ data, rows, dim }: Matrix, metric: Metric): Matrix {
  const copy = data.slice();
  if (metric === 'cosine') {
    for (let row = 0; row < rows; row++) {
      const square = squareOf(data, row * dim, dim);
      const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
      for (let at = row * dim; at < (row + 1) * dim; at++) copy[at] = data[at]! * scale;
    }
  }
  return { data: copy, rows, dim };
}

/** Cuts vectors into tiles of at most `tileRows`, without copying. */
export function cutTiles(
  { data, rows, dim }: Matrix,
  metric: Metric,
  tileRows: number,
): HostTile[] {
  const tiles: HostTile[] = [];
  for (let first = 0; first < rows; first += tileRows) {
    const count = Math.min(tileRows, rows - first);
    const halfSquares =
      metric === 'l2'
        ? Float32Array.from(
            { length: count },
            (_, row) => squareOf(data, (first + row) * dim, dim) / 2,
          )
        : undefined;
    const values = data.subarray(first * dim, (first + count) * dim);
    tiles.push({ first, rows: count, values, halfSquares });
  }
  return tiles;
}

/** Brings a tile to the current backend. */
export function uploadTile(tf: TensorFlow, tile: HostTile, dim: number): ItemTile {
  const { first, rows, values, halfSquares } = tile;
  return {
    first,
    rows,
    values: tf.tensor2d(values, [rows, dim]),
    halfSquares: halfSquares && tf.tensor2d(halfSquares, [1, rows]),
  };
}

/** Frees the device's memory. */
export function disposeTile({ values, halfSquares }: ItemTile): void {
  values.dispose();
  halfSquares?.dispose();
}

/**
 * The best `count` rows of a tile for each query: `indices` (rows within the tile) and `values` (scores of which the
 * highest is nearest), both of shape [queries, count], best first, of equal scores the lower row first.
 * @param mask of shape [queries, rows of the tile], -Infinity for rows that must not be found and 0 for the others.
 */
export function nearestInTile(
  tf: TensorFlow,
  { values, halfSquares }: ItemTile,
  queries: Tensor2D,
  mask: Tensor2D | undefined,
  count: number,
): { values: Tensor; indices: Tensor } {
  let scores: Tensor = productWithRows(tf, queries, values);
  // |q - x|² = |q|² - 2 (q·x - |x|² / 2)
  if (halfSquares !== undefined) scores = tf.sub(scores, halfSquares);
  if (mask !== undefined) scores = tf.add(scores, mask);
  return tf.topk(scores, count);
}

/** The wasm backend multiplies by a transposed matrix far faster than by one that it is to read as transposed. */
function productWithRows(tf: TensorFlow, queries: Tensor2D, rows: Tensor2D): Tensor2D {
  return tf.getBackend() === 'wasm'
    ? tf.matMul(queries, tf.transpose(rows))
    : tf.matMul(queries, rows, false, true);
}

function squareOf(data: Float32Array, from: number, dim: number): number {
  let square = 0;
  for (let at = from; at < from + dim; at++) square += data[at]! ** 2;
  return square;
}
