import type { Interactions } from '../interactions/interactions.js';
import { itemsOf } from '../interactions/interactions.js';

/** Tags of items: those of item i are `tags[offsets[i] … offsets[i + 1] - 1]`. */
export interface ItemTags {
  /** One more than there are items. */
  readonly offsets: ArrayLike<number>;
  readonly tags: ArrayLike<number>;
  /** How many different tags there are. */
  readonly count: number;
}

/**
 * How new items would be ranked without a model, by their tags alone: `users * items.length` scores each.
 * @param train what is known of the users; none of `items` is in it.
 */
export interface ColdBaselines {
  /** The mean number of interactions of the known items that share a tag, over the item's tags: the same for all users. */
  readonly popularity: Float32Array;
  /** The cosine of the item's tags and those of all the user's items, weighted by their rarity (tf-idf). */
  overlap(user: number): Float32Array;
}

/** See {@link ColdBaselines}. */
export function coldBaselines(
  train: Interactions,
  items: ArrayLike<number>,
  { offsets, tags, count }: ItemTags,
): ColdBaselines {
  const itemCount = offsets.length - 1;
  const met = new Float64Array(itemCount);
  for (const item of train.itemIndices) met[item]!++;
  const tagged = new Float64Array(count);
  const interactions = new Float64Array(count);
  for (let item = 0; item < itemCount; item++) {
    if (met[item] === 0) continue;
    for (let at = offsets[item]!; at < offsets[item + 1]!; at++) {
      tagged[tags[at]!]!++;
      interactions[tags[at]!]! += met[item]!;
    }
  }
  const known = met.reduce((sum, times) => sum + (times > 0 ? 1 : 0), 0);
  const rarity = tagged.map((times) => (times > 0 ? Math.log(known / times) : 0));
  const popularity = Float32Array.from(items, (item) => {
    let sum = 0;
    for (let at = offsets[item]!; at < offsets[item + 1]!; at++) {
      const tag = tags[at]!;
      sum += interactions[tag]! / Math.max(1, tagged[tag]!);
    }
    return sum / Math.max(1, offsets[item + 1]! - offsets[item]!);
  });
  const profile = new Float64Array(count);
  const overlap = (user: number): Float32Array => {
    profile.fill(0);
    for (const item of itemsOf(train, user)) {
      for (let at = offsets[item]!; at < offsets[item + 1]!; at++) {
        profile[tags[at]!]! += rarity[tags[at]!]!;
      }
    }
    return Float32Array.from(items, (item) => {
      let sum = 0;
      let square = 0;
      for (let at = offsets[item]!; at < offsets[item + 1]!; at++) {
        const weight = rarity[tags[at]!]!;
        sum += weight * profile[tags[at]!]!;
        square += weight * weight;
      }
      return square > 0 ? sum / Math.sqrt(square) : 0;
    });
  };
  return { popularity, overlap };
}
