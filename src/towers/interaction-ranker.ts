import type { LayersModel } from '@tensorflow/tfjs';
import { LichenArgumentError, LichenError } from '../errors.js';
import { FlatIndex } from '../index/flat.js';
import { itemsOf, type Interactions } from '../interactions/interactions.js';
import type { TowerBackend } from '../tensorflow/backends.js';
import { loadTensorFlow, type TensorFlow } from '../tensorflow/tensorflow.js';
import { matrixRow, type Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import { Random } from '../vectors/random.js';
import { trainRanker, type RankerEpoch, type RankingGroup } from './ranker.js';
import { RANKING_FEATURES, RankingFeatures } from './ranking-features.js';

/** What an {@link InteractionRanker} learns from. */
export interface InteractionRankerSource {
  /** What users have met, before. */
  readonly known: Interactions;
  /** Vectors, a row a user of `known`. */
  readonly users: Matrix;
  /** Vectors, a row an item of `known`. */
  readonly items: Matrix;
  /** How the vectors are compared. */
  readonly metric: Metric;
  /** What users met afterwards, by the same users and items; the vectors must not have been trained on it. */
  readonly later: Interactions;
  /** Rows of the users to learn from. */
  readonly learners: ArrayLike<number>;
}

/** Options of {@link InteractionRanker.train}. */
export interface InteractionRankerOptions {
  /** The share of the learners that tells when to end. Default 0.15. */
  readonly validationShare?: number | undefined;
  /** Default 30. */
  readonly epochs?: number | undefined;
  /** Decides who the learners of validation are, the first weights and orders. Default 1. */
  readonly seed?: number | undefined;
  /** What trains it. Default `auto`. */
  readonly backend?: TowerBackend | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each epoch. */
  readonly onEpoch?: ((epoch: RankerEpoch) => void) | undefined;
}

/** Of the nearest items, and of all, that a learner's items are told apart from. */
const NEAREST = 200;
const DRAWN = 100;

/**
 * A second stage that needs nothing but interactions: a small network over what walks among users and items, similarities
 * and popularity say of a candidate ({@link RankingFeatures}), learned from what users met later.
 *
 * @example
 * const { train, test } = holdOutShare(interactions, 0.2, 42);
 * const { userVectors, itemVectors } = await TwoTowerModel.train(train);
 * using ranker = await InteractionRanker.train({
 *   ...{ known: train, users: userVectors, items: itemVectors, metric: 'dot', later: test },
 *   learners: [0, 1, 2], // numbers of users
 * });
 * const scores = await ranker.score(0, [10, 20, 30]);
 */
export class InteractionRanker {
  private isClosed = false;

  private constructor(
    private readonly tf: TensorFlow,
    private readonly model: LayersModel,
    private readonly features: RankingFeatures,
    /** Losses by epoch. */
    readonly epochs: readonly RankerEpoch[],
    /** Memory of features and vectors, in bytes. */
    readonly bytes: number,
  ) {}

  /**
   * Trains one on what the learners met later, with what they had met before.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY without a learner that met something later, ERR_LICHEN_DIMENSION; as `trainRanker`.
   */
  static async train(
    source: InteractionRankerSource,
    options: InteractionRankerOptions = {},
  ): Promise<InteractionRanker> {
    const { known, users, items } = source;
    const { validationShare = 0.15, epochs = 30, seed = 1, backend = 'auto', signal } = options;
    if (!(validationShare >= 0 && validationShare < 1)) {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `validationShare must be a number of at least 0, below 1, got ${String(validationShare)}`,
      );
    }
    const { later } = source;
    if (later.users.size !== known.users.size || later.items.size !== known.items.size) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `later must have the ${known.users.size} users and ${known.items.size} items of known, got ${later.users.size} and ${later.items.size}`,
      );
    }
    const features = new RankingFeatures(known, users, items);
    const groups = groupsOf(source, features, seed);
    const held = Math.floor(groups.length * validationShare);
    const ranker = await trainRanker(groups.slice(held), {
      ...{ features: RANKING_FEATURES, epochs, seed, backend, signal },
      ...(held > 0 && { validation: groups.slice(0, held) }),
      ...(options.onEpoch && { onEpoch: options.onEpoch }),
    });
    const { tf } = await loadTensorFlow(backend);
    // Vectors twice (as they are and of length 1), who met what in both directions.
    const bytes = 8 * items.data.length + 4 * users.data.length + 8 * known.itemIndices.length;
    return new InteractionRanker(tf, ranker.model, features, ranker.epochs, bytes);
  }

  /**
   * Scores of items, given by their rows, for the user of a row; the higher the better.
   * @throws ERR_LICHEN_ARGUMENT for another row, ERR_LICHEN_CLOSED
   */
  async score(user: number, items: ArrayLike<number>): Promise<Float32Array> {
    const { tf } = this;
    if (this.isClosed) throw new LichenError('ERR_LICHEN_CLOSED', 'the ranker is closed');
    if (items.length === 0) return new Float32Array(0);
    const values = this.features.of(this.features.user(user), items);
    const output = tf.tidy(() => {
      const rows = tf.tensor2d(values, [items.length, RANKING_FEATURES]);
      return this.model.predict(rows);
    });
    const [scores] = [output].flat();
    const given = (await scores!.data()) as Float32Array;
    scores!.dispose();
    return given;
  }

  /** Frees what TensorFlow.js holds. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.model.dispose();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** For each learner the nearest items that were not known, and some of all, with what was met later. */
function groupsOf(
  { known, users, items, metric, later, learners }: InteractionRankerSource,
  features: RankingFeatures,
  seed: number,
): RankingGroup[] {
  const random = new Random(seed);
  using index = new FlatIndex({ dim: items.dim, metric, storage: 'i8' });
  index.addSync(items);
  const groups: RankingGroup[] = [];
  for (const user of Array.from(learners)) {
    const relevant = new Set(itemsOf(later, user));
    if (relevant.size === 0) continue;
    const exclude = itemsOf(known, user);
    const had = new Set(exclude);
    const k = Math.min(NEAREST, items.rows - had.size);
    if (k < 1) continue;
    const near = index.searchSync(matrixRow(users, user), { k, exclude });
    const drawn = Array.from({ length: DRAWN }, () => random.below(items.rows));
    const keys = [...new Set([...near.keys, ...drawn])].filter((key) => !had.has(key));
    groups.push({
      features: features.of(features.user(user), keys),
      relevance: keys.map((key) => (relevant.has(key) ? 1 : 0)),
    });
  }
  if (groups.length > 0) return groups;
  throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'learners: none of them met anything later');
}
