import type { Metric } from '../vectors/metric.js';

/**
 * The best `k` rows of each query, gathered from one tile of rows after another. Order: best score first, of equal
 * scores the lower row.
 */
export class TopLists {
  /** `queries * k` row numbers; -1 where a place is unused. */
  readonly keys: Float64Array;
  /** `queries * k` scores; NaN where a place is unused. */
  readonly scores: Float32Array;
  /** Places in use, one number a query. */
  readonly counts: Uint32Array;
  private readonly sign: number;

  constructor(
    queries: number,
    private readonly k: number,
    metric: Metric,
  ) {
    this.keys = new Float64Array(queries * k).fill(-1);
    this.scores = new Float32Array(queries * k).fill(NaN);
    this.counts = new Uint32Array(queries);
    this.sign = metric === 'l2' ? 1 : -1;
  }

  /** Takes in candidates of a query, in any order, none of which it has had before. */
  merge(query: number, rows: readonly number[], scores: readonly number[]): void {
    const { k, sign } = this;
    const order = Array.from(rows.keys()).sort(
      (a, b) => compare(sign * scores[a]!, sign * scores[b]!) || rows[a]! - rows[b]!,
    );
    const from = query * k;
    const count = this.counts[query]!;
    const keptKeys = this.keys.slice(from, from + count);
    const keptScores = this.scores.slice(from, from + count);
    const total = Math.min(k, count + rows.length);
    for (let at = 0, kept = 0, fresh = 0; at < total; at++) {
      const candidate = order[fresh];
      const isKept =
        candidate === undefined ||
        (kept < count &&
          (compare(sign * keptScores[kept]!, sign * scores[candidate]!) ||
            keptKeys[kept]! - rows[candidate]!) < 0);
      this.keys[from + at] = isKept ? keptKeys[kept]! : rows[candidate]!;
      this.scores[from + at] = isKept ? keptScores[kept]! : scores[candidate]!;
      if (isKept) kept++;
      else fresh++;
    }
    this.counts[query] = total;
  }
}

/** Ascending, equal infinities being equal and NaN, which an overflow can leave, last. */
function compare(a: number, b: number): number {
  if (a === b) return 0;
  if (a < b || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : -1;
  return 1;
}
