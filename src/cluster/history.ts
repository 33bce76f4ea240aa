import { hash53 } from './hash53.js';

/** Changes of which is remembered what had come before. */
const WINDOW = 65_536;
const TAIL_BYTES = 8;

/**
 * A fingerprint of all changes of a shard up to each of the last ones, in their order: replicas that have the same one have
 * done the same. Messages end with a digest of theirs, so their tails are enough.
 */
export class History {
  readonly #fingerprints: Float64Array;
  #first: number;
  #last: number;

  /** @param sequence the change that it begins with, whose fingerprint is known. */
  constructor(sequence: number, fingerprint: number, window = WINDOW) {
    this.#fingerprints = new Float64Array(window);
    this.#first = this.#last = sequence;
    this.#fingerprints[sequence % window] = fingerprint;
  }

  /** Of the last change. */
  get fingerprint(): number {
    return this.at(this.#last)!;
  }

  /** Up to a change; undefined if that is too long ago, or to come. */
  at(sequence: number): number | undefined {
    if (sequence < this.#first || sequence > this.#last) return undefined;
    return this.#fingerprints[sequence % this.#fingerprints.length];
  }

  /** The change after the last one. */
  extend(bytes: Uint8Array): void {
    const fingerprint = hash53(`${this.fingerprint} ${bytes.length} `, bytes.subarray(-TAIL_BYTES));
    const window = this.#fingerprints.length;
    this.#last++;
    this.#first = Math.max(this.#first, this.#last - window + 1);
    this.#fingerprints[this.#last % window] = fingerprint;
  }
}
