import { native } from '../native.js';
import { SparseOptimizer } from './sparse-optimizer.js';
import { rowsOfTable } from './table-rows.js';

/** Settings of {@link SparseAdagrad}. */
export interface SparseAdagradOptions {
  /** What the sums of squared gradients begin with, at least 0. Default 0.1. */
  readonly initialAccumulator?: number;
  /** Added to the root of the sum of squares. Default 1e-8. */
  readonly epsilon?: number;
  /** Share of a touched row's values, times the learning rate, taken off at each step (all at most). Default 0. */
  readonly weightDecay?: number;
}

/**
 * Adagrad (Duchi, Hazan and Singer, JMLR 2011) over the rows of a table of which each step touches a few: a third less
 * memory than {@link SparseAdam}, steps that shorten as a row gathers gradients. Rows that a step does not touch stay as
 * they are; gradients of a row that stands several times are summed first; weight decay is decoupled and lazy.
 */
export class SparseAdagrad extends SparseOptimizer {
  private readonly squares: Float32Array;
  private readonly epsilon: number;
  private readonly weightDecay: number;

  /**
   * @param table row-major values that the steps change in place.
   * @param dim values a row.
   * @throws ERR_LICHEN_DIMENSION unless the table is whole rows.
   */
  constructor(
    private readonly table: Float32Array,
    private readonly dim: number,
    { initialAccumulator = 0.1, epsilon = 1e-8, weightDecay = 0 }: SparseAdagradOptions = {},
  ) {
    super();
    rowsOfTable(table, dim);
    this.squares = new Float32Array(table.length).fill(initialAccumulator);
    this.epsilon = epsilon;
    this.weightDecay = weightDecay;
  }

  protected apply(
    rows: Int32Array,
    gradients: Float32Array,
    offsets: Int32Array | null,
    weights: Float32Array | null,
    learningRate: number,
  ): void {
    native().sparseAdagradStep(
      this.table,
      this.dim,
      rows,
      gradients,
      offsets,
      weights,
      this.squares,
      learningRate,
      this.epsilon,
      this.weightDecay,
    );
  }
}
