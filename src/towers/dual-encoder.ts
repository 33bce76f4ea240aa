import { setImmediate } from 'node:timers/promises';
import { LichenArgumentError, LichenError, throwIfAborted } from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions } from '../index/arguments.js';
import type { Interactions } from '../interactions/interactions.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { requireGradients } from '../tensorflow/gradients.js';
import { loadTensorFlow, resumeBackend, type LoadedTensorFlow } from '../tensorflow/tensorflow.js';
import { matrix, requireFinite, type Matrix } from '../vectors/matrix.js';
import {
  readDualEncoder,
  writeDualEncoder,
  type DualEncoderContent,
  type DualEncoderInfo,
  type OpenDualEncoderOptions,
} from './dual-encoder-files.js';
import {
  resolveDualEncoderOptions,
  type DualEncoderOptions,
  type ResolvedDualEncoderOptions,
} from './dual-encoder-options.js';
import { DualEncoderTrainer } from './dual-encoder-trainer.js';
import { TableEncoder, type Encoder } from './encoder.js';
import type { SaveModelOptions, TwoTowerMetric } from './model-files.js';

/** Options of `encodeUsers` and `encodeItems`. */
export interface EncodeOptions {
  /** Leading values wanted of each vector: best one of the prefixes that were trained. Default: all. */
  dim?: number | undefined;
  /** Rows that the tower is applied to at a time. Default 1024. */
  batchSize?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
}

const ENCODE_OPTIONS = ['dim', 'batchSize', 'signal'] as const;

/** How long training may keep the event loop waiting, beyond the step at work. */
const YIELD_MILLISECONDS = 20;

/** How often progress is told. */
const PROGRESS_MILLISECONDS = 250;

/**
 * Two towers that are networks of TensorFlow.js, of whatever inputs: a user and an item are near one another where the
 * user would like the item. One of the two may be a table, a trained vector for each user or item.
 *
 * @example
 * const encoder = await DualEncoder.train(interactions, {
 *   itemTower: { model: layers, inputs: (rows) => tf.tensor2d(featuresOf(rows), [rows.length, 20]) },
 * });
 * const vectors = await encoder.encodeItems();
 */
export class DualEncoder {
  /** Ids of users, and their numbers. */
  readonly users: Vocabulary;
  /** Ids of items, and their numbers. */
  readonly items: Vocabulary;
  /** Values a vector. */
  readonly dim: number;
  /** Numbers of leading values that were trained to be vectors of their own; the last is `dim`. */
  readonly prefixes: readonly number[];
  /** What scores are: by `cosine`, and then vectors have length 1, or by `dot` product. */
  readonly metric: TwoTowerMetric;
  /** Where it comes from. */
  readonly info: DualEncoderInfo;
  readonly #loaded: LoadedTensorFlow;
  readonly #content: DualEncoderContent;

  private constructor(content: DualEncoderContent, loaded: LoadedTensorFlow) {
    const { users, items, dim, prefixes, metric, info } = content;
    this.users = users;
    this.items = items;
    this.dim = dim;
    this.prefixes = prefixes;
    this.metric = metric;
    this.info = info;
    this.#content = content;
    this.#loaded = loaded;
  }

