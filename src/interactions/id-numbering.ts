import { isUtf8 } from 'node:buffer';
import { LichenError, shown } from '../errors.js';
import { idBudgetBytes } from '../vectors/memory.js';
import { lineError } from './messages.js';
import { canonicalInteger, MAX_IDS, Vocabulary } from './vocabulary.js';

/** Heap that an id takes here and in the vocabulary, about, a text's own bytes aside. */
const INTEGER_BYTES = 64;
const TEXT_BYTES = 128;

/** Longer ids are a sign of a file of another kind. */
const MAX_ID_BYTES = 1 << 16;

/**
 * Numbers ids while a file is read: those of a fixed vocabulary keep their indices, any other id gets the next
 * number from `fixed.size` on. Without a fixed vocabulary the numbers are provisional, in order of first appearance,
 * and {@link finish} says how they map to the indices of the vocabulary that results.
 */
export class IdNumbering {
  readonly #fixed: Vocabulary | undefined;
  readonly #integers = new Map<number, number>();
  readonly #strings = new Map<string, number>();
  #next: number;
  #heapLeft: number;

  /** @param heapBytes how much of the JavaScript heap the ids may take; running out of it would end the process. */
  constructor(fixed: Vocabulary | undefined, heapBytes: number = idBudgetBytes()) {
    this.#fixed = fixed;
    this.#next = fixed?.size ?? 0;
    this.#heapLeft = heapBytes;
  }

  /** Number of ids seen or fixed. */
  get size(): number {
    return this.#next;
  }

  /** The number of the id in `bytes[start … end - 1]`; throws as {@link ofId} and {@link idText}. */
  ofBytes(bytes: Buffer, start: number, end: number): number {
    const integer = integerAt(bytes, start, end);
    if (integer >= 0) return this.ofInteger(integer);
    return this.#ofText(idText(bytes, start, end));
  }

  /** The number of an id; ERR_LICHEN_UNSUPPORTED or ERR_LICHEN_MEMORY when it is one more than can be kept. */
  ofId(id: string): number {
    const integer = canonicalInteger(id);
    return integer >= 0 ? this.ofInteger(integer) : this.#ofText(id);
  }

  /** The number of an id that is a non-negative safe integer; throws as {@link ofId}. */
  ofInteger(id: number): number {
    const known = this.#fixed === undefined ? -1 : this.#fixed.indexOf(id);
    if (known >= 0) return known;
    return this.#integers.get(id) ?? this.#added(this.#integers, id, INTEGER_BYTES);
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
    const ids = new Float64Array(this.#next);
    for (const [id, number] of this.#integers) ids[number] = id;
    const vocabulary = Vocabulary.fromIntegers(ids);
    const indices = new Uint32Array(this.#next);
    for (let number = 0; number < ids.length; number++) {
      indices[number] = vocabulary.indexOf(ids[number]!);
    }
    return { vocabulary, indices };
  }

  #ofText(id: string): number {
    const known = this.#fixed === undefined ? -1 : this.#fixed.indexOf(id);
    if (known >= 0) return known;
    const before = this.#strings.get(id);
    return before ?? this.#added(this.#strings, id, TEXT_BYTES + Buffer.byteLength(id));
  }

  #added<K>(numbers: Map<K, number>, id: K, bytes: number): number {
    const added = this.#integers.size + this.#strings.size;
    if (added >= MAX_IDS) {
      throw new LichenError(
        'ERR_LICHEN_UNSUPPORTED',
        `more than ${MAX_IDS} distinct ids are not supported`,
      );
    }
    this.#heapLeft -= bytes;
    if (this.#heapLeft < 0) {
      throw new LichenError(
        'ERR_LICHEN_MEMORY',
        `more than ${added} distinct ids do not fit into the JavaScript heap; node --max-old-space-size=MIB makes it larger`,
      );
    }
    numbers.set(id, this.#next);
    return this.#next++;
  }
}

/** The id in `bytes[start … end - 1]`; ERR_LICHEN_FORMAT when it is no UTF-8 text or longer than 64 KiB. */
export function idText(bytes: Buffer, start: number, end: number): string {
  if (end - start > MAX_ID_BYTES) {
    throw lineError(`expected ids of at most ${MAX_ID_BYTES} bytes, got one of ${end - start}`);
  }
  const text = bytes.toString('utf8', start, end);
  // What is no UTF-8 reads as U+FFFD, and different ids would become one.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) {
    throw lineError(`expected UTF-8 text, got ${shown(text)}`);
  }
  if (text.includes('\0')) throw lineError('expected text, got a zero byte');
  return text;
}

/** `canonicalInteger` of bytes. */
export function integerAt(bytes: Buffer, start: number, end: number): number {
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
