import { LichenArgumentError } from '../errors.js';

const TWO_TO_32 = 2 ** 32;

/**
 * A seeded source of pseudo-random numbers: xoshiro128** (Blackman and Vigna, 2021), its state filled from the
 * seed by splitmix32. The same seed gives the same sequence on every machine. Not for secrets.
 *
 * @example
 * const random = new Random(42);
 * random.below(6); // 0 to 5
 * random.shuffle([1, 2, 3]);
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;
  /** The polar method makes two normal numbers at a time; the second waits here. */
  private spare: number | undefined;

  /** @throws ERR_LICHEN_ARGUMENT unless seed is a whole number in 0..2^53-1. */
  constructor(seed: number) {
    requireSeed(seed);
    // The high half steers the low one, so that seeds that differ anywhere start elsewhere.
    let state = (seed ^ Math.imul(Math.floor(seed / TWO_TO_32), 0x9e3779b1)) >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.a = next();
    this.b = next();
    this.c = next();
    // A state of all zeros would stay so for ever.
    this.d = next() | 1;
  }

  /** A whole number in 0..2^32-1. */
  uint32(): number {
    const five = Math.imul(this.b, 5);
    const result = Math.imul((five << 7) | (five >>> 25), 9);
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result >>> 0;
  }

  /** A number in [0, 1), a multiple of 2^-32. */
  uniform(): number {
    return this.uint32() / TWO_TO_32;
  }

  /** A whole number in 0..bound-1, for bounds up to 2^32 (with a bias of at most bound / 2^32). */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** A normal number of mean 0 and variance 1 (Marsaglia's polar method). */
  gaussian(): number {
    if (this.spare !== undefined) {
      const value = this.spare;
      this.spare = undefined;
      return value;
    }
    for (;;) {
      const x = this.uniform() * 2 - 1;
      const y = this.uniform() * 2 - 1;
      const square = x * x + y * y;
      if (square > 0 && square < 1) {
        const scale = Math.sqrt((-2 * Math.log(square)) / square);
        this.spare = y * scale;
        return x * scale;
      }
    }
  }

  /** Puts the values into a random order, in place (Fisher and Yates). */
  shuffle<
    T extends {
      /** How many values. */
      readonly length: number;
      [at: number]: unknown;
    },
  >(values: T): T {
    for (let at = values.length - 1; at > 0; at--) {
      const other = this.below(at + 1);
      const held = values[at];
      values[at] = values[other];
      values[other] = held;
    }
    return values;
  }

  /** A new source whose sequence is independent of what this one gives afterwards. */
  fork(): Random {
    return new Random(this.uint32());
  }
}

/** @throws ERR_LICHEN_ARGUMENT unless seed is a whole number in 0..2^53-1. */
export function requireSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `seed must be a whole number in 0..2^53-1, got ${String(seed)}`,
    );
  }
}
