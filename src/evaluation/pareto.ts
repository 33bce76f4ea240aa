/** What a point is judged by, and which way is better. */
export interface Objective<P> {
  /** What a point is worth by it. */
  readonly value: (point: P) => number;
  /** Which way is better. */
  readonly better: 'higher' | 'lower';
}

/**
 * The points that no other is at least as good as in every objective and better in one, in the order given. Points with a
 * value that is no number are never among them; of equals all are.
 *
 * @example
 * const points = [
 *   { recall: 0.9, us: 10 },
 *   { recall: 0.8, us: 20 },
 * ];
 * paretoFront(points, [
 *   { value: ({ recall }) => recall, better: 'higher' },
 *   { value: ({ us }) => us, better: 'lower' },
 * ]); // the first one
 */
export function paretoFront<P>(
  points: readonly P[],
  objectives: readonly Objective<P>[],
): readonly P[] {
  const costs = costsOf(points, objectives);
  const isNumber = costs.map((cost) => !cost.some(Number.isNaN));
  return points.filter(
    (_, at) =>
      isNumber[at]! &&
      !costs.some((other, from) => isNumber[from]! && dominates(other, costs[at]!)),
  );
}

/** Lower is better for both. */
function dominates(one: readonly number[], other: readonly number[]): boolean {
  let isBetter = false;
  for (let at = 0; at < one.length; at++) {
    if (one[at]! > other[at]!) return false;
    if (one[at]! < other[at]!) isBetter = true;
  }
  return isBetter;
}

/**
 * Sorts points into fronts: those that {@link paretoFront} gives, then those that it gives of the rest, and so on
 * (non-dominated sorting; Deb et al., 2002).
 *
 * @example
 * paretoRanks([3, 1, 2], [{ value: (one) => one, better: 'lower' }]); // [[1], [2], [3]]
 */
export function paretoRanks<P>(
  points: readonly P[],
  objectives: readonly Objective<P>[],
): (readonly P[])[] {
  const costs = costsOf(points, objectives);
  const isNumber = costs.map((cost) => !cost.some(Number.isNaN));
  // By how many each is beaten, and which ones each beats: a front is what nobody beats that is left.
  const beatenBy = new Uint32Array(points.length);
  const beats = costs.map((cost, at) =>
    costs.flatMap((other, from) =>
      isNumber[at]! && isNumber[from]! && dominates(cost, other) ? [from] : [],
    ),
  );
  for (const list of beats) for (const at of list) beatenBy[at]!++;
  const fronts: (readonly P[])[] = [];
  let front = [...points.keys()].filter((at) => isNumber[at]! && beatenBy[at] === 0);
  while (front.length > 0) {
    fronts.push(front.map((at) => points[at]!));
    const next = front.flatMap((at) => beats[at]!.filter((other) => --beatenBy[other]! === 0));
    front = next.sort((a, b) => a - b);
  }
  // What has no values stands behind all others.
  const without = points.filter((_, at) => !isNumber[at]!);
  return without.length > 0 ? [...fronts, without] : fronts;
}

/** Of each point, lower being better. */
function costsOf<P>(points: readonly P[], objectives: readonly Objective<P>[]): number[][] {
  return points.map((point) =>
    objectives.map(({ value, better }) => (better === 'higher' ? -value(point) : value(point))),
  );
}
