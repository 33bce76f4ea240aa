import { LichenArgumentError } from '../errors.js';
import { FlatIndex } from '../index/flat.js';
import type { Key, SearchBatchResult } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { matrixRow, type Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { Neighbours } from './neighbours.js';

/** The exact neighbours of the queries, by their keys or, fairer where rows tie, by their scores. */
export type Truth = TruthByKey | TruthByScore;

/** Neighbours by their keys, best first. */
export interface TruthByKey {
  /** Tells the two kinds apart. */
  readonly by: 'key';
  /** The exact neighbours of each query, by their keys. */
  readonly neighbours: Neighbours<Key>;
}

/** Neighbours by their scores, best first. */
export interface TruthByScore {
  /** Tells the two kinds apart. */
  readonly by: 'score';
  /** The exact scores of each query's neighbours. */
  readonly neighbours: Neighbours<number>;
  /**
   * The exact scores of what a search found (one a place, NaN where it is unused), for an index whose own scores are
   * approximate. Without it the scores that the search reports are taken for exact.
   */
  readonly scoresOf?: (found: SearchBatchResult<Key>) => Float64Array;
}

/**
 * The exact neighbours by scoring every row of the index itself, in the finest storage that it has. What quantization
 * loses does not show against it: for that, see {@link exactTruthAmong}.
 * @param k neighbours a query.
 * @throws as `searchBatch`.
 *
 * @example
 * const truth = await exactTruth(index, queries, 10);
 * const [point] = await measureSearch(index, queries, truth, { k: 10, efs: [64] });
 */
export async function exactTruth(
  index: VectorIndex<Key>,
  queries: Matrix,
  k: number,
  signal?: AbortSignal,
): Promise<Truth> {
  const { scores, rows } = await index.searchBatch(queries, { k, exact: true, signal });
  return { by: 'score', neighbours: { values: scores, rows, width: k } };
}

/**
 * The exact neighbours among the vectors that an index was made of. Where its storage makes its scores approximate, what
 * it finds is judged by exact scores of the rows found, so the vectors must be the index's own, in the order of adding.
 * @throws ERR_LICHEN_DIMENSION for another dim, and where such an index has another number of rows; as `searchBatch`.
 *
 * @example
 * const index = new FlatIndex({ dim: itemVectors.dim, metric: 'dot', storage: 'i4' });
 * await index.add(itemVectors);
 * const truth = await exactTruthAmong(itemVectors, index, queries, 10); // tells what i4 loses
 */
export async function exactTruthAmong(
  vectors: Matrix,
  index: VectorIndex<Key>,
  queries: Matrix,
  k: number,
  signal?: AbortSignal,
): Promise<Truth> {
  const { metric } = index;
  using exact = new FlatIndex({ dim: vectors.dim, metric });
  await exact.add(vectors, { signal });
  if (reportsExactScores(index)) return await exactTruth(exact, queries, k, signal);
  if (index.dim !== vectors.dim || index.size !== vectors.rows) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `vectors must be those of the index, ${index.size} of dim ${index.dim}, got ${vectors.rows} of dim ${vectors.dim}`,
    );
  }
  const scoreOf = exactScores(vectors, queries, metric);
  const truth = await exact.searchBatch(queries, { k, exact: true, signal });
  const rowOf = rowsOfKeys(index);
  return {
    by: 'score',
    // Scored as what is found will be, so that rounding cannot tell the two apart.
    neighbours: { values: scoresOf(truth, (key) => key, scoreOf), rows: truth.rows, width: k },
    scoresOf: (found) => scoresOf(found, rowOf, scoreOf),
  };
}

function reportsExactScores({ storage, rerank }: VectorIndex<Key>): boolean {
  return (rerank ?? storage) === 'f32';
}

function rowsOfKeys(index: VectorIndex<Key>): (key: Key) => number {
  if (index.keyKind === 'row') return (key) => key as number;
  const rows = new Map<Key, number>();
  const keys = index.keys();
  for (let row = 0; row < keys.length; row++) rows.set(keys[row]!, row);
  return (key) => rows.get(key)!;
}

function scoresOf<K extends Key>(
  { keys, counts, rows, k }: SearchBatchResult<K>,
  rowOf: (key: K) => number,
  scoreOf: (query: number, row: number) => number,
): Float64Array {
  const scores = new Float64Array(rows * k).fill(NaN);
  for (let query = 0; query < rows; query++) {
    for (let at = query * k; at < query * k + counts[query]!; at++) {
      scores[at] = scoreOf(query, rowOf(keys[at] as K));
    }
  }
  return scores;
}

/** The score, in float64, of a query and a row by their numbers. */
export function exactScores(
  vectors: Matrix,
  queries: Matrix,
  metric: Metric,
): (query: number, row: number) => number {
  return (query, row) => {
    const a = matrixRow(queries, query);
    const b = matrixRow(vectors, row);
    let dot = 0;
    let distance = 0;
    let squares = 0;
    let otherSquares = 0;
    for (let d = 0; d < vectors.dim; d++) {
      dot += a[d]! * b[d]!;
      distance += (a[d]! - b[d]!) ** 2;
      squares += a[d]! ** 2;
      otherSquares += b[d]! ** 2;
    }
    if (metric === 'l2') return distance;
    // The zero vector has no direction and scores 0.
    return metric === 'dot' ? dot : dot === 0 ? 0 : dot / Math.sqrt(squares * otherSquares);
  };
}
