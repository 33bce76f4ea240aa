import type { Key } from '../index/types.js';
import { joinRows, type WriteMessage } from './write-message.js';

/** Rows that are done at once: searches find none of them before all are done. */
const MOST_ROWS = 128;

/**
 * Changes that follow one another and can be done as one, since no key is in two of them: an index takes many rows in far
 * less time than each by itself.
 */
export class WriteGroup {
  readonly #messages: WriteMessage[] = [];
  readonly #keys = new Set<Key>();
  readonly #ids = new Set<string>();

  get length(): number {
    return this.#messages.length;
  }

  /** Takes one more, unless it does not go with those before. */
  takes(message: WriteMessage): boolean {
    const keys: readonly Key[] = Array.from(message.keys as ArrayLike<Key>);
    const [first] = this.#messages;
    if (first !== undefined) {
      if (this.#keys.size + keys.length > MOST_ROWS || !isAlike(first, message)) return false;
      if (this.#ids.has(message.id) || keys.some((key) => this.#keys.has(key))) return false;
    }
    this.#messages.push(message);
    this.#ids.add(message.id);
    for (const key of keys) this.#keys.add(key);
    return true;
  }

  /** All as one. */
  joined(): WriteMessage {
    return joinRows(this.#messages);
  }
}

function isAlike(one: WriteMessage, other: WriteMessage): boolean {
  const names = Object.keys(one.columns ?? {});
  return (
    one.kind === other.kind &&
    (one.columns === undefined) === (other.columns === undefined) &&
    names.length === Object.keys(other.columns ?? {}).length &&
    names.every((name) => other.columns?.[name] !== undefined)
  );
}
