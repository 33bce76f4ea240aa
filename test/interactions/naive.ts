import fc from 'fast-check';
import { itemsOf, type Interactions } from '../../src/interactions/interactions.js';

/** A pair as a source tells it, all in texts and numbers. */
export interface Pair {
  user: string;
  item: string;
  rating?: number;
  timestamp?: number;
}

/** Interactions without any numbering, for comparison. */
export interface Plain {
  users: string[];
  items: string[];
  /** Of each user: item, rating and timestamp, in order. */
  met: Record<string, [string, number | undefined, number | undefined][]>;
  /** Of each user, how many distinct items are outside the given ones. */
  unknown: Record<string, number>;
  report: Interactions['report'];
}

/** The order of ids in a vocabulary by its documentation: numeric if all are integers, else of appearance. */
export function orderedIds(ids: Iterable<string>): string[] {
  const unique = [...new Set(ids)];
  const allIntegers = unique.every((id) => {
    const value = BigInt(/^\d+$/.test(id) ? id : -1);
    return value >= 0n && value < 2n ** 53n && String(value) === id;
  });
  return allIntegers ? unique.sort((a, b) => Number(a) - Number(b)) : unique;
}

/** What the builder should make of pairs, by sets and objects. */
export function naive(
  pairs: readonly Pair[],
  given: { users?: string[]; items?: string[] },
): Plain {
  const users = given.users ?? orderedIds(pairs.map((pair) => pair.user));
  const items = given.items ?? orderedIds(pairs.map((pair) => pair.item));
  const met: Plain['met'] = {};
  const unknown: Plain['unknown'] = {};
  for (const user of users) {
    met[user] = [];
    unknown[user] = 0;
  }
  const seen = new Set<string>();
  const strangers = new Set<string>();
  const counts = { kept: 0, duplicates: 0, unknownUserPairs: 0, unknownItemPairs: 0 };
  for (const { user, item, rating, timestamp } of pairs) {
    const key = JSON.stringify([user, item]);
    if (!users.includes(user)) {
      strangers.add(user);
      counts.unknownUserPairs++;
    } else if (seen.has(key)) {
      counts.duplicates++;
    } else if (items.includes(item)) {
      counts.kept++;
      met[user]!.push([item, rating, timestamp]);
    } else {
      counts.unknownItemPairs++;
      unknown[user]!++;
    }
    seen.add(key);
  }
  return {
    users,
    items,
    met,
    unknown,
    report: { pairs: pairs.length, unknownUsers: strangers.size, ...counts },
  };
}

/** Interactions in the same plain form. */
export function plain(interactions: Interactions): Plain {
  const { users, items, offsets, ratings, timestamps, unknownItems, report } = interactions;
  const idsOf = (of: typeof users): string[] =>
    Array.from({ length: of.size }, (_, index) => of.idAt(index));
  const met: Plain['met'] = {};
  const unknown: Plain['unknown'] = {};
  idsOf(users).forEach((id, user) => {
    met[id] = [...itemsOf(interactions, user)].map((item, at) => {
      const place = offsets[user]! + at;
      return [items.idAt(item), ratings?.[place], timestamps?.[place]];
    });
    unknown[id] = unknownItems[user]!;
  });
  return { users: idsOf(users), items: idsOf(items), met, unknown, report };
}

/** Integer ids, in a range that makes duplicates. */
export const integerIds = fc.oneof(fc.nat(12).map(String), fc.constant('9007199254740991'));

/** Ids of any kind that stand in a line as they are: no blanks, commas or quotes. */
export const plainIds = fc.oneof(
  integerIds,
  fc.constantFrom('a', 'b', 'é', '𝄞', '007', '-1', '1.5', '9007199254740992', '12345678901234567'),
);

/** Ids that need quotes. */
export const awkwardIds = fc.oneof(
  plainIds,
  fc.constantFrom('"', 'a"b', 'x,y', 'two words', '""', "'", 'tab\there'),
);

/** Pairs of ids; ratings are halves, so that a 32-bit float holds them. */
export function pairsOf(ids: fc.Arbitrary<string>, columns: 2 | 3 | 4 = 2): fc.Arbitrary<Pair[]> {
  const numbers = {
    rating: fc.integer({ min: -100, max: 100 }).map((value) => value / 2),
    timestamp: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  };
  const pair = fc.record({
    user: ids,
    item: ids,
    ...(columns > 2 && { rating: numbers.rating }),
    ...(columns > 3 && { timestamp: numbers.timestamp }),
  });
  return fc.array(pair, { minLength: 1, maxLength: 40 });
}
