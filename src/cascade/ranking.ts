import type { Key, KeysOf } from '../index/types.js';
import type { Candidates } from './stage.js';

/** Candidates in their order, with what is known of each. */
export class Ranking<K extends Key> {
  private constructor(
    readonly keys: KeysOf<K>,
    readonly scores: Float64Array,
    /** The number of the stage that scored each last. */
    readonly scoredBy: Uint8Array,
  ) {}

  get size(): number {
    return this.keys.length;
  }

  /** Of what a retrieval gave; undefined if that is no candidates. */
  static of<K extends Key>(candidates: Candidates<K>): Ranking<K> | undefined {
    const { keys, scores } = (candidates ?? {}) as Partial<Candidates<K>>;
    if (!isArrayLike(keys) || !isArrayLike(scores) || scores.length < keys.length) return undefined;
    const isText = typeof keys[0] === 'string';
    const copy = isText ? [...(keys as string[])] : new Float64Array(keys as Float64Array);
    const numbers = new Float64Array(keys.length);
    for (let at = 0; at < numbers.length; at++) numbers[at] = Number(scores[at]);
    return new Ranking(copy as KeysOf<K>, numbers, new Uint8Array(keys.length));
  }

  /** The best so many. */
  first(count: number): Ranking<K> {
    if (count >= this.size) return this;
    return new Ranking(
      this.keys.slice(0, count) as KeysOf<K>,
      this.scores.slice(0, count),
      this.scoredBy.slice(0, count),
    );
  }

  /**
   * The first `count` in another order, those that are not named left out, and the rest behind them.
   * @param stage whose scores these are, one for each of the first `count`
   */
  reordered(
    order: Uint32Array,
    count: number,
    scores: ArrayLike<number>,
    stage: number,
  ): Ranking<K> {
    const rest = this.size - count;
    const size = order.length + rest;
    const from = (at: number): number =>
      at < order.length ? order[at]! : at - order.length + count;
    const isText = Array.isArray(this.keys);
    const keys = isText ? new Array<string>(size) : new Float64Array(size);
    const result = new Ranking<K>(keys as KeysOf<K>, new Float64Array(size), new Uint8Array(size));
    for (let at = 0; at < size; at++) {
      keys[at] = this.keys[from(at)]!;
      const isScored = at < order.length;
      result.scores[at] = isScored ? scores[order[at]!]! : this.scores[from(at)]!;
      result.scoredBy[at] = isScored ? stage : this.scoredBy[from(at)]!;
    }
    return result;
  }
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  const length: unknown = (value as Partial<ArrayLike<unknown>> | null | undefined)?.length;
  return typeof value !== 'string' && typeof length === 'number';
}
