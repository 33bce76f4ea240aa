import { refusal } from '../errors.js';

/** Options of the limit of requests that a service has at work. */
export interface AdmissionOptions {
  /** Milliseconds within which requests shall be answered. */
  readonly sloMs: number;
  /** Requests at once, to begin with, at least, and at most. */
  readonly initial: number;
  readonly least: number;
  readonly most: number;
}

/** What was let in and what was not. */
export interface AdmissionStatistics {
  /** Requests at work, and how many may be. */
  readonly inFlight: number;
  /** Most requests that may be at work. */
  readonly limit: number;
  /** Requests let in so far. */
  readonly admitted: number;
  /** Refused: since there were as many as may be, or as many of the tenant. */
  readonly shed: number;
}

/** What the limit is adapted by: requests that ended within so long, and not fewer than so many. */
const WINDOW_MS = 100;
const LEAST_SAMPLES = 10;
const MOST_SAMPLES = 512;
/** A twentieth of the requests may take longer than this share of the SLO. */
const TARGET_SHARE = 0.6;
const PERCENTILE = 0.95;
const MOST_SHRINKING = 0.8;
const GROWTH = 1.06;
/** Shares of the limit that requests of a priority below 0, and of 0, may fill. */
const LOW_SHARE = 0.7;
const USUAL_SHARE = 0.9;
/** From that share on, no tenant has more than an equal part. */
const FAIR_SHARE = 0.75;

/**
 * Decides at once whether a request is taken: whether fewer are at work than a limit that adapts. It grows while it is
 * reached and requests end well within the SLO, and shrinks when they do not, in proportion to what they took: so it is
 * as high, and batches as large, as the SLO allows. What is refused has cost nothing but this.
 * Requests of a lower priority may fill a smaller part of it, and when it is nearly full, no tenant more than an equal
 * part.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  #limit: number;
  #inFlight = 0;
  #admitted = 0;
  #shed = 0;
  readonly #byTenant = new Map<string, number>();
  readonly #samples = new Float64Array(MOST_SAMPLES);
  #count = 0;
  #windowAt = performance.now();
  #hasReached = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#limit = options.initial;
  }

  /** Share of the limit that is at work. */
  get load(): number {
    return this.#inFlight / this.#limit;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether a request would not be taken now; it counts as refused then. */
  refuses(priority: number, tenant: string): boolean {
    const held = this.#byTenant.get(tenant) ?? 0;
    // One is always let in: nothing would be learned else.
    const isFull = this.#inFlight > 0 && this.#inFlight >= this.#limit * shareOf(priority);
    if (!isFull && !this.#hasMoreThanItsPart(held)) return false;
    this.#shed++;
    this.#hasReached = true;
    return true;
  }

  /** Takes a request, which has to be told of by {@link leave}. @throws ERR_LICHEN_OVERLOADED */
  enter(priority: number, tenant: string): void {
    if (this.refuses(priority, tenant)) {
      throw refusal(
        'ERR_LICHEN_OVERLOADED',
        `as many requests are at work as can be answered in time, ${this.#inFlight}`,
      );
    }
    this.#byTenant.set(tenant, (this.#byTenant.get(tenant) ?? 0) + 1);
    this.#inFlight++;
    this.#admitted++;
    const reached = this.#limit * shareOf(priority) * USUAL_SHARE;
    if (this.#inFlight >= reached) this.#hasReached = true;
  }

  /** A request has ended. @param ms it took; undefined if that says nothing of what the service can do. */
  leave(tenant: string, ms: number | undefined): void {
    this.#inFlight--;
    const held = this.#byTenant.get(tenant)!;
    if (held === 1) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, held - 1);
    if (ms !== undefined) this.#samples[this.#count++ % MOST_SAMPLES] = ms;
    const now = performance.now();
    if (now - this.#windowAt >= WINDOW_MS && this.#count >= LEAST_SAMPLES) this.#adapt(now);
  }

  stats(): AdmissionStatistics {
    return {
      inFlight: this.#inFlight,
      limit: Math.floor(this.#limit),
      admitted: this.#admitted,
      shed: this.#shed,
    };
  }

  #hasMoreThanItsPart(held: number): boolean {
    const tenants = this.#byTenant.size + (held === 0 ? 1 : 0);
    if (tenants < 2 || this.load < FAIR_SHARE) return false;
    return held >= Math.max(1, this.#limit / tenants);
  }

  #adapt(now: number): void {
    const { sloMs, least, most } = this.#options;
    const samples = this.#samples.subarray(0, Math.min(this.#count, MOST_SAMPLES)).slice().sort();
    const slow = samples[Math.ceil(PERCENTILE * samples.length) - 1]!;
    const ratio = (TARGET_SHARE * sloMs) / Math.max(slow, 1e-3);
    if (ratio < 1) this.#limit = Math.max(least, this.#limit * Math.max(ratio, MOST_SHRINKING));
    else if (this.#hasReached)
      this.#limit = Math.min(most, Math.max(this.#limit + 1, this.#limit * GROWTH));
    this.#count = 0;
    this.#windowAt = now;
    this.#hasReached = false;
  }
}

function shareOf(priority: number): number {
  return priority < 0 ? LOW_SHARE : priority === 0 ? USUAL_SHARE : 1;
}
