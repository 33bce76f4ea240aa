import {
  exactTruth,
  FlatIndex,
  matrixRow,
  recallAtKByScore,
  type Matrix,
  type Metric,
  type Neighbours,
} from '../../src/index.js';

/** Judges found keys (row numbers, `queries.rows * k` of them) by exact scores: ties are fair. */
export type RecallJudge = (keys: ArrayLike<number | bigint>) => number;

/** Searches exactly for the truth, once. */
export async function recallJudge(
  base: Matrix,
  queries: Matrix,
  metric: Metric,
  k: number,
): Promise<RecallJudge> {
  const flat = new FlatIndex({ dim: base.dim, metric });
  await flat.add(base);
  const truth = await exactTruth(flat, queries, k);
  flat.close();
  if (truth.by !== 'score') throw new Error('expected scores');
  const expected: Neighbours<number> = truth.neighbours;
  const scoreOf = exactScores(base, queries, metric);
  return (keys) => {
    const values = new Float64Array(queries.rows * k).fill(NaN);
    for (let at = 0; at < values.length; at++) {
      const key = Number(keys[at]);
      if (key >= 0) values[at] = scoreOf(Math.floor(at / k), key);
    }
    return recallAtKByScore({ values, rows: queries.rows, width: k }, expected, { k, metric });
  };
}

/** The exact score of a query (by its number) and a row. */
export function exactScores(
  base: Matrix,
  queries: Matrix,
  metric: Metric,
): (query: number, row: number) => number {
  return (query, row) => {
    const a = matrixRow(queries, query);
    const b = matrixRow(base, row);
    let dot = 0;
    let l2 = 0;
    let aa = 0;
    let bb = 0;
    for (let d = 0; d < base.dim; d++) {
      dot += a[d]! * b[d]!;
      l2 += (a[d]! - b[d]!) ** 2;
      aa += a[d]! ** 2;
      bb += b[d]! ** 2;
    }
    return metric === 'l2' ? l2 : metric === 'dot' ? dot : dot / Math.sqrt(aa * bb);
  };
}
