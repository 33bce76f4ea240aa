/** What a point is judged by, and which way is better. */
export interface Objective<P> {
  readonly value: (point: P) => number;
  readonly better: 'higher' | 'lower';
}

/**
 * The points that no other is at least as good as in every objective and better in one, in the order given. Points with a
 * value that is no number are never among them; of equals all are.
 */
export function paretoFront<P>(
  points: readonly P[],
  objectives: readonly Objective<P>[],
): readonly P[] {
  const costs = points.map((point) =>
    objectives.map(({ value, better }) => (better === 'higher' ? -value(point) : value(point))),
  );
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
 */
export function paretoRanks<P>(
  points: readonly P[],
  objectives: readonly Objective<P>[],
): (readonly P[])[] {
  const fronts: (readonly P[])[] = [];
  let rest = [...points];
  while (rest.length > 0) {
    const front = paretoFront(rest, objectives);
    // What has no values stands behind all others.
    if (front.length === 0) return [...fronts, rest];
    fronts.push(front);
    const taken = new Set(front);
    rest = rest.filter((point) => !taken.has(point));
  }
  return fronts;
}
