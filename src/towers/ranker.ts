import type { LayersModel, Variable } from '@tensorflow/tfjs';
import type { Tensor } from '@tensorflow/tfjs-core';
import { setImmediate } from 'node:timers/promises';
import { LichenArgumentError, LichenError, shown, throwIfAborted } from '../errors.js';
import { requireInteger, requireOptions, requirePositive } from '../index/arguments.js';
import { parseBackend, TFJS_VERSION, type TowerBackend } from '../tensorflow/backends.js';
import { loadTensorFlow, resumeBackend, type TensorFlow } from '../tensorflow/tensorflow.js';
import { importPackage, requirePackage } from '../vectors/packages.js';
import { Random, requireSeed } from '../vectors/random.js';
import { FeatureScale } from './feature-scale.js';

type TensorFlowLayers = typeof import('@tensorflow/tfjs');

/** The candidates of a request, as a ranker sees them. */
export interface RankingGroup {
  /** `candidates * features` values, a row a candidate. */
  readonly features: Float32Array;
  /** One a candidate: how relevant it turned out to be, 0 or more. */
  readonly relevance: ArrayLike<number>;
}

/** Options of {@link trainRanker}. */
export interface RankerOptions {
  /** Values of a candidate. */
  readonly features: number;
  /** Units of the layers between features and score. Default [32, 16]; [] is a linear ranker. */
  readonly hidden?: readonly number[] | undefined;
  /** Times that training goes through all groups, 1 to 100,000. Default 20. */
  readonly epochs?: number | undefined;
  /** Groups a step. Default 32. */
  readonly batchSize?: number | undefined;
  /** Step size of Adam. Default 0.003. */
  readonly learningRate?: number | undefined;
  /**
   * Groups that are not trained on: the weights of the epoch with the least loss on them are kept, and training ends after
   * `patience` epochs without a lesser one. Default: none, all epochs.
   */
  readonly validation?: readonly RankingGroup[] | undefined;
  /** Default 3. */
  readonly patience?: number | undefined;
  /** Decides the first weights and the order of groups. Default 1. */
  readonly seed?: number | undefined;
  /** What trains it. Default `auto`. */
  readonly backend?: TowerBackend | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each epoch. */
  readonly onEpoch?: ((epoch: RankerEpoch) => void) | undefined;
}

/** Mean losses of an epoch. */
export interface RankerEpoch {
  /** Its number, from 1. */
  readonly epoch: number;
  /** Of the groups trained on. */
  readonly loss: number;
  /** Of `validation`, if there is one. */
  readonly validationLoss?: number;
}

/** What {@link trainRanker} gives. */
export interface TrainedRanker {
  /** Takes features as they are, of shape [candidates, features], and gives [candidates, 1]. The caller's to dispose of. */
  readonly model: LayersModel;
  /** How training went. */
  readonly epochs: readonly RankerEpoch[];
}

const OPTIONS = [
  ...(['features', 'hidden', 'epochs', 'batchSize', 'learningRate', 'validation'] as const),
  ...(['patience', 'seed', 'backend', 'signal', 'onEpoch'] as const),
];
/** Added to the scores of places that hold no candidate. */
const NO_CANDIDATE = -1e9;

/**
 * Trains a ranker for a stage of a cascade: a network from a candidate's features to a score, so that the candidates that
 * turned out relevant come first: softmax cross-entropy over the candidates of a request (ListNet with the top one; Cao et
 * al., ICML 2007). Groups in which nothing, or everything, is relevant alike teach nothing and are left out.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION for features of another number, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY
 * without a group to learn from, ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_ABORTED; ERR_LICHEN_NOT_FINITE
 * when training diverges.
 *
 * @example
 * const groups = [{ features: new Float32Array([0.1, 0.9, 0.7, 0.2]), relevance: [1, 0] }];
 * const { model } = await trainRanker(groups, { features: 2, epochs: 5 });
 * await saveLayersModel(model, 'ranker');
 */
