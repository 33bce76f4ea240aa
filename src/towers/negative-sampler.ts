import type { Random } from '../vectors/random.js';

/** How negatives are drawn. */
export interface NegativeOptions {
  /** Negatives a step, shared by all its rows; 0 for the items of the step's own pairs. */
  readonly negatives: number;
  /** An item is drawn by its count in training to this power: 1 is as often as a batch would hold it. */
  readonly negativePower: number;
  /** Share of the negatives that is drawn from all items alike instead (Yang et al., WWW 2020). */
  readonly uniformShare: number;
}

/** The negatives of a step. */
export interface Negatives {
  /** Items; one may stand several times. */
  readonly items: Int32Array;
  /** Of each, the log of how often it is expected among the negatives of a step. */
  readonly logExpected: Float32Array;
}

/** Draws negatives with replacement, so that what is expected of each item is known exactly. */
export class NegativeSampler {
  private readonly logExpected: Float32Array;
  /** Of each item, log(1 - its share of all pairs): the chance that one random pair has another item. */
  private readonly logAbsent: Float64Array;
  /** Of each item, the chance that the draw is it or one before it. */
  private readonly cumulative: Float64Array;

  constructor(
    counts: Float64Array,
    private readonly options: NegativeOptions,
    private readonly random: Random,
  ) {
    const { negatives, negativePower, uniformShare } = options;
    const pairs = counts.reduce((sum, count) => sum + count, 0);
    this.logAbsent = counts.map((count) => Math.log1p(-count / pairs));
    const weights = counts.map((count) => (count > 0 ? count ** negativePower : 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const even = uniformShare / counts.length;
    const chances = weights.map((weight) => ((1 - uniformShare) * weight) / total + even);
    this.logExpected = Float32Array.from(chances, (chance) => Math.log(negatives * chance));
    let sum = 0;
    this.cumulative = chances.map((chance) => (sum += chance));
  }

  /**
   * The negatives of one step.
   * @param targets the distinct items of its pairs, of which there are `pairs`.
   */
  draw(targets: Int32Array, pairs: number): Negatives {
    if (this.options.negatives === 0) {
      return { items: targets, logExpected: this.logExpectedOf(targets, pairs) };
    }
    const items = new Int32Array(this.options.negatives);
    const last = this.cumulative.length - 1;
    for (let at = 0; at < items.length; at++) {
      items[at] = Math.min(last, firstAbove(this.cumulative, this.random.uniform()));
    }
    return { items, logExpected: this.logExpectedOf(items, pairs) };
  }

  /** Of each item, the log of how often it is expected among the negatives of a step of so many pairs. */
  logExpectedOf(items: Int32Array, pairs: number): Float32Array {
    return this.options.negatives === 0
      ? Float32Array.from(items, (item) => Math.log(-Math.expm1(pairs * this.logAbsent[item]!)))
      : Float32Array.from(items, (item) => this.logExpected[item]!);
  }
}

/** The first place whose value is above `wanted`. */
function firstAbove(ascending: Float64Array, wanted: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}
