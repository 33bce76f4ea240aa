import { hashOf, keyBytes, type CacheKey } from './key-hash.js';

/** Places of a bucket, the one that was noted last first. */
const WAYS = 4;
const LEAST_BITS = 6;
const MOST_BITS = 20;
/** Keys remembered for each entry of the cache. */
const PLACES_AN_ENTRY = 8;

/**
 * Which key was asked for after which, the last time: one follower a key, in buckets of four places, where a new key takes
 * the place of the one that was noted longest ago.
 */
class Successors<K extends CacheKey> {
  private bits = LEAST_BITS;
  /** The hash of the key that a place is of; it counts where there is a follower. */
  private hashes = new Int32Array(WAYS << LEAST_BITS);
  private followers = emptyPlaces<K>(LEAST_BITS);
  private previous: K | undefined;
  private textBytes = 0;

  /** Memory taken. */
  get bytes(): number {
    return this.hashes.byteLength + this.followers.length * 8 + this.textBytes;
  }

  /** A key is asked for. */
  note(key: K): void {
    const { previous } = this;
    this.previous = key;
    if (previous === undefined || previous === key) return;
    const hash = hashOf(previous);
    const { hashes, followers } = this;
    const from = this.bucketOf(hash);
    let at = this.placeOf(hash, from);
    // Of a key that is not known the last place is taken.
    if (at < 0) at = from + WAYS - 1;
    const before = followers[at];
    this.textBytes += bytesBeside(key) - (before === undefined ? 0 : bytesBeside(before));
    for (; at > from; at--) {
      hashes[at] = hashes[at - 1]!;
      followers[at] = followers[at - 1];
    }
    hashes[from] = hash;
    followers[from] = key;
  }

  /** Calls `visit` with the keys that followed, one after another, at most so many. */
  follow(key: K, depth: number, visit: (follower: K) => void): void {
    let current: K = key;
    for (let step = 0; step < depth; step++) {
      const hash = hashOf(current);
      const at = this.placeOf(hash, this.bucketOf(hash));
      const follower = at < 0 ? undefined : this.followers[at];
      if (follower === undefined || follower === key) return;
      visit(follower);
      current = follower;
    }
  }

  /** Grows with the cache. */
  fit(entries: number): void {
    while (this.bits < MOST_BITS && WAYS << this.bits < entries * PLACES_AN_ENTRY) this.double();
  }

  private bucketOf(hash: number): number {
    return (hash & ((1 << this.bits) - 1)) * WAYS;
  }

  /** The place of a key in its bucket, -1 if it is not known. */
  private placeOf(hash: number, from: number): number {
    for (let at = from; at < from + WAYS; at++) {
      if (this.hashes[at] === hash && this.followers[at] !== undefined) return at;
    }
    return -1;
  }

  /** What a bucket held is shared among the two that it becomes, in the order it had. */
  private double(): void {
    const { hashes, followers } = this;
    this.bits++;
    this.hashes = new Int32Array(WAYS << this.bits);
    this.followers = emptyPlaces(this.bits);
    for (let at = 0; at < followers.length; at++) {
      const follower = followers[at];
      if (follower === undefined) continue;
      let to = this.bucketOf(hashes[at]!);
      while (this.followers[to] !== undefined) to++;
      this.hashes[to] = hashes[at]!;
      this.followers[to] = follower;
    }
  }
}

function emptyPlaces<K>(bits: number): (K | undefined)[] {
  return new Array<K | undefined>(WAYS << bits).fill(undefined);
}

/** What a key takes beside its place in an array. */
function bytesBeside(key: CacheKey): number {
  return keyBytes(key) - 8;
}

/** Keys given before it is judged whether they are of use, and after which what was before counts half. */
const JUDGED = 512;
const FORGOTTEN = 4096;
/** Of the keys given so many must be asked for later, or only each sixteenth time some are given. */
const LEAST_USED = 0.25;
const PROBE = 16;

/**
 * Which keys to load together with those that are missing. Where few of them are asked for afterwards, the order of keys
 * does not come again: then they are given now and then only, to see whether that has changed.
 */
export class ReadAhead<K extends CacheKey> {
  /** Keys that were given so far, and those of them that were asked for. */
  keys = 0;
  used = 0;
  private readonly successors = new Successors<K>();
  private recentKeys = 0;
  private recentUsed = 0;
  private asked = 0;

  /** @param isWanted whether a key is neither there nor on its way. */
  constructor(
    private readonly depth: number,
    private readonly isWanted: (key: K) => boolean,
  ) {}

  get bytes(): number {
    return this.successors.bytes;
  }

  /** A key is asked for. */
  note(key: K): void {
    this.successors.note(key);
  }

  /** A key that was given is asked for. */
  use(): void {
    this.used++;
    this.recentUsed++;
  }

  /** Those that followed the missing ones the last time. */
  of(missing: ReadonlySet<K>, entries: number): K[] {
    this.successors.fit(entries);
    const isOfUse = this.recentKeys < JUDGED || this.recentUsed >= LEAST_USED * this.recentKeys;
    if (!isOfUse && this.asked++ % PROBE !== 0) return [];
    const ahead = new Set<K>();
    for (const key of missing) {
      this.successors.follow(key, this.depth, (follower) => {
        if (!missing.has(follower) && this.isWanted(follower)) ahead.add(follower);
      });
    }
    this.keys += ahead.size;
    this.recentKeys += ahead.size;
    if (this.recentKeys >= FORGOTTEN) {
      this.recentKeys /= 2;
      this.recentUsed /= 2;
    }
    return [...ahead];
  }
}
