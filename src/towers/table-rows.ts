import { LichenArgumentError } from '../errors.js';

/** Rows of a table of which each step or sum takes a few, some of them several times. */
export interface EmbeddingBags {
  /** One more than there are bags: bag b has the places `offsets[b] … offsets[b + 1] - 1`, and may have none. */
  readonly offsets: Int32Array;
  /** The table row of each place. */
  readonly rows: Int32Array;
  /** The weight of each place. Default 1 for all. */
  readonly weights?: Float32Array | undefined;
}

/**
 * Rows of a table, row-major without gaps.
 * @throws ERR_LICHEN_DIMENSION unless `table` is whole rows of `dim` values.
 */
export function rowsOfTable(table: Float32Array, dim: number): number {
  const rows = table.length / dim;
  if (Number.isSafeInteger(dim) && dim >= 1 && Number.isInteger(rows)) return rows;
  throw new LichenArgumentError(
    'ERR_LICHEN_DIMENSION',
    `table must be rows of dim values, dim a whole number of at least 1; got ${table.length} values and dim ${dim}`,
  );
}
