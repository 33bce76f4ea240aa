import { LichenArgumentError, throwIfAborted } from '../errors.js';
import type { Interactions } from '../interactions/interactions.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { loadTensorFlow } from '../tensorflow/tensorflow.js';
import type { Matrix } from '../vectors/matrix.js';
import { encodeNewItems, encodeNewUsers, type NewUser, type TowerWeights } from './new-vectors.js';
import type { FeatureValues } from './features.js';
import type { TowerFeatures } from './layout.js';
import {
  readModel,
  writeModel,
  type OpenModelOptions,
  type SaveModelOptions,
  type TwoTowerContent,
  type TwoTowerInfo,
  type TwoTowerMetric,
} from './model-files.js';
import { resolveTwoTowerOptions, type TwoTowerOptions } from './options.js';
import { trainTowers } from './train-towers.js';

/** What a training may start from, beside its options. */
export interface TwoTowerSource extends TowerFeatures {
  /**
   * A model whose rows are taken for users, items and feature values of the same names (warm start); it must have the
   * same `dim`.
   */
  readonly initial?: TwoTowerModel | undefined;
}

/**
 * A user tower and an item tower: a vector for each user and each item, whose dot product is the score of the item
 * for the user. To recommend is to search the item vectors for the highest dot products with a user's vector.
 * Never changes.
 *
 * @example
 * const model = await TwoTowerModel.train(interactions, { dim: 64, epochs: 20 });
 * await model.save('model');
 * const index = new FlatIndex({ dim: model.dim, metric: 'dot' });
 * await index.add(model.itemVectors);
 */
export class TwoTowerModel {
  /** Row u of `userVectors` is the vector of id number u. */
  readonly users: Vocabulary;
  /** Row i of `itemVectors` is the vector of id number i. */
  readonly items: Vocabulary;
  /** `users.size` vectors. A user of whom nothing is known has the mean of the other users. */
  readonly userVectors: Matrix;
  /** `items.size` vectors. An item without interactions and features has zeros, and scores 0 for everybody. */
  readonly itemVectors: Matrix;
  /**
   * How the model was trained to score: by `cosine`, and then all vectors but zeros have length 1, so that a dot
   * product is the cosine and either metric ranks alike; or by plain `dot` product, for which lengths count.
   */
  readonly metric: TwoTowerMetric;
  /** Where the model comes from. */
  readonly info: TwoTowerInfo;
  /** What the towers are made of; shared, not to be changed. */
  readonly weights: TowerWeights;

  private constructor(content: TwoTowerContent) {
    this.users = content.users;
    this.items = content.items;
    this.userVectors = content.userVectors;
    this.itemVectors = content.itemVectors;
    this.metric = content.metric;
    this.info = content.info;
    this.weights = content.weights;
  }

