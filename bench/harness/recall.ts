import {
  exactTruth,
  FlatIndex,
  recallAtKByScore,
  type Matrix,
  type Metric,
  type Neighbours,
} from '../../src/index.js';
import { exactScores } from '../../src/evaluation/truth.js';

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
