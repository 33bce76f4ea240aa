import { Random } from '../../src/vectors/random.js';
import type { Metric } from '../../src/vectors/metric.js';

/** Seeded points around some centres: harder for a graph than uniform ones, and nearer to real embeddings. */
export function clustered(seed: number, rows: number, dim: number, clusters = 20): Float32Array {
  const random = new Random(seed);
  const centres = Float32Array.from({ length: clusters * dim }, () => random.gaussian());
  return Float32Array.from({ length: rows * dim }, (_, at) => {
    const cluster = (Math.floor(at / dim) * 7919) % clusters;
    return centres[cluster * dim + (at % dim)]! + 0.4 * random.gaussian();
  });
}

/** The exact neighbours in float64, one plain loop: row numbers, nearest first, ties to the lower row. */
export function exactRows(
  vectors: Float32Array,
  query: Float32Array,
  metric: Metric,
  k: number,
): { row: number; score: number }[] {
  const dim = query.length;
  const scored = Array.from({ length: vectors.length / dim }, (_, row) => {
    let dot = 0;
    let l2 = 0;
    let aa = 0;
    let bb = 0;
    for (let d = 0; d < dim; d++) {
      const a = query[d]!;
      const b = vectors[row * dim + d]!;
      dot += a * b;
      l2 += (a - b) ** 2;
      aa += a * a;
      bb += b * b;
    }
    const length = Math.sqrt(aa * bb);
    const score = metric === 'l2' ? l2 : metric === 'dot' ? dot : length === 0 ? 0 : dot / length;
    return { row, score };
  });
  const sign = metric === 'l2' ? 1 : -1;
  return scored.sort((a, b) => sign * (a.score - b.score) || a.row - b.row).slice(0, k);
}

/** Mean recall of the `k` results of a search for each of `queries`, row after row. */
export function meanRecall(
  search: (query: Float32Array) => ArrayLike<number>,
  { vectors, queries, dim, metric, k }: RecallTask,
): number {
  let found = 0;
  for (let at = 0; at < queries.length; at += dim) {
    const query = queries.subarray(at, at + dim);
    const truth = exactRows(vectors, query, metric, k).map(({ row }) => row);
    found += overlap(search(query), truth);
  }
  return found / (queries.length / dim);
}

/** What {@link meanRecall} compares with. */
export interface RecallTask {
  readonly vectors: Float32Array;
  readonly queries: Float32Array;
  readonly dim: number;
  readonly metric: Metric;
  readonly k: number;
}

/** Share of the expected that is among the found. */
export function overlap(found: ArrayLike<number>, expected: readonly number[]): number {
  const set = new Set(Array.from(found));
  return expected.filter((row) => set.has(row)).length / expected.length;
}
