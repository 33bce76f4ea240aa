import type { NamedTensorMap, Optimizer } from '@tensorflow/tfjs-core';
import { LichenArgumentError, LichenError } from '../errors.js';
import type { LoadedTensorFlow, TensorFlow } from '../tensorflow/tensorflow.js';
import { Random } from '../vectors/random.js';
import { prefixesOf, type ResolvedDualEncoderOptions } from './dual-encoder-options.js';
import { NetworkEncoder, TableEncoder, type Encoder, type EncoderPass } from './encoder.js';
import { pairWeights, softmaxLoss } from './encoder-loss.js';
import { PairBatches, type PairBatch, type UserItems } from './pair-batches.js';
import { ScoreBias } from './score-bias.js';

/** Standard deviation of a table's first values. */
const INITIAL_SPREAD = 0.1;

/** Two towers under training. */
export class DualEncoderTrainer {
  readonly users: Encoder;
  readonly items: Encoder;
  /** Values a vector. */
  readonly dim: number;
  readonly prefixes: readonly number[];
  /** Steps an epoch. */
  readonly stepsPerEpoch: number;
  private readonly tf: TensorFlow;
  private readonly backend: string;
  private readonly batches: PairBatches;
  private readonly bias: ScoreBias;
  private readonly optimizer: Optimizer;

  /** @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION for towers that do not suit one another. */
  constructor(
    { tf, backend }: Pick<LoadedTensorFlow, 'tf' | 'backend'>,
    source: UserItems,
    itemCount: number,
    private readonly options: ResolvedDualEncoderOptions,
  ) {
    const { userTower, itemTower, prefixes, batchSize, seed } = options;
    const random = new Random(seed);
    this.tf = tf;
    this.backend = backend;
    const userNetwork = userTower && new NetworkEncoder('userTower', userTower);
    const itemNetwork = itemTower && new NetworkEncoder('itemTower', itemTower);
    this.dim = commonDim(
      userNetwork && this.dimOf(userNetwork),
      itemNetwork && this.dimOf(itemNetwork),
    );
    this.prefixes = prefixesOf(prefixes, this.dim);
    this.users = userNetwork ?? this.tableOf(source.offsets.length - 1, random.fork());
    this.items = itemNetwork ?? this.tableOf(itemCount, random.fork());
    this.batches = new PairBatches(source, itemCount, batchSize, random.fork());
    this.stepsPerEpoch = this.batches.count;
    this.bias = new ScoreBias(source, itemCount, options);
    this.optimizer = options.optimizer ?? tf.train.adam(options.learningRate);
  }

  /** Trains one epoch; each turn of the generator is one step and gives its loss and its number of pairs. */
  *epoch(): Generator<{ loss: number; pairs: number }> {
    for (const batch of this.batches.epoch()) {
      yield { loss: this.step(batch), pairs: batch.pairColumns.length };
    }
  }

  /** Frees what training needs beside the towers. */
  dispose(): void {
    if (this.options.optimizer === undefined) this.optimizer.dispose();
  }

  /** One step; a loss that is not finite changes nothing. */
  private step(batch: PairBatch): number {
    const { tf } = this;
    const passes: EncoderPass[] = [];
    try {
      return tf.tidy(() => {
        const users = this.users.begin(batch.users, true);
        passes.push(users);
        const items = this.items.begin(batch.items, true);
        passes.push(items);
        // Towers may share weights.
        const variables = [...new Set([...users.variables, ...items.variables])];
        const tile = this.tileOf(batch);
        const { value, grads } = tf.variableGrads(
          () => softmaxLoss(tf, users.output(), items.output(), tile, this.lossOptions()),
          variables,
        );
        const loss = value.dataSync<'float32'>()[0]!;
        if (Number.isFinite(loss)) this.learn(passes, grads);
        return loss;
      });
    } catch (error) {
      throw this.explained(error);
    } finally {
      for (const pass of passes) pass.end();
    }
  }

  private learn(passes: readonly EncoderPass[], gradients: NamedTensorMap): void {
    const networks = passes.filter(
      (_, at) => [this.users, this.items][at] instanceof NetworkEncoder,
    );
    const names = new Set(networks.flatMap(({ variables }) => variables.map(({ name }) => name)));
    const known = Object.entries(gradients).filter(([name]) => names.has(name));
    this.optimizer.applyGradients(Object.fromEntries(known));
    for (const pass of passes) pass.learn(gradients);
  }

  private tileOf(batch: PairBatch) {
    const shape: [number, number] = [batch.users.length, batch.items.length];
    const bias = new Float32Array(shape[0] * shape[1]);
    this.bias.fill(bias, batch);
    return {
      bias: this.tf.tensor2d(bias, shape),
      weights: this.tf.tensor2d(pairWeights(batch), shape),
    };
  }

  private lossOptions() {
    const { temperature, normalize } = this.options;
    return { temperature, normalize, prefixes: this.prefixes };
  }

  private dimOf(encoder: Encoder): number {
    try {
      return this.tf.tidy(() => encoder.begin(Int32Array.of(0), false).output().shape[1]);
    } catch (error) {
      throw this.explained(error);
    }
  }

  private tableOf(rows: number, random: Random): TableEncoder {
    const values = new Float32Array(rows * this.dim).map(() => random.gaussian() * INITIAL_SPREAD);
    return new TableEncoder(this.tf, values, this.dim, this.options.tableLearningRate);
  }

  /** TensorFlow.js names a missing operation, but not what to do. */
  private explained(error: unknown): unknown {
    const missing = /Kernel '(\w+)' not registered/.exec(
      error instanceof Error ? error.message : '',
    );
    if (missing === null) return error;
    return new LichenError(
      'ERR_LICHEN_UNSUPPORTED',
      `the ${this.backend} backend of TensorFlow.js has no ${missing[1]}, which the towers need: try another backend`,
      { cause: error },
    );
  }
}

function commonDim(users: number | undefined, items: number | undefined): number {
  const dim = users ?? items!;
  if (items === undefined || items === dim) return dim;
  throw new LichenArgumentError(
    'ERR_LICHEN_DIMENSION',
    `userTower and itemTower must give vectors of one dim, got ${dim} and ${items}`,
  );
}