export async function trainRanker(
  groups: readonly RankingGroup[],
  options: RankerOptions,
): Promise<TrainedRanker> {
  const resolved = resolve(options);
  const { features, hidden, epochs, batchSize, learningRate, patience, seed, signal } = resolved;
  const training = usable('groups', groups, features);
  const validation = resolved.validation && usable('validation', resolved.validation, features);
  throwIfAborted(signal, 'training');
  const layers = await requirePackage<TensorFlowLayers>(
    importPackage,
    '@tensorflow/tfjs',
    TFJS_VERSION,
  );
  const loaded = await loadTensorFlow(resolved.backend);
  const { tf } = loaded;
  const random = new Random(seed);
  const scale = new FeatureScale(
    training.map((group) => group.features),
    features,
  );
  const model = networkOf(layers, features, hidden, random);
  const optimizer = tf.train.adam(learningRate);
  const variables = model.trainableWeights.map((weight) => weight.read() as Variable);
  const lossOf = (batch: readonly RankingGroup[]) => listLoss(tf, model, batch, scale);
  const done: RankerEpoch[] = [];
  let best = { loss: Infinity, weights: [] as Float32Array[], epoch: 0 };
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      let sum = 0;
      for (const batch of batchesOf(training, batchSize, random)) {
        throwIfAborted(signal, 'training');
        await resumeBackend(loaded);
        const loss = tf.tidy(() => {
          const { value, grads } = tf.variableGrads(() => lossOf(batch) as never, variables);
          optimizer.applyGradients(grads as never);
          return value.dataSync<'float32'>()[0]!;
        });
        if (!Number.isFinite(loss)) {
          throw new LichenError('ERR_LICHEN_NOT_FINITE', `the loss is ${loss}: lower learningRate`);
        }
        sum += loss * batch.length;
        await setImmediate();
      }
      const report: RankerEpoch = { epoch, loss: sum / training.length };
      if (validation !== undefined) {
        const loss = meanLoss(tf, lossOf, validation, batchSize);
        done.push({ ...report, validationLoss: loss });
        if (loss < best.loss) {
          const weights = variables.map((variable) => variable.dataSync<'float32'>().slice());
          best = { loss, weights, epoch };
        }
      } else {
        done.push(report);
      }
      resolved.onEpoch?.(done.at(-1)!);
      if (validation !== undefined && epoch - best.epoch >= patience) break;
    }
    tf.tidy(() => {
      for (const [at, weights] of best.weights.entries()) {
        const variable = variables[at]!;
        variable.assign(tf.tensor(weights, variable.shape));
      }
      scale.foldInto(tf, variables);
    });
    return { model, epochs: done };
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    optimizer.dispose();
  }
}

function networkOf(
  { sequential, layers, initializers }: TensorFlowLayers,
  features: number,
  hidden: readonly number[],
  random: Random,
): LayersModel {
  const sizes = [...hidden, 1];
  return sequential({
    layers: sizes.map((units, at) =>
      layers.dense({
        units,
        activation: at < hidden.length ? 'relu' : 'linear',
        kernelInitializer: initializers.glorotUniform({ seed: random.below(2 ** 31) }),
        ...(at === 0 ? { inputShape: [features] } : {}),
      }),
    ),
  });
}

/** Mean cross-entropy between where the relevance lies and the softmax of the scores, over the groups of a batch. */
function listLoss(
  tf: TensorFlow,
  model: LayersModel,
  batch: readonly RankingGroup[],
  scale: FeatureScale,
): Tensor {
  const width = Math.max(...batch.map(({ relevance }) => relevance.length));
  const { size } = scale;
  const inputs = new Float32Array(batch.length * width * size);
  const absent = new Float32Array(batch.length * width).fill(NO_CANDIDATE);
  const shares = new Float32Array(batch.length * width);
  for (const [at, { features, relevance }] of batch.entries()) {
    const from = at * width;
    scale.apply(features, inputs.subarray(from * size));
    absent.fill(0, from, from + relevance.length);
    let sum = 0;
    for (let place = 0; place < relevance.length; place++) sum += relevance[place]!;
    for (let place = 0; place < relevance.length; place++) {
      shares[from + place] = relevance[place]! / sum;
    }
  }
  const shape: [number, number] = [batch.length, width];
  const rows = tf.tensor2d(inputs, [batch.length * width, size]);
  const output = model.apply(rows, { training: true }) as never as ReturnType<
    TensorFlow['tensor2d']
  >;
  const scores = tf.add(tf.reshape(output, shape), tf.tensor2d(absent, shape));
  const likely = tf.logSoftmax(scores);
  const sum = tf.sum(tf.mul(tf.tensor2d(shares, shape), likely));
  return tf.mul(sum, -1 / batch.length);
}

