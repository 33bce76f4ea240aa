import type { CacheKey } from './key-hash.js';

const LEAST_PLACES = 16;

/**
 * Rows by key: open addressing on one typed array with linear probing. Where rows, keys and hashes stand is the
 * caller's; no object a key.
 */
export class KeyIndex {
  /** A row plus 1; 0 is a free place. At most two thirds are taken. */
  private places = new Uint32Array(LEAST_PLACES);
  private taken = 0;

  constructor(
    private readonly keys: readonly (CacheKey | undefined)[],
    private hashes: Uint32Array,
  ) {}

  get bytes(): number {
    return this.places.byteLength;
  }

  /** The row of a key, -1 if it has none. */
  find(key: CacheKey, hash: number): number {
    const { places, keys, hashes } = this;
    const mask = places.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const row = places[at]! - 1;
      if (row < 0) return -1;
      if (hashes[row] === hash && keys[row] === key) return row;
    }
  }

  /** Enters a row whose key and hash stand in the arrays, and whose key has no row yet. */
  add(row: number): void {
    if ((this.taken + 1) * 3 > this.places.length * 2) this.resize(this.places.length * 2);
    this.place(row);
    this.taken++;
  }

  /** Takes a row out that was entered; those behind it move up, so that no place is lost. */
  remove(row: number): void {
    const { places, hashes } = this;
    const mask = places.length - 1;
    let hole = hashes[row]! & mask;
    while (places[hole] !== row + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; places[at] !== 0; at = (at + 1) & mask) {
      const home = hashes[places[at]! - 1]! & mask;
      // Whether home lies at or before the hole, seen from `at` backwards round the ring.
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        places[hole] = places[at]!;
        hole = at;
      }
    }
    places[hole] = 0;
    this.taken--;
  }

  clear(): void {
    this.places = new Uint32Array(LEAST_PLACES);
    this.taken = 0;
  }

  /** The array of hashes has been replaced by a longer copy. */
  useHashes(hashes: Uint32Array): void {
    this.hashes = hashes;
  }

  private place(row: number): void {
    const mask = this.places.length - 1;
    let at = this.hashes[row]! & mask;
    while (this.places[at] !== 0) at = (at + 1) & mask;
    this.places[at] = row + 1;
  }

  private resize(length: number): void {
    const old = this.places;
    this.places = new Uint32Array(length);
    for (const entry of old) if (entry !== 0) this.place(entry - 1);
  }
}
