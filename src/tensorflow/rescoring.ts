import type { SearchBatchResult } from '../index/types.js';
import type { Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { TopLists } from './top-lists.js';

/**
 * The best `k` of each query's candidates, scored anew in float64: so the order among equal rows does not hang on where
 * a product of matrices rounded them, and a small squared distance is not the difference of large numbers. Best score
 * first, of equal scores the lower row.
 * @param vectors the rows, and `queries` the queries, of length 1 (or 0) for cosine.
 */
export function rescored(
  vectors: Matrix,
  queries: Matrix,
  metric: Metric,
  candidates: TopLists,
  k: number,
): SearchBatchResult<number> {
  const { dim } = vectors;
  const keys = new Float64Array(queries.rows * k).fill(-1);
  const scores = new Float32Array(queries.rows * k).fill(NaN);
  const counts = candidates.counts.map((count) => Math.min(count, k));
  const scoreOf = metric === 'l2' ? squaredDistance : dotProduct;
  for (let query = 0; query < queries.rows; query++) {
    const first = query * candidates.width;
    const rows = candidates.rows.subarray(first, first + candidates.counts[query]!);
    const rowScores = Float32Array.from(rows, (row) =>
      scoreOf(queries.data, query * dim, vectors.data, row * dim, dim),
    );
    const order = Array.from(rows.keys()).sort(
      (a, b) => compare(rowScores[a]!, rowScores[b]!, metric) || rows[a]! - rows[b]!,
    );
    for (let place = 0; place < counts[query]!; place++) {
      keys[query * k + place] = rows[order[place]!]!;
      scores[query * k + place] = rowScores[order[place]!]!;
    }
  }
  return { keys, scores, counts, rows: queries.rows, k };
}

/** Negative where the score `a` is better; infinities that are equal are so. */
function compare(a: number, b: number, metric: Metric): number {
  if (a === b) return 0;
  return a < b === (metric === 'l2') ? -1 : 1;
}

function dotProduct(
  a: Float32Array,
  fromA: number,
  b: Float32Array,
  fromB: number,
  dim: number,
): number {
  let sum = 0;
  for (let d = 0; d < dim; d++) sum += a[fromA + d]! * b[fromB + d]!;
  return sum;
}

function squaredDistance(
  a: Float32Array,
  fromA: number,
  b: Float32Array,
  fromB: number,
  dim: number,
): number {
  let sum = 0;
  for (let d = 0; d < dim; d++) sum += (a[fromA + d]! - b[fromB + d]!) ** 2;
  return sum;
}
