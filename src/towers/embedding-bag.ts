import { native } from '../native.js';
import { rowsOfTable, type EmbeddingBags } from './table-rows.js';

/**
 * The weighted sum of the table rows of each bag: what features with several values, or several features, make of one
 * user or item. Added up in the order of the places, in float32, whatever the number of threads.
 *
 * Its gradient by the table is sparse: `stepBags` of {@link SparseAdam} and {@link SparseAdagrad} takes the gradients of
 * the sums as they are.
 *
 * @param table row-major values.
 * @param dim values a row.
 * @returns `dim` values a bag; 0 for one without places.
 * @throws ERR_LICHEN_DIMENSION for arrays that do not fit each other, ERR_LICHEN_ARGUMENT for a number that is no row and
 * offsets that do not rise from 0 to the number of places.
 */
export function embeddingBag(
  table: Float32Array,
  dim: number,
  { offsets, rows, weights }: EmbeddingBags,
): Float32Array {
  rowsOfTable(table, dim);
  const out = new Float32Array(Math.max(0, offsets.length - 1) * dim);
  native().embeddingBag(table, dim, offsets, rows, weights ?? null, out);
  return out;
}
