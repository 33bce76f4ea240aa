import type { Random } from '../vectors/random.js';
import { consecutiveBags, type Bags } from './bags.js';
import { embeddingBag } from './embedding-bag.js';
import { SparseAdam } from './sparse-adam.js';

/** Bags and the gradient of a loss by each bag's sum: `dim` values a bag. */
export interface BagGradients {
  readonly bags: Bags;
  readonly gradients: Float32Array;
}

/** Rows that towers are sums of, under training. */
export interface VectorTable {
  /** Values a row. */
  readonly dim: number;
  /** The sum of each bag: `dim` values a bag. */
  sums(bags: Bags): Float32Array;
  /** One step of Adam over the rows of all bags, each row once; what several bags say of a row is added up. */
  step(parts: readonly BagGradients[], learningRate: number): void;
}

/**
 * The rows that all features of both towers are made of, and Adam over them. A step costs the rows that it touches, not
 * the table.
 */
export class EmbeddingTable implements VectorTable {
  private readonly adam: SparseAdam;

  /** @param values row-major values that steps change in place. */
  constructor(
    readonly values: Float32Array,
    readonly dim: number,
    weightDecay: number,
  ) {
    this.adam = new SparseAdam(values, dim, { weightDecay });
  }

  sums(bags: Bags): Float32Array {
    return embeddingBag(this.values, this.dim, bags);
  }

  step(parts: readonly BagGradients[], learningRate: number): void {
    const bags = consecutiveBags(parts.map((part) => part.bags));
    this.adam.stepBags(bags, joinedGradients(parts), learningRate);
  }
}

/** The gradients of all parts, one part after the other. */
export function joinedGradients(parts: readonly BagGradients[]): Float32Array {
  const gradients = new Float32Array(parts.reduce((sum, part) => sum + part.gradients.length, 0));
  let at = 0;
  for (const part of parts) {
    gradients.set(part.gradients, at);
    at += part.gradients.length;
  }
  return gradients;
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
