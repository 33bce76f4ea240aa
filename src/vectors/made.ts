import type { Matrix } from './matrix.js';
import { Random } from './random.js';

/**
 * Vectors made from a seed, each of length 1: a random combination of some shared directions around one of 64 centres,
 * which is nearer to real embeddings than points anywhere.
 */
export function madeVectors(rows: number, dim: number, seed: number): Matrix {
  const random = new Random(seed);
  const rank = Math.max(2, Math.round(dim / 4));
  const centres = 64;
  const gaussians = (count: number) =>
    Float32Array.from({ length: count }, () => random.gaussian());
  const directions = gaussians(rank * dim);
  const centre = gaussians(centres * dim);
  const data = new Float32Array(rows * dim);
  for (let row = 0; row < rows; row++) {
    const vector = data.subarray(row * dim, (row + 1) * dim);
    const from = random.below(centres) * dim;
    for (let d = 0; d < dim; d++) vector[d] = centre[from + d]! + 0.3 * random.gaussian();
    for (let r = 0; r < rank; r++) {
      const weight = random.gaussian();
      for (let d = 0; d < dim; d++) vector[d]! += weight * directions[r * dim + d]!;
    }
    let square = 0;
    for (const value of vector) square += value * value;
    const scale = 1 / Math.sqrt(square);
    for (let d = 0; d < dim; d++) vector[d]! *= scale;
  }
  return { data, rows, dim };
}
