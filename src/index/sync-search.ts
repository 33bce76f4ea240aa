import { markAsUntransferable } from 'node:worker_threads';
import {
  native,
  type IndexHandle,
  type NativeRestrictions,
  type NativeSearcher,
} from '../native.js';
import { withinMemory } from '../vectors/memory.js';
import { BYTES_A_PLACE, type ResultPlaces } from './result-arrays.js';
import type { ResultArrays } from './types.js';

/** Places of the memory that results share, and the most that one takes of them. */
const SHARED_PLACES = 1024;
const MOST_SHARED = 256;

interface NumberedResult {
  readonly keys: Float64Array;
  readonly scores: Float32Array;
}
type AnyResult = NumberedResult | { readonly keys: string[]; readonly scores: Float32Array };

/** Searches for one query on this thread, in an index whose keys are of one kind. */
export class SyncSearch {
  readonly #handle: IndexHandle;
  readonly #arrays: ResultPlaces;
  readonly #direct: DirectSearch | undefined;

  constructor(handle: IndexHandle, dim: number, arrays: ResultPlaces) {
    this.#handle = handle;
    this.#arrays = arrays;
    this.#direct = arrays.kind === 'string' ? undefined : new DirectSearch(handle, dim);
  }

  search(
    vector: Float32Array,
    k: number,
    ef: number,
    restrictions: NativeRestrictions | undefined,
    into: ResultArrays | undefined,
  ): AnyResult {
    const given = into === undefined ? undefined : this.#arrays.given(into, k);
    if (this.#direct !== undefined && restrictions === undefined && k <= MOST_SHARED) {
      return given === undefined
        ? this.#direct.search(vector, k, ef)
        : this.#direct.searchInto(vector, k, ef, given);
    }
    const { slots, scores } = given ?? this.#arrays.fresh(k);
    const addon = native();
    const found = addon.indexSearchSync(this.#handle, vector, k, ef, slots, scores, restrictions);
    if (typeof found !== 'number') return { keys: found, scores: scores.subarray(0, found.length) };
    if (found === k) return { keys: slots!, scores };
    return { keys: slots!.subarray(0, found), scores: scores.subarray(0, found) };
  }
}

/**
 * Searches whose query and results lie where the addon expects them: a call without arguments costs a fraction of one
 * with typed arrays. Results are parts of larger arrays, like small Buffers of Node.js: memory of its own for an array of
 * more than 64 bytes costs V8 as much as a small search does. For keys that are numbers.
 */
class DirectSearch {
  // The searcher uses the memory of all of these.
  readonly #handle: IndexHandle;
  readonly #query: Float32Array;
  readonly #numbers = new Float64Array(3);
  readonly #searcher: NativeSearcher;
  #keys = new Float64Array(0);
  #scores = new Float32Array(0);
  #taken = 0;

  constructor(handle: IndexHandle, dim: number) {
    this.#handle = handle;
    this.#query = withinMemory(dim * 4, () => new Float32Array(dim));
    this.#searcher = native().createSearcher(this.#handle, this.#query, this.#numbers);
  }

  /** The `k` nearest, at most {@link MOST_SHARED}, of a vector of `dim` values. */
  search(vector: Float32Array, k: number, ef: number): NumberedResult {
    const first = this.#takePlaces(k);
    const end = first + this.#run(vector, k, ef, first);
    this.#taken = end;
    return { keys: this.#keys.subarray(first, end), scores: this.#scores.subarray(first, end) };
  }

  /** As {@link search}, into arrays; of their first `k` places those that are not needed get -1 and NaN. */
  searchInto(
    vector: Float32Array,
    k: number,
    ef: number,
    { slots, scores }: { readonly slots: Float64Array; readonly scores: Float32Array },
  ): NumberedResult {
    const first = this.#takePlaces(k);
    const count = this.#run(vector, k, ef, first);
    const [foundKeys, foundScores] = [this.#keys, this.#scores];
    for (let at = 0; at < k; at++) {
      slots[at] = foundKeys[first + at]!;
      scores[at] = foundScores[first + at]!;
    }
    if (count === k) return { keys: slots, scores };
    return { keys: slots.subarray(0, count), scores: scores.subarray(0, count) };
  }

  #run(vector: Float32Array, k: number, ef: number, first: number): number {
    const numbers = this.#numbers;
    this.#query.set(vector);
    numbers[0] = k;
    numbers[1] = ef;
    numbers[2] = first;
    return this.#searcher();
  }

  /** The first of some places that are free. */
  #takePlaces(count: number): number {
    // Nobody can transfer what is marked so, but newer versions of Node.js know other ways to detach it.
    const isThere = this.#keys.length > 0 && this.#scores.length > 0;
    if (isThere && this.#taken + count <= SHARED_PLACES) return this.#taken;
    withinMemory(SHARED_PLACES * BYTES_A_PLACE, () => {
      this.#keys = new Float64Array(SHARED_PLACES);
      this.#scores = new Float32Array(SHARED_PLACES);
    });
    markAsUntransferable(this.#keys.buffer);
    markAsUntransferable(this.#scores.buffer);
    this.#searcher(this.#keys, this.#scores);
    return (this.#taken = 0);
  }
}
