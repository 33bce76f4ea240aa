/** What a plan has to know of a stage. */
export interface PlannedStage {
  /** Most candidates that it scores, and fewest that are worth its while. */
  readonly most: number;
  readonly least: number;
  /** Milliseconds that so many candidates take, as far as is known. */
  expected(candidates: number): number;
}

/** Halvings of the time that stages may take for candidates beyond their least. */
const STEPS = 30;

/**
 * Numbers of candidates for stages in order, so that all are done in the time that is left: the full ones, if those fit;
 * else fewer for those that take the most time, so that none takes more than another beyond its least; else the last
 * stages are left out: 0.
 */
export function planCounts(stages: readonly PlannedStage[], leftMs: number): number[] {
  for (let kept = stages.length; kept > 0; kept--) {
    const counts = fitting(stages.slice(0, kept), leftMs);
    if (counts !== undefined)
      return [...counts, ...new Array<number>(stages.length - kept).fill(0)];
  }
  return stages.map(() => 0);
}

function fitting(stages: readonly PlannedStage[], leftMs: number): number[] | undefined {
  let counts = countsWithin(stages, Infinity);
  if (costOf(stages, counts) <= leftMs) return counts;
  counts = countsWithin(stages, 0);
  if (costOf(stages, counts) > leftMs) return undefined;
  let low = 0;
  let high = leftMs;
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2;
    const tried = countsWithin(stages, middle);
    if (costOf(stages, tried) <= leftMs) {
      low = middle;
      counts = tried;
    } else {
      high = middle;
    }
  }
  return counts;
}

/** What each stage does in so much time beyond its least; no stage gets more than the one before it. */
function countsWithin(stages: readonly PlannedStage[], ms: number): number[] {
  let before = Infinity;
  return stages.map((stage) => {
    const { most, least } = stage;
    const whole = stage.expected(most) - stage.expected(least);
    const count = whole <= ms ? most : least + Math.floor(((most - least) * ms) / whole);
    return (before = Math.min(before, count));
  });
}

function costOf(stages: readonly PlannedStage[], counts: readonly number[]): number {
  return stages.reduce((sum, stage, at) => sum + stage.expected(counts[at]!), 0);
}
