import { LichenArgumentError } from '../errors.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { loadTensorFlow } from '../tensorflow/tensorflow.js';
import type { Matrix } from '../vectors/matrix.js';
import { attend } from './attention-tower.js';
import { BagsBuilder, type Bags } from './bags.js';
import { embeddingBag } from './embedding-bag.js';
import { addFeatures, type FeatureValues } from './features.js';
import { foldIn } from './fold-in.js';
import { tableRows, type TowerSchema } from './layout.js';
import type { ResolvedTwoTowerOptions } from './options.js';
import { historyWeights } from './user-tower.js';
import { unitRows } from './unit-rows.js';

/** What encoding needs of a model. */
export interface TowerWeights {
  /** All rows; `schema` says which are whose. */
  readonly table: Matrix;
  /** What histories are means of: a row an item. */
  readonly itemSums: Matrix;
  /** Which rows are whose. */
  readonly schema: TowerSchema;
  /** What the model was trained with. */
  readonly options: ResolvedTwoTowerOptions;
  /** The vector of a user of whom nothing is known. */
  readonly unknownUser: Float32Array;
}

/** A user whom the model has not met. */
export interface NewUser {
  /** Ids of items, oldest first; those that the model does not know are passed over. */
  readonly history: readonly (string | number)[];
  /** Values of the user features. */
  readonly features?: FeatureValues | undefined;
}

/** Vectors of new users: `users.length * dim` values. */
export async function encodeNewUsers(
  { table, itemSums, schema, options, unknownUser }: TowerWeights,
  itemVectors: Matrix,
  items: Vocabulary,
  users: readonly NewUser[],
): Promise<Float32Array> {
  const { dim } = table;
  const rows = tableRows(schema, dim);
  const histories = users.map(({ history }) => knownItems(items, history, options));
  const features = new BagsBuilder();
  for (const [at, user] of users.entries()) {
    const what = `users[${at}].features`;
    addFeatures(features, schema.userFeatures, rows.userFeatures, user.features ?? {}, what);
    features.close();
  }
  const sums = embeddingBag(table.data, dim, features.finish());
  if (schema.userTower === 'id') {
    histories.forEach((history, at) => {
      const vector = foldIn(itemVectors, history);
      for (let value = 0; value < dim; value++) sums[at * dim + value]! += vector[value]!;
    });
  } else if (schema.network !== undefined) {
    const { tf } = await loadTensorFlow(options.backend);
    const weights = table.data.subarray(rows.network * dim, rows.total * dim);
    const attended = attend(tf, { ...schema.network, dim }, weights, itemSums.data, histories);
    attended.forEach((value, at) => (sums[at]! += value));
  } else {
    const means = embeddingBag(itemSums.data, dim, historyBags(histories, options));
    means.forEach((value, at) => (sums[at]! += value));
  }
  const vectors = options.normalize ? unitRows(sums, dim).unit : sums;
  for (let at = 0; at < users.length; at++) {
    const vector = vectors.subarray(at * dim, (at + 1) * dim);
    if (vector.every((value) => value === 0)) vector.set(unknownUser);
  }
  return vectors;
}

/** Vectors of new items, from their features alone: `values.length * dim` values. */
export function encodeNewItems(
  { table, schema, options }: TowerWeights,
  values: readonly FeatureValues[],
): Float32Array {
  if (schema.itemFeatures.length === 0) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      'the model was trained without itemFeatures, so it cannot encode new items',
    );
  }
  const rows = tableRows(schema, table.dim);
  const builder = new BagsBuilder();
  values.forEach((value, at) => {
    addFeatures(builder, schema.itemFeatures, rows.itemFeatures, value, `features[${at}]`);
    builder.close();
  });
  const sums = embeddingBag(table.data, table.dim, builder.finish());
  return options.normalize ? unitRows(sums, table.dim).unit : sums;
}

function knownItems(
  items: Vocabulary,
  history: readonly (string | number)[],
  { ordered, maxHistory }: ResolvedTwoTowerOptions,
): number[] {
  const known = history.map((id) => items.indexOf(id)).filter((item) => item >= 0);
  return ordered ? known.slice(-maxHistory) : known;
}

function historyBags(
  histories: readonly (readonly number[])[],
  options: ResolvedTwoTowerOptions,
): Bags {
  const builder = new BagsBuilder();
  for (const history of histories) {
    const weights = historyWeights(history.length, options);
    history.forEach((item, place) => builder.add(item, weights[place]!));
    builder.close();
  }
  return builder.finish();
}
