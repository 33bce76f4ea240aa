import { native } from '../native.js';
import { consecutiveBags, type Bags } from './bags.js';
import { DenseAdam } from './dense-adam.js';
import { embeddingBag } from './embedding-bag.js';
import { joinedGradients, type BagGradients, type VectorTable } from './embedding-table.js';
import type { InteractionGraph } from './interaction-graph.js';

/**
 * The rows of towers of ids as seen through the graph of interactions: what towers sum are the smoothed rows, what is
 * learned are the rows that are smoothed. A step costs the whole graph, so batches should be large.
 */
export class SmoothedTable implements VectorTable {
  private readonly adam: DenseAdam;
  private smoothed: Float32Array | undefined;

  /** @param values row-major values that steps change in place. */
  constructor(
    readonly values: Float32Array,
    readonly dim: number,
    weightDecay: number,
    private readonly graph: InteractionGraph,
    private readonly layers: number,
  ) {
    this.adam = new DenseAdam(values, { weightDecay });
  }

  sums(bags: Bags): Float32Array {
    this.smoothed ??= this.graph.smooth(this.values, this.dim, this.layers);
    return embeddingBag(this.smoothed, this.dim, bags);
  }

  step(parts: readonly BagGradients[], learningRate: number): void {
    const { dim, values, graph, layers } = this;
    const { offsets, rows, weights } = consecutiveBags(parts.map(({ bags }) => bags));
    const gradients = joinedGradients(parts);
    // Each place of a bag gets the bag's gradient, times its weight.
    const ofPlaces = new Float32Array(rows.length * dim);
    for (let bag = 0; bag + 1 < offsets.length; bag++) {
      const gradient = gradients.subarray(bag * dim, (bag + 1) * dim);
      for (let at = offsets[bag]!; at < offsets[bag + 1]!; at++) {
        const weight = weights[at]!;
        if (weight === 1) ofPlaces.set(gradient, at * dim);
        else gradient.forEach((value, i) => (ofPlaces[at * dim + i] = weight * value));
      }
    }
    const ofRows = new Float32Array(values.length);
    native().tensorSegmentSum(ofPlaces, rows, dim, values.length / dim, ofRows);
    // The graph is the same in both directions, so its smoothing is its own transpose.
    this.adam.step(graph.smooth(ofRows, dim, layers), learningRate);
    this.smoothed = undefined;
  }
}
