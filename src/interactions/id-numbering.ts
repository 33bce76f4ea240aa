import { canonicalInteger, Vocabulary } from './vocabulary.js';

/**
 * Numbers ids while a file is read: those of a fixed vocabulary keep their indices, any other id gets the next
 * number from `known` on. Without a fixed vocabulary the numbers are provisional, in order of first appearance,
 * and {@link finish} says how they map to the indices of the vocabulary that results.
 */
export class IdNumbering {
  readonly #fixed: Vocabulary | undefined;
  readonly #integers = new Map<number, number>();
  readonly #strings = new Map<string, number>();
  #next: number;

  constructor(fixed: Vocabulary | undefined) {
    this.#fixed = fixed;
    this.#next = fixed?.size ?? 0;
  }

  /** Number of ids seen or fixed. */
  get size(): number {
    return this.#next;
  }

  /** The number of the id in `bytes[start … end - 1]` (UTF-8). */
  ofBytes(bytes: Buffer, start: number, end: number): number {
    const integer = integerAt(bytes, start, end);
    if (integer >= 0) return this.ofInteger(integer);
    return this.#ofText(bytes.toString('utf8', start, end));
  }

  /** The number of an id. */
  ofId(id: string): number {
    const integer = canonicalInteger(id);
    return integer >= 0 ? this.ofInteger(integer) : this.#ofText(id);
  }

  /** The number of an id that is a non-negative safe integer. */
  ofInteger(id: number): number {
    const fixed = this.#fixed === undefined ? -1 : this.#fixed.indexOf(id);
    return fixed >= 0 ? fixed : this.#numberOf(this.#integers, id);
  }

  /** The vocabulary, and for each number its index in it (undefined when they are the same). */
  finish(): { vocabulary: Vocabulary; indices: Uint32Array | undefined } {
    if (this.#fixed !== undefined) return { vocabulary: this.#fixed, indices: undefined };
    if (this.#strings.size > 0) {
      const ids = new Array<string>(this.#next);
      for (const [id, number] of this.#integers) ids[number] = String(id);
      for (const [id, number] of this.#strings) ids[number] = id;
      return { vocabulary: Vocabulary.ordered(ids), indices: undefined };
    }
    // A Map keeps the order of insertion, so the n-th key has number n.
    const ids = Float64Array.from(this.#integers.keys());
    const vocabulary = Vocabulary.fromIntegers(ids);
    return { vocabulary, indices: Uint32Array.from(ids, (id) => vocabulary.indexOf(id)) };
  }

  #ofText(id: string): number {
    const fixed = this.#fixed === undefined ? -1 : this.#fixed.indexOf(id);
    return fixed >= 0 ? fixed : this.#numberOf(this.#strings, id);
  }

  #numberOf<K>(numbers: Map<K, number>, id: K): number {
    let number = numbers.get(id);
    if (number === undefined) {
      number = this.#next++;
      numbers.set(id, number);
    }
    return number;
  }
}

/** `canonicalInteger` of bytes; integers of 16 digits, which may exceed 2^53, are left to the slow path. */
function integerAt(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length < 1 || length > 16 || (length > 1 && bytes[start] === 48)) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}
