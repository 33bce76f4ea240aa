import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { TensorFlow } from './tensorflow.js';

/** Some consecutive rows as a tensor of columns: what a product of queries wants on its right. */
interface HostTile {
  readonly first: number;
  readonly rows: number;
  /** `dim * rows` values, those of a dimension together. */
  readonly columns: Float32Array;
  /** Half the squared length of each row, for l2. */
  readonly halfSquares: Float32Array | undefined;
}

/** The same on the device. */
export interface ItemTile {
  /** Number of its first row. */
  readonly first: number;
  readonly rows: number;
  /** Of shape [dim, rows]. */
  readonly columns: Tensor2D;
  /** Of shape [1, rows]. */
  readonly halfSquares: Tensor2D | undefined;
}

/** Cuts vectors into tiles of at most `tileRows`: a copy, with rows of length 1 for cosine (zeros stay zeros). */
export function cutTiles(vectors: Matrix, metric: Metric, tileRows: number): HostTile[] {
  const { data, rows, dim } = vectors;
  const tiles: HostTile[] = [];
  for (let first = 0; first < rows; first += tileRows) {
    const count = Math.min(tileRows, rows - first);
    const columns = new Float32Array(dim * count);
    const halfSquares = metric === 'l2' ? new Float32Array(count) : undefined;
    for (let row = 0; row < count; row++) {
      const from = (first + row) * dim;
      const scale = metric === 'cosine' ? inverseLength(data, from, dim) : 1;
      for (let d = 0; d < dim; d++) columns[d * count + row] = data[from + d]! * scale;
      if (halfSquares !== undefined) halfSquares[row] = squareOf(data, from, dim) / 2;
    }
    tiles.push({ first, rows: count, columns, halfSquares });
  }
  return tiles;
}

/** Brings a tile to the current backend. */
export function uploadTile(tf: TensorFlow, tile: HostTile, dim: number): ItemTile {
  const { first, rows, columns, halfSquares } = tile;
  return {
    first,
    rows,
    columns: tf.tensor2d(columns, [dim, rows]),
    halfSquares: halfSquares && tf.tensor2d(halfSquares, [1, rows]),
  };
}

/** Frees the device's memory. */
export function disposeTile({ columns, halfSquares }: ItemTile): void {
  columns.dispose();
  halfSquares?.dispose();
}

/** Queries as vectors of length 1, a copy; zeros stay zeros. */
export function normalizedRows({ data, rows, dim }: Matrix): Float32Array {
  const scaled = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const scale = inverseLength(data, row * dim, dim);
    for (let at = row * dim; at < (row + 1) * dim; at++) scaled[at] = data[at]! * scale;
  }
  return scaled;
}

/** What {@link nearestInTile} looks for. */
export interface TileQuery {
  /** Of shape [queries, dim]. */
  readonly rows: Tensor2D;
  /** The same, of shape [dim, queries, 1]. */
  readonly columns: Tensor;
  /** Of shape [queries, rows of the tile], -Infinity for rows that must not be found and 0 for the others. */
  readonly mask: Tensor2D | undefined;
}

/**
 * The best `count` rows of a tile for each query: `rows` (within the tile) and `scores`, both of shape [queries, count],
 * in no particular order. The product with all rows picks them; they are scored anew pair by pair, so that the order
 * among equal rows does not hang on where they stand in the tile, and a small squared distance is not the difference
 * of large numbers.
 */
export function nearestInTile(
  tf: TensorFlow,
  metric: Metric,
  tile: ItemTile,
  query: TileQuery,
  count: number,
): { rows: Tensor; scores: Tensor } {
  const [queries, dim] = query.rows.shape;
  const { columns, halfSquares } = tile;
  let rough: Tensor = tf.matMul(query.rows, columns);
  // |q - x|² = |q|² - 2 (q·x - |x|² / 2)
  if (halfSquares !== undefined) rough = tf.sub(rough, halfSquares);
  if (query.mask !== undefined) rough = tf.add(rough, query.mask);
  const { indices } = tf.topk(rough, count, false);
  const gathered = tf.gather(columns, tf.reshape(indices, [queries * count]), 1);
  const pairs = tf.reshape(gathered, [dim, queries, count]);
  const terms =
    metric === 'l2' ? tf.square(tf.sub(pairs, query.columns)) : tf.mul(pairs, query.columns);
  return { rows: indices, scores: tf.sum(terms, 0) };
}

function squareOf(data: Float32Array, from: number, dim: number): number {
  let square = 0;
  for (let at = from; at < from + dim; at++) square += data[at]! ** 2;
  return square;
}

function inverseLength(data: Float32Array, from: number, dim: number): number {
  const square = squareOf(data, from, dim);
  return square > 0 ? 1 / Math.sqrt(square) : 0;
}
