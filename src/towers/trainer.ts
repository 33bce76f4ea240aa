import type { TensorFlow } from '../tensorflow/tensorflow.js';
import { Random } from '../vectors/random.js';
import { AttentionTower } from './attention-tower.js';
import { bprLoss } from './bpr-loss.js';
import { contrastiveLoss } from './contrastive-loss.js';
import type { VectorTable } from './embedding-table.js';
import {
  IdDealer,
  SequenceDealer,
  SetDealer,
  type ExampleDealer,
  type Examples,
} from './examples.js';
import type { UserItems } from './pair-batches.js';
import { ItemSide } from './item-side.js';
import type { Loss, LossStep } from './loss.js';
import { NegativeSampler } from './negative-sampler.js';
import type { ResolvedTwoTowerOptions } from './options.js';
import { cosineOf, prefixLoss } from './prefix-loss.js';
import { NegativeBias } from './negative-bias.js';
import { softmaxLoss } from './softmax-loss.js';
import { BagUserTower, type TableLayout, type UserTower } from './user-tower.js';

/** A small set gets smaller batches than asked for, so that an epoch still has about this many steps. */
const LEAST_STEPS = 16;

/** Batches are not made smaller than this for the sake of {@link LEAST_STEPS}. */
const LEAST_BATCH = 16;

/** Pairs of a user that are an id that share a row, at most: 4 is better than 8 on gowalla, and 32 far worse. */
const PAIRS_A_ROW = 4;

/** Negatives a step, at most, for each item there is. */
const MOST_NEGATIVES = 4;

/** What a trainer learns from. */
export interface TrainingSource extends UserItems {
  readonly itemCount: number;
}

/**
 * Both towers under training. TensorFlow.js sees a step's vectors only, so a step costs the batch and not the
 * tables.
 */
export class TwoTowerTrainer {
  private readonly userTower: UserTower;
  private readonly dealer: ExampleDealer;
  private readonly items: ItemSide;
  private readonly sampler: NegativeSampler;
  private readonly bias: NegativeBias;
  private readonly loss: Loss;
  private stepsDone = 0;

  constructor(
    private readonly tf: TensorFlow,
    source: TrainingSource,
    private readonly table: VectorTable,
    layout: TableLayout,
    network: Float32Array,
    private readonly options: ResolvedTwoTowerOptions,
  ) {
    const random = new Random(options.seed);
    const counts = new Float64Array(source.itemCount);
    for (const item of source.items) counts[item]!++;
    this.dealer = dealerOf(source, options, random.fork());
    const negatives = Math.min(options.negatives, MOST_NEGATIVES * source.itemCount);
    this.sampler = new NegativeSampler(counts, { ...options, negatives }, random.fork());
    this.bias = new NegativeBias(source, source.itemCount, options);
    this.items = new ItemSide(layout.items, source.itemCount, options, random.fork());
    this.loss = lossOf(options, random.fork());
    this.userTower =
      options.userTower === 'attention'
        ? new AttentionTower(tf, table, layout, options, network, random.fork())
        : new BagUserTower(table, layout, options);
  }

  /** Steps an epoch; 0 when there is nothing to learn from. */
  get stepsPerEpoch(): number {
    return this.dealer.count;
  }

  /** Trains one epoch; each turn of the generator is one step and gives its loss and its number of pairs. */
  *epoch(): Generator<{ loss: number; pairs: number }> {
    for (const examples of this.dealer.epoch()) {
      yield { loss: this.step(examples), pairs: examples.pairItems.length };
    }
  }

  private step(examples: Examples): number {
    const { table } = this;
    const { dim } = table;
    const pairs = examples.pairItems.length;
    const { targets, pairTargets } = this.items.targetsOf(examples.pairItems);
    const drawn = this.sampler.draw(targets, pairs);
    const bias = this.bias.of(examples, drawn);
    const pairBias = this.pairBias(examples.pairItems);
    const negativeBags = this.items.bagsOf(drawn.items);
    const targetBags = this.items.bagsOf(targets);
    const learningRate = this.learningRate();
    let step: LossStep | undefined;
    const ofUsers = this.userTower.step(
      examples,
      (users) => {
        step = this.loss(this.tf, {
          dim,
          users,
          negatives: table.sums(negativeBags),
          targets: table.sums(targetBags),
          pairOffsets: examples.pairOffsets,
          rowWeights: rowWeights(examples.pairOffsets, this.options.userPower),
          pairTargets,
          pairBias,
          ...bias,
        });
        return step.users;
      },
      learningRate,
    );
    const { loss, negatives, targets: ofTargets } = step!;
    table.step(
      [
        ofUsers,
        { bags: negativeBags, gradients: negatives },
        { bags: targetBags, gradients: ofTargets },
      ],
      learningRate,
    );
    this.stepsDone++;
    return loss;
  }

  /** Pairs are corrected as negatives are where they are drawn with them; drawn negatives stand for all items by themselves. */
  private pairBias(pairItems: Int32Array): Float32Array {
    const { logQ, negatives } = this.options;
    return logQ && negatives === 0
      ? this.sampler.logExpectedOf(pairItems, pairItems.length).map((expected) => -expected)
      : new Float32Array(pairItems.length);
  }

  /** Falls in a straight line from the first step's rate to `finalLearningRate` times that at the last. */
  private learningRate(): number {
    const { learningRate, finalLearningRate, epochs } = this.options;
    const done = this.stepsDone / Math.max(1, epochs * this.stepsPerEpoch - 1);
    return learningRate * (1 - (1 - finalLearningRate) * Math.min(1, done));
  }
}

/** What each pair of a row of n pairs weighs: n to the power of `userPower` - 1, but all together 1. */
function rowWeights(pairOffsets: Int32Array, userPower: number): Float32Array {
  const weights = new Float32Array(pairOffsets.length - 1);
  let sum = 0;
  for (let row = 0; row < weights.length; row++) {
    const pairs = pairOffsets[row + 1]! - pairOffsets[row]!;
    if (pairs === 0) continue;
    weights[row] = pairs ** (userPower - 1);
    sum += pairs * weights[row]!;
  }
  return weights.map((weight) => weight / sum);
}

function dealerOf(
  source: UserItems,
  options: ResolvedTwoTowerOptions,
  random: Random,
): ExampleDealer {
  const users = source.offsets.length - 1;
  const byId = options.userTower === 'id';
  const rows = byId ? Math.ceil(source.items.length / PAIRS_A_ROW) : users;
  const stepping = Math.max(LEAST_BATCH, Math.ceil(rows / LEAST_STEPS));
  const dealing = {
    ...options,
    batchSize: Math.min(options.batchSize, stepping),
    pairsARow: PAIRS_A_ROW,
  };
  if (byId) return new IdDealer(source, dealing, random);
  return options.ordered
    ? new SequenceDealer(source, dealing, random)
    : new SetDealer(source, dealing, random);
}

function lossOf(options: ResolvedTwoTowerOptions, random: Random): Loss {
  const plain = plainLoss(options, random);
  const loss = options.normalize ? cosineOf(plain) : plain;
  const { prefixes, dim } = options;
  return prefixes.length === 0 ? loss : prefixLoss(loss, [...prefixes, dim]);
}

function plainLoss(options: ResolvedTwoTowerOptions, random: Random): Loss {
  switch (options.loss) {
    case 'softmax':
      return softmaxLoss(options.temperature);
    case 'bpr':
      return bprLoss(options.temperature, random);
    case 'ccl':
      return contrastiveLoss(options);
  }
}
