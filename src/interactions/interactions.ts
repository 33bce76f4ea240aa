import { LichenArgumentError, shown } from '../errors.js';
import { Column } from './column.js';
import { IdNumbering } from './id-numbering.js';
import { withinMemory } from '../vectors/memory.js';
import { Vocabulary } from './vocabulary.js';

/**
 * Which users met which items. User u's items are `itemIndices[offsets[u] … offsets[u + 1] - 1]`, each once, in the
 * order of the source; a user may have none.
 */
export interface Interactions {
  /** The users' ids; offsets has one entry more. */
  readonly users: Vocabulary;
  /** The items' ids; every item index is below `items.size`. */
  readonly items: Vocabulary;
  /** `users.size + 1` ascending positions in `itemIndices`. */
  readonly offsets: Uint32Array;
  /** Item indices, user after user. */
  readonly itemIndices: Uint32Array;
  /** Of each interaction, beside `itemIndices`; absent when the source has none. Finite. */
  readonly ratings?: Float32Array;
  /** Of each interaction, beside `itemIndices`, in the source's unit; absent when the source has none. Finite. */
  readonly timestamps?: Float64Array;
  /**
   * `users.size` counts: distinct items of each user that are not in the given vocabulary, and so in no ranking.
   * They still belong to what should have been found: recall's denominator is `itemsOf(…).length + unknownItems[u]`.
   */
  readonly unknownItems: Uint32Array;
  /** What was left out on the way. */
  readonly report: InteractionsReport;
}

/** What happened to the pairs of a source: `pairs = kept + duplicates + unknownUserPairs + unknownItemPairs`. */
export interface InteractionsReport {
  /** User-item pairs in the source. */
  readonly pairs: number;
  /** Pairs in the result. */
  readonly kept: number;
  /** Pairs that stood before; the first one counts, with its rating and timestamp. */
  readonly duplicates: number;
  /** Distinct users that are not in the given vocabulary; they are skipped. */
  readonly unknownUsers: number;
  /** Pairs of such users. */
  readonly unknownUserPairs: number;
  /** Pairs of known users with items that are not in the given vocabulary (see `unknownItems`). */
  readonly unknownItemPairs: number;
}

/** Vocabularies to keep to, for example those of the training set while reading a test set. */
export interface VocabularyOptions {
  /** Users that count; others are skipped. Default: all of the source. */
  users?: Vocabulary | undefined;
  /** Items that count; others are only counted. Default: all of the source. */
  items?: Vocabulary | undefined;
}

/** Options of {@link interactionsFromPairs}. */
export interface PairsOptions extends VocabularyOptions {
  /** One rating a pair. */
  ratings?: ArrayLike<number> | undefined;
  /** One timestamp a pair. */
  timestamps?: ArrayLike<number> | undefined;
}

/**
 * A view of the item indices of one user, not a copy; ERR_LICHEN_ARGUMENT when there is no such user.
 *
 * @example
 * for (const item of itemsOf(interactions, 0)) console.log(interactions.items.idAt(item));
 */
export function itemsOf(
  interactions: Pick<Interactions, 'offsets' | 'itemIndices'>,
  user: number,
): Uint32Array {
  const { offsets, itemIndices } = interactions;
  const end = offsets[user + 1];
  if (!(user >= 0) || end === undefined) {
    throw argumentError(`user must be in 0..${offsets.length - 2}, got ${shown(user)}`);
  }
  return itemIndices.subarray(offsets[user], end);
}

/**
 * Interactions from pairs in memory: pair i is user `users[i]` with item `items[i]`. Ids are strings or non-negative
 * integers (7 and '7' are the same id). No pairs at all give no users and no items.
 * @throws ERR_LICHEN_ARGUMENT when the lengths differ, or an id is neither, or a rating or timestamp no number;
 * ERR_LICHEN_NOT_FINITE when one is not finite (a rating, as a 32-bit float).
 *
 * @example
 * const { users, items } = interactionsFromPairs(['ann', 'ann', 'bob'], [10, 20, 10]);
 * users.size; // 2
 * items.idAt(0); // '10'
 */
