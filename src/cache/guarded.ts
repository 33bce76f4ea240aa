import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { LichenError } from '../errors.js';
import { Breaker, type BreakerState } from './breaker.js';
import { steadyClock } from './cache-limits.js';
import { withinTime } from './within-time.js';

/** How requests to a dependency went, and how long they took. */
export interface GuardStatistics {
  /** Requests that were made. */
  readonly requests: number;
  /** Requests that failed otherwise than by time. */
  readonly errors: number;
  /** Requests that were given up when their time was over. */
  readonly timeouts: number;
  /** Requests that were not made, since the ones before them had failed. */
  readonly skipped: number;
  /** Whether requests are made now. */
  readonly state: BreakerState;
  /** Microseconds that half of the requests took at most. */
  readonly p50us: number;
  /** Microseconds that 99 in 100 requests took at most. */
  readonly p99us: number;
}

/** Why a guarded request has no result. */
export class UnavailableError extends LichenError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_LICHEN_IO', message, options);
  }
}

/** Requests to a dependency that may be slow or dead: each has a time budget, and a breaker spares the waiting. */
export class Guard {
  private readonly breaker = new Breaker(steadyClock);
  private readonly latency = new LatencyRecord();
  private requests = 0;
  private errors = 0;
  private timeouts = 0;
  private skipped = 0;

  constructor(
    private readonly what: string,
    private readonly budgetMs: number,
  ) {}

  /** @throws UnavailableError if the request fails, takes too long, or is not made. */
  async run<T>(request: () => Promise<T> | T): Promise<T> {
    if (!this.breaker.tryPass()) {
      this.skipped++;
      throw new UnavailableError(`${this.what} is left alone after failures`);
    }
    this.requests++;
    const started = performance.now();
    try {
      const made = request();
      const result =
        made instanceof Promise ? await withinTime(made, this.budgetMs, () => TOO_LATE) : made;
      this.breaker.succeeded();
      return result;
    } catch (cause) {
      this.breaker.failed();
      if (cause === TOO_LATE) {
        this.timeouts++;
        throw new UnavailableError(`${this.what} took more than ${this.budgetMs} ms`);
      }
      this.errors++;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new UnavailableError(`${this.what} failed: ${reason}`, { cause });
    } finally {
      this.latency.add(performance.now() - started);
    }
  }

  stats(): GuardStatistics {
    const { requests, errors, timeouts, skipped } = this;
    return {
      requests,
      errors,
      timeouts,
      skipped,
      state: this.breaker.state,
      ...this.latency.percentiles(),
    };
  }
}

const TOO_LATE = new Error('too late');

/** How long something takes, kept as a histogram (HDR, by Node). */
export class LatencyRecord {
  private readonly histogram = latencyHistogram();

  add(ms: number): void {
    recordMs(this.histogram, ms);
  }

  percentiles(): { p50us: number; p99us: number } {
    return percentilesOf(this.histogram);
  }
}

const LONGEST_NS = 3600e9;

/** For times up to an hour, to one in a hundred: Node's default, up to 104 days and to one in a thousand, takes 360 KB. */
export function latencyHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: LONGEST_NS, figures: 2 });
}

export function recordMs(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.min(LONGEST_NS, Math.max(1, Math.round(ms * 1e6))));
}

/** Of what {@link recordMs} recorded, in microseconds; 0 before anything was. */
export function percentilesOf(histogram: RecordableHistogram): { p50us: number; p99us: number } {
  if (histogram.count === 0) return { p50us: 0, p99us: 0 };
  return { p50us: histogram.percentile(50) / 1000, p99us: histogram.percentile(99) / 1000 };
}
