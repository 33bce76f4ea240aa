import { markAsUntransferable } from 'node:worker_threads';
import { LichenArgumentError, shown } from '../errors.js';
import type { KeyKind, NativeSlots } from '../native.js';
import { withinMemory } from '../vectors/memory.js';
import type { ResultArrays } from './types.js';

/** Where the addon writes keys (null where they are strings, which it returns) and scores. */
export interface Places {
  readonly slots: NativeSlots;
  readonly scores: Float32Array;
}

/** A key and a score. */
const BYTES_A_PLACE = 12;

/** Places of the memory that small results share, and the most that one takes of them. */
const SHARED_PLACES = 1024;
const SMALL_RESULT = 256;

/** Arrays for the results of an index whose keys are of one kind. */
export class ResultArrayPool {
  readonly #kind: KeyKind;
  #shared: Places | undefined;
  #taken = 0;

  constructor(kind: KeyKind) {
    this.#kind = kind;
  }

  /** New arrays; ERR_LICHEN_MEMORY if there is no room for them. */
  fresh(places: number): Places {
    return withinMemory(places * BYTES_A_PLACE, () => ({
      slots: this.#kind === 'string' ? null : new Float64Array(places),
      scores: new Float32Array(places),
    }));
  }

  /**
   * New arrays for a search that is over when this is called again. Small ones are parts of larger ones, like small
   * Buffers of Node.js: memory of its own for an array of more than 64 bytes costs V8 as much as a small search does.
   */
  small(places: number): Places {
    if (places > SMALL_RESULT) return this.fresh(places);
    // Nobody can transfer what is marked so, but newer versions of Node.js know other ways to detach it.
    if (this.#taken + places > SHARED_PLACES || this.#shared?.scores.length !== SHARED_PLACES) {
      this.#shared = this.fresh(SHARED_PLACES);
      this.#taken = 0;
      for (const array of [this.#shared.slots, this.#shared.scores]) {
        if (array !== null) markAsUntransferable(array.buffer);
      }
    }
    const { slots, scores } = this.#shared;
    const first = this.#taken;
    this.#taken += places;
    const end = this.#taken;
    return { slots: slots && slots.subarray(first, end), scores: scores.subarray(first, end) };
  }

  /** The caller's arrays, with as many places. @throws ERR_LICHEN_ARGUMENT if they do not suit. */
  given(into: ResultArrays, places: number): { slots: Float64Array; scores: Float32Array } {
    const { keys, scores } = into ?? {};
    if (!(keys instanceof Float64Array) || !(scores instanceof Float32Array)) {
      throw bad(`into must be { keys: Float64Array, scores: Float32Array }, got ${shown(into)}`);
    }
    if (this.#kind === 'string') throw bad('into cannot hold keys that are strings');
    if (keys.length >= places && scores.length >= places) {
      return { slots: keys.subarray(0, places), scores: scores.subarray(0, places) };
    }
    throw bad(`into must have room for ${places} results, got ${keys.length} and ${scores.length}`);
  }

  /** Copies of results in the caller's arrays. @throws as {@link given}. */
  delivered(from: Places, into: ResultArrays): Places {
    const to = this.given(into, from.scores.length);
    to.slots.set(from.slots!);
    to.scores.set(from.scores);
    return to;
  }
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
