/** Recall of one side at one search beam. */
export interface RecallPoint {
  readonly ef: number;
  readonly recall: number;
}

/** A point of a curve: accuracy against speed. */
export interface CurvePoint {
  readonly recall: number;
  readonly qps: number;
}

/** One side's curve, in order of the beam. */
export interface Curve {
  readonly name: string;
  readonly points: readonly CurvePoint[];
}

/** Beams from `least` to at most `most`, each about `factor` times the one before. */
export function beamLadder(least: number, most: number, factor = Math.SQRT2): number[] {
  const beams: number[] = [];
  for (let beam = least; beam <= most; beam = Math.max(beam + 1, Math.round(beam * factor))) {
    beams.push(beam);
  }
  return beams;
}

/**
 * The least beam that reaches a recall, found by halving between the points that are known; recall is taken to grow
 * with the beam. Undefined if `most` does not reach it.
 */
export async function leastBeam(
  target: number,
  known: readonly RecallPoint[],
  recallAt: (ef: number) => number | Promise<number>,
  { least, most }: { readonly least: number; readonly most: number },
): Promise<RecallPoint | undefined> {
  const points = [...known].sort((a, b) => a.ef - b.ef);
  let best: RecallPoint | undefined = points.find(({ recall }) => recall >= target);
  if (best === undefined) {
    best = { ef: most, recall: await recallAt(most) };
    if (best.recall < target) return undefined;
  }
  const reached = best.ef;
  let below = points.reduce(
    (most, { ef }) => (ef < reached ? Math.max(most, ef) : most),
    least - 1,
  );
  while (best.ef - below > 1) {
    const ef: number = (best.ef + below) >> 1;
    const recall = await recallAt(ef);
    if (recall >= target) best = { ef, recall };
    else below = ef;
  }
  return best;
}

const LEAST_GAIN = 0.0002;

/** The points of a curve that come nearer to 1 than those before: where a wider beam finds no more, it has ended. */
export function rising(points: readonly CurvePoint[]): CurvePoint[] {
  let best = -Infinity;
  return points.filter(({ recall }) => {
    if (recall < best + LEAST_GAIN) return false;
    best = recall;
    return true;
  });
}
