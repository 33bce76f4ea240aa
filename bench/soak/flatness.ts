import { studentQuantile } from '../../src/evaluation/statistics.js';

/** How values change with time. */
export interface Trend {
  /** A line's slope, with the 95% interval of it, an hour. */
  readonly slope: number;
  readonly low: number;
  readonly high: number;
  /** Hours that were looked at. */
  readonly hours: number;
}

const BLOCKS = 12;

/**
 * The slope of values over time by least squares, through the least value of each twelfth of the time: what a process
 * holds is what it goes back to, and values that stand near one another are no independent ones, while those are nearly so.
 */
export function trendOf(points: readonly { seconds: number; value: number }[]): Trend {
  const [first, last] = [points[0]!.seconds, points.at(-1)!.seconds];
  const blocks = Array.from({ length: BLOCKS }, () => ({ hours: 0, value: Infinity }));
  for (const { seconds, value } of points) {
    const at = Math.min(BLOCKS - 1, Math.floor((BLOCKS * (seconds - first)) / (last - first)));
    if (value < blocks[at]!.value) blocks[at] = { hours: (seconds - first) / 3600, value };
  }
  const filled = blocks.filter(({ value }) => value < Infinity);
  const count = filled.length;
  if (count < 3) throw new Error('too few points for a trend');
  const mean = (of: (block: (typeof filled)[number]) => number): number =>
    filled.reduce((sum, block) => sum + of(block), 0) / count;
  const [hours, value] = [mean((block) => block.hours), mean((block) => block.value)];
  const square = mean((block) => (block.hours - hours) ** 2);
  const slope = mean((block) => (block.hours - hours) * (block.value - value)) / square;
  const rest = mean((block) => (block.value - value - slope * (block.hours - hours)) ** 2);
  const half = studentQuantile(count - 2) * Math.sqrt(rest / (count - 2) / square);
  return { slope, low: slope - half, high: slope + half, hours: (last - first) / 3600 };
}

/** Growth over the time looked at that is no leak: what allocators and caches may still fill, and nobody would find. */
const LEAST_GROWTH = 8 * 2 ** 20;
const LEAST_SHARE = 0.02;

/**
 * Whether memory is flat: it is not if the slope is above zero for certain (the low end of its interval) and even that
 * low end amounts over the time looked at to more than 2% of the memory and 8 MiB.
 */
export function isFlat({ low, hours }: Trend, bytes: number): boolean {
  return low <= 0 || low * hours <= Math.max(LEAST_GROWTH, LEAST_SHARE * bytes);
}
