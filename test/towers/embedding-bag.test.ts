import { describe, expect, it } from 'vitest';
import { embeddingBag } from '../../src/towers/embedding-bag.js';
import { SparseAdagrad } from '../../src/towers/sparse-adagrad.js';
import { SparseAdam } from '../../src/towers/sparse-adam.js';
import { Random } from '../../src/vectors/random.js';
import { expectNear, randomValues } from './pairs.js';

/** Bags of 0 to 5 places, some rows standing repeatedly. */
function randomBags(seed: number, bags: number, rowCount: number) {
  const random = new Random(seed);
  const offsets = new Int32Array(bags + 1);
  for (let bag = 0; bag < bags; bag++) offsets[bag + 1] = offsets[bag]! + random.below(6);
  const rows = new Int32Array(offsets[bags]!).map(() => random.below(rowCount));
  return { offsets, rows, weights: randomValues(rows.length, seed + 1) };
}

type Bags = ReturnType<typeof randomBags>;

/** Each place's row with the gradient that it passes on, one after the other. */
function spreadOut({ offsets, rows, weights }: Bags, gradients: Float32Array, dim: number) {
  const spread = new Float32Array(rows.length * dim);
  for (let bag = 0; bag + 1 < offsets.length; bag++) {
    for (let place = offsets[bag]!; place < offsets[bag + 1]!; place++) {
      for (let at = 0; at < dim; at++) {
        spread[place * dim + at] = weights[place]! * gradients[bag * dim + at]!;
      }
    }
  }
  return spread;
}

describe('embeddingBag', () => {
  it.each([
    [7, 30, 3],
    [700, 4000, 33],
  ])('sums weighted rows: %i rows, %i bags, dim %i', (rowCount, bagCount, dim) => {
    const table = randomValues(rowCount * dim, 1);
    const bags = randomBags(2, bagCount, rowCount);
    const sums = embeddingBag(table, dim, bags);
    const plain = embeddingBag(table, dim, { offsets: bags.offsets, rows: bags.rows });
    const [expected, expectedPlain] = [
      new Float32Array(sums.length),
      new Float32Array(sums.length),
    ];
    for (let bag = 0; bag < bagCount; bag++) {
      for (let at = 0; at < dim; at++) {
        for (let place = bags.offsets[bag]!; place < bags.offsets[bag + 1]!; place++) {
          const value = table[bags.rows[place]! * dim + at]!;
          expected[bag * dim + at]! += bags.weights[place]! * value;
          expectedPlain[bag * dim + at]! += value;
        }
      }
    }
    expectNear(sums, expected, 1e-6);
    expect(plain).toEqual(expectedPlain);
  });

  it.each([
    ['a row that is none', [0, 1], [4], 'ERR_LICHEN_ARGUMENT'],
    ['a negative row', [0, 1], [-1], 'ERR_LICHEN_ARGUMENT'],
    ['offsets beyond the rows', [0, 2], [1], 'ERR_LICHEN_ARGUMENT'],
    ['offsets that fall', [0, 2, 1], [1], 'ERR_LICHEN_ARGUMENT'],
    ['offsets that begin late', [1, 1], [1], 'ERR_LICHEN_ARGUMENT'],
    ['no offsets', [], [], 'ERR_LICHEN_ARGUMENT'],
  ])('refuses %s', (_, offsets, rows, code) => {
    const bags = { offsets: Int32Array.from(offsets), rows: Int32Array.from(rows) };
    const table = new Float32Array(8);
    expect(() => embeddingBag(table, 2, bags)).toThrow(expect.objectContaining({ code }));
    const adam = new SparseAdam(table, 2);
    const gradients = new Float32Array(Math.max(0, offsets.length - 1) * 2);
    expect(() => adam.stepBags(bags, gradients, 0.1)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses weights and tables that do not fit', () => {
    const bags = { offsets: Int32Array.of(0, 1), rows: Int32Array.of(0) };
    const code = 'ERR_LICHEN_DIMENSION';
    const misfits = [
      () => embeddingBag(new Float32Array(5), 2, bags),
      () => embeddingBag(new Float32Array(4), 0, bags),
      () => embeddingBag(new Float32Array(4), 2, { ...bags, weights: new Float32Array(2) }),
    ];
    for (const misfit of misfits) expect(misfit).toThrow(expect.objectContaining({ code }));
  });
});

describe('steps by the gradients of bags', () => {
  const [rowCount, dim] = [50, 17];
  const bags = randomBags(5, 300, rowCount);
  const gradients = randomValues(300 * dim, 6);
  const spread = spreadOut(bags, gradients, dim);

  it.each([
    ['SparseAdam', SparseAdam],
    ['SparseAdagrad', SparseAdagrad],
  ])('of %s are those of the rows, one by one', (_, Optimizer) => {
    const table = randomValues(rowCount * dim, 7);
    const expected = table.slice();
    const [byBags, byRows] = [new Optimizer(table, dim), new Optimizer(expected, dim)];
    for (let step = 0; step < 3; step++) {
      byBags.stepBags(bags, gradients, 0.1);
      byRows.step(bags.rows, spread, 0.1);
    }
    expect(table).toEqual(expected);
  });
});

describe('SparseAdagrad', () => {
  it('follows Adagrad by the book, rows standing repeatedly', () => {
    const [rowCount, dim, rate, weightDecay, epsilon] = [20, 5, 0.1, 0.2, 1e-6];
    const table = randomValues(rowCount * dim, 8);
    const expected = Float64Array.from(table);
    const squares = new Float64Array(expected.length).fill(0.3);
    const adagrad = new SparseAdagrad(table, dim, {
      initialAccumulator: 0.3,
      epsilon,
      weightDecay,
    });
    const random = new Random(9);
    for (let step = 0; step < 30; step++) {
      const rows = new Int32Array(12).map(() => random.below(rowCount));
      const steps = randomValues(rows.length * dim, 400 + step);
      adagrad.step(rows, steps, rate);
      for (const row of new Set(rows)) {
        for (let at = 0; at < dim; at++) {
          let gradient = 0;
          rows.forEach((other, place) => {
            if (other === row) gradient += steps[place * dim + at]!;
          });
          const cell = row * dim + at;
          squares[cell]! += gradient ** 2;
          expected[cell] =
            (1 - rate * weightDecay) * expected[cell]! -
            (rate * gradient) / (Math.sqrt(squares[cell]!) + epsilon);
        }
      }
    }
    expectNear(table, expected, 1e-5);
  });

  it('leaves other rows alone', () => {
    const table = new Float32Array(6).fill(1);
    new SparseAdagrad(table, 2).step(Int32Array.of(1), Float32Array.of(3, -3), 0.1);
    expect([...table.subarray(0, 2), ...table.subarray(4)]).toEqual([1, 1, 1, 1]);
    expect(table[2]).toBeLessThan(1);
    expect(table[3]).toBeGreaterThan(1);
  });
});
