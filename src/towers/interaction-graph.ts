import { native } from '../native.js';
import type { UserItems } from './pair-batches.js';

/**
 * The graph whose nodes are items and users and whose edges are interactions, and smoothing over it (LightGCN, He et al.,
 * SIGIR 2020): a step of it takes from each neighbour its vector / sqrt(neighbours of the one * neighbours of the
 * other). Items come first, as in the table of towers of ids.
 */
export class InteractionGraph {
  private readonly offsets: Int32Array;
  private readonly neighbours: Int32Array;
  private readonly weights: Float32Array;

  constructor({ offsets, items }: UserItems, itemCount: number) {
    const users = offsets.length - 1;
    const nodes = itemCount + users;
    const degrees = new Int32Array(nodes);
    for (const item of items) degrees[item]!++;
    for (let user = 0; user < users; user++) {
      degrees[itemCount + user] = offsets[user + 1]! - offsets[user]!;
    }
    this.offsets = new Int32Array(nodes + 1);
    degrees.forEach((degree, node) => (this.offsets[node + 1] = this.offsets[node]! + degree));
    this.neighbours = new Int32Array(2 * items.length);
    this.weights = new Float32Array(2 * items.length);
    const next = this.offsets.slice(0, nodes);
    const connect = (from: number, to: number): void => {
      const at = next[from]!++;
      this.neighbours[at] = to;
      this.weights[at] = 1 / Math.sqrt(degrees[from]! * degrees[to]!);
    };
    for (let user = 0; user < users; user++) {
      for (let at = offsets[user]!; at < offsets[user + 1]!; at++) {
        connect(items[at]!, itemCount + user);
        connect(itemCount + user, items[at]!);
      }
    }
  }

  /** The mean of the rows and of what 1 to `layers` steps make of them: a new array, or the same one for 0 layers. */
  smooth(rows: Float32Array, dim: number, layers: number): Float32Array {
    let smoothed = rows;
    for (let layer = 1; layer <= layers; layer++) {
      const out = new Float32Array(rows.length);
      const scale = layer === layers ? 1 / (layers + 1) : 1;
      const { offsets, neighbours, weights } = this;
      // Rows + A (rows + A (rows + …)) is the sum of all layers.
      native().smoothRows(offsets, neighbours, weights, dim, smoothed, rows, scale, out);
      smoothed = out;
    }
    return smoothed;
  }
}
