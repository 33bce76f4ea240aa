import { LichenArgumentError } from '../errors.js';
import { Random } from '../vectors/random.js';

/** What several measurements of the same thing say of it. */
export interface Spread {
  /** Median. */
  readonly median: number;
  /** Least. */
  readonly min: number;
  /** Greatest. */
  readonly max: number;
  /** Number of measurements. */
  readonly count: number;
}

/** A mean, and where the true one lies with 95% confidence. */
export interface Interval {
  /** Mean of the measurements. */
  readonly mean: number;
  /** The true mean is not below it, with 97.5% confidence. */
  readonly low: number;
  /** The true mean is not above it, with 97.5% confidence. */
  readonly high: number;
}

/** 97.5% quantiles of Student's t with 1, 2, … 30 degrees of freedom. */
const STUDENT = [
  ...[12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228],
  ...[2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086],
  ...[2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042],
];
const NORMAL = 1.959964;

/**
 * What several measurements say of one thing.
 * @throws ERR_LICHEN_EMPTY without values.
 *
 * @example
 * spreadOf([1, 2, 9]); // { median: 2, min: 1, max: 9, count: 3 }
 */
export function spreadOf(values: ArrayLike<number>): Spread {
  const sorted = Float64Array.from(values).sort();
  const { length } = sorted;
  if (length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'values: none');
  const upper = sorted[length >> 1]!;
  const median = length % 2 === 1 ? upper : (sorted[(length >> 1) - 1]! + upper) / 2;
  return { median, min: sorted[0]!, max: sorted[length - 1]!, count: length };
}

/**
 * The mean of independent values, with its 95% confidence interval by Student's t. Where the values are shares of one (of
 * recall, say) and all the same, nothing is known of their variance; then the rule of three (Hanley and Lippman-Hand,
 * JAMA 1983) says how far off what was never seen may be.
 * @param bounds the least and the greatest value there can be; the interval ends there.
 * @throws ERR_LICHEN_EMPTY without values.
 *
 * @example
 * const { mean, low, high } = meanInterval([0.9, 0.8, 1], [0, 1]);
 */
export function meanInterval(
  values: ArrayLike<number>,
  bounds: readonly [number, number] = [-Infinity, Infinity],
): Interval {
  const { length } = values;
  if (length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'values: none');
  const list = Float64Array.from(values);
  const mean = list.reduce((sum, value) => sum + value, 0) / length;
  if (length === 1) return { mean, low: bounds[0], high: bounds[1] };
  const squares = list.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const [least, most] = bounds;
  // Not by the squares: rounding may leave some.
  if (list.every((value) => value === list[0])) {
    // Of what has no bounds there is no share that was never seen.
    if (!Number.isFinite(most - least)) return { mean, low: mean, high: mean };
    const share = Math.min(1, 3 / length);
    return { mean, low: mean - share * (mean - least), high: mean + share * (most - mean) };
  }
  const half = studentQuantile(length - 1) * Math.sqrt(squares / (length - 1) / length);
  return { mean, low: Math.max(least, mean - half), high: Math.min(most, mean + half) };
}

/** The 97.5% quantile of Student's t (Cornish and Fisher's expansion where the table ends). */
export function studentQuantile(degrees: number): number {
  return STUDENT[degrees - 1] ?? NORMAL + (NORMAL ** 3 + NORMAL) / (4 * degrees);
}

/**
 * The ratio of two means of the same requests, with the 95% interval of the percentile bootstrap (Efron and Tibshirani,
 * 1993): requests are drawn anew, both values of each together, so that what is hard for both does not count as noise.
 * @throws ERR_LICHEN_EMPTY without values, ERR_LICHEN_DIMENSION when they differ in number, ERR_LICHEN_ARGUMENT for fewer
 * than two resamples.
 *
 * @example
 * const { low } = pairedRatio(ndcgOfThis, ndcgOfThat); // above 1: better, and not by chance
 */
export function pairedRatio(
  above: ArrayLike<number>,
  below: ArrayLike<number>,
  { resamples = 2000, seed = 1 }: { resamples?: number; seed?: number } = {},
): Interval {
  const { length } = above;
  if (length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'above: no values');
  if (below.length !== length) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `below must have as many values as above, ${length}, got ${below.length}`,
    );
  }
  if (!Number.isSafeInteger(resamples) || resamples < 2) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `resamples must be an integer of at least 2, got ${String(resamples)}`,
    );
  }
  const random = new Random(seed);
  const ratioOf = (pick: (at: number) => number): number => {
    let top = 0;
    let bottom = 0;
    for (let at = 0; at < length; at++) {
      const from = pick(at);
      top += above[from]!;
      bottom += below[from]!;
    }
    return top / bottom;
  };
  const mean = ratioOf((at) => at);
  const ratios = Float64Array.from({ length: resamples }, () =>
    ratioOf(() => random.below(length)),
  ).sort();
  const at = (share: number): number => ratios[Math.round(share * (resamples - 1))]!;
  return { mean, low: at(0.025), high: at(0.975) };
}

/** The mean; NaN without values. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at]!;
  return sum / values.length;
}
