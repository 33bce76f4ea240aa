import { LichenArgumentError, LichenError, LichenFileError } from '../errors.js';

/** What {@link Vocabulary.toJSON} gives: the ids in index order, or how many when they are 0, 1, 2 … */
export type VocabularyJson = { identity: number } | string[];

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
 * and id agree when the ids are 0 … n - 1; otherwise indices follow the order in which the ids were given.
 */
export class Vocabulary {
  /** Number of ids. */
  readonly size: number;
  /** Whether every id is a canonical non-negative integer, and so can be an integer key. */
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

  /** The ids 0 … size - 1. */
  static identity(size: number): Vocabulary {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `size must be a non-negative integer, got ${String(size)}`,
      );
    }
    return new Vocabulary(new Identity(size));
  }

  /** The vocabulary of these ids, in any order; an id given again is left out. */
  static from(ids: Iterable<string>): Vocabulary {
    const unique = [...new Set(ids)];
    const integers = Float64Array.from(unique, canonicalInteger);
    return integers.includes(-1) ? Vocabulary.ordered(unique) : Vocabulary.fromIntegers(integers);
  }

  /** The vocabulary of distinct non-negative safe integers, in any order. */
  static fromIntegers(ids: Float64Array): Vocabulary {
    return new Vocabulary(integerLookup(ids.slice().sort()));
  }

  /** The vocabulary in which id number i has index i; ERR_LICHEN_ARGUMENT when one stands twice. */
  static ordered(ids: readonly string[]): Vocabulary {
    const integers = Float64Array.from(ids, canonicalInteger);
    const ascending = integers.every((id, at) => id >= 0 && (at === 0 || integers[at - 1]! < id));
    return new Vocabulary(ascending ? integerLookup(integers) : new Strings(ids));
  }

  /** The vocabulary that {@link toJSON} gave; ERR_LICHEN_FORMAT for anything else. */
  static fromJSON(json: unknown): Vocabulary {
    if (Array.isArray(json) && json.every((id) => typeof id === 'string')) {
      try {
        return Vocabulary.ordered(json);
      } catch (error) {
        if (!(error instanceof LichenError)) throw error;
        throw new LichenFileError('ERR_LICHEN_FORMAT', `vocabulary: ${error.message}`, {
          cause: error,
        });
      }
    }
    const size = (json as { identity?: unknown } | null)?.identity;
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) {
      return Vocabulary.identity(size);
    }
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      'a vocabulary must be an array of strings or {"identity": size}',
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

  /** The ids in index order as keys for an index: numbers when all are integers, else strings. */
  keys(): Float64Array | string[] {
    return this.integers
      ? Float64Array.from({ length: this.size }, (_, index) => Number(this.#lookup.id(index)))
      : Array.from({ length: this.size }, (_, index) => this.#lookup.id(index));
  }
}

/** The non-negative safe integer that a text is the usual decimal form of, else -1. */
export function canonicalInteger(text: string): number {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text)) return -1;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : -1;
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
    return Number.isInteger(id) && id >= 0 && id < this.size ? id : -1;
  }
}

class Integers implements Lookup {
  readonly #indices = new Map<number, number>();
  readonly size: number;

  constructor(readonly ascending: Float64Array) {
    this.size = ascending.length;
    ascending.forEach((id, index) => this.#indices.set(id, index));
  }

  id(index: number): string {
    return String(this.ascending[index]);
  }

  indexOf(id: string): number {
    return this.indexOfInteger(canonicalInteger(id));
  }

  indexOfInteger(id: number): number {
    return this.#indices.get(id) ?? -1;
  }
}

class Strings implements Lookup {
  readonly #indices = new Map<string, number>();
  readonly size: number;

  constructor(readonly ids: readonly string[]) {
    this.size = ids.length;
    ids.forEach((id, index) => {
      const before = this.#indices.get(id);
      if (before !== undefined) {
        throw new LichenArgumentError(
          'ERR_LICHEN_ARGUMENT',
          `ids must be distinct, got ${JSON.stringify(id)} at ${before} and ${index}`,
        );
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
    return this.indexOf(String(id));
  }
}
