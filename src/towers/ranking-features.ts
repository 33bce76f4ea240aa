import { LichenArgumentError } from '../errors.js';
import { itemsOf, type Interactions } from '../interactions/interactions.js';
import type { Matrix } from '../vectors/matrix.js';

/** Items of a history that similarities are taken with, the last ones. */
const MOST_HISTORY = 50;

/** Candidates that features are measured by. */
const NEAREST = 50;
const LEAST_SQUARE = 1e-12;

/** Values of a candidate. */
export const RANKING_FEATURES = 6;

/** A user as the features need it. */
export interface RankedUser {
  /** The user's number among those of the interactions. */
  readonly number: number;
  /** The user's vector. */
  readonly vector: Float32Array;
  /** Numbers of the items that the user has. */
  readonly history: Uint32Array;
  /** Of every item: how much users with the same items have met it. */
  readonly together: Float32Array;
}

/**
 * What a second stage knows of a user and an item beside their vectors, of interactions alone: {@link RANKING_FEATURES}
 * values a candidate. Score, nearest and mean cosine to the user's items, how much users with the same items have met it
 * (walks from the user's items to other users and on), the same less its popularity, popularity.
 *
 * @example
 * const features = new RankingFeatures(interactions, model.userVectors, model.itemVectors);
 * const values = features.of(features.user(0), [10, 20]); // RANKING_FEATURES values each
 */
export class RankingFeatures {
  private readonly unit: Float32Array;
  private readonly logPopularity: Float32Array;
  private readonly byItem: Uint32Array[];

  /**
   * @param known what users have met.
   * @param users vectors, a row a user of `known`.
   * @param items vectors, a row an item of `known`.
   * @throws ERR_LICHEN_DIMENSION when they do not go together.
   */
  constructor(
    private readonly known: Interactions,
    private readonly users: Matrix,
    private readonly items: Matrix,
  ) {
    for (const { data, rows, dim } of [users, items]) {
      if (data.length === rows * dim) continue;
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `vectors must hold ${rows} x ${dim} values, got ${data.length}`,
      );
    }
    const fits = users.rows === known.users.size && items.rows === known.items.size;
    if (!fits || users.dim !== items.dim) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `users and items must be vectors of one dim for ${known.users.size} users and ${known.items.size} items, got ${users.rows} x ${users.dim} and ${items.rows} x ${items.dim}`,
      );
    }
    const { data, dim, rows } = items;
    this.unit = data.slice();
    for (let row = 0; row < rows; row++) {
      let square = 0;
      for (let d = 0; d < dim; d++) square += data[row * dim + d]! ** 2;
      const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
      for (let d = 0; d < dim; d++) this.unit[row * dim + d]! *= scale;
    }
    const lists = Array.from({ length: rows }, () => [] as number[]);
    for (let user = 0; user < known.users.size; user++) {
      for (const item of itemsOf(known, user)) lists[item]!.push(user);
    }
    this.byItem = lists.map((list) => Uint32Array.from(list));
    this.logPopularity = Float32Array.from(lists, ({ length }) => Math.log1p(length));
  }

  /** What is computed once a request. */
  user(number: number): RankedUser {
    const { dim } = this.users;
    const vector = this.users.data.subarray(number * dim, (number + 1) * dim);
    const history = itemsOf(this.known, number);
    // Walks from the user's items to other users and on to theirs, each step shared out equally.
    const together = new Float32Array(this.items.rows);
    for (const item of history) {
      const others = this.byItem[item]!;
      for (const other of others) {
        const theirs = itemsOf(this.known, other);
        const share = 1 / Math.sqrt(others.length * theirs.length);
        for (const next of theirs) together[next]! += share;
      }
    }
    return { number, vector, history: history.slice(-MOST_HISTORY), together };
  }

  /**
   * Rows of features, one a candidate, as the request's own nearest candidates have them: of mean 0 and variance 1 over
   * those. What a feature is at all differs between users, and between training and serving, more than what it tells.
   */
  of(user: RankedUser, candidates: ArrayLike<number>): Float32Array {
    for (let at = 0; at < candidates.length; at++) {
      const item = candidates[at]!;
      if (Number.isInteger(item) && item >= 0 && item < this.items.rows) continue;
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `candidates must be rows of ${this.items.rows} items, got ${String(item)}`,
      );
    }
    const features = this.plain(user, candidates);
    const nearest = Uint32Array.from(candidates, (_, at) => at)
      .sort((a, b) => features[b * RANKING_FEATURES]! - features[a * RANKING_FEATURES]!)
      .subarray(0, NEAREST);
    for (let d = 0; d < RANKING_FEATURES; d++) {
      let mean = 0;
      let square = 0;
      for (const at of nearest) mean += features[at * RANKING_FEATURES + d]! / nearest.length;
      for (const at of nearest) {
        square += (features[at * RANKING_FEATURES + d]! - mean) ** 2 / nearest.length;
      }
      const scale = square > LEAST_SQUARE ? 1 / Math.sqrt(square) : 0;
      for (let at = d; at < features.length; at += RANKING_FEATURES) {
        features[at] = (features[at]! - mean) * scale;
      }
    }
    return features;
  }

  private plain(
    { vector, history, together }: RankedUser,
    candidates: ArrayLike<number>,
  ): Float32Array {
    const { data, dim } = this.items;
    const { unit } = this;
    const out = new Float32Array(candidates.length * RANKING_FEATURES);
    for (let at = 0; at < candidates.length; at++) {
      const item = candidates[at]!;
      const row = item * dim;
      let score = 0;
      for (let d = 0; d < dim; d++) score += vector[d]! * data[row + d]!;
      let nearest = -1;
      let sum = 0;
      for (const met of history) {
        let cosine = 0;
        for (let d = 0; d < dim; d++) cosine += unit[row + d]! * unit[met * dim + d]!;
        nearest = Math.max(nearest, cosine);
        sum += cosine;
      }
      const popularity = this.logPopularity[item]!;
      const to = at * RANKING_FEATURES;
      out[to] = score;
      out[to + 1] = nearest;
      out[to + 2] = sum / Math.max(1, history.length);
      out[to + 3] = Math.log1p(together[item]!);
      out[to + 4] = Math.log1p(together[item]!) - 0.5 * popularity;
      out[to + 5] = popularity;
    }
    return out;
  }
}