  /**
   * Trains towers by in-batch sampled softmax; their weights are changed in place, from what they are. Makes room for
   * other work of the event loop after every 20 ms or step, whichever is longer.
   * @throws ERR_LICHEN_ARGUMENT for a bad option or tower, ERR_LICHEN_DIMENSION for towers whose inputs or vectors do
   * not fit, ERR_LICHEN_EMPTY without interactions, ERR_LICHEN_NOT_FINITE when the training diverges,
   * ERR_LICHEN_ABORTED; ERR_LICHEN_MISSING_PACKAGE and ERR_LICHEN_UNSUPPORTED when TensorFlow.js, its gradients (the
   * package tfjs has them) or an operation is missing.
   */
  static async train(
    interactions: Interactions,
    options: DualEncoderOptions,
  ): Promise<DualEncoder> {
    const resolved = resolveDualEncoderOptions(options);
    const pairs = interactions.itemIndices.length;
    if (pairs === 0) {
      throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'interactions: there are none to train on');
    }
    throwIfAborted(resolved.signal, 'training');
    const started = performance.now();
    const loaded = await loadTensorFlow(resolved.backend);
    await requireGradients(loaded.tf);
    await resumeBackend(loaded);
    const { users, items } = interactions;
    const source = { offsets: interactions.offsets, items: interactions.itemIndices };
    const trainer = new DualEncoderTrainer(loaded, source, items.size, resolved);
    try {
      const loss = await runEpochs(trainer, loaded, resolved);
      forgetUntrained(trainer, source);
      const { dim, prefixes } = trainer;
      const { normalize, epochs, temperature } = resolved;
      const info = Object.freeze({
        backend: loaded.backend,
        epochs,
        temperature,
        seconds: (performance.now() - started) / 1000,
        loss,
        users: users.size,
        items: items.size,
        pairs,
        metrics: Object.freeze({}),
      });
      const metric = normalize ? 'cosine' : 'dot';
      const towers = { userTower: trainer.users, itemTower: trainer.items };
      return new DualEncoder({ users, items, dim, prefixes, metric, info, ...towers }, loaded);
    } finally {
      trainer.dispose();
    }
  }

  /**
   * Opens what {@link save} wrote, after checking all of it.
   * @throws ERR_LICHEN_NOT_FOUND when there is no such folder, ERR_LICHEN_FORMAT when it is another or a corrupt one,
   * ERR_LICHEN_UNSUPPORTED when a newer lichen wrote it, ERR_LICHEN_ARGUMENT when the inputs of a tower are missing,
   * ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_IO, ERR_LICHEN_ABORTED.
   */
  static async open(dir: string, options: OpenDualEncoderOptions = {}): Promise<DualEncoder> {
    const loaded = await loadTensorFlow(options.backend ?? 'auto');
    return new DualEncoder(await readDualEncoder(loaded.tf, dir, options), loaded);
  }

  /**
   * The vectors of some users by their numbers, all of them by default. A user of a table without interactions has
   * zeros.
   * @throws ERR_LICHEN_ARGUMENT for a number that is none of a user or a bad option, ERR_LICHEN_DIMENSION for inputs
   * that do not fit, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_ABORTED.
   */
  async encodeUsers(rows?: ArrayLike<number>, options?: EncodeOptions): Promise<Matrix> {
    const numbers = requireRows('users', rows, this.users.size);
    return this.#encode('users', this.#content.userTower, numbers, options);
  }

  /** The vectors of some items by their numbers, as {@link encodeUsers}. */
  async encodeItems(rows?: ArrayLike<number>, options?: EncodeOptions): Promise<Matrix> {
    const numbers = requireRows('items', rows, this.items.size);
    return this.#encode('items', this.#content.itemTower, numbers, options);
  }

  /**
   * Writes towers, ids and what is known of the training as a folder, all of it or nothing. Inputs are functions and
   * not written. One that is there already is replaced, and so is an empty folder; anything else is left alone.
   * @throws ERR_LICHEN_UNSUPPORTED for a tower that is a function, ERR_LICHEN_IO when `dir` is something else or
   * writing fails, ERR_LICHEN_NOT_FOUND when the folder around it is missing, ERR_LICHEN_ARGUMENT for metrics that are
   * no finite numbers, ERR_LICHEN_ABORTED; then `dir` is what it was.
   */
  async save(dir: string, options: SaveModelOptions = {}): Promise<void> {
    await writeDualEncoder(dir, this.#content, options);
  }

  async #encode(
    what: string,
    encoder: Encoder,
    rows: Int32Array,
    options: EncodeOptions | undefined,
  ): Promise<Matrix> {
    const given = requireOptions(options, ENCODE_OPTIONS);
    const dim = requireInteger('dim', given.dim ?? this.dim, 1, this.dim);
    const batchSize = requireInteger('batchSize', given.batchSize ?? 1024, 1, MAX_ROWS);
    const vectors = matrix(new Float32Array(rows.length * dim), dim);
    for (let from = 0; from < rows.length; from += batchSize) {
      throwIfAborted(given.signal, 'encoding');
      await resumeBackend(this.#loaded);
      const values = this.#apply(encoder, rows.slice(from, from + batchSize));
      for (let at = 0; at * this.dim < values.length; at++) {
        const vector = values.subarray(at * this.dim, at * this.dim + dim);
        vectors.data.set(this.metric === 'cosine' ? normalized(vector) : vector, (from + at) * dim);
      }
      await setImmediate();
    }
    requireFinite(vectors, `the vectors of ${what}`);
    return vectors;
  }

  #apply(encoder: Encoder, rows: Int32Array): Float32Array {
    const { tf } = this.#loaded;
    let values = new Float32Array(0);
    // Not the tidy's result: it looks for tensors in what it returns, value by value.
    tf.tidy(() => {
      const pass = encoder.begin(rows, false);
      values = pass.output().dataSync<'float32'>().slice();
      pass.end();
    });
    return values;
  }
}

/** Trains all epochs; returns the mean loss a pair of the last one. */
async function runEpochs(
  trainer: DualEncoderTrainer,
  loaded: LoadedTensorFlow,
  { epochs, learningRate, temperature, signal, onProgress }: ResolvedDualEncoderOptions,
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
      if (!Number.isFinite(loss)) {
        throw new LichenError(
          'ERR_LICHEN_NOT_FINITE',
          `training diverged: the loss is ${loss} in epoch ${epoch} (step ${step}); try a smaller learningRate ` +
            `(it was ${learningRate}) or a larger temperature (it was ${temperature})`,
        );
      }
      const now = performance.now();
      if (onProgress !== undefined && now - told >= PROGRESS_MILLISECONDS) {
        told = now;
        onProgress({ epoch, epochs, step, steps, loss });
      }
      if (now - yielded < YIELD_MILLISECONDS) continue;
      await setImmediate();
      throwIfAborted(signal, 'training');
      await resumeBackend(loaded);
      yielded = performance.now();
    }
    throwIfAborted(signal, 'training');
    onProgress?.({ epoch, epochs, step, steps, loss });
  }
  return loss;
}

/** Rows of a table that no step has touched still have random values; they become zeros. */
function forgetUntrained(
  { users, items, dim }: DualEncoderTrainer,
  source: { offsets: Uint32Array; items: Uint32Array },
): void {
  if (users instanceof TableEncoder) {
    for (let user = 0; user + 1 < source.offsets.length; user++) {
      const isMet = source.offsets[user] !== source.offsets[user + 1];
      if (!isMet) users.table.fill(0, user * dim, (user + 1) * dim);
    }
  }
  if (items instanceof TableEncoder) {
    const met = new Set(source.items);
    for (let item = 0; item * dim < items.table.length; item++) {
      if (!met.has(item)) items.table.fill(0, item * dim, (item + 1) * dim);
    }
  }
}

function normalized(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length > 0 ? vector.map((value) => value / length) : vector;
}

function requireRows(what: string, rows: ArrayLike<number> | undefined, size: number): Int32Array {
  if (rows === undefined) return Int32Array.from({ length: size }, (_, row) => row);
  return Int32Array.from(rows, (row, at) => requireInteger(`${what}[${at}]`, row, 0, size - 1));
}