function meanLoss(
  tf: TensorFlow,
  lossOf: (batch: readonly RankingGroup[]) => Tensor,
  groups: readonly RankingGroup[],
  batchSize: number,
): number {
  let sum = 0;
  for (let at = 0; at < groups.length; at += batchSize) {
    const batch = groups.slice(at, at + batchSize);
    sum += batch.length * tf.tidy(() => lossOf(batch).dataSync<'float32'>()[0]!);
  }
  return sum / groups.length;
}

/** All groups in an order that is drawn, so many at a time. */
function* batchesOf(
  groups: readonly RankingGroup[],
  size: number,
  random: Random,
): Generator<RankingGroup[]> {
  const order = [...groups];
  for (let at = order.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  for (let at = 0; at < order.length; at += size) yield order.slice(at, at + size);
}

/** Those that teach something. @throws ERR_LICHEN_ARGUMENT, _DIMENSION, _NOT_FINITE, _EMPTY */
function usable(name: string, groups: unknown, features: number): RankingGroup[] {
  if (!Array.isArray(groups)) throw bad(`${name} must be an array, got ${shown(groups)}`);
  const checked = groups.map((group: unknown, at) =>
    requireGroup(`${name}[${at}]`, group, features),
  );
  const teaching = checked.filter(({ relevance }) => {
    const values = Array.from(relevance);
    return values.some((value) => value !== values[0]);
  });
  if (teaching.length > 0) return teaching;
  const message = `${name}: none has candidates of which some are more relevant than others`;
  throw new LichenArgumentError('ERR_LICHEN_EMPTY', message);
}

function requireGroup(name: string, group: unknown, size: number): RankingGroup {
  const { features, relevance } = (group ?? {}) as Partial<RankingGroup>;
  if (!(features instanceof Float32Array)) {
    throw bad(`${name}.features must be a Float32Array, got ${shown(features)}`);
  }
  const length: unknown = (relevance as ArrayLike<number> | null | undefined)?.length;
  if (typeof length !== 'number') throw bad(`${name}.relevance must be an array`);
  if (features.length !== length * size) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `${name}: ${length} candidates of ${size} features are ${length * size} values, got ${features.length}`,
    );
  }
  if (!features.every(Number.isFinite)) {
    throw new LichenArgumentError('ERR_LICHEN_NOT_FINITE', `${name}.features are not all finite`);
  }
  for (const value of Array.from(relevance!)) {
    if (!(typeof value === 'number' && value >= 0 && value < Infinity)) {
      throw bad(`${name}.relevance must be numbers of at least 0, got ${shown(value)}`);
    }
  }
  return { features, relevance: relevance! };
}

function resolve(options: RankerOptions) {
  const given = requireOptions(options, OPTIONS);
  const { features, hidden = [32, 16], epochs = 20, batchSize = 32, learningRate = 0.003 } = given;
  const { validation, patience = 3, seed = 1, backend = 'auto', signal, onEpoch } = given;
  if (!Array.isArray(hidden)) throw bad(`hidden must be an array, got ${shown(hidden)}`);
  requireSeed(seed);
  return {
    features: requireInteger('features', features, 1, 65_536),
    hidden: (hidden as readonly unknown[]).map((units, at) =>
      requireInteger(`hidden[${at}]`, units, 1, 65_536),
    ),
    epochs: requireInteger('epochs', epochs, 1, 100_000),
    batchSize: requireInteger('batchSize', batchSize, 1, 65_536),
    learningRate: requirePositive('learningRate', learningRate),
    patience: requireInteger('patience', patience, 1, 100_000),
    ...{ validation, seed, backend: parseBackend(backend), signal, onEpoch },
  };
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
