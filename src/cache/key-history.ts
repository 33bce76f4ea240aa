import { NO_LEVEL, type HitDensity } from './hit-density.js';

const SLOTS = 4;
/** Of a slot: the key's tag and count, and when it was last asked for. */
const WORDS = 2;
const BUCKET_WORDS = SLOTS * WORDS;
const LEAST_BITS = 8;
const MOST_BITS = 24;
/** Keys remembered for each entry of the cache. */
const SLOTS_AN_ENTRY = 6;

/**
 * Keys that are not in the cache: how often and when each was last asked for, 8 bytes a key, in buckets of four. A key
 * of which less is to be expected than of the three others makes room. Keys are told apart by 32 bits of a hash, so now
 * and then one passes for another: the cost is a worse choice, nothing else.
 */
export class KeyHistory {
  private words: Uint32Array;
  private bits = LEAST_BITS;
  /** When the key that {@link take} found was last asked for. */
  lastAsked = 0;

  constructor() {
    this.words = new Uint32Array(BUCKET_WORDS << LEAST_BITS);
  }

  get bytes(): number {
    return this.words.byteLength;
  }

  /** Forgets the key and gives its count, 0 if it is not known; sets `lastAsked`. */
  take(hash: number): number {
    const { words } = this;
    const tag = hash >>> 8;
    const from = (hash & ((1 << this.bits) - 1)) * BUCKET_WORDS;
    for (let at = from; at < from + BUCKET_WORDS; at += WORDS) {
      const word = words[at]!;
      if (word >>> 8 === tag && (word & 255) !== 0) {
        words[at] = 0;
        this.lastAsked = words[at + 1]!;
        return word & 255;
      }
    }
    return 0;
  }

  /** Remembers a key that has just left the cache or was not let in. */
  put(hash: number, count: number, lastAsked: number, now: number, density: HitDensity): void {
    const { words } = this;
    const from = (hash & ((1 << this.bits) - 1)) * BUCKET_WORDS;
    let place = from;
    let least = NO_LEVEL;
    for (let at = from; at < from + BUCKET_WORDS; at += WORDS) {
      const known = words[at]! & 255;
      if (known === 0) {
        place = at;
        break;
      }
      const expected = density.level(known, (now - words[at + 1]!) >>> 0);
      if (expected < least) {
        least = expected;
        place = at;
      }
    }
    words[place] = (((hash >>> 8) << 8) | count) >>> 0;
    words[place + 1] = lastAsked;
  }

  /** Grows with the cache. What a bucket held is shared among the two that it becomes. */
  fit(entries: number): void {
    while (this.bits < MOST_BITS && SLOTS << this.bits < entries * SLOTS_AN_ENTRY) this.double();
  }

  clear(): void {
    this.bits = LEAST_BITS;
    this.words = new Uint32Array(BUCKET_WORDS << LEAST_BITS);
  }

  private double(): void {
    const old = this.words;
    const half = old.length;
    const words = new Uint32Array(half * 2);
    // The bit of the hash that now counts stands in the tag.
    const bit = 1 << this.bits;
    for (let at = 0; at < half; at += WORDS) {
      const to = (old[at]! & bit) === 0 ? at : at + half;
      words[to] = old[at]!;
      words[to + 1] = old[at + 1]!;
    }
    this.words = words;
    this.bits++;
  }
}
