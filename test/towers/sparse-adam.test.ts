import { describe, expect, it } from 'vitest';
import { SparseAdam } from '../../src/towers/sparse-adam.js';
import { Random } from '../../src/vectors/random.js';
import { randomValues } from './pairs.js';

interface Settings {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
}

/** Lazy Adam by the book, one value at a time, in float64. */
class Reference {
  readonly values: number[];
  private readonly states = new Map<number, { steps: number; mean: number[]; square: number[] }>();

  constructor(
    table: Float32Array,
    private readonly dim: number,
    private readonly settings: Settings,
  ) {
    this.values = [...table];
  }

  step(rows: Int32Array, gradients: Float32Array, rate: number): void {
    const { dim } = this;
    const { beta1, beta2, epsilon, weightDecay } = this.settings;
    for (const row of new Set(rows)) {
      const state = this.states.get(row) ?? {
        steps: 0,
        mean: new Array<number>(dim).fill(0),
        square: new Array<number>(dim).fill(0),
      };
      this.states.set(row, state);
      state.steps++;
      for (let at = 0; at < dim; at++) {
        let gradient = 0;
        rows.forEach((other, place) => {
          if (other === row) gradient += gradients[place * dim + at]!;
        });
        state.mean[at] = beta1 * state.mean[at]! + (1 - beta1) * gradient;
        state.square[at] = beta2 * state.square[at]! + (1 - beta2) * gradient ** 2;
        const mean = state.mean[at]! / (1 - beta1 ** state.steps);
        const square = state.square[at]! / (1 - beta2 ** state.steps);
        const value = this.values[row * dim + at]!;
        this.values[row * dim + at] =
          value - rate * weightDecay * value - (rate * mean) / (Math.sqrt(square) + epsilon);
      }
    }
  }
}

describe('SparseAdam', () => {
  it.each([
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    { beta1: 0.5, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.1 },
  ])('follows lazy Adam, rows standing repeatedly: %o', (settings) => {
    const dim = 5;
    const table = randomValues(20 * dim, 1);
    const reference = new Reference(table, dim, settings);
    const adam = new SparseAdam(table, dim, settings);
    const random = new Random(2);
    for (let step = 0; step < 40; step++) {
      const rows = new Int32Array(1 + random.below(30)).map(() => random.below(20));
      const gradients = randomValues(rows.length * dim, 100 + step);
      adam.step(rows, gradients, 0.05 / (step + 1));
      reference.step(rows, gradients, 0.05 / (step + 1));
    }
    reference.values.forEach((value, at) => expect(table[at]).toBeCloseTo(value, 4));
  });

  it('moves by the learning rate at first and leaves other rows alone', () => {
    const table = new Float32Array(6).fill(1);
    new SparseAdam(table, 2).step(Int32Array.of(1), Float32Array.of(3, -0.01), 0.1);
    [1, 1, 0.9, 1.1, 1, 1].forEach((value, at) => expect(table[at]).toBeCloseTo(value, 5));
  });
});
