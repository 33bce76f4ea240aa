import type { Clock } from './cache-limits.js';

/** Whether something that fails is tried: always, not now, or once to see. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** Failures in a row before a dependency is left alone. */
const FAILURES = 3;
const FIRST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 5000;

/**
 * A circuit breaker: after some failures in a row nothing is asked of a dependency for a while, then one request tries
 * it; if that fails, the pause is twice as long.
 */
export class Breaker {
  private failures = 0;
  private pauseMs = FIRST_PAUSE_MS;
  private openUntil = -Infinity;
  private isTrying = false;

  constructor(private readonly now: Clock) {}

  get state(): BreakerState {
    if (this.failures < FAILURES) return 'closed';
    return this.now() < this.openUntil ? 'open' : 'half-open';
  }

  /** Whether a request may be made now; if so, it has to be told of by `succeeded` or `failed`. */
  tryPass(): boolean {
    const { state } = this;
    if (state === 'closed') return true;
    if (state === 'open' || this.isTrying) return false;
    this.isTrying = true;
    return true;
  }

  succeeded(): void {
    this.failures = 0;
    this.pauseMs = FIRST_PAUSE_MS;
    this.isTrying = false;
  }

  /** What was tried says nothing of whether it works: it was given up, say. */
  undecided(): void {
    this.isTrying = false;
  }

  failed(): void {
    this.failures++;
    if (this.failures < FAILURES) return;
    if (this.isTrying) this.pauseMs = Math.min(MOST_PAUSE_MS, this.pauseMs * 2);
    this.isTrying = false;
    this.openUntil = this.now() + this.pauseMs;
  }
}
