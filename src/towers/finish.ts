import type { UserItems } from './pair-batches.js';
import type { EmbeddingTable, VectorTable } from './embedding-table.js';
import { tableRows, type TowerSchema } from './layout.js';
import { matrix, requireFinite, type Matrix } from '../vectors/matrix.js';
import { unitRows } from './unit-rows.js';
import type { TableLayout } from './user-tower.js';

/**
 * Sets to zeros the id rows that were never trained: items and users that the interactions do not name are their features
 * alone.
 * @throws ERR_LICHEN_NOT_FINITE when the training diverged in its last step.
 */
export function finishTable(table: EmbeddingTable, source: UserItems, schema: TowerSchema): void {
  const { values, dim } = table;
  requireFinite(matrix(values, dim), 'training diverged: the table');
  const met = new Uint8Array(schema.items);
  for (const item of source.items) met[item] = 1;
  for (let item = 0; item < schema.items; item++) {
    if (met[item] === 0) values.fill(0, item * dim, (item + 1) * dim);
  }
  if (schema.userTower !== 'id') return;
  const { users } = tableRows(schema, dim);
  for (let user = 0; user < schema.users; user++) {
    if (source.offsets[user] !== source.offsets[user + 1]) continue;
    values.fill(0, (users + user) * dim, (users + user + 1) * dim);
  }
}

/** What histories are means of: a row an item. */
export function historySums(table: VectorTable, layout: TableLayout): Matrix {
  return matrix(table.sums(layout.history), table.dim);
}

/** What the item tower gives before lengths are made 1: a row an item. */
export function itemSums(table: VectorTable, layout: TableLayout): Matrix {
  return matrix(table.sums(layout.items), table.dim);
}

/** Vectors as a model gives them out: of length 1 if scores are cosines. Rows of zeros stay so. */
export function finishVectors(sums: Matrix, normalize: boolean): Matrix {
  return normalize ? matrix(unitRows(sums.data, sums.dim).unit, sums.dim) : sums;
}

/** Rows of zeros become the mean of the others: a user of whom nothing is known ranks items as the mean user does. */
export function fillUnknownUsers(vectors: Matrix, normalize: boolean): Float32Array {
  const { data, rows, dim } = vectors;
  const sum = new Float64Array(dim);
  const unknown: number[] = [];
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * dim, (row + 1) * dim);
    if (values.every((value) => value === 0)) unknown.push(row);
    else values.forEach((value, at) => (sum[at]! += value));
  }
  const known = Math.max(1, rows - unknown.length);
  const mean = Float32Array.from(sum, (value) => value / known);
  const filler = normalize ? unitRows(mean, dim).unit : mean;
  for (const row of unknown) data.set(filler, row * dim);
  return filler;
}
