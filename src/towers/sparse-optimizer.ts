import type { EmbeddingBags } from './table-rows.js';

/** What optimizers over the rows of a table have in common: gradients come by rows, or by sums of rows. */
export abstract class SparseOptimizer {
  /**
   * One step.
   * @param rows the table rows that the gradients belong to; a row may stand several times.
   * @param gradients `rows.length * dim` values.
   * @throws ERR_LICHEN_ARGUMENT for a number that is no row or a bad setting, ERR_LICHEN_DIMENSION for arrays that do not
   * fit; nothing has changed then.
   */
  step(rows: Int32Array, gradients: Float32Array, learningRate: number): void {
    this.apply(rows, gradients, null, null, learningRate);
  }

  /**
   * One step with the gradients by the sums of `embeddingBag`: a row's gradient is the weighted sum of those of the
   * bags that it is in.
   * @param gradients `dim` values a bag.
   * @throws as {@link SparseOptimizer.step}.
   */
  stepBags(
    { offsets, rows, weights }: EmbeddingBags,
    gradients: Float32Array,
    learningRate: number,
  ): void {
    this.apply(rows, gradients, offsets, weights ?? null, learningRate);
  }

  /** Takes the step natively; without offsets each row is a bag of its own. */
  protected abstract apply(
    rows: Int32Array,
    gradients: Float32Array,
    offsets: Int32Array | null,
    weights: Float32Array | null,
    learningRate: number,
  ): void;
}
