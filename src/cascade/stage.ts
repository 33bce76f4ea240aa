import type { Key, KeysOf } from '../index/types.js';

/** Candidates, best first, as the stage before has put them in order. */
export interface Candidates<K extends Key> {
  /** Keys, best first. */
  readonly keys: KeysOf<K>;
  /** One a key, of the stage before. */
  readonly scores: ArrayLike<number>;
}

/** What a stage is told of the request. */
export interface StageContext {
  /** Fires when the request is aborted or its deadline has come: nobody waits for this stage any more. */
  readonly signal: AbortSignal;
  /** Milliseconds until the deadline; Infinity without one. */
  readonly leftMs: number;
}

/** What a stage is thought to cost until it has been measured, in milliseconds: for each request, and each candidate. */
export interface StageCost {
  /** Milliseconds a request, however many candidates. */
  readonly fixedMs: number;
  /** Milliseconds more a candidate. */
  readonly candidateMs: number;
}

interface StageOptions {
  /** Of the response's explanation. */
  readonly name: string;
  /** Candidates that it gives or scores when there is time. */
  readonly candidates: number;
  /** With fewer it is left out. Default: `k`, or `candidates` if that is less. */
  readonly leastCandidates?: number | undefined;
  /** Default: nothing, so the first request is taken as it comes. */
  readonly cost?: StageCost | undefined;
}

/** Where candidates come from. */
export interface Retrieval<Q, K extends Key> extends StageOptions {
  /** Up to `count` candidates, best first. */
  readonly retrieve: (
    query: Q,
    count: number,
    context: StageContext,
  ) => PromiseLike<Candidates<K>> | Candidates<K>;
  /** Candidates for when there are none in time or the retrieval fails, such as what is popular. Must not wait. */
  readonly fallback?: ((query: Q, count: number) => Candidates<K>) | undefined;
}

/** Puts candidates into a better order. */
export interface Stage<Q, K extends Key> extends StageOptions {
  /**
   * A score for each candidate, the higher the better; −Infinity takes one out of the results. What it throws, or what is
   * no number, leaves the order as it was.
   */
  readonly score: (
    query: Q,
    candidates: Candidates<K>,
    context: StageContext,
  ) => PromiseLike<ArrayLike<number>> | ArrayLike<number>;
}

/**
 * What became of a stage: `full`: all that it should score was scored. `reduced`: fewer, since time was short. `skipped`:
 * not begun, for `reason`. `failed`, `late`: begun, and without a result.
 */
export type StageOutcome = 'full' | 'reduced' | 'skipped' | 'failed' | 'late';

/** What a stage did for a request. */
export interface StageReport {
  /** The name of the stage. */
  readonly name: string;
  /** What became of it. */
  readonly outcome: StageOutcome;
  /** Candidates that it should have given or scored, and that it did. */
  readonly wanted: number;
  /** Candidates that it gave or scored. */
  readonly candidates: number;
  /** Milliseconds that it took. */
  readonly ms: number;
  /** Why it did not do all that it should. */
  readonly reason?: string;
}

/** What a stage has done so far. */
export interface StageStatistics {
  /** The name of the stage. */
  readonly name: string;
  /** Requests by what became of them in this stage. */
  readonly outcomes: Readonly<Record<StageOutcome, number>>;
  /** Microseconds that half of its runs took at most. */
  readonly p50us: number;
  /** Microseconds that 99 in 100 of its runs took at most. */
  readonly p99us: number;
  /** What it costs by what was measured, in milliseconds. */
  readonly fixedMs: number;
  /** Milliseconds more a candidate. */
  readonly candidateMs: number;
}