export function interactionsFromPairs(
  users: ArrayLike<number> | readonly string[],
  items: ArrayLike<number> | readonly string[],
  options: PairsOptions = {},
): Interactions {
  const { ratings, timestamps } = options;
  requireLength('users', users, undefined);
  requireLength('items', items, users.length);
  if (ratings !== undefined) requireLength('ratings', ratings, users.length);
  if (timestamps !== undefined) requireLength('timestamps', timestamps, users.length);
  const builder = new InteractionsBuilder(options);
  for (let at = 0; at < users.length; at++) {
    const user = numberOf(builder.users, users[at], 'users', at);
    const item = numberOf(builder.items, items[at], 'items', at);
    const rating = ratings && finiteAt(ratings, 'ratings', at);
    // A double may be finite where its float is not.
    if (rating !== undefined) requireFinite(Math.fround(rating), rating, 'ratings', at);
    builder.add(user, item, rating, timestamps && finiteAt(timestamps, 'timestamps', at));
  }
  return builder.finish();
}

function argumentError(text: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', text);
}

function requireLength(name: string, values: unknown, expected: number | undefined): void {
  const isObject = typeof values === 'object' && values !== null;
  const length = isObject ? (values as { length?: unknown }).length : undefined;
  if (!Number.isSafeInteger(length)) {
    throw argumentError(`${name} must be an array, got ${shown(values)}`);
  }
  if (expected === undefined || length === expected) return;
  throw argumentError(
    `${name} must have as many entries as users, ${expected}, got ${String(length)}`,
  );
}

function numberOf(ids: IdNumbering, id: unknown, name: string, at: number): number {
  if (typeof id === 'string' && id !== '') return ids.ofId(id);
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return ids.ofInteger(id);
  throw argumentError(
    `${name}[${at}] must be a non-negative integer or a string that is not empty, got ${shown(id)}`,
  );
}

function finiteAt(values: ArrayLike<number>, name: string, at: number): number {
  const value: unknown = values[at];
  if (typeof value !== 'number') {
    throw argumentError(`${name}[${at}] must be a number, got ${shown(value)}`);
  }
  requireFinite(value, value, name, at);
  return value;
}

function requireFinite(value: number, got: number, name: string, at: number): void {
  if (Number.isFinite(value)) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_NOT_FINITE',
    `${name}[${at}] is ${got}, expected a finite value`,
  );
}

/** Collects pairs in any order and groups them by user. */
export class InteractionsBuilder {
  readonly users: IdNumbering;
  readonly items: IdNumbering;
  readonly #fixed: VocabularyOptions;
  readonly #pairUsers = new Column((length) => new Uint32Array(length));
  readonly #pairItems = new Column((length) => new Uint32Array(length));
  readonly #ratings = new Column((length) => new Float32Array(length));
  readonly #timestamps = new Column((length) => new Float64Array(length));

  /** @throws ERR_LICHEN_ARGUMENT when a vocabulary is none. */
  constructor(options: VocabularyOptions) {
    for (const name of ['users', 'items'] as const) {
      const given: unknown = options[name];
      if (given === undefined || given instanceof Vocabulary) continue;
      throw argumentError(`${name} must be a Vocabulary, got ${shown(given)}`);
    }
    this.#fixed = options;
    this.users = new IdNumbering(options.users);
    this.items = new IdNumbering(options.items);
  }

  /** Number of pairs added. */
  get pairs(): number {
    return this.#pairUsers.length;
  }

  /** Adds a pair of numbers that {@link users} and {@link items} gave; ratings and timestamps with all or none. */
  add(user: number, item: number, rating?: number, timestamp?: number): void {
    this.#pairUsers.push(user);
    this.#pairItems.push(item);
    if (rating !== undefined) this.#ratings.push(rating);
    if (timestamp !== undefined) this.#timestamps.push(timestamp);
  }

