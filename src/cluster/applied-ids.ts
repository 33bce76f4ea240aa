import { broken } from './frame.js';
import { hash53 } from './hash53.js';

/** Changes of a shard among which none is done twice. */
const WINDOW = 65_536;
/** Kinds of what a change can come to: of the number that is kept of it the rest by this; the sequence is the quotient. */
const KINDS = 16;

/**
 * The ids of the last changes of a shard, as 53 bits of their SHA-256, their sequences, and what became of them. Every
 * replica holds the same ones after the same change, and a snapshot has them.
 */
export class AppliedIds {
  /** In the order of coming. */
  readonly #kept = new Map<number, number>();

  constructor(private readonly window = WINDOW) {}

  /** The sequence that an id came with first; undefined if it is not remembered. */
  firstOf(id: string): number | undefined {
    const kept = this.#kept.get(hash53(id));
    return kept === undefined ? undefined : Math.floor(kept / KINDS);
  }

  /** What the change of an id that is remembered came to. */
  kindOf(id: string): number {
    return this.#kept.get(hash53(id))! % KINDS;
  }

  /** Remembers an id that is not yet. @param kind below 16. */
  add(id: string, sequence: number, kind = 0): void {
    this.#remember(hash53(id), sequence * KINDS + kind);
  }

  /** From the oldest to the newest, 16 bytes each. */
  toBytes(): Uint8Array {
    return new Uint8Array(Float64Array.from([...this.#kept].flat()).buffer);
  }

  /** @throws ERR_LICHEN_FORMAT */
  static fromBytes(bytes: Uint8Array, window = WINDOW): AppliedIds {
    if (bytes.length % 16 !== 0) throw broken('ids of changes are 16 bytes each');
    const ids = new AppliedIds(window);
    const numbers = new Float64Array(new Uint8Array(bytes).buffer);
    if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) {
      throw broken('an id of a change is no hash');
    }
    for (let at = 0; at < numbers.length; at += 2) ids.#remember(numbers[at]!, numbers[at + 1]!);
    return ids;
  }

  #remember(hash: number, kept: number): void {
    this.#kept.set(hash, kept);
    if (this.#kept.size <= this.window) return;
    const [oldest] = this.#kept.keys();
    this.#kept.delete(oldest!);
  }
}
