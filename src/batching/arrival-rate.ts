/** Milliseconds after which a request counts 1/e. */
const MEMORY_MS = 200;
/** As if so long before the first request none had come; that is forgotten as well. */
const EMPTY_MS = 5;

/** Requests a millisecond, of late: a count that fades. */
export class ArrivalRate {
  private count = 0;
  private at = 0;
  private since = 0;

  arrived(now: number): void {
    if (this.count === 0) this.since = now;
    this.count = this.count * Math.exp((this.at - now) / MEMORY_MS) + 1;
    this.at = now;
  }

  rate(now: number): number {
    if (this.count === 0) return 0;
    const forgotten = Math.exp((this.since - now) / MEMORY_MS);
    const watched = MEMORY_MS * (1 - forgotten) + EMPTY_MS * forgotten;
    // Without the latest: it is asked for when one has come, and that one says nothing of how many will.
    return ((this.count - 1) * Math.exp((this.at - now) / MEMORY_MS)) / watched;
  }
}
