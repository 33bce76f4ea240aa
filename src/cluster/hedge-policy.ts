/** Answers that the 95th percentile is of, and how many come between two looks at it. */
const KEPT = 512;
const LOOK_EVERY = 64;
const SHARE = 0.95;
const FIRST_MS = 50;
const LEAST_MS = 1;
/** Hedges a question to a shard that are granted, won or not. */
const GRANT = 0.1;
const MOST_TOKENS = 20;

/**
 * When a shard is asked a second time (Dean and Barroso, "The tail at scale", 2013): once it takes longer than 95 of 100
 * answers did lately. A tenth of the questions may be asked so; beyond that only as many as get an answer sooner by it, so
 * that a replica that hangs is got round always and a fleet that is overloaded is not asked twice for everything.
 */
export class HedgePolicy {
  readonly #times = new Float64Array(KEPT);
  #seen = 0;
  #afterMs = FIRST_MS;
  #tokens = MOST_TOKENS;

  /** Milliseconds after which a shard is asked once more. */
  get afterMs(): number {
    return this.#afterMs;
  }

  /** So many shards were asked. */
  asked(shards: number): void {
    this.#tokens = Math.min(MOST_TOKENS, this.#tokens + GRANT * shards);
  }

  /** A shard answered. @param isHedge whether it was the replica that was asked second. */
  answered(ms: number, isHedge: boolean): void {
    if (isHedge) this.refund();
    this.#times[this.#seen++ % KEPT] = ms;
    if (this.#seen % LOOK_EVERY !== 0) return;
    const sorted = this.#times.slice(0, Math.min(KEPT, this.#seen)).sort();
    this.#afterMs = Math.max(LEAST_MS, sorted[Math.floor(SHARE * sorted.length)]!);
  }

  /** One that was asked a second time was not there. */
  refund(): void {
    this.#tokens = Math.min(MOST_TOKENS, this.#tokens + 1);
  }

  /** Whether one more may be asked a second time; takes what that costs. */
  mayHedge(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
