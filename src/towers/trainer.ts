import { Random } from '../vectors/random.js';
import type { ResolvedTwoTowerOptions } from './options.js';
import { PairBatches, type PairBatch, type UserItems } from './pair-batches.js';
import { ScoreBias } from './score-bias.js';
import { inBatchSoftmax } from './softmax-loss.js';
import { SparseAdam } from './sparse-adam.js';
import type { TensorFlow } from '../tensorflow/tensorflow.js';

/** Standard deviation of a table's first values. */
const INITIAL_SPREAD = 0.1;

/** A small catalogue gets smaller batches than asked for, so that an epoch still has about this many steps. */
const LEAST_STEPS = 16;

/** Batches are not made smaller than this for the sake of {@link LEAST_STEPS}: pairs need negatives. */
const LEAST_BATCH = 64;

/**
 * The two embedding tables under training. The tables are plain Float32Arrays: TensorFlow.js sees a batch's rows
 * only, so a step costs the batch and not the tables.
 */
export class TwoTowerTrainer {
  /** `userCount * dim` values. */
  readonly users: Float32Array;
  /** `itemCount * dim` values. */
  readonly items: Float32Array;
  private readonly batches: PairBatches;
  private readonly bias: ScoreBias;
  private readonly userAdam: SparseAdam;
  private readonly itemAdam: SparseAdam;
  private tile = new Float32Array(0);
  private stepsDone = 0;

  constructor(
    private readonly tf: TensorFlow,
    source: UserItems,
    itemCount: number,
    private readonly options: ResolvedTwoTowerOptions,
  ) {
    const { dim, seed, weightDecay } = options;
    const random = new Random(seed);
    const stepping = Math.max(LEAST_BATCH, Math.ceil(source.items.length / LEAST_STEPS));
    const batchSize = Math.min(options.batchSize, stepping);
    this.users = initialTable(source.offsets.length - 1, dim, random.fork());
    this.items = initialTable(itemCount, dim, random.fork());
    this.batches = new PairBatches(source, itemCount, batchSize, random.fork());
    this.bias = new ScoreBias(source, itemCount, options);
    this.userAdam = new SparseAdam(this.users, dim, { weightDecay });
    this.itemAdam = new SparseAdam(this.items, dim, { weightDecay });
  }

  /** Steps an epoch. */
  get stepsPerEpoch(): number {
    return this.batches.count;
  }

  /** Trains one epoch; each turn of the generator is one step and gives its loss and its number of pairs. */
  *epoch(): Generator<{ loss: number; pairs: number }> {
    for (const batch of this.batches.epoch()) {
      yield { loss: this.step(batch), pairs: batch.pairColumns.length };
    }
  }

  private step(batch: PairBatch): number {
    const { dim, temperature, normalize } = this.options;
    const cells = batch.users.length * batch.items.length;
    if (this.tile.length < cells) this.tile = new Float32Array(cells);
    const bias = this.tile.subarray(0, cells);
    this.bias.fill(bias, batch);
    const result = inBatchSoftmax(this.tf, {
      pairs: batch,
      dim,
      users: gatherRows(this.users, dim, batch.users),
      items: gatherRows(this.items, dim, batch.items),
      bias,
      temperature,
      normalize,
    });
    const learningRate = this.learningRate();
    this.userAdam.step(batch.users, result.userGradients, learningRate);
    this.itemAdam.step(batch.items, result.itemGradients, learningRate);
    this.stepsDone++;
    return result.loss;
  }

  /** Falls in a straight line from the first step's rate to `finalLearningRate` times that at the last. */
  private learningRate(): number {
    const { learningRate, finalLearningRate, epochs } = this.options;
    const done = this.stepsDone / Math.max(1, epochs * this.stepsPerEpoch - 1);
    return learningRate * (1 - (1 - finalLearningRate) * Math.min(1, done));
  }
}

function initialTable(rows: number, dim: number, random: Random): Float32Array {
  return new Float32Array(rows * dim).map(() => random.gaussian() * INITIAL_SPREAD);
}

function gatherRows(table: Float32Array, dim: number, rows: Int32Array): Float32Array {
  const gathered = new Float32Array(rows.length * dim);
  for (let at = 0; at < rows.length; at++) {
    const from = rows[at]! * dim;
    gathered.set(table.subarray(from, from + dim), at * dim);
  }
  return gathered;
}
