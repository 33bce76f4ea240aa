import { LichenArgumentError } from '../errors.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { rowsOf, type FeatureSchema } from './features.js';
import { tableRows, type TowerSchema } from './layout.js';
import type { InitialTowers } from './train-towers.js';

/**
 * Overwrites rows of a table by those that a model has for the same ids and feature values.
 * @throws ERR_LICHEN_DIMENSION when the model has another dim.
 */
export function takeRows(
  values: Float32Array,
  schema: TowerSchema,
  { users, items }: { readonly users: Vocabulary; readonly items: Vocabulary },
  initial: InitialTowers,
  dim: number,
): void {
  const { table, schema: before } = initial.weights;
  if (table.dim !== dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `initial must have dim ${dim}, got a model of dim ${table.dim}`,
    );
  }
  const copy = (from: number, to: number): void => {
    const row = table.data.subarray(from * dim, (from + 1) * dim);
    // Rows of zeros were never trained; zeros cannot be told apart by training.
    if (row.some((value) => value !== 0)) values.set(row, to * dim);
  };
  const now = tableRows(schema, dim);
  const then = tableRows(before, dim);
  forEachShared(items, initial.items, copy);
  if (schema.userTower === 'id' && before.userTower === 'id') {
    forEachShared(users, initial.users, (from, to) => copy(then.users + from, now.users + to));
  }
  const isSameNetwork =
    schema.network?.layers === before.network?.layers &&
    schema.network?.maxHistory === before.network?.maxHistory;
  for (let row = now.network; isSameNetwork && row < now.total; row++) {
    copy(then.network + row - now.network, row);
  }
  for (const side of ['itemFeatures', 'userFeatures'] as const) {
    takeFeatures(schema[side], now[side], before[side], then[side], copy);
  }
}

function takeFeatures(
  features: readonly FeatureSchema[],
  first: number,
  before: readonly FeatureSchema[],
  firstBefore: number,
  copy: (from: number, to: number) => void,
): void {
  let to = first;
  for (const feature of features) {
    let from = firstBefore;
    for (const other of before) {
      if (other.name === feature.name) takeFeature(feature, to, other, from, copy);
      from += rowsOf(other);
    }
    to += rowsOf(feature);
  }
}

function takeFeature(
  feature: FeatureSchema,
  to: number,
  other: FeatureSchema,
  from: number,
  copy: (from: number, to: number) => void,
): void {
  if (feature.type === 'categorical' && other.type === 'categorical') {
    forEachShared(feature.vocabulary, other.vocabulary, (was, is) => copy(from + was, to + is));
  } else if (feature.type === other.type && rowsOf(feature) === rowsOf(other)) {
    for (let row = 0; row < rowsOf(feature); row++) copy(from + row, to + row);
  }
}

/** Calls back with the indices of each id that is in both vocabularies: before, now. */
function forEachShared(
  now: Vocabulary,
  before: Vocabulary,
  callback: (before: number, now: number) => void,
): void {
  for (let index = 0; index < now.size; index++) {
    const was = before.indexOf(now.idAt(index));
    if (was >= 0) callback(was, index);
  }
}
