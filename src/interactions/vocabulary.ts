import { LichenArgumentError, LichenFileError, shown } from '../errors.js';
import { withinMemory } from '../vectors/memory.js';

/** How many ids are numbered one by one: what a Map holds. */
export const MAX_IDS = 2 ** 24;

/** Indices are 32-bit numbers, and 0xffffffff stands for none. */
const MAX_SIZE = 2 ** 32 - 1;

/** What {@link Vocabulary.toJSON} gives: the ids in index order, or how many when they are 0, 1, 2 … */
export type VocabularyJson =
  | {
      /** Ids are the numbers from 0 to this, less one. */
      identity: number;
    }
  | string[];

/** Finds the index of an id; -1 when it is not there. */
interface Lookup {
  readonly size: number;
  id(index: number): string;
  indexOf(id: string): number;
  indexOfInteger(id: number): number;
}

/**
 * External ids and their dense indices 0 … size - 1, both ways; never changes. When all ids are canonical
 * non-negative integers (no sign, no leading zero, below 2^53), indices follow their numeric order, so that index
 * and id agree when the ids are 0 … n - 1; otherwise indices follow the order in which the ids were given. An id is
 * never the empty text.
 *
 * @example
 * const words = Vocabulary.from(['jazz', 'blues']);
 * words.indexOf('blues'); // 1
 * words.idAt(0); // 'jazz'
 */
export class Vocabulary {
  /** Number of ids. */
  readonly size: number;
  /** Whether the ids are canonical non-negative integers in ascending order, and so integer keys. */
  readonly integers: boolean;
  /** Whether every id is its own index. */
  readonly identity: boolean;
  readonly #lookup: Lookup;

  private constructor(lookup: Lookup) {
    this.#lookup = lookup;
    this.size = lookup.size;
    this.integers = !(lookup instanceof Strings);
    this.identity = lookup instanceof Identity;
  }

  /** The ids 0 … size - 1; ERR_LICHEN_ARGUMENT unless size is in 0..2^32-1. */
  static identity(size: number): Vocabulary {
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_SIZE) {
      throw argumentError(`size must be an integer in 0..${MAX_SIZE}, got ${shown(size)}`);
    }
    return new Vocabulary(new Identity(size));
  }

  /**
   * The vocabulary of these ids, in any order; an id given again is left out.
   * @throws ERR_LICHEN_ARGUMENT when one is no text or empty, ERR_LICHEN_UNSUPPORTED for more than 2^24 ids.
   */
  static from(ids: Iterable<string>): Vocabulary {
    const unique = new Set<string>();
    for (const id of ids) {
      if (unique.size >= MAX_IDS && !unique.has(id)) throw tooManyIds();
      unique.add(id);
    }
    const distinct = [...unique];
    requireIds(distinct);
    const integers = Float64Array.from(distinct, canonicalInteger);
    return integers.includes(-1) ? Vocabulary.ordered(distinct) : Vocabulary.fromIntegers(integers);
  }

  /** The vocabulary of integers in any order; ERR_LICHEN_ARGUMENT unless they are distinct, safe and not negative. */
  static fromIntegers(ids: Float64Array): Vocabulary {
    if (!(ids instanceof Float64Array)) {
      throw argumentError(`ids must be a Float64Array, got ${shown(ids)}`);
    }
    const ascending = ids.slice().sort();
    ascending.forEach((id, at) => {
      if (!Number.isSafeInteger(id) || id < 0) {
        throw argumentError(`ids must be non-negative safe integers, got ${id}`);
      }
      if (ascending[at - 1] === id) throw argumentError(`ids must be distinct, got ${id} twice`);
    });
    return new Vocabulary(integerLookup(ascending));
  }

  /**
   * The vocabulary in which id number i has index i.
   * @throws ERR_LICHEN_ARGUMENT when an id stands twice, is no text or empty, ERR_LICHEN_UNSUPPORTED for more than
   * 2^24 ids.
   */
  static ordered(ids: readonly string[]): Vocabulary {
    requireIds(ids);
    const integers = Float64Array.from(ids, canonicalInteger);
    const ascending = integers.every((id, at) => id >= 0 && (at === 0 || integers[at - 1]! < id));
    return new Vocabulary(ascending ? integerLookup(integers) : new Strings([...ids]));
  }

  /** The vocabulary that {@link toJSON} gave; ERR_LICHEN_FORMAT for anything else. */
  static fromJSON(json: unknown): Vocabulary {
    const size = (json as { identity?: unknown } | null | undefined)?.identity;
    try {
      if (Array.isArray(json)) return Vocabulary.ordered(json as string[]);
      if (typeof size === 'number') return Vocabulary.identity(size);
    } catch (error) {
      if (!(error instanceof LichenArgumentError)) throw error;
      throw new LichenFileError('ERR_LICHEN_FORMAT', `vocabulary: ${error.message}`, {
        cause: error,
      });
    }
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `a vocabulary must be an array of strings or {"identity": size}, got ${shown(json)}`,
    );
  }

  /** Plain data from which {@link fromJSON} makes an equal vocabulary. */
  toJSON(): VocabularyJson {
    return this.identity
      ? { identity: this.size }
      : Array.from({ length: this.size }, (_, index) => this.#lookup.id(index));
  }

  /** The id with an index; ERR_LICHEN_ARGUMENT when there is no such index. */
  idAt(index: number): string {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `index must be in 0..${this.size - 1}, got ${String(index)}`,
      );
    }
    return this.#lookup.id(index);
  }

  /** The index of an id (7 and '7' are the same id), or -1 when it is not there. */
  indexOf(id: string | number): number {
    return typeof id === 'number' ? this.#lookup.indexOfInteger(id) : this.#lookup.indexOf(id);
  }

  /** The ids in index order as keys for an index: numbers when they are integers, else strings. */
  keys(): Float64Array | string[] {
    if (!this.integers) return Array.from({ length: this.size }, (_, at) => this.#lookup.id(at));
    const keys = withinMemory(this.size * 8, () => new Float64Array(this.size));
    for (let at = 0; at < keys.length; at++) keys[at] = Number(this.#lookup.id(at));
    return keys;
  }
}

/** The non-negative safe integer that a text is the usual decimal form of, else -1. */
export function canonicalInteger(text: string): number {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text)) return -1;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : -1;
}

