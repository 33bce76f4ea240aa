const LEAST_ROWS = 16;

/** Words of a row: half a cache line, so that a request touches one line a row. */
const WORDS = 8;
/** Bytes of a row's words. */
export const ROW_BYTES = 4 * WORDS;

/** Where a row's words begin. */
export function wordsOf(row: number): number {
  return row << 3;
}

/** The hash of the row's key. */
export const HASH = 0;
/** When the key was last asked for. */
export const ASKED = 1;
/** How often the key was asked for; 0: the row is free. */
export const COUNT = 2;
/** The row of the same class that was asked for just before it, and just after. */
export const OLDER = 3;
export const NEWER = 4;
/** The level of the row's weight, a signed number. */
export const WEIGHT_LEVEL = 5;
/** Of the row's words as 64-bit numbers: its weight, in words 6 and 7. */
const WEIGHT = 3;

/** What a cache knows of each of its rows, side by side in one typed array. */
export class CacheRows {
  words = new Uint32Array(LEAST_ROWS * WORDS);
  private doubles = new Float64Array(this.words.buffer);

  get capacity(): number {
    return this.words.length / WORDS;
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  weight(row: number): number {
    return this.doubles[(row << 2) + WEIGHT]!;
  }

  setWeight(row: number, weight: number): void {
    this.doubles[(row << 2) + WEIGHT] = weight;
  }

  grow(rows: number): void {
    const { words } = this;
    this.words = new Uint32Array(rows * WORDS);
    this.words.set(words);
    this.doubles = new Float64Array(this.words.buffer);
  }
}
