import { setImmediate } from 'node:timers/promises';
import { LichenArgumentError, LichenError, throwIfAborted } from '../errors.js';
import type { Interactions } from '../interactions/interactions.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import type { Matrix } from '../vectors/matrix.js';
import {
  readModel,
  writeModel,
  type OpenModelOptions,
  type SaveModelOptions,
  type TwoTowerContent,
  type TwoTowerInfo,
  type TwoTowerMetric,
} from './model-files.js';
import {
  resolveTwoTowerOptions,
  type ResolvedTwoTowerOptions,
  type TwoTowerOptions,
} from './options.js';
import { finishVectors } from './finish.js';
import { loadTensorFlow, resumeBackend, type LoadedTensorFlow } from '../tensorflow/tensorflow.js';
import { TwoTowerTrainer } from './trainer.js';

/** How long training may keep the event loop waiting, beyond the step at work. */
const YIELD_MILLISECONDS = 20;

/** How often progress is told. */
const PROGRESS_MILLISECONDS = 250;

/**
 * A user tower and an item tower: a vector for each user and each item, whose dot product is the score of the item
 * for the user. To recommend is to search the item vectors for the highest dot products with a user's vector.
 * Never changes.
 */
export class TwoTowerModel {
  /** Row u of `userVectors` is the vector of id number u. */
  readonly users: Vocabulary;
  /** Row i of `itemVectors` is the vector of id number i. */
  readonly items: Vocabulary;
  /**
   * `users.size` vectors. A user without interactions has the mean of the other users, which ranks items by their
   * popularity.
   */
  readonly userVectors: Matrix;
  /** `items.size` vectors. An item without interactions has zeros, and scores 0 for everybody. */
  readonly itemVectors: Matrix;
  /**
   * How the model was trained to score: by `cosine`, and then all vectors but zeros have length 1, so that a dot
   * product is the cosine and either metric ranks alike; or by plain `dot` product, for which lengths count.
   */
  readonly metric: TwoTowerMetric;
  /** Where the model comes from. */
  readonly info: TwoTowerInfo;

  private constructor(content: TwoTowerContent) {
    this.users = content.users;
    this.items = content.items;
    this.userVectors = content.userVectors;
    this.itemVectors = content.itemVectors;
    this.metric = content.metric;
    this.info = content.info;
  }

  /**
   * Trains a model on TensorFlow.js (an optional peer). Makes room for other work of the event loop after every 20
   * ms or step, whichever is longer.
   * @throws ERR_LICHEN_ARGUMENT for a bad option, ERR_LICHEN_EMPTY without interactions, ERR_LICHEN_NOT_FINITE when
   * the training diverges, ERR_LICHEN_ABORTED, ERR_LICHEN_MISSING_PACKAGE and ERR_LICHEN_UNSUPPORTED when
   * TensorFlow.js is not there or its backend cannot start.
   */
  static async train(
    interactions: Interactions,
    options: TwoTowerOptions = {},
  ): Promise<TwoTowerModel> {
    const resolved = resolveTwoTowerOptions(options);
    const pairs = interactions.itemIndices.length;
    if (pairs === 0) {
      throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'interactions: there are none to train on');
    }
    throwIfAborted(options.signal, 'training');
    const started = performance.now();
    const loaded = await loadTensorFlow(resolved.backend);
    const source = { offsets: interactions.offsets, items: interactions.itemIndices };
    const { users, items } = interactions;
    const trainer = new TwoTowerTrainer(loaded.tf, source, items.size, resolved);
    const loss = await runEpochs(trainer, loaded, resolved, options);
    const { userVectors, itemVectors } = finishVectors(trainer, source, resolved);
    return new TwoTowerModel({
      users,
      items,
      userVectors,
      itemVectors,
      metric: resolved.normalize ? 'cosine' : 'dot',
      info: Object.freeze({
        options: resolved,
        backend: loaded.backend,
        epochs: resolved.epochs,
        seconds: (performance.now() - started) / 1000,
        loss,
        users: users.size,
        items: items.size,
        pairs,
        metrics: Object.freeze({}),
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
}

/** Trains all epochs; returns the mean loss a pair of the last one. */
async function runEpochs(
  trainer: TwoTowerTrainer,
  { tf, backend }: LoadedTensorFlow,
  { epochs, learningRate, temperature }: ResolvedTwoTowerOptions,
  { signal, onProgress }: TwoTowerOptions,
): Promise<number> {
  const steps = epochs * trainer.stepsPerEpoch;
  let step = 0;
  let loss = NaN;
  let yielded = performance.now();
  let told = yielded;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let sum = 0;
    let pairs = 0;
    for (const done of trainer.epoch()) {
      step++;
      sum += done.loss * done.pairs;
      pairs += done.pairs;
      loss = sum / pairs;
      if (!Number.isFinite(loss)) throw diverged(loss, epoch, step, learningRate, temperature);
      const now = performance.now();
      if (onProgress !== undefined && now - told >= PROGRESS_MILLISECONDS) {
        told = now;
        onProgress({ epoch, epochs, step, steps, loss });
      }
      if (now - yielded < YIELD_MILLISECONDS) continue;
      await setImmediate();
      throwIfAborted(signal, 'training');
      // The backend is a setting of the whole process, and somebody else may have had a turn.
      await resumeBackend({ tf, backend });
      yielded = performance.now();
    }
    throwIfAborted(signal, 'training');
    onProgress?.({ epoch, epochs, step, steps, loss });
  }
  return loss;
}

function diverged(
  loss: number,
  epoch: number,
  step: number,
  learningRate: number,
  temperature: number,
): LichenError {
  return new LichenError(
    'ERR_LICHEN_NOT_FINITE',
    `training diverged: the loss is ${loss} in epoch ${epoch} (step ${step}); try a smaller learningRate ` +
      `(it was ${learningRate}), less weightDecay or a larger temperature (it was ${temperature})`,
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
