import type { SparseAdamOptions } from '../../src/towers/sparse-adam.js';

/** Lazy Adam in plain JavaScript, as lichen had it before it had it in native code. */
export class ReferenceAdam {
  private readonly mean: Float32Array;
  private readonly meanSquare: Float32Array;
  private readonly steps: Int32Array;
  /** Where a table row stands among the step's distinct rows, -1 for a row not touched. */
  private readonly slotOf: Int32Array;
  private readonly beta1: number;
  private readonly beta2: number;
  private readonly epsilon: number;
  private readonly weightDecay: number;
  private touched = new Int32Array(0);
  private sums = new Float32Array(0);

  /**
   * @param table row-major values that the steps change in place.
   * @param dim values a row.
   */
  constructor(
    private readonly table: Float32Array,
    private readonly dim: number,
    options: SparseAdamOptions = {},
  ) {
    this.mean = new Float32Array(table.length);
    this.meanSquare = new Float32Array(table.length);
    this.steps = new Int32Array(table.length / dim);
    this.slotOf = new Int32Array(table.length / dim).fill(-1);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.epsilon = options.epsilon ?? 1e-8;
    this.weightDecay = options.weightDecay ?? 0;
  }

  /**
   * One step.
   * @param rows the table rows that the gradients belong to; a row may stand several times.
   * @param gradients `rows.length * dim` values.
   */
  step(rows: Int32Array, gradients: Float32Array, learningRate: number): void {
    const distinct = this.sum(rows, gradients);
    for (let slot = 0; slot < distinct; slot++) {
      this.update(this.touched[slot]!, slot * this.dim, learningRate);
    }
  }

  /** Adds up the gradients of equal rows into `sums`; returns how many distinct rows `touched` names. */
  private sum(rows: Int32Array, gradients: Float32Array): number {
    const { dim, slotOf } = this;
    if (this.touched.length < rows.length) {
      this.touched = new Int32Array(rows.length);
      this.sums = new Float32Array(rows.length * dim);
    }
    const { touched, sums } = this;
    let distinct = 0;
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      const from = at * dim;
      const slot = slotOf[row]!;
      if (slot < 0) {
        slotOf[row] = distinct;
        touched[distinct] = row;
        const to = distinct * dim;
        for (let value = 0; value < dim; value++) sums[to + value] = gradients[from + value]!;
        distinct++;
      } else {
        const to = slot * dim;
        for (let value = 0; value < dim; value++) sums[to + value]! += gradients[from + value]!;
      }
    }
    for (let slot = 0; slot < distinct; slot++) slotOf[touched[slot]!] = -1;
    return distinct;
  }

  private update(row: number, gradientAt: number, learningRate: number): void {
    const { table, mean, meanSquare, sums, dim, beta1, beta2, epsilon } = this;
    const steps = ++this.steps[row]!;
    const rate = learningRate / (1 - beta1 ** steps);
    const squareScale = 1 / (1 - beta2 ** steps);
    const keep = Math.max(0, 1 - learningRate * this.weightDecay);
    const from = row * dim;
    for (let value = 0; value < dim; value++) {
      const at = from + value;
      const gradient = sums[gradientAt + value]!;
      const average = beta1 * mean[at]! + (1 - beta1) * gradient;
      const square = beta2 * meanSquare[at]! + (1 - beta2) * gradient * gradient;
      mean[at] = average;
      meanSquare[at] = square;
      table[at] =
        keep * table[at]! - (rate * average) / (Math.sqrt(square * squareScale) + epsilon);
    }
  }
}
