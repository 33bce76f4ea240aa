import type { CacheKey } from './key-hash.js';

const LEAST_PLACES = 16;

/**
 * Rows by key: open addressing on one typed array with linear probing. A place is the key's hash and its row plus 1, so
 * that a search seldom looks at another key than the one it finds; where the keys stand is the caller's.
 */
export class KeyIndex {
  /** Pairs of a row plus 1, 0 in a free place, and the hash. At most two thirds are taken. */
  private places = new Int32Array(2 * LEAST_PLACES);
  private taken = 0;

  constructor(private readonly keys: readonly (CacheKey | undefined)[]) {}

  get bytes(): number {
    return this.places.byteLength;
  }

  /** The row of a key, -1 if it has none. */
  find(key: CacheKey, hash: number): number {
    const { places, keys } = this;
    const mask = places.length - 1;
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const row = places[at]! - 1;
      if (row < 0) return -1;
      if (places[at + 1] === hash && keys[row] === key) return row;
    }
  }

  /** Enters a row under the hash of its key, which has no row yet. */
  add(row: number, hash: number): void {
    if ((this.taken + 1) * 3 > this.places.length) this.resize(this.places.length * 2);
    this.place(row + 1, hash);
    this.taken++;
  }

  /** Takes a row out that was entered; those behind it move up, so that no place is lost. */
  remove(row: number, hash: number): void {
    const { places } = this;
    const mask = places.length - 1;
    let hole = (hash << 1) & mask;
    while (places[hole] !== row + 1) hole = (hole + 2) & mask;
    for (let at = (hole + 2) & mask; places[at] !== 0; at = (at + 2) & mask) {
      const home = (places[at + 1]! << 1) & mask;
      // Whether home lies at or before the hole, seen from `at` backwards round the ring.
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        places[hole] = places[at]!;
        places[hole + 1] = places[at + 1]!;
        hole = at;
      }
    }
    places[hole] = 0;
    this.taken--;
  }

  clear(): void {
    this.places = new Int32Array(2 * LEAST_PLACES);
    this.taken = 0;
  }

  private place(entry: number, hash: number): void {
    const { places } = this;
    const mask = places.length - 1;
    let at = (hash << 1) & mask;
    while (places[at] !== 0) at = (at + 2) & mask;
    places[at] = entry;
    places[at + 1] = hash;
  }

  private resize(length: number): void {
    const old = this.places;
    this.places = new Int32Array(length);
    for (let at = 0; at < old.length; at += 2) {
      if (old[at] !== 0) this.place(old[at]!, old[at + 1]!);
    }
  }
}
