/** The typed arrays that columns are made of. */
type ColumnArray = Uint32Array | Float32Array | Float64Array;

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

  /** Appends a value. */
  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = this.#allocate(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  /** The values so far; a view that the next push may leave behind. */
  values(): A {
    return this.#values.subarray(0, this.#length) as A;
  }
}
