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
export const BYTES_A_PLACE = 12;

/** Arrays for the results of an index whose keys are of one kind. */
export class ResultPlaces {
  readonly kind: KeyKind;

  constructor(kind: KeyKind) {
    this.kind = kind;
  }

  /** New arrays; ERR_LICHEN_MEMORY if there is no room for them. */
  fresh(places: number): Places {
    return withinMemory(places * BYTES_A_PLACE, () => ({
      slots: this.kind === 'string' ? null : new Float64Array(places),
      scores: new Float32Array(places),
    }));
  }

  /** The caller's arrays, with as many places. @throws ERR_LICHEN_ARGUMENT if they do not suit. */
  given(into: ResultArrays, places: number): { slots: Float64Array; scores: Float32Array } {
    const { keys, scores } = into ?? {};
    if (!(keys instanceof Float64Array) || !(scores instanceof Float32Array)) {
      throw bad(`into must be { keys: Float64Array, scores: Float32Array }, got ${shown(into)}`);
    }
    if (this.kind === 'string') throw bad('into cannot hold keys that are strings');
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
