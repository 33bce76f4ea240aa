import { BagsBuilder, type Bags } from './bags.js';
import type { BagGradients, VectorTable } from './embedding-table.js';
import type { Examples } from './examples.js';
import type { ResolvedTwoTowerOptions } from './options.js';

/** Where the rows of the table belong. */
export interface TableLayout {
  /** What each item is made of: its id's row and those of its features. */
  readonly items: Bags;
  /** What each item is in a history: the same rows, weighted by how much it says. */
  readonly history: Bags;
  /** What each user brings beside the history: the id's row, if any, and those of the features. */
  readonly users: Bags;
}

/** A user tower under training: a vector for each row of examples. */
export interface UserTower {
  /**
   * One step, but for the rows of the table.
   * @param gradientsOf takes the vectors, `rows * dim` values, and gives the gradient of the loss by them.
   * @returns what that means for the rows of the table.
   */
  step(
    examples: Examples,
    gradientsOf: (users: Float32Array) => Float32Array,
    learningRate: number,
  ): BagGradients;
}

/** How much the items of a history weigh: alike, or less the older they are; together 1. */
export function historyWeights(
  length: number,
  { ordered, recency }: Pick<ResolvedTwoTowerOptions, 'ordered' | 'recency'>,
): Float32Array {
  const weights = new Float32Array(length).fill(1);
  if (ordered) {
    for (let at = length - 2; at >= 0; at--) weights[at] = weights[at + 1]! * recency;
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Adds a history of items, oldest first, to the bag at work. */
export function addHistory(
  builder: BagsBuilder,
  items: Bags,
  history: ArrayLike<number>,
  options: Pick<ResolvedTwoTowerOptions, 'ordered' | 'recency' | 'maxHistory'>,
): void {
  if (history.length === 0) return;
  const first = options.ordered ? Math.max(0, history.length - options.maxHistory) : 0;
  const weights = historyWeights(history.length - first, options);
  weights.forEach((weight, at) => builder.addBag(items, history[first + at]!, weight));
}

/** The tower whose vectors are sums of table rows: the mean of a history, an id, features. */
export class BagUserTower implements UserTower {
  constructor(
    private readonly table: VectorTable,
    private readonly layout: TableLayout,
    private readonly options: ResolvedTwoTowerOptions,
  ) {}

  step(examples: Examples, gradientsOf: (users: Float32Array) => Float32Array): BagGradients {
    const { layout, options } = this;
    const builder = new BagsBuilder();
    examples.users.forEach((user, row) => {
      const start = examples.sequenceOffsets[examples.rowSequences[row]!]!;
      const end = start + examples.rowLengths[row]!;
      addHistory(builder, layout.history, examples.sequenceItems.subarray(start, end), options);
      builder.addBag(layout.users, user, 1);
      builder.close();
    });
    const bags = builder.finish();
    return { bags, gradients: gradientsOf(this.table.sums(bags)) };
  }
}
