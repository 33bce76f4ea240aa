/** Milliseconds after which a request counts 1/e. */
const MEMORY_MS = 200;
const EMPTY_MS = 5;

/** Requests a millisecond, of late: a count that fades. */
export class ArrivalRate {
  private count = 0;
  private at = -Infinity;
  private since = 0;

  arrived(now: number): void {
    // The first one begins the time that is watched: alone it says nothing of how many come.
    if (this.at === -Infinity) this.since = now;
    else this.count = this.faded(now) + 1;
    this.at = now;
  }

  rate(now: number): number {
    if (this.count === 0) return 0;
    const forgotten = Math.exp((this.since - now) / MEMORY_MS);
    // As if nothing had come in the moment before; that is forgotten as well.
    return this.faded(now) / (MEMORY_MS * (1 - forgotten) + EMPTY_MS * forgotten);
  }

  private faded(now: number): number {
    return this.count === 0 ? 0 : this.count * Math.exp((this.at - now) / MEMORY_MS);
  }
}
