import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, shown } from '../errors.js';
import type { Key, KeysInput } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { canonicalInteger, type Vocabulary } from '../interactions/vocabulary.js';

/** Ids of items, as callers have them, and keys of an index. */
export class ItemIds<K extends Key> {
  /** If keys are numbers of items. */
  readonly #items: Vocabulary | undefined;

  /** @throws ERR_LICHEN_DIMENSION if the rows of an index without keys are not the items. */
  constructor(
    private readonly index: VectorIndex<K>,
    items: Vocabulary | undefined,
  ) {
    if (items === undefined || index.keyKind !== 'row') return;
    if (index.size !== items.size) {
      const message = `an index without keys must hold one vector an item, ${items.size}, got ${index.size}`;
      throw new LichenArgumentError('ERR_LICHEN_DIMENSION', message);
    }
    this.#items = items;
  }

  idOf(key: K): string | number {
    return this.#items === undefined ? key : this.#items.idAt(key as number);
  }

  /**
   * Keys of ids; those that the index cannot have are left out.
   * @throws ERR_LICHEN_ARGUMENT for what is no id.
   */
  keysOf(ids: readonly (string | number)[]): K[] {
    const isText = this.index.keyKind === 'string';
    const keys: Key[] = [];
    for (const id of ids) {
      if (typeof id !== 'string' && typeof id !== 'number') {
        throw badArgument(`an item must be a string or a number, got ${shown(id)}`);
      }
      const key = isText ? String(id) : this.#numberOf(id);
      if (key !== '' && key !== undefined) keys.push(key);
    }
    return keys as K[];
  }

  /** All of some lists of keys, as a search takes them. */
  exclusion(...lists: readonly (KeysInput<K> | undefined)[]): KeysInput<K> | undefined {
    const there = lists.filter((list) => list !== undefined && list.length > 0);
    if (there.length <= 1) return there[0];
    return there.flatMap((list) => Array.from(list as ArrayLike<K>)) as unknown as KeysInput<K>;
  }

  #numberOf(id: string | number): number | undefined {
    if (this.#items !== undefined) {
      const row = this.#items.indexOf(id);
      return row < 0 ? undefined : row;
    }
    if (typeof id === 'number') return Number.isSafeInteger(id) ? id : undefined;
    const isNegative = id.startsWith('-');
    const key = canonicalInteger(isNegative ? id.slice(1) : id);
    if (key < 0 || (isNegative && key === 0)) return undefined;
    return isNegative ? -key : key;
  }
}
