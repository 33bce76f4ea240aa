import type { KeyKind, NativeSlots } from '../native.js';
import { withinMemory } from '../vectors/memory.js';
import { SMALL_K } from './arguments.js';

/** Where the addon writes keys (null where they are strings, which it returns) and scores. */
export interface ResultArrays {
  readonly slots: NativeSlots;
  readonly scores: Float32Array;
}

/** A key and a score. */
const BYTES_A_PLACE = 12;

/** Arrays for the results of an index whose keys are of one kind. */
export class ResultArrayPool {
  readonly #kind: KeyKind;
  #kept: ResultArrays | undefined;

  constructor(kind: KeyKind) {
    this.#kind = kind;
  }

  /** New arrays; ERR_LICHEN_MEMORY if there is no room for them. */
  fresh(places: number): ResultArrays {
    return withinMemory(places * BYTES_A_PLACE, () => ({
      slots: this.#kind === 'string' ? null : new Float64Array(places),
      scores: new Float32Array(places),
    }));
  }

  /**
   * Arrays for a search that is over before the next one begins. Small ones are kept: to lend a new array to the addon
   * makes V8 move it off its heap, which costs more than a small search; copying the results does not.
   */
  lent(k: number): ResultArrays {
    if (k > SMALL_K) return this.fresh(k);
    return (this.#kept ??= this.fresh(SMALL_K));
  }
}