function argumentError(text: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', text);
}

function tooManyIds(): LichenArgumentError {
  return new LichenArgumentError(
    'ERR_LICHEN_UNSUPPORTED',
    `more than ${MAX_IDS} ids that are not 0, 1, 2 … are not supported`,
  );
}

function requireIds(ids: readonly unknown[]): void {
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at];
    if (typeof id === 'string' && id !== '') continue;
    throw argumentError(`ids[${at}] must be a text that is not empty, got ${shown(id)}`);
  }
}

function integerLookup(ascending: Float64Array): Lookup {
  const last = ascending[ascending.length - 1] ?? -1;
  return last === ascending.length - 1 ? new Identity(ascending.length) : new Integers(ascending);
}

class Identity implements Lookup {
  constructor(readonly size: number) {}

  id(index: number): string {
    return String(index);
  }

  indexOf(id: string): number {
    return this.indexOfInteger(canonicalInteger(id));
  }

  indexOfInteger(id: number): number {
    // Adding 0 makes -0 a 0.
    return Number.isInteger(id) && id >= 0 && id < this.size ? id + 0 : -1;
  }
}

class Integers implements Lookup {
  readonly size: number;

  constructor(readonly ascending: Float64Array) {
    this.size = ascending.length;
  }

  id(index: number): string {
    return String(this.ascending[index]);
  }

  indexOf(id: string): number {
    return this.indexOfInteger(canonicalInteger(id));
  }

  /** By bisection: a Map of the same would take ten times the memory. */
  indexOfInteger(id: number): number {
    const { ascending } = this;
    let low = 0;
    let high = ascending.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ascending[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return ascending[low] === id ? low : -1;
  }
}

class Strings implements Lookup {
  readonly #indices = new Map<string, number>();
  readonly size: number;

  constructor(readonly ids: readonly string[]) {
    if (ids.length > MAX_IDS) throw tooManyIds();
    this.size = ids.length;
    ids.forEach((id, index) => {
      const before = this.#indices.get(id);
      if (before !== undefined) {
        throw argumentError(`ids must be distinct, got ${shown(id)} at ${before} and ${index}`);
      }
      this.#indices.set(id, index);
    });
  }

  id(index: number): string {
    return this.ids[index]!;
  }

  indexOf(id: string): number {
    return this.#indices.get(id) ?? -1;
  }

  indexOfInteger(id: number): number {
    return Number.isSafeInteger(id) && id >= 0 ? this.indexOf(String(id)) : -1;
  }
}
