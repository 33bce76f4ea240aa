const LEAST_COMPACTED = 32;

/** What waits, in order, until it is taken from the front or has gone from the middle. */
export interface MayGo {
  isGone: boolean;
}

/** A queue that what has gone is skipped in; it is swept out when it is more than what is there. */
export class Deque<T extends MayGo> {
  private entries: T[] = [];
  private head = 0;
  private gone = 0;

  /** Those that are there. */
  get size(): number {
    return this.entries.length - this.head - this.gone;
  }

  push(entry: T): void {
    this.entries.push(entry);
  }

  /** The first, undefined if there is none. */
  first(): T | undefined {
    while (this.head < this.entries.length) {
      const entry = this.entries[this.head]!;
      if (!entry.isGone) return entry;
      this.gone--;
      this.skip();
    }
    return undefined;
  }

  shift(): T | undefined {
    const entry = this.first();
    if (entry === undefined) return undefined;
    this.skip();
    return entry;
  }

  /** The last. */
  last(): T | undefined {
    const { entries } = this;
    while (entries.length > this.head) {
      const entry = entries[entries.length - 1]!;
      if (!entry.isGone) return entry;
      entries.pop();
      this.gone--;
    }
    return undefined;
  }

  /** An entry of it has gone. */
  left(): void {
    this.gone++;
    if (this.gone > LEAST_COMPACTED && this.gone > this.size) {
      this.entries = this.entries.slice(this.head).filter(({ isGone }) => !isGone);
      this.head = 0;
      this.gone = 0;
    }
  }

  /** Those that are there, from the first to the last. */
  toArray(): T[] {
    return this.entries.slice(this.head).filter(({ isGone }) => !isGone);
  }

  private skip(): void {
    this.head++;
    if (this.head > LEAST_COMPACTED && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
  }
}
