/**
 * The rows with the highest scores for each query, gathered from one tile of rows after another; of equal scores the
 * rows that came first.
 */
export class TopLists {
  /** `queries * width` row numbers, those of query q from `q * width` on, `counts[q]` of them. */
  readonly rows: Int32Array;
  /** Rows found, one number a query. */
  readonly counts: Uint32Array;
  private readonly scores: Float32Array;
  private readonly keptRows: Int32Array;
  private readonly keptScores: Float32Array;

  /** @param width places a query. */
  constructor(
    queries: number,
    readonly width: number,
  ) {
    this.rows = new Int32Array(queries * width);
    this.scores = new Float32Array(queries * width);
    this.counts = new Uint32Array(queries);
    this.keptRows = new Int32Array(width);
    this.keptScores = new Float32Array(width);
  }

  /** Takes in rows of a query that it has not had before, highest score first, leaving out those that are hidden. */
  merge(
    query: number,
    rows: Int32Array,
    scores: Float32Array,
    hidden: ReadonlySet<number> | undefined,
  ): void {
    const { width, keptRows, keptScores } = this;
    const from = query * width;
    const count = this.counts[query]!;
    keptRows.set(this.rows.subarray(from, from + count));
    keptScores.set(this.scores.subarray(from, from + count));
    let at = 0;
    for (let kept = 0, fresh = 0; at < width; at++) {
      while (fresh < rows.length && hidden?.has(rows[fresh]!) === true) fresh++;
      const isOver = fresh === rows.length;
      if (isOver && kept === count) break;
      const isKept = kept < count && (isOver || keptScores[kept]! >= scores[fresh]!);
      this.rows[from + at] = isKept ? keptRows[kept]! : rows[fresh]!;
      this.scores[from + at] = isKept ? keptScores[kept]! : scores[fresh]!;
      if (isKept) kept++;
      else fresh++;
    }
    this.counts[query] = at;
  }
}
