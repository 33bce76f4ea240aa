import { LichenArgumentError } from '../errors.js';
import { toExclude } from '../index/arguments.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { itemKeys, knownCount, requireKnownUsers } from '../interactions/known-items.js';
import type { KnownItemsOptions } from './pool-options.js';

/** Keys that must not be found: one list a user after another, and where each ends. */
export interface Exclusion {
  readonly keys: Float64Array | readonly string[];
  readonly ends: Uint32Array;
}

/** What users have already, by the keys of an index. */
export class KnownKeys {
  readonly #known: KnownItemsOptions;
  /** By item; undefined where the item's number is its key. */
  readonly #keys: Float64Array | readonly string[] | undefined;

  /** @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION if the index does not go with the items. */
  constructor(known: KnownItemsOptions, index: VectorIndex<Key>) {
    const { offsets, itemIndices, items } = known;
    if (!(offsets instanceof Uint32Array) || !(itemIndices instanceof Uint32Array)) {
      throw bad('known must be { offsets: Uint32Array, itemIndices: Uint32Array, items? }');
    }
    for (let user = 1; user < offsets.length; user++) {
      if (offsets[user]! < offsets[user - 1]!) throw bad('known.offsets must ascend');
    }
    if (offsets.length === 0 || offsets.at(-1)! > itemIndices.length) {
      throw bad(`known.offsets must end within the ${itemIndices.length} items`);
    }
    this.#known = known;
    this.#keys = itemKeys(index, items);
    const itemCount = this.#keys?.length;
    if (itemCount !== undefined && itemIndices.some((item) => item >= itemCount)) {
      throw bad(`known.itemIndices must be below the ${itemCount} items`);
    }
  }

  /** The keys of what some users have. @throws ERR_LICHEN_ARGUMENT for a user who is not there. */
  of(users: Int32Array): Exclusion {
    requireKnownUsers(users, this.#known);
    const ends = new Uint32Array(users.length);
    let total = 0;
    users.forEach((user, at) => (ends[at] = total += knownCount(this.#known, user)));
    const { offsets, itemIndices } = this.#known;
    const [byItem, keys] = [this.#keys, emptyKeys(this.#keys, total)];
    let place = 0;
    for (const user of users) {
      if (user < 0) continue;
      for (let at = offsets[user]!; at < offsets[user + 1]!; at++) {
        const item = itemIndices[at]!;
        keys[place++] = byItem === undefined ? item : byItem[item]!;
      }
    }
    return { keys, ends };
  }
}

/** The caller's lists. @throws ERR_LICHEN_ARGUMENT */
export function exclusionOf(lists: unknown, rows: number): Exclusion | undefined {
  const { keys, ends } = toExclude(lists, rows);
  return keys === null || ends === null ? undefined : { keys, ends };
}

/** What one or the other excludes. @throws ERR_LICHEN_ARGUMENT if one has strings and the other integers. */
export function bothExclusions(one: Exclusion, other: Exclusion): Exclusion {
  const isText = isStrings(one.keys);
  if (isText !== isStrings(other.keys)) {
    throw bad(`exclude must hold ${isText ? 'strings' : 'integers'}, as the index has for keys`);
  }
  const keys = emptyKeys(one.keys, one.keys.length + other.keys.length);
  const ends = new Uint32Array(one.ends.length);
  let place = 0;
  for (let user = 0; user < ends.length; user++) {
    for (const { keys: from, ends: at } of [one, other]) {
      for (let i = user === 0 ? 0 : at[user - 1]!; i < at[user]!; i++) keys[place++] = from[i]!;
    }
    ends[user] = place;
  }
  return { keys, ends };
}

export function isStrings(
  keys: Float64Array | readonly string[] | undefined,
): keys is readonly string[] {
  return Array.isArray(keys);
}

/** Room for keys of the same kind. */
function emptyKeys(
  like: Float64Array | readonly string[] | undefined,
  count: number,
): (Float64Array | string[]) & Record<number, number | string> {
  const keys = isStrings(like) ? new Array<string>(count) : new Float64Array(count);
  return keys;
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
