import type { BatchPlan, BatchPolicy, BatchReport, PolicySettings } from './policy.js';

/** One request a batch. */
export class NoBatching implements BatchPolicy {
  plan(): BatchPlan {
    return { size: 1, delayMs: 0 };
  }

  observe(): void {
    // Nothing to learn.
  }
}

/** A size and a delay that somebody chose: a batch leaves when it is full or its oldest request has waited so long. */
export class FixedPolicy implements BatchPolicy {
  private readonly fixed: BatchPlan;

  constructor({ maxBatch, maxDelayMs }: PolicySettings) {
    this.fixed = { size: maxBatch, delayMs: maxDelayMs };
  }

  plan(): BatchPlan {
    return this.fixed;
  }

  observe(): void {
    // Nothing to learn.
  }
}

/** What a limit that is too large is multiplied by. */
const BACK_OFF = 0.9;

/**
 * Additive increase, multiplicative decrease of the size: one more after each full batch that took up to half of the SLO,
 * a tenth less after one that took longer, since a request may have to wait for the batch before its own as well (Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System", NSDI 2017).
 */
export class AimdPolicy implements BatchPolicy {
  private limit = 1;

  constructor(private readonly settings: PolicySettings) {}

  plan(): BatchPlan {
    return { size: Math.floor(this.limit), delayMs: 0 };
  }

  observe({ size, runMs }: BatchReport): void {
    if (runMs > this.settings.sloMs / 2) {
      this.limit = Math.max(1, this.limit * BACK_OFF);
    } else if (size >= Math.floor(this.limit)) {
      this.limit = Math.min(this.settings.maxBatch, this.limit + 1);
    }
  }
}