  /**
   * Trains a model on TensorFlow.js (an optional peer). Makes room for other work of the event loop after every 20
   * ms or step, whichever is longer.
   * @param source features of items and users, and a model to start from.
   * @throws ERR_LICHEN_ARGUMENT for a bad option, ERR_LICHEN_EMPTY without interactions, ERR_LICHEN_DIMENSION for features
   * of a wrong number or an `initial` model of another `dim`, ERR_LICHEN_NOT_FINITE when the training diverges,
   * ERR_LICHEN_ABORTED, ERR_LICHEN_MISSING_PACKAGE and ERR_LICHEN_UNSUPPORTED when TensorFlow.js is not there or its
   * backend cannot start.
   */
  static async train(
    interactions: Interactions,
    options: TwoTowerOptions = {},
    source: TwoTowerSource = {},
  ): Promise<TwoTowerModel> {
    const resolved = resolveTwoTowerOptions(options);
    if (interactions.itemIndices.length === 0) {
      throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'interactions: there are none to train on');
    }
    throwIfAborted(options.signal, 'training');
    const started = performance.now();
    const loaded = await loadTensorFlow(resolved.backend);
    const { initial } = source;
    const trained = await trainTowers(loaded, interactions, resolved, options, source, initial);
    const { users, items } = interactions;
    return new TwoTowerModel({
      users,
      items,
      ...trained.towers,
      metric: resolved.normalize ? 'cosine' : 'dot',
      info: Object.freeze({
        options: resolved,
        backend: loaded.backend,
        epochs: trained.outcome.epochs,
        seconds: (performance.now() - started) / 1000,
        loss: trained.outcome.loss,
        users: users.size,
        items: items.size,
        pairs: interactions.itemIndices.length,
        metrics: Object.freeze(validationMetrics(trained.outcome.validation)),
      }),
    });
  }

  /**
   * Opens a model that {@link save} wrote, after checking all of it.
   * @throws ERR_LICHEN_NOT_FOUND when there is no such folder, ERR_LICHEN_FORMAT when it is no model or a corrupt
   * one, ERR_LICHEN_UNSUPPORTED when a newer lichen wrote it, ERR_LICHEN_IO, ERR_LICHEN_ABORTED.
   */
  static async open(dir: string, options: OpenModelOptions = {}): Promise<TwoTowerModel> {
    return new TwoTowerModel(await readModel(dir, options));
  }

  /** Values a vector. */
  get dim(): number {
    return this.itemVectors.dim;
  }

  /**
   * Writes the model as a folder, all of it or nothing. A model that is there already is replaced, and so is an
   * empty folder; anything else is left alone.
   * @throws ERR_LICHEN_IO when `dir` is something else or writing fails, ERR_LICHEN_NOT_FOUND when the folder around
   * it is missing, ERR_LICHEN_ARGUMENT for metrics that are no finite numbers, ERR_LICHEN_ABORTED; then `dir` is
   * what it was.
   */
  async save(dir: string, options: SaveModelOptions = {}): Promise<void> {
    await writeModel(dir, this, options);
  }

  /**
   * The users' vectors: `ids.length * dim` values, a copy.
   * @throws ERR_LICHEN_UNKNOWN_KEY naming the first id that is not in the model.
   */
  encodeUsers(ids: readonly (string | number)[]): Float32Array {
    return gather('user', this.users, this.userVectors, ids);
  }

  /**
   * The items' vectors: `ids.length * dim` values, a copy.
   * @throws ERR_LICHEN_UNKNOWN_KEY naming the first id that is not in the model.
   */
  encodeItems(ids: readonly (string | number)[]): Float32Array {
    return gather('item', this.items, this.itemVectors, ids);
  }

  /**
   * Vectors of users who were not in training, by what they have met: `users.length * dim` values. A user tower of ids
   * finds the vector that fits the history best (fold-in); one of attention asks TensorFlow.js. A user of whom nothing is known gets the mean user's vector.
   * @throws ERR_LICHEN_ARGUMENT for features that the model does not have or of another type.
   */
  async encodeNewUsers(users: readonly NewUser[]): Promise<Float32Array> {
    return encodeNewUsers(this.weights, this.itemVectors, this.items, users);
  }

  /**
   * Vectors of items that were not in training, by their features: `features.length * dim` values; an item none of whose
   * values is known gets zeros.
   * @throws ERR_LICHEN_ARGUMENT when the model was trained without item features, and for features that it does not have
   * or of another type.
   */
  encodeNewItems(features: readonly FeatureValues[]): Float32Array {
    return encodeNewItems(this.weights, features);
  }
}

/** Metrics of the validation, by names that tell them from those of a test. */
function validationMetrics(
  validation: Readonly<Record<string, number>> = {},
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(validation).map(([name, value]) => [`validation ${name}`, value]),
  );
}

function gather(
  what: 'user' | 'item',
  vocabulary: Vocabulary,
  vectors: Matrix,
  ids: readonly (string | number)[],
): Float32Array {
  const { data, dim } = vectors;
  const gathered = new Float32Array(ids.length * dim);
  ids.forEach((id, at) => {
    const row = vocabulary.indexOf(id);
    if (row < 0) {
      throw new LichenArgumentError(
        'ERR_LICHEN_UNKNOWN_KEY',
        `${what} ${JSON.stringify(id)} is not among the model's ${vocabulary.size} ${what}s`,
      );
    }
    gathered.set(data.subarray(row * dim, (row + 1) * dim), at * dim);
  });
  return gathered;
}
