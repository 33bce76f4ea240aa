import { LichenError } from '../errors.js';

/** Something that requests use, and that is closed when it was left and the last of them has ended. */
export class Lease<T> {
  #users = 0;
  #isLeft = false;

  /** @param end closes the value; called once. */
  constructor(
    readonly value: T,
    private readonly end: (value: T) => void,
  ) {}

  /**
   * Calls `request`, and keeps the value open until what it returns has settled.
   * @throws ERR_LICHEN_CLOSED if the value is closed; what the request throws.
   */
  use<R>(request: (value: T) => R): R {
    if (this.#isLeft && this.#users === 0) {
      throw new LichenError('ERR_LICHEN_CLOSED', 'it was replaced and is closed');
    }
    this.#users++;
    let result: R;
    try {
      result = request(this.value);
    } catch (error) {
      this.#release();
      throw error;
    }
    if (result instanceof Promise) return result.finally(() => this.#release()) as R;
    this.#release();
    return result;
  }

  /** Closes the value, now or when its last request has ended. Leaving twice does nothing. */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    if (this.#users === 0) this.end(this.value);
  }

  #release(): void {
    this.#users--;
    if (this.#isLeft && this.#users === 0) this.end(this.value);
  }
}
