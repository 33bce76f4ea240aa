/** What is computed for keys now, so that what was begun before a key was forgotten is not kept after. */
export class UnderWay {
  readonly #works = new Map<string, Set<{ isStale: boolean }>>();

  /** Computes something for a key, and has it kept, unless the key was forgotten meanwhile. */
  async run<T>(key: string, compute: () => Promise<T>, keep: (value: T) => void): Promise<T> {
    const works = this.#works.get(key) ?? new Set();
    this.#works.set(key, works);
    const work = { isStale: false };
    works.add(work);
    try {
      const value = await compute();
      if (!work.isStale) keep(value);
      return value;
    } finally {
      works.delete(work);
      if (works.size === 0) this.#works.delete(key);
    }
  }

  forget(key: string): void {
    for (const work of this.#works.get(key) ?? []) work.isStale = true;
  }

  forgetAll(): void {
    for (const key of this.#works.keys()) this.forget(key);
  }
}
