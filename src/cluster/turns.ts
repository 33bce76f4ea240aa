/** What is done before this thread turns to the network again. */
const AT_A_TIME = 4;

/**
 * Lets some work begin at a time. Messages come many at once, and what answers them on this thread would send the first
 * answer only after the last search: whoever waits would have nothing to do meanwhile.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #left = AT_A_TIME;
  #isScheduled = false;

  /** When it is one's turn; undefined: at once. */
  next(): Promise<void> | undefined {
    this.#schedule();
    if (this.#left > 0) {
      this.#left--;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const some = this.#waiting.splice(0, AT_A_TIME);
      this.#left = AT_A_TIME - some.length;
      if (some.length > 0) this.#schedule();
      for (const begin of some) begin();
    });
  }
}
