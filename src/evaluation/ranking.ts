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
 * @param ranked `test.users.size` rows of equal length: row u holds item indices for user u, best first, each at most
 * once; a value that is no item index (-1, 0xffffffff) is an empty place.
 * @param ks cut-offs, each at most the length of a row.
 * @throws ERR_LICHEN_DIMENSION when the rows do not fit the users, ERR_LICHEN_ARGUMENT for a bad cut-off,
 * ERR_LICHEN_EMPTY when no user has a test item.
 */
export function rankingMetrics(
  ranked: Int32Array | Uint32Array,
  test: Interactions,
  ks: readonly number[],
): RankingMetrics {
  const userCount = test.users.size;
  const width = userCount === 0 ? 0 : ranked.length / userCount;
  if (!Number.isInteger(width)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `ranked must hold ${userCount} rows (one a test user) of equal length, got ${ranked.length} values`,
    );
  }
  requireCutOffs(ks, width);

  const discounts = Float64Array.from({ length: width }, (_, rank) => 1 / Math.log2(rank + 2));
  const ideal = runningSum(discounts);
  const recall = ks.map(() => 0);
  const ndcg = ks.map(() => 0);
  /** The last user (plus one) that has the item in the test set. */
  const wanted = new Uint32Array(test.items.size);
  let users = 0;
  for (let user = 0; user < userCount; user++) {
    const items = itemsOf(test, user);
    const relevant = items.length + test.unknownItems[user]!;
    if (relevant === 0) continue;
    users++;
    for (const item of items) wanted[item] = user + 1;
    ks.forEach((k, at) => {
      let hits = 0;
      let gain = 0;
      for (let rank = 0; rank < k; rank++) {
        // An empty place reads undefined, which is no user.
        if (wanted[ranked[user * width + rank]!] !== user + 1) continue;
        hits++;
        gain += discounts[rank]!;
      }
      recall[at]! += hits / relevant;
      ndcg[at]! += gain / ideal[Math.min(k, relevant) - 1]!;
    });
  }
  if (users === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'test: no user has a test item');
  }
  const values: Record<string, number> = {};
  ks.forEach((k, at) => {
    values[`recall@${k}`] = recall[at]! / users;
    values[`ndcg@${k}`] = ndcg[at]! / users;
  });
  return { users, values };
}

function requireCutOffs(ks: readonly number[], width: number): void {
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
