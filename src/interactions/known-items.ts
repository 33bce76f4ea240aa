import { LichenArgumentError, shown } from '../errors.js';
import type { KeyKind } from '../native.js';
import type { Interactions } from './interactions.js';
import type { Vocabulary } from './vocabulary.js';

/** What users have already: item indices, user after user. */
export type KnownItems = Pick<Interactions, 'offsets' | 'itemIndices'>;

/** What is asked of an index whose vectors are items. */
interface ItemIndex {
  readonly keyKind: KeyKind;
  readonly size: number;
}

/** How many items a user has; 0 for user -1, who stands for one without any. */
export function knownCount({ offsets }: KnownItems, user: number): number {
  return user < 0 ? 0 : offsets[user + 1]! - offsets[user]!;
}

/** ERR_LICHEN_ARGUMENT for the first user who is neither among those of `known` nor -1. */
export function requireKnownUsers(users: Int32Array | Uint32Array, known: KnownItems): void {
  const userCount = known.offsets.length - 1;
  const bad = users.find((user) => user < -1 || user >= userCount);
  if (bad !== undefined) throw argument(`users must be in -1..${userCount - 1}, got ${bad}`);
}

/** How the keys of an index say which item they are; -1 for none. */
export function itemNumbers(index: ItemIndex, items: Vocabulary): (key: number | string) => number {
  if (index.keyKind !== 'row') return (key) => items.indexOf(key);
  requireVectorAnItem(index, items);
  return (key) => key as number;
}

/**
 * The key of each item in an index; undefined where it is the item's number.
 * @throws ERR_LICHEN_ARGUMENT if the items' ids are no such keys as the index has.
 */
export function itemKeys(
  index: ItemIndex,
  items: Vocabulary | undefined,
): Float64Array | readonly string[] | undefined {
  if (index.keyKind === 'row') {
    if (items !== undefined) requireVectorAnItem(index, items);
    return undefined;
  }
  if (items === undefined) {
    throw argument(`items must be given, whose ids are the keys of the index, got ${shown(items)}`);
  }
  if (index.keyKind === 'string')
    return Array.from({ length: items.size }, (_, i) => items.idAt(i));
  const keys = items.keys();
  if (keys instanceof Float64Array) return items.identity ? undefined : keys;
  throw argument('items must have integers for ids, as the index has for keys');
}

function requireVectorAnItem(index: ItemIndex, items: Vocabulary): void {
  if (index.size === items.size) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_DIMENSION',
    `an index without keys must hold one vector an item, ${items.size}, got ${index.size}`,
  );
}

function argument(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
