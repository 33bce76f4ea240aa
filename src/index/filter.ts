import { LichenArgumentError, shown } from '../errors.js';
import { MAX_ROWS, requireInteger } from './arguments.js';

/** The bits of a filter themselves, which must not be written. */
let bitsOf: (filter: Filter) => Uint8Array;
/** Of an index, whose rows have the numbers of a layout. */
let withLayout: (bits: Uint8Array, layout: number) => Filter;
/** The layout that a filter's rows are of; 0 where nobody knows, 1 before the first compaction. */
let layoutOf: (filter: Filter) => number;

const ONES_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let ones = 0;
  for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1;
  return ones;
});

/**
 * The rows that a search may return; row `r` is the r-th vector added, from 0, until a compaction numbers them anew.
 * `index.filter` makes one of keys or of a condition, which goes on meaning the same vectors past one compaction. A
 * filter never changes: rows that are added later it does not admit.
 *
 * @example
 * const inStock = index.filter((key) => stock.has(key));
 * index.searchSync(query, { k: 10, filter: inStock.not(index.size) });
 */
export class Filter {
  static {
    bitsOf = (filter) => filter.#bits;
    withLayout = (bits, layout) => {
      const filter = new Filter(bits);
      filter.#layout = layout;
      return filter;
    };
    layoutOf = (filter) => filter.#layout;
  }

  readonly #bits: Uint8Array;
  #layout = 0;
  /** Number of rows that it admits. */
  readonly count: number;

  /**
   * @param bits bit `r % 8` of byte `r / 8` admits row `r`; copied.
   * @throws ERR_LICHEN_ARGUMENT unless it is a Uint8Array.
   */
  constructor(bits: Uint8Array) {
    if (!(bits instanceof Uint8Array)) {
      throw bad(`bits must be a Uint8Array, got ${shown(bits)}`);
    }
    this.#bits = Uint8Array.from(bits);
    let count = 0;
    for (const byte of this.#bits) count += ONES_OF_BYTE[byte]!;
    this.count = count;
  }

  /**
   * A filter that admits some rows of `size`.
   * @throws ERR_LICHEN_ARGUMENT for a size or a row out of range.
   */
  static ofRows(rows: Iterable<number>, size: number): Filter {
    const most = requireInteger('size', size, 0, MAX_ROWS);
    const bits = new Uint8Array(Math.ceil(most / 8));
    if (typeof (rows as Iterable<number> | undefined)?.[Symbol.iterator] !== 'function') {
      throw bad(`rows must be row numbers, got ${shown(rows)}`);
    }
    for (const row of rows) {
      if (!Number.isInteger(row) || row < 0 || row >= most) {
        throw bad(`rows must be integers from 0 to ${most - 1}, got ${shown(row)}`);
      }
      bits[row >> 3]! |= 1 << (row & 7);
    }
    return new Filter(bits);
  }

  /** A copy of the bits: bit `r % 8` of byte `r / 8` is set if row `r` is admitted. */
  get bits(): Uint8Array {
    return this.#bits.slice();
  }

  /** Whether the row is admitted; a row that is none is not. */
  has(row: number): boolean {
    if (!Number.isInteger(row) || row < 0 || row >= 8 * this.#bits.length) return false;
    return (this.#bits[row >>> 3]! & (1 << (row & 7))) !== 0;
  }

  /** Admits what both admit. */
  and(other: Filter): Filter {
    const theirs = requireFilter(other).#bits;
    const length = Math.min(this.#bits.length, theirs.length);
    return withLayout(
      this.#bits.subarray(0, length).map((byte, at) => byte & theirs[at]!),
      this.#commonLayout(other),
    );
  }

  /** Admits what one or the other admits. */
  or(other: Filter): Filter {
    const theirs = requireFilter(other).#bits;
    const [long, short] =
      theirs.length > this.#bits.length ? [theirs, this.#bits] : [this.#bits, theirs];
    return withLayout(
      long.map((byte, at) => byte | (short[at] ?? 0)),
      this.#commonLayout(other),
    );
  }

  /**
   * Admits those of the rows below `rows` (the size of the index) that this one does not.
   * @throws ERR_LICHEN_ARGUMENT for a number of rows out of range.
   */
  not(rows: number): Filter {
    const count = requireInteger('rows', rows, 0, MAX_ROWS);
    const bits = Uint8Array.from(
      { length: Math.ceil(count / 8) },
      (_, at) => ~(this.#bits[at] ?? 0),
    );
    if (count % 8 > 0) bits[bits.length - 1]! &= (1 << (count % 8)) - 1;
    return withLayout(bits, this.#layout);
  }

  #commonLayout(other: Filter): number {
    const layouts = new Set([this.#layout, other.#layout]);
    layouts.delete(0);
    if (layouts.size > 1) {
      throw bad('the filters are of before and after a compaction of the index; make them anew');
    }
    return [...layouts][0] ?? 0;
  }
}

/** A filter of rows that have the numbers of a layout of an index. */
export function filterOf(bits: Uint8Array, layout: number): Filter {
  return withLayout(bits, layout);
}

/** The layout that the rows of a `filter` option are of; 0 for the present one. */
export function layoutOfFilter(filter: Filter | Uint8Array | undefined): number {
  return filter instanceof Filter ? layoutOf(filter) : 0;
}

/** The `filter` option of a search as the addon takes it. */
export function resolveFilter(filter: Filter | Uint8Array | undefined): Uint8Array | null {
  if (filter === undefined) return null;
  if (filter instanceof Filter) return bitsOf(filter);
  if (filter instanceof Uint8Array) return filter;
  throw bad(`filter must be a Filter or a Uint8Array of its bits, got ${shown(filter)}`);
}

function requireFilter(other: unknown): Filter {
  if (other instanceof Filter) return other;
  throw bad(`other must be a Filter, got ${shown(other)}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
