import { Random } from '../vectors/random.js';
import type { Interactions } from './interactions.js';

/** Interactions to train on, and those to test with. */
export interface Split {
  /** To train on. */
  readonly train: Interactions;
  /** To test with; users and items have the numbers that they have in `train`. */
  readonly test: Interactions;
}

/**
 * The last interaction of each user with at least three is for the test: leave-one-out, for items in order.
 *
 * @example
 * const { train, test } = holdOutLast(interactions);
 */
export function holdOutLast(interactions: Interactions): Split {
  const { offsets } = interactions;
  return split(interactions, (user, at) => {
    const end = offsets[user + 1]!;
    return at === end - 1 && end - offsets[user]! >= 3;
  });
}

/**
 * Each interaction is for the test with the chance `share`, 0 to 1, by the seed; every user keeps one to train on.
 * @throws ERR_LICHEN_ARGUMENT for a seed that is none.
 *
 * @example
 * const { train, test } = holdOutShare(interactions, 0.2, 42);
 */
export function holdOutShare(interactions: Interactions, share: number, seed: number): Split {
  const random = new Random(seed);
  const { offsets } = interactions;
  let kept = 0;
  return split(interactions, (user, at) => {
    if (at === offsets[user]) kept = 0;
    const isLast = at === offsets[user + 1]! - 1;
    const isHeld = random.uniform() < share && !(isLast && kept === 0);
    if (!isHeld) kept++;
    return isHeld;
  });
}

/**
 * All interactions of some items, chosen by the seed, are for the test: what becomes of items that are new.
 * @param share of the items, 0 to 1.
 * @throws ERR_LICHEN_ARGUMENT for a seed that is none.
 *
 * @example
 * const { train, test, heldItems } = holdOutItems(interactions, 0.1, 42);
 */
export function holdOutItems(
  interactions: Interactions,
  share: number,
  seed: number,
): Split & {
  /** The numbers of those items, ascending. */
  readonly heldItems: Uint32Array;
} {
  const random = new Random(seed);
  const order = random.shuffle(
    Uint32Array.from({ length: interactions.items.size }, (_, item) => item),
  );
  const heldItems = order.slice(0, Math.round(share * order.length)).sort();
  const held = new Uint8Array(interactions.items.size);
  for (const item of heldItems) held[item] = 1;
  const isHeld = (_: number, at: number): boolean => held[interactions.itemIndices[at]!] === 1;
  return { ...split(interactions, isHeld), heldItems };
}

/** Two parts over the same vocabularies. */
function split(interactions: Interactions, isTest: (user: number, at: number) => boolean): Split {
  const { offsets, itemIndices } = interactions;
  const goes = new Uint8Array(itemIndices.length);
  for (let user = 0; user + 1 < offsets.length; user++) {
    for (let at = offsets[user]!; at < offsets[user + 1]!; at++)
      goes[at] = isTest(user, at) ? 1 : 0;
  }
  return { train: part(interactions, goes, 0), test: part(interactions, goes, 1) };
}

function part(interactions: Interactions, goes: Uint8Array, wanted: number): Interactions {
  const { users, items, offsets, itemIndices, ratings, timestamps } = interactions;
  const isWanted = (_: number, at: number): boolean => goes[at] === wanted;
  const ends = new Uint32Array(offsets.length);
  let kept = 0;
  for (let user = 0; user + 1 < offsets.length; user++) {
    for (let at = offsets[user]!; at < offsets[user + 1]!; at++) {
      if (goes[at] === wanted) kept++;
    }
    ends[user + 1] = kept;
  }
  return {
    users,
    items,
    offsets: ends,
    itemIndices: itemIndices.filter(isWanted),
    ...(ratings && { ratings: ratings.filter(isWanted) }),
    ...(timestamps && { timestamps: timestamps.filter(isWanted) }),
    unknownItems: new Uint32Array(users.size),
    report: {
      pairs: kept,
      kept,
      duplicates: 0,
      unknownUsers: 0,
      unknownUserPairs: 0,
      unknownItemPairs: 0,
    },
  };
}
