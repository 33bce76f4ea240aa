import type { HnswIndex } from '../../src/index.js';
import type { Lichen } from '../harness/compiled.js';

export const DIM = 16;
export const SHELVES = ['north', 'east', 'south', 'west'] as const;
/** Searches of the index find the nearest of all in so many of a hundred cases at least, on the mean. */
export const LEAST_RECALL = 0.9;
/** What i8 codes, rescored in f16, may be off a score of unit vectors. */
const TOLERANCE = 0.01;
const SPOTS = 10;

export const shelfOf = (key: number): (typeof SHELVES)[number] => SHELVES[key % SHELVES.length]!;
export const priceOf = (key: number): number => key % 100;

/** What a search found. */
interface Found {
  readonly keys: Float64Array;
  readonly scores: Float32Array;
}

/**
 * An index that changes all the time, and beside it what must be in it: a map of keys and vectors, which the index has no
 * part in. One change at a time; searches may run beside it.
 */
export class Stock {
  readonly index: HnswIndex;
  readonly capacity: number;
  readonly #vectors = new Map<number, Float32Array>();
  /** Keys that a change which has begun may have made findable. */
  readonly #coming = new Set<number>();
  /** When a key was removed last, in changes. */
  readonly #removed: Float64Array;
  readonly #random: InstanceType<Lichen['Random']>;
  #changes = 0;
  #spots = 0;
  #hits = 0;

  /** @param capacity keys are below it. */
  constructor(index: HnswIndex, capacity: number, random: InstanceType<Lichen['Random']>) {
    this.index = index;
    this.capacity = capacity;
    this.#removed = new Float64Array(capacity).fill(-1);
    this.#random = random;
  }

  get size(): number {
    return this.#vectors.size;
  }

  /** Changes that were acknowledged. */
  get changes(): number {
    return this.#changes;
  }

  /** Of the spot checks so far. */
  get recall(): number {
    return this.#spots === 0 ? 1 : this.#hits / this.#spots;
  }

  /** A unit vector near one of a few centres. */
  vector(): Float32Array {
    const values = Float32Array.from({ length: DIM }, () => this.#random.gaussian() * 0.6);
    values[this.#random.below(DIM)]! += 2;
    const length = Math.hypot(...values);
    return values.map((value) => value / length);
  }

  /** Some distinct keys, of those that are there or of all there can be. */
  someKeys(count: number, areThere: boolean): number[] {
    const known = areThere ? [...this.#vectors.keys()] : undefined;
    const keys = new Set<number>();
    while (keys.size < Math.min(count, known?.length ?? this.capacity)) {
      keys.add(known?.[this.#random.below(known.length)] ?? this.#random.below(this.capacity));
    }
    return [...keys];
  }

  async upsert(keys: readonly number[]): Promise<void> {
    const vectors = keys.map(() => this.vector());
    for (const key of keys) this.#coming.add(key);
    await this.index.upsert(vectors, { keys, attributes: this.attributesOf(keys) });
    keys.forEach((key, at) => {
      this.#vectors.set(key, vectors[at]!);
      this.#coming.delete(key);
    });
    this.#changes++;
  }

  async remove(keys: readonly number[]): Promise<void> {
    await this.index.remove(keys);
    this.#changes++;
    for (const key of keys) {
      this.#vectors.delete(key);
      this.#removed[key] = this.#changes;
    }
  }

  attributesOf(keys: readonly number[]) {
    return { shelf: keys.map(shelfOf), price: keys.map(priceOf) };
  }

  /** What a search must keep to that began when so many changes had been acknowledged. */
  check(what: string, since: number, { keys, scores }: Found, k: number): void {
    if (keys.length > k || keys.length !== scores.length) {
      throw new Error(`${what}: ${keys.length} keys and ${scores.length} scores for k ${k}`);
    }
    if (new Set(keys).size !== keys.length)
      throw new Error(`${what}: a key twice in [${keys.join()}]`);
    scores.forEach((score, at) => {
      if (!Number.isFinite(score)) throw new Error(`${what}: a score is ${score}`);
      if (at > 0 && score > scores[at - 1]!)
        throw new Error(`${what}: scores rise [${scores.join()}]`);
    });
    for (const key of keys) {
      const isThere = this.#vectors.has(key) || this.#coming.has(key);
      if (isThere || (this.#removed[key] ?? -1) > since) continue;
      throw new Error(`${what}: key ${key} was found, which is not there`);
    }
  }

  /** A search while nothing changes, against every vector of the map. */
  spotCheck(): void {
    const query = this.vector();
    const exact = [...this.#vectors]
      .map(([key, vector]) => ({ key, score: dot(query, vector) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, SPOTS);
    const k = exact.length;
    const { keys, scores } = this.index.searchSync(query, { k, ef: 100 });
    if (keys.length !== k) throw new Error(`spot check: ${keys.length} of ${k} results`);
    const least = exact[k - 1]!.score - TOLERANCE;
    keys.forEach((key, at) => {
      const own = dot(query, this.#vectors.get(key)!);
      if (Math.abs(own - scores[at]!) > TOLERANCE) {
        throw new Error(`spot check: key ${key} scores ${own}, not ${scores[at]}`);
      }
      this.#spots++;
      if (own >= least) this.#hits++;
    });
  }

  /** That an index holds these keys and vectors and no others. */
  compare(what: string, index: HnswIndex): void {
    if (index.size !== this.size) throw new Error(`${what}: ${index.size} of ${this.size} vectors`);
    for (const [key, vector] of this.#vectors) {
      const found = index.get(key);
      if (found !== undefined && dot(found, vector) > 1 - TOLERANCE) continue;
      throw new Error(`${what}: key ${key} is ${found === undefined ? 'missing' : 'another'}`);
    }
  }
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!;
  return sum;
}
