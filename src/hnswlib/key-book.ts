import { LichenArgumentError, shown, type LichenErrorCode } from '../errors.js';
import type { KeyKind, NativeKeys } from '../native.js';
import type { Key } from '../index/types.js';

/** hnswlib-node cuts a label to 32 bits. */
export const MAX_LABEL = 2 ** 32 - 1;
const MAX_KEY_BYTES = 65535;
const KIND_NAMES = { row: 'row numbers (no keys given)', integer: 'integers', string: 'strings' };

/** Rows that keys will take, once the add is done. */
export interface KeyPlan {
  readonly kind: KeyKind;
  readonly rows: readonly number[];
  /** The label of each in hnswlib. */
  readonly labels: readonly number[];
  /** Undefined for row numbers. */
  readonly keys: readonly Key[] | undefined;
}

/**
 * Which key has which row, and which label of hnswlib: an integer key is its own label, otherwise the row number is.
 * hnswlib forgets no label, so a removed row stays, and a key that comes back takes it again.
 */
export class KeyBook {
  #kind: KeyKind | undefined;
  #rows = 0;
  /** By row; empty for row numbers. */
  readonly #keys: Key[] = [];
  readonly #rowOf = new Map<Key, number>();
  readonly #removed = new Set<number>();

  /** The book of `rows` rows, some of them removed; `keys` one a row, undefined for row numbers. */
  static restored(
    kind: KeyKind,
    rows: number,
    keys: readonly Key[] | undefined,
    removed: readonly number[],
  ): KeyBook {
    const book = new KeyBook();
    const numbers = Array.from({ length: rows }, (_, row) => row);
    book.enter({ kind, rows: numbers, labels: numbers, keys });
    for (const row of removed) book.remove(row);
    return book;
  }

  /** Undefined until rows come. */
  get kind(): KeyKind | undefined {
    return this.#kind;
  }

  /** Rows, removed ones included. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows that are there. */
  get size(): number {
    return this.#rows - this.#removed.size;
  }

  /** The row of a key, or undefined if it is not there. */
  find(key: Key): number | undefined {
    const row = this.#everRow(key);
    return row === undefined || this.#removed.has(row) ? undefined : row;
  }

  /** The row of a label, or undefined if it is removed or not there yet. */
  rowOfLabel(label: number): number | undefined {
    const row = this.#kind === 'integer' ? this.#rowOf.get(label) : label;
    return row === undefined || row >= this.#rows || this.#removed.has(row) ? undefined : row;
  }

  labelOf(row: number): number {
    return this.#kind === 'integer' ? (this.#keys[row] as number) : row;
  }

  keyOf(row: number): Key {
    return this.#kind === 'row' ? row : this.#keys[row]!;
  }

  /** String keys by row, those of removed rows included. */
  strings(): readonly string[] {
    return this.#keys as string[];
  }

  /** The rows that are there, ascending. */
  *live(): Generator<number, void, undefined> {
    for (let row = 0; row < this.#rows; row++) {
      if (!this.#removed.has(row)) yield row;
    }
  }

  /**
   * What an add of `count` keys will do; changes nothing.
   * @throws ERR_LICHEN_ARGUMENT for keys of another kind or out of range, ERR_LICHEN_DUPLICATE_KEY.
   */
  plan(given: NativeKeys, count: number): KeyPlan {
    const kind = given === null ? 'row' : given instanceof Float64Array ? 'integer' : 'string';
    if (this.#rows > 0 && kind !== this.#kind) {
      throw bad(
        'ERR_LICHEN_ARGUMENT',
        `the keys of this index are ${KIND_NAMES[this.#kind!]}, got ${KIND_NAMES[kind]}`,
      );
    }
    if (given === null) {
      const rows = Array.from({ length: count }, (_, at) => this.#rows + at);
      return { kind, rows, labels: rows, keys: undefined };
    }
    // -0 and 0 are one key.
    const keys: Key[] = Array.from({ length: count }, (_, at) =>
      given instanceof Float64Array ? given[at]! + 0 : given[at]!,
    );
    keys.forEach(requireFitting);
    const rows = this.#rowsFor(keys);
    return { kind, rows, labels: kind === 'integer' ? (keys as number[]) : rows, keys };
  }

  /** Does what {@link plan} found, unless the book has changed since. */
  enter({ kind, rows, keys }: KeyPlan): void {
    this.#kind = kind;
    rows.forEach((row, at) => {
      this.#removed.delete(row);
      if (row < this.#rows) return;
      this.#rows = row + 1;
      if (keys === undefined) return;
      this.#keys.push(keys[at]!);
      this.#rowOf.set(keys[at]!, row);
    });
  }

  remove(row: number): void {
    this.#removed.add(row);
  }

  #everRow(key: Key): number | undefined {
    if (this.#kind !== 'row') return this.#rowOf.get(key);
    return Number.isInteger(key) && (key as number) >= 0 && (key as number) < this.#rows
      ? (key as number)
      : undefined;
  }

  #rowsFor(keys: readonly Key[]): number[] {
    const seen = new Set<Key>();
    let next = this.#rows;
    return keys.map((key, at) => {
      const isThere = this.find(key) !== undefined;
      if (isThere || seen.has(key)) {
        const why = isThere ? 'is in the index already' : 'stands twice in this call';
        const name = typeof key === 'string' ? `'${key}'` : key;
        throw bad('ERR_LICHEN_DUPLICATE_KEY', `key ${name} at position ${at} ${why}`);
      }
      seen.add(key);
      return this.#everRow(key) ?? next++;
    });
  }
}

function requireFitting(key: Key, at: number): void {
  if (typeof key === 'string') {
    const bytes = Buffer.byteLength(key);
    if (bytes >= 1 && bytes <= MAX_KEY_BYTES) return;
    throw bad(
      'ERR_LICHEN_ARGUMENT',
      `a string key must have 1 to ${MAX_KEY_BYTES} bytes, got ${bytes}`,
    );
  }
  if (key >= 0 && key <= MAX_LABEL) return;
  throw bad(
    'ERR_LICHEN_ARGUMENT',
    `keys[${at}] must be from 0 to ${MAX_LABEL}, as labels of hnswlib-node are, got ${shown(key)}`,
  );
}

function bad(code: LichenErrorCode, message: string): LichenArgumentError {
  return new LichenArgumentError(code, message);
}
