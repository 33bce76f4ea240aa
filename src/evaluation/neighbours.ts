import { LichenArgumentError } from '../errors.js';
import { higherIsBetter, parseMetric, type Metric } from '../vectors/metric.js';

/** Neighbours of some queries, best first: `rows * width` values, row-major. */
export interface Neighbours<T> {
  /** Keys or scores; an unused place holds -1, '' or NaN. */
  readonly values: ArrayLike<T>;
  /** Number of queries. */
  readonly rows: number;
  /** Places a query. */
  readonly width: number;
}

/**
 * Share of the first k true neighbours that stand among the first k found, averaged over the queries. Where fewer
 * than k are true (a small index), they are the denominator; a query without any (nothing passes a filter) counts as 1.
 * @throws ERR_LICHEN_ARGUMENT unless k is a positive integer, ERR_LICHEN_DIMENSION when the rows differ in number, are
 * shorter than k or do not make up the values, ERR_LICHEN_EMPTY without queries.
 *
 * @example
 * const truth = { values: [1, 2, 3], rows: 1, width: 3 };
 * recallAtK({ values: [2, 9, 1], rows: 1, width: 3 }, truth, 2); // 0.5
 */
export function recallAtK<T extends number | string>(
  found: Neighbours<T>,
  truth: Neighbours<T>,
  k: number,
): number {
  requireSameQueries(found, truth, k);
  return meanOverRows(found.rows, (row) => {
    const expected = new Set<T>();
    for (let place = 0; place < k; place++) {
      const key = truth.values[row * truth.width + place]!;
      if (key !== -1 && key !== '') expected.add(key);
    }
    const size = expected.size;
    let hits = 0;
    // delete() counts a key found twice only once.
    for (let place = 0; place < k; place++) {
      if (expected.delete(found.values[row * found.width + place]!)) hits++;
    }
    return size === 0 ? 1 : hits / size;
  });
}

/** Options of {@link recallAtKByScore}. */
export interface ScoreRecallOptions {
  /** Results a query that count. */
  k: number;
  /** What scores are, and so which are better. */
  metric: Metric;
  /** Difference from the k-th exact score that still counts as a tie, relative to that score. Default 1e-5. */
  tolerance?: number;
}

/**
 * Recall@k where ties are fair: a found neighbour counts if its exact score is at least as good as that of the k-th
 * true neighbour, whichever of several equal rows (duplicates) it is.
 * @param found exact scores of distinct rows found: those that an f32 index reports; those of another storage are
 * approximate and say nothing here.
 * @param truth scores of an exact search.
 * @throws as {@link recallAtK}; ERR_LICHEN_ARGUMENT for an unknown metric, or a tolerance negative or not finite.
 *
 * @example
 * const truth = { values: [0.9, 0.8], rows: 1, width: 2 };
 * const found = { values: [0.9, 0.7], rows: 1, width: 2 };
 * recallAtKByScore(found, truth, { k: 2, metric: 'dot' }); // 0.5
 */
export function recallAtKByScore(
  found: Neighbours<number>,
  truth: Neighbours<number>,
  options: ScoreRecallOptions,
): number {
  const recalls = recallsByScore(found, truth, options);
  return meanOverRows(recalls.length, (row) => recalls[row]!);
}

/** The recall of each query, as {@link recallAtKByScore} takes the mean of. */
export function recallsByScore(
  found: Neighbours<number>,
  truth: Neighbours<number>,
  options: ScoreRecallOptions,
): Float64Array {
  const { k, metric, tolerance = 1e-5 } = options;
  requireSameQueries(found, truth, k);
  if (!(tolerance >= 0 && tolerance < Infinity)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `tolerance must be a finite number of at least 0, got ${String(tolerance)}`,
    );
  }
  const sign = higherIsBetter(parseMetric(metric)) ? 1 : -1;
  return Float64Array.from({ length: found.rows }, (_, row) => {
    let last = k;
    while (last > 0 && Number.isNaN(truth.values[row * truth.width + last - 1])) last--;
    if (last === 0) return 1;
    const bound = sign * truth.values[row * truth.width + last - 1]!;
    const slack = tolerance * Math.abs(bound);
    let hits = 0;
    for (let place = 0; place < k; place++) {
      if (sign * found.values[row * found.width + place]! >= bound - slack) hits++;
    }
    return Math.min(hits, last) / last;
  });
}

function requireSameQueries<T>(found: Neighbours<T>, truth: Neighbours<T>, k: number): void {
  if (!Number.isSafeInteger(k) || k < 1) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `k must be a positive integer, got ${String(k)}`,
    );
  }
  if (found.rows !== truth.rows) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `truth must have one row a query, ${found.rows}, got ${truth.rows}`,
    );
  }
  for (const [name, { values, rows, width }] of Object.entries({ found, truth })) {
    if (!(width >= k)) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `${name} must have at least k = ${k} neighbours a query, got ${width}`,
      );
    }
    if (values.length !== rows * width) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `${name} must hold ${rows} x ${width} values, got ${values.length}`,
      );
    }
  }
  if (found.rows === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'found: no queries');
}

function meanOverRows(rows: number, valueOf: (row: number) => number): number {
  let sum = 0;
  for (let row = 0; row < rows; row++) sum += valueOf(row);
  return sum / rows;
}
