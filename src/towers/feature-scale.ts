import type { Variable } from '@tensorflow/tfjs';
import type { TensorFlow } from '../tensorflow/tensorflow.js';

/** Makes features of mean 0 and variance 1, for training; afterwards the first layer does the same by its weights. */
export class FeatureScale {
  private readonly means: Float64Array;
  private readonly factors: Float64Array;

  /** @param size features of a row; one that is the same in all rows is left at 0 */
  constructor(
    rows: readonly Float32Array[],
    readonly size: number,
  ) {
    this.means = new Float64Array(size);
    const squares = new Float64Array(size);
    let count = 0;
    for (const values of rows) {
      for (let at = 0; at < values.length; at += size) {
        count++;
        for (let d = 0; d < size; d++) {
          // Welford's: squares of large values would leave no digits for the variance.
          const off = values[at + d]! - this.means[d]!;
          this.means[d]! += off / count;
          squares[d]! += off * (values[at + d]! - this.means[d]!);
        }
      }
    }
    this.factors = squares.map((square) => (square > 0 ? 1 / Math.sqrt(square / count) : 0));
  }

  apply(from: Float32Array, to: Float32Array): void {
    for (let at = 0; at < from.length; at++) {
      const d = at % this.size;
      to[at] = (from[at]! - this.means[d]!) * this.factors[d]!;
    }
  }

  /** Changes a layer's kernel [features, units] and bias so that it takes features as they are. */
  foldInto(tf: TensorFlow, [kernel, bias]: readonly Variable[]): void {
    const weights = kernel!.dataSync<'float32'>().slice();
    const offsets = Float64Array.from(bias!.dataSync<'float32'>());
    const units = offsets.length;
    for (let d = 0; d < this.size; d++) {
      for (let unit = 0; unit < units; unit++) {
        weights[d * units + unit]! *= this.factors[d]!;
        offsets[unit]! -= this.means[d]! * weights[d * units + unit]!;
      }
    }
    kernel!.assign(tf.tensor2d(weights, [this.size, units]));
    bias!.assign(tf.tensor1d(Float32Array.from(offsets)));
  }
}
