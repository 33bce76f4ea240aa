import type { BatchLatency } from './policy.js';

/** Half octaves of sizes. */
const BUCKETS = 48;
/** What the latest batch counts in the mean of its bucket, at least. */
const GAIN = 1 / 8;
/** A batch that took longer than so many times what was expected counts as if it had not: something came between. */
const MOST_RATIO = 2.5;
/** What a bucket counts in the fit fades with each batch, so far down. */
const FADING = 0.98;
const LEAST_WEIGHT = 0.02;
/** Eighths of octaves of the ratio of what a batch took to what was expected, from 1/4 to 16. */
const RATIO_BINS = 48;
const RATIO_FADING = 0.998;
/** Share of the slowest batches, in requests, that no slack is kept for. */
const SLOWER_SHARE = 0.05;

/**
 * How long a batch of a size takes: t(b) = α + β b, fitted to what batches took lately, and by how much they take longer
 * than that. Sizes fall into buckets with a mean each, through which the line is fitted by least squares; so the few
 * batches of other sizes tell the slope while most are of one size.
 */
export class LatencyModel implements BatchLatency {
  /** Milliseconds of a batch, and of each request in it. */
  alpha = 0;
  beta = 0;
  /** The largest batch that was seen. */
  largest = 0;
  private readonly weights = new Float64Array(BUCKETS);
  private readonly sizes = new Float64Array(BUCKETS);
  private readonly times = new Float64Array(BUCKETS);
  private readonly counts = new Uint32Array(BUCKETS);
  private readonly ratios = new Float64Array(RATIO_BINS);
  private readonly seenAt = new Float64Array(BUCKETS);
  private ratioWeight = 0;

  /**
   * @param slowerShare of the slowest batches, in requests, that `slack` does not allow for
   * @param keptMs how long a size counts that was not seen any more
   */
  constructor(
    private readonly slowerShare = SLOWER_SHARE,
    private readonly keptMs = Infinity,
  ) {}

  /** Whether anything is known. */
  get isFitted(): boolean {
    return this.largest > 0;
  }

  /** Milliseconds that a batch is expected to take. */
  expected(size: number): number {
    return this.alpha + this.beta * size;
  }

  /** By which factor the slower batches take longer than expected, of all but the slowest; at least 1. */
  get slack(): number {
    let beyond = this.ratioWeight * this.slowerShare;
    for (let bin = RATIO_BINS - 1; bin >= 0; bin--) {
      beyond -= this.ratios[bin]!;
      // Its upper end.
      if (beyond < 0) return Math.max(1, 2 ** ((bin + 1) / 8 - 2));
    }
    return 1;
  }

  observe(size: number, ms: number): void {
    const taken = Math.max(ms, 1e-3);
    let counted = taken;
    if (this.isFitted) {
      const expected = Math.max(this.expected(size), 1e-3);
      this.sawRatio(taken / expected, size);
      counted = Math.min(taken, expected * MOST_RATIO);
    }
    this.largest = Math.max(this.largest, size);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.counts[bucket]! > 0) {
        this.weights[bucket] = Math.max(LEAST_WEIGHT, this.weights[bucket]! * FADING);
      }
    }
    const bucket = Math.min(BUCKETS - 1, Math.round(2 * Math.log2(size)));
    const gain = Math.max(GAIN, 1 / ++this.counts[bucket]!);
    this.weights[bucket]!++;
    this.sizes[bucket]! += (size - this.sizes[bucket]!) * gain;
    this.times[bucket]! += (counted - this.times[bucket]!) * gain;
    if (this.keptMs < Infinity) this.forget(bucket);
    this.fit();
  }

  /** Of sizes that were not seen any more; one was now. */
  private forget(seen: number): void {
    const now = performance.now();
    this.seenAt[seen] = now;
    const oldest = now - this.keptMs;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.seenAt[bucket]! >= oldest) continue;
      this.counts[bucket] = 0;
      this.weights[bucket] = 0;
    }
  }

  /** Counted by requests: small batches, which something always comes between, say little about large ones. */
  private sawRatio(ratio: number, size: number): void {
    for (let bin = 0; bin < RATIO_BINS; bin++) this.ratios[bin]! *= RATIO_FADING;
    const bin = Math.floor(8 * (Math.log2(ratio) + 2));
    this.ratios[Math.min(RATIO_BINS - 1, Math.max(0, bin))]! += size;
    this.ratioWeight = this.ratioWeight * RATIO_FADING + size;
  }

  /** Weighted least squares; neither part is below 0. */
  private fit(): void {
    let weight = 0;
    let size = 0;
    let time = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const w = this.weights[bucket]!;
      weight += w;
      size += w * this.sizes[bucket]!;
      time += w * this.times[bucket]!;
    }
    size /= weight;
    time /= weight;
    let square = 0;
    let product = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const off = this.sizes[bucket]! - size;
      square += this.weights[bucket]! * off * off;
      product += this.weights[bucket]! * off * (this.times[bucket]! - time);
    }
    // Of one size alone: half of the time is thought to be each request's.
    const slope = square > 1e-9 ? product / square : time / (2 * size);
    this.beta = Math.min(Math.max(slope, 0), time / size);
    this.alpha = time - this.beta * size;
  }
}