  /** The interactions of all pairs added; the builder is of no further use. */
  finish(): Interactions {
    return withinMemory(this.#finishBytes(), () => this.#grouped());
  }

  /** What the result takes, about, besides the columns and the ids. */
  #finishBytes(): number {
    const perPair = 8 + (this.#ratings.length && 4) + (this.#timestamps.length && 8);
    return this.pairs * perPair + this.users.size * 16 + this.items.size * 8;
  }

  #grouped(): Interactions {
    const users = this.users.finish();
    const items = this.items.finish();
    const order = this.#byUser(users.indices);
    const userCount = users.vocabulary.size;
    const knownItems = this.#fixed.items?.size ?? this.items.size;

    // Within a user the numbers of items, unknown ones included, tell duplicates: the stamp is the last user to
    // have met the item. Kept pairs move forward in `order`.
    const stamps = new Uint32Array(this.items.size).fill(0xffffffff);
    const pairItems = this.#pairItems.values();
    const offsets = new Uint32Array(userCount + 1);
    const unknownItems = new Uint32Array(userCount);
    let kept = 0;
    let unknownItemPairs = 0;
    for (let user = 0; user < userCount; user++) {
      for (let at = order.offsets[user]!; at < order.offsets[user + 1]!; at++) {
        const pair = order.pairs[at]!;
        const item = pairItems[pair]!;
        if (stamps[item] === user) continue;
        stamps[item] = user;
        if (item < knownItems) order.pairs[kept++] = pair;
        else {
          unknownItems[user]!++;
          unknownItemPairs++;
        }
      }
      offsets[user + 1] = kept;
    }

    const chosen = order.pairs.subarray(0, kept);
    const itemIndices = gathered(pairItems, chosen, new Uint32Array(kept));
    if (items.indices !== undefined) gathered(items.indices, itemIndices, itemIndices);
    const ratings = this.#ratings.values();
    const timestamps = this.#timestamps.values();
    const unknownUserPairs = this.pairs - order.pairs.length;
    return {
      users: users.vocabulary,
      items: items.vocabulary,
      offsets,
      itemIndices,
      ...(ratings.length > 0 && { ratings: gathered(ratings, chosen, new Float32Array(kept)) }),
      ...(timestamps.length > 0 && {
        timestamps: gathered(timestamps, chosen, new Float64Array(kept)),
      }),
      unknownItems,
      report: {
        pairs: this.pairs,
        kept,
        duplicates: order.pairs.length - kept - unknownItemPairs,
        unknownUsers:
          this.#fixed.users === undefined ? 0 : this.users.size - this.#fixed.users.size,
        unknownUserPairs,
        unknownItemPairs,
      },
    };
  }

  /** The pairs of known users, grouped by user index, in order of arrival within a user. */
  #byUser(indices: Uint32Array | undefined): { offsets: Uint32Array; pairs: Uint32Array } {
    const known = this.#fixed.users?.size ?? this.users.size;
    const offsets = new Uint32Array(known + 1);
    const pairUsers = this.#pairUsers.values();
    const indexOf = (user: number): number => (indices === undefined ? user : indices[user]!);
    for (const user of pairUsers) {
      if (user < known) offsets[indexOf(user) + 1]!++;
    }
    for (let user = 0; user < known; user++) offsets[user + 1]! += offsets[user]!;
    const pairs = new Uint32Array(offsets[known]!);
    const next = offsets.slice();
    for (let pair = 0; pair < pairUsers.length; pair++) {
      const user = pairUsers[pair]!;
      if (user < known) pairs[next[indexOf(user)]!++] = pair;
    }
    return { offsets, pairs };
  }
}

/** Puts `values[places[i]]` into `target[i]`, also where places and target are one. */
function gathered<A extends Uint32Array | Float32Array | Float64Array>(
  values: A,
  places: Uint32Array,
  target: A,
): A {
  for (let at = 0; at < places.length; at++) target[at] = values[places[at]!]!;
  return target;
}
