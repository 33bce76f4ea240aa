import { native } from '../native.js';
import { SparseOptimizer } from './sparse-optimizer.js';
import { rowsOfTable } from './table-rows.js';

/** Settings of {@link SparseAdam}. */
export interface SparseAdamOptions {
  /** Decay of the mean of the gradients. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of the squared gradients. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
  /** Share of a touched row's values, times the learning rate, taken off at each step (all at most). Default 0. */
  readonly weightDecay?: number;
}

/**
 * Adam (Kingma and Ba, ICLR 2015) over the rows of a table of which each step touches a few; a step costs the
 * touched rows only. Computed natively, on several threads where there is enough to do, with the same result on any
 * number of them.
 *
 * The semantics are those of "lazy" Adam: a row that a step does not touch keeps its values and both its moments
 * (dense Adam would decay the moments and move the row on). Each row counts its own steps for the bias correction,
 * so a row's first step is a full one whenever it comes, and a row's path depends only on its own gradients.
 * Gradients of a row that stands several times in a step are summed first. Weight decay is decoupled (Loshchilov
 * and Hutter, ICLR 2019) and lazy as well.
 */
export class SparseAdam extends SparseOptimizer {
  private readonly mean: Float32Array;
  private readonly meanSquare: Float32Array;
  private readonly steps: Int32Array;
  private readonly settings: Required<SparseAdamOptions>;

  /**
   * @param table row-major values that the steps change in place.
   * @param dim values a row.
   * @throws ERR_LICHEN_DIMENSION unless the table is whole rows.
   */
  constructor(
    private readonly table: Float32Array,
    private readonly dim: number,
    { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: SparseAdamOptions = {},
  ) {
    super();
    this.steps = new Int32Array(rowsOfTable(table, dim));
    this.mean = new Float32Array(table.length);
    this.meanSquare = new Float32Array(table.length);
    this.settings = { beta1, beta2, epsilon, weightDecay };
  }

  protected apply(
    rows: Int32Array,
    gradients: Float32Array,
    offsets: Int32Array | null,
    weights: Float32Array | null,
    learningRate: number,
  ): void {
    const { beta1, beta2, epsilon, weightDecay } = this.settings;
    native().sparseAdamStep(
      this.table,
      this.dim,
      rows,
      gradients,
      offsets,
      weights,
      this.mean,
      this.meanSquare,
      this.steps,
      learningRate,
      beta1,
      beta2,
      epsilon,
      weightDecay,
    );
  }
}
