import { Breaker } from '../cache/breaker.js';
import { steadyClock } from '../cache/cache-limits.js';
import { LatencyRecord } from '../cache/guarded.js';
import { LatencyModel } from '../batching/latency-model.js';
import type { PlannedStage } from './planner.js';
import type { StageCost, StageOutcome, StageStatistics } from './stage.js';

/** After so long without a run, a stage that is thought too dear is tried once more. */
const TRIED_EVERY_MS = 1000;
/** What was slow in a crowd, with numbers of candidates that are not asked for any more, must not count for ever. */
const KEPT_MS = 5000;

/** What a cascade knows of one of its stages: what it costs, whether it works. */
export class StageRecord implements PlannedStage {
  readonly breaker = new Breaker(steadyClock);
  private readonly model = new LatencyModel(undefined, KEPT_MS);
  private readonly latencies = new LatencyRecord();
  private readonly outcomes: Record<StageOutcome, number> = {
    ...{ full: 0, reduced: 0, skipped: 0, failed: 0, late: 0 },
  };
  private ranAt = -Infinity;
  private wholeAt = performance.now();

  constructor(
    readonly name: string,
    readonly most: number,
    readonly least: number,
    private readonly cost: StageCost | undefined,
  ) {}

  /** With what the slower ones take more. */
  expected(candidates: number): number {
    if (this.model.isFitted) return this.model.expected(candidates) * this.model.slack;
    return (this.cost?.fixedMs ?? 0) + (this.cost?.candidateMs ?? 0) * candidates;
  }

  /** Whether it should be tried although there seems to be no time: else nobody would find out that it has become faster. */
  isDue(now: number): boolean {
    return now - this.ranAt > TRIED_EVERY_MS;
  }

  /** Whether it should have all candidates although there seems to be no time: the same, of one that has had fewer. */
  isDueInFull(now: number): boolean {
    return now - this.wholeAt > TRIED_EVERY_MS;
  }

  /** It is begun, with all that it should have or with fewer. */
  begins(now: number, isWhole: boolean): void {
    this.ranAt = now;
    if (isWhole) this.wholeAt = now;
  }

  /** It took so long for so many candidates. */
  took(candidates: number, ms: number): void {
    this.latencies.add(ms);
    if (candidates > 0) this.model.observe(candidates, ms);
  }

  /** It was not done after so long: nobody knows how long it would have taken, so twice that is supposed. */
  tookMoreThan(candidates: number, ms: number): void {
    if (candidates > 0) this.model.observe(candidates, Math.max(2 * ms, this.expected(candidates)));
  }

  ended(outcome: StageOutcome): void {
    this.outcomes[outcome]++;
  }

  stats(): StageStatistics {
    const { model, cost } = this;
    return {
      name: this.name,
      outcomes: { ...this.outcomes },
      ...this.latencies.percentiles(),
      fixedMs: model.isFitted ? model.alpha : (cost?.fixedMs ?? 0),
      candidateMs: model.isFitted ? model.beta : (cost?.candidateMs ?? 0),
    };
  }
}
