import { LichenArgumentError } from '../errors.js';
import { itemsOf, type Interactions } from '../interactions/interactions.js';

/** Means over the test users that have at least one test item. */
export interface RankingMetrics {
  /** How many such users there are. */
  readonly users: number;
  /** `recall@k` and `ndcg@k` for each k asked for. */
  readonly values: Readonly<Record<string, number>>;
}

/**
 * Quality of recommendations against what users really met later. For a user with test items T: recall@k is
 * |hits among the first k| / |T|, and ndcg@k is the sum of 1 / log2(rank + 1) over the hits, divided by that sum of a
 * perfect ranking, min(k, |T|) hits in front. T includes the items that no ranking can hold
 * (`test.unknownItems`).
 *
 * @param ranked `test.users.size` rows of equal length: row u holds item indices for user u, best first; a value that is
 * no item index (-1, 0xffffffff) is an empty place, and an item that stands again no further hit.
 * @param ks cut-offs, at least one, each at most the length of a row.
 * @throws ERR_LICHEN_EMPTY when no user has a test item, ERR_LICHEN_DIMENSION when the rows do not fit the users,
 * ERR_LICHEN_ARGUMENT for no or a bad cut-off.
 *
 * @example
 * const { values } = rankingMetrics(ranked, test, [20]);
 * values['recall@20'];
 */
export function rankingMetrics(
  ranked: Int32Array | Uint32Array,
  test: Pick<Interactions, 'users' | 'items' | 'offsets' | 'itemIndices' | 'unknownItems'>,
  ks: readonly number[],
): RankingMetrics {
  const userCount = test.users.size;
  if (userCount === 0) throw noTestItem();
  const width = ranked.length / userCount;
  if (!Number.isInteger(width) || width === 0) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `ranked must hold ${userCount} rows (one a test user) of equal length, got ${ranked.length} values`,
    );
  }
  requireCutOffs(ks, width);

  const deepest = ks.reduce((deep, k) => Math.max(deep, k), 0);
  const discounts = Float64Array.from({ length: deepest }, (_, rank) => 1 / Math.log2(rank + 2));
  const ideal = runningSum(discounts);
  const recall = ks.map(() => 0);
  const ndcg = ks.map(() => 0);
  /** Of the user at hand, the hits and their discounts among the first k, by k. */
  const hits = new Uint32Array(deepest + 1);
  const gains = new Float64Array(deepest + 1);
  /** The last user (plus one) that has the item in the test set and not yet in the ranking. */
  const wanted = new Uint32Array(test.items.size);
  let users = 0;
  for (let user = 0; user < userCount; user++) {
    const items = itemsOf(test, user);
    const relevant = items.length + test.unknownItems[user]!;
    if (relevant === 0) continue;
    users++;
    for (const item of items) wanted[item] = user + 1;
    for (let rank = 0; rank < deepest; rank++) {
      const item = ranked[user * width + rank]!;
      // An empty place reads undefined, which is no user.
      const isHit = wanted[item] === user + 1;
      if (isHit) wanted[item] = 0;
      hits[rank + 1] = hits[rank]! + (isHit ? 1 : 0);
      gains[rank + 1] = gains[rank]! + (isHit ? discounts[rank]! : 0);
    }
    ks.forEach((k, at) => {
      recall[at]! += hits[k]! / relevant;
      ndcg[at]! += gains[k]! / ideal[Math.min(k, relevant) - 1]!;
    });
  }
  if (users === 0) throw noTestItem();
  const values: Record<string, number> = {};
  ks.forEach((k, at) => {
    values[`recall@${k}`] = recall[at]! / users;
    values[`ndcg@${k}`] = ndcg[at]! / users;
  });
  return { users, values };
}

/**
 * Quality of one list of recommendations, as {@link rankingMetrics} has it for a user, with k its length at most; 0 where
 * nothing is relevant. No item may stand twice.
 */
export function listQuality(
  ranked: ArrayLike<number>,
  relevant: Iterable<number>,
  k: number,
): { readonly ndcg: number; readonly recall: number } {
  const wanted: ReadonlySet<number> = relevant instanceof Set ? relevant : new Set(relevant);
  let gain = 0;
  let hits = 0;
  let ideal = 0;
  for (let rank = 0; rank < k; rank++) {
    const worth = 1 / Math.log2(rank + 2);
    if (rank < wanted.size) ideal += worth;
    if (rank >= ranked.length || !wanted.has(ranked[rank]!)) continue;
    gain += worth;
    hits++;
  }
  return wanted.size === 0
    ? { ndcg: 0, recall: 0 }
    : { ndcg: gain / ideal, recall: hits / wanted.size };
}

function noTestItem(): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_EMPTY', 'test: no user has a test item');
}

function requireCutOffs(ks: readonly number[], width: number): void {
  if (ks.length === 0) {
    throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', 'ks must hold at least one cut-off');
  }
  for (const k of ks) {
    if (Number.isSafeInteger(k) && k >= 1 && k <= width) continue;
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `ks must be integers in 1..${width}, the length of a ranking, got ${String(k)}`,
    );
  }
}

function runningSum(values: Float64Array): Float64Array {
  let sum = 0;
  return values.map((value) => (sum += value));
}
