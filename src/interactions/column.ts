import { LichenError } from '../errors.js';
import { withinMemory } from '../vectors/memory.js';

/** The typed arrays that columns are made of. */
type ColumnArray = Uint32Array | Float32Array | Float64Array;

/** Positions in columns are kept in 32 bits. */
const MAX_LENGTH = 2 ** 31;

/** Values appended one by one to a typed array that doubles when full. */
export class Column<A extends ColumnArray> {
  #values: A;
  #length = 0;
  readonly #allocate: (length: number) => A;

  constructor(allocate: (length: number) => A) {
    this.#allocate = allocate;
    this.#values = allocate(1024);
  }

  /** Number of values appended. */
  get length(): number {
    return this.#length;
  }

  /** Appends a value; ERR_LICHEN_MEMORY when there is no room, ERR_LICHEN_UNSUPPORTED beyond 2^31 values. */
  push(value: number): void {
    if (this.#length === this.#values.length) this.#grow();
    this.#values[this.#length++] = value;
  }

  /** The values so far; a view that the next push may leave behind. */
  values(): A {
    return this.#values.subarray(0, this.#length) as A;
  }

  #grow(): void {
    const length = this.#length * 2;
    if (length > MAX_LENGTH) {
      throw new LichenError(
        'ERR_LICHEN_UNSUPPORTED',
        `more than ${MAX_LENGTH} pairs are not supported`,
      );
    }
    // The old values live on while they are copied.
    const bytes = length * this.#values.BYTES_PER_ELEMENT * 2;
    const larger = withinMemory(bytes, () => this.#allocate(length));
    larger.set(this.#values);
    this.#values = larger;
  }
}
