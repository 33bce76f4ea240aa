import { native } from '../native.js';
import type { SparseAdamOptions } from './sparse-adam.js';

/**
 * Adam (Kingma and Ba, ICLR 2015) over all values of an array, such as the weights of a layer, with decoupled weight
 * decay (Loshchilov and Hutter, ICLR 2019). Computed natively.
 */
export class DenseAdam {
  private readonly mean: Float32Array;
  private readonly meanSquare: Float32Array;
  private readonly settings: Required<SparseAdamOptions>;
  private steps = 0;

  /** @param values what the steps change in place. */
  constructor(
    private readonly values: Float32Array,
    { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: SparseAdamOptions = {},
  ) {
    this.mean = new Float32Array(values.length);
    this.meanSquare = new Float32Array(values.length);
    this.settings = { beta1, beta2, epsilon, weightDecay };
  }

  /**
   * One step.
   * @param gradients as many as there are values.
   * @throws ERR_LICHEN_DIMENSION for another number of gradients, ERR_LICHEN_ARGUMENT for a bad setting; nothing has
   * changed then.
   */
  step(gradients: Float32Array, learningRate: number): void {
    const { beta1, beta2, epsilon, weightDecay } = this.settings;
    const { values, mean, meanSquare } = this;
    const step = this.steps + 1;
    native().adamStep(
      values,
      gradients,
      mean,
      meanSquare,
      step,
      learningRate,
      beta1,
      beta2,
      epsilon,
      weightDecay,
    );
    this.steps = step;
  }
}
