import { interactionsFromPairs, type Interactions } from '../../src/interactions/interactions.js';
import { Random } from '../../src/vectors/random.js';

/**
 * Users and items of two groups, even and odd ids: each user has met `each` items of the own group and none of the
 * other.
 */
export function twoGroups(users: number, items: number, each: number, seed = 1): Interactions {
  const random = new Random(seed);
  const pairs: [number, number][] = [];
  for (let user = 0; user < users; user++) {
    const own = Array.from({ length: items / 2 }, (_, at) => 2 * at + (user % 2));
    for (const item of random.shuffle(own).slice(0, each)) pairs.push([user, item]);
  }
  return interactionsFromPairs(
    pairs.map(([user]) => user),
    pairs.map(([, item]) => item),
  );
}
