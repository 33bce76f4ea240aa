import type { Random } from '../vectors/random.js';
import type { Bags } from './bags.js';
import { SparseAdam } from './sparse-adam.js';

/** Bags and the gradient of a loss by each bag's sum: `dim` values a bag. */
export interface BagGradients {
  readonly bags: Bags;
  readonly gradients: Float32Array;
}

/**
 * The rows that all features of both towers are made of, and Adam over them. A step costs the rows that it touches, not
 * the table.
 */
export class EmbeddingTable {
  private readonly adam: SparseAdam;

  /** @param values row-major values that steps change in place. */
  constructor(
    readonly values: Float32Array,
    readonly dim: number,
    weightDecay: number,
  ) {
    this.adam = new SparseAdam(values, dim, { weightDecay });
  }

  /** The sum of each bag: `dim` values a bag. */
  sums(bags: Bags): Float32Array {
    return bagSums(this.values, this.dim, bags);
  }

  /** One step of Adam over the rows of all bags, each row once; what several bags say of a row is added up. */
  step(parts: readonly BagGradients[], learningRate: number): void {
    const { dim } = this;
    const length = parts.reduce((sum, { bags }) => sum + bags.rows.length, 0);
    const rows = new Int32Array(length);
    const gradients = new Float32Array(length * dim);
    let to = 0;
    for (const { bags, gradients: ofBags } of parts) {
      for (let bag = 0; bag + 1 < bags.offsets.length; bag++) {
        for (let at = bags.offsets[bag]!; at < bags.offsets[bag + 1]!; at++, to++) {
          rows[to] = bags.rows[at]!;
          const weight = bags.weights[at]!;
          for (let value = 0; value < dim; value++) {
            gradients[to * dim + value] = weight * ofBags[bag * dim + value]!;
          }
        }
      }
    }
    this.adam.step(rows, gradients, learningRate);
  }
}

/** The sum of each bag over the rows of a table: `dim` values a bag. */
export function bagSums(table: Float32Array, dim: number, bags: Bags): Float32Array {
  const count = bags.offsets.length - 1;
  const sums = new Float32Array(count * dim);
  for (let bag = 0; bag < count; bag++) {
    const to = bag * dim;
    for (let at = bags.offsets[bag]!; at < bags.offsets[bag + 1]!; at++) {
      const from = bags.rows[at]! * dim;
      const weight = bags.weights[at]!;
      for (let value = 0; value < dim; value++) sums[to + value]! += weight * table[from + value]!;
    }
  }
  return sums;
}

/** A table of normal random numbers. */
export function randomTable(
  rows: number,
  dim: number,
  spread: number,
  random: Random,
): Float32Array {
  return new Float32Array(rows * dim).map(() => random.gaussian() * spread);
}
