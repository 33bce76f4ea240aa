import { describe, expect, it } from 'vitest';
import { DenseAdam } from '../../src/towers/dense-adam.js';
import { SparseAdam } from '../../src/towers/sparse-adam.js';
import { Random } from '../../src/vectors/random.js';
import { expectNear, randomValues } from './pairs.js';
import { ReferenceAdam } from './reference-adam.js';

interface Settings {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
}

const SETTINGS: readonly Settings[] = [
  { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
  { beta1: 0.5, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.1 },
];

/** Lazy Adam by the book, one value at a time, in float64. */
class ByTheBook {
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
  it.each(SETTINGS)('follows lazy Adam, rows standing repeatedly: %o', (settings) => {
    const dim = 5;
    const table = randomValues(20 * dim, 1);
    const byTheBook = new ByTheBook(table, dim, settings);
    const adam = new SparseAdam(table, dim, settings);
    const random = new Random(2);
    for (let step = 0; step < 40; step++) {
      const rows = new Int32Array(1 + random.below(30)).map(() => random.below(20));
      const gradients = randomValues(rows.length * dim, 100 + step);
      adam.step(rows, gradients, 0.05 / (step + 1));
      byTheBook.step(rows, gradients, 0.05 / (step + 1));
    }
    byTheBook.values.forEach((value, at) => expect(table[at]).toBeCloseTo(value, 4));
  });

  it.each(SETTINGS)('rounds as JavaScript does, on any number of threads: %o', (settings) => {
    const [dim, rowCount] = [48, 4000];
    const table = randomValues(rowCount * dim, 3);
    const expected = table.slice();
    const adam = new SparseAdam(table, dim, settings);
    const reference = new ReferenceAdam(expected, dim, settings);
    const random = new Random(4);
    for (let step = 0; step < 6; step++) {
      const rows = new Int32Array(3000).map(() => random.below(rowCount));
      const gradients = randomValues(rows.length * dim, 200 + step);
      adam.step(rows, gradients, 0.05);
      reference.step(rows, gradients, 0.05);
    }
    // Powers of the decays may differ in their last place, which another rounding can hide or show.
    expectNear(table, expected, 2e-7);
  });

  it('moves by the learning rate at first and leaves other rows alone', () => {
    const table = new Float32Array(6).fill(1);
    new SparseAdam(table, 2).step(Int32Array.of(1), Float32Array.of(3, -0.01), 0.1);
    [1, 1, 0.9, 1.1, 1, 1].forEach((value, at) => expect(table[at]).toBeCloseTo(value, 5));
  });

  it('changes nothing when an argument is bad', () => {
    const table = new Float32Array(6).fill(1);
    const adam = new SparseAdam(table, 2);
    const gradients = new Float32Array(4).fill(1);
    const bad: [Int32Array, Float32Array, number, string][] = [
      [Int32Array.of(0, 3), gradients, 0.1, 'ERR_LICHEN_ARGUMENT'],
      [Int32Array.of(0, -1), gradients, 0.1, 'ERR_LICHEN_ARGUMENT'],
      [Int32Array.of(0, 1), gradients.subarray(1), 0.1, 'ERR_LICHEN_DIMENSION'],
      [Int32Array.of(0, 1), gradients, NaN, 'ERR_LICHEN_ARGUMENT'],
      [Int32Array.of(0, 1), gradients, -0.1, 'ERR_LICHEN_ARGUMENT'],
      [[0, 1] as unknown as Int32Array, gradients, 0.1, 'ERR_LICHEN_ARGUMENT'],
    ];
    for (const [rows, values, rate, code] of bad) {
      expect(() => adam.step(rows, values, rate)).toThrow(expect.objectContaining({ code }));
    }
    expect([...table]).toEqual([1, 1, 1, 1, 1, 1]);
    // The step after it is the first one of each row.
    adam.step(Int32Array.of(0), Float32Array.of(5, 5), 0.1);
    expect(table[0]).toBeCloseTo(0.9, 5);
    expect(() => new SparseAdam(table, 4)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }),
    );
  });

  it('works on a table in shared memory', () => {
    const table = new Float32Array(new SharedArrayBuffer(24));
    new SparseAdam(table, 2).step(Int32Array.of(2), Float32Array.of(1, 1), 0.5);
    [0, 0, 0, 0, -0.5, -0.5].forEach((value, at) => expect(table[at]).toBeCloseTo(value, 5));
  });
});

describe('DenseAdam', () => {
  it.each(SETTINGS)('is sparse Adam that touches every row: %o', (settings) => {
    const values = randomValues(70_000, 5);
    const expected = values.slice();
    const adam = new DenseAdam(values, settings);
    const reference = new ReferenceAdam(expected, 1, settings);
    const rows = Int32Array.from(values.keys());
    for (let step = 0; step < 3; step++) {
      const gradients = randomValues(values.length, 300 + step);
      adam.step(gradients, 0.01);
      reference.step(rows, gradients, 0.01);
    }
    expectNear(values, expected, 2e-7);
  });

  it('refuses another number of gradients', () => {
    const adam = new DenseAdam(new Float32Array(3));
    expect(() => adam.step(new Float32Array(4), 0.1)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }),
    );
  });
});
