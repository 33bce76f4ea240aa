import { LichenAbortError, LichenArgumentError, LichenError, throwIfAborted } from '../errors.js';
import type { Key, KeysOf } from '../index/types.js';
import {
  resolveCascadeOptions,
  resolveRankOptions,
  type CascadeOptions,
  type RankOptions,
} from './cascade-options.js';
import { descending } from './order.js';
import { planCounts } from './planner.js';
import { Ranking } from './ranking.js';
import type {
  Retrieval,
  Stage,
  StageContext,
  StageOutcome,
  StageReport,
  StageStatistics,
} from './stage.js';
import { StageRecord } from './stage-record.js';
import { LateError, withinRequest } from './within.js';

/** What a cascade gives, and how it came to it. */
export interface CascadeResult<K extends Key> {
  /** Best first: `k` of them, or fewer where there are no more candidates. */
  readonly keys: KeysOf<K>;
  /** Of the stage that scored the candidate last; scores of different stages do not compare. */
  readonly scores: Float64Array;
  /** Which stage that was: 0 is the retrieval. Those that later stages scored stand first. */
  readonly scoredBy: Uint8Array;
  /** Whether a stage did less than it should. */
  readonly isDegraded: boolean;
  /** Milliseconds from the call to the result. */
  readonly ms: number;
  /** The retrieval, then each stage. */
  readonly stages: readonly StageReport[];
}

/** A request on its way through the stages. */
interface Run<Q> {
  readonly query: Q;
  /** As of `performance.now`: when the stages have to be done. */
  readonly until: number;
  readonly signal: AbortSignal | undefined;
  readonly reports: StageReport[];
}

/** What came of a stage's work. */
type Attempt<T> =
  | { readonly isDone: true; readonly ms: number; readonly result: T }
  | { readonly isDone: false; readonly ms: number; readonly error: unknown };

/**
 * Ranks in stages, cheap ones over many candidates, dear ones over the best of those (Wang, Lin and Metzler, "A Cascade
 * Ranking Model for Efficient Ranked Retrieval", SIGIR 2011). What a stage costs, a part for each request and one for each
 * candidate, is measured as it runs. With a deadline, the numbers of candidates are planned so that all stages fit, and
 * again after each of them: there are fewer candidates first, then the last stages are left out; a stage that fails, or
 * is not done in time, leaves the order of the one before. The response says what happened.
 *
 * @example
 * const cascade = new Cascade({
 *   retrieval: indexRetrieval({ index, candidates: 1000, vector: (user: User) => user.vector }),
 *   stages: [{ name: 'ranker', candidates: 200, score: (user, { keys }) => ranker.score(user, keys) }],
 * });
 * const { keys, isDegraded } = await cascade.rank(user, { k: 20, deadline: 30 });
 */
export class Cascade<Q, K extends Key = number> {
  readonly #retrieval: Retrieval<Q, K>;
  readonly #stages: readonly Stage<Q, K>[];
  readonly #records: readonly StageRecord[];
  readonly #k: number;
  readonly #reserveMs: number;

  /** @throws ERR_LICHEN_ARGUMENT */
  constructor(options: CascadeOptions<Q, K>) {
    const { retrieval, stages, k, reserveMs } = resolveCascadeOptions(options);
    this.#retrieval = retrieval;
    this.#stages = stages;
    this.#k = k;
    this.#reserveMs = reserveMs;
    this.#records = [retrieval, ...stages].map(
      ({ name, candidates, leastCandidates = Math.min(k, candidates), cost }) =>
        new StageRecord(name, candidates, leastCandidates, cost),
    );
  }

  /**
   * The best for a request.
   * @throws ERR_LICHEN_DEADLINE if there are no candidates in time and no fallback, ERR_LICHEN_ABORTED,
   * ERR_LICHEN_ARGUMENT; what the retrieval throws, if it has no fallback.
   */
  async rank(query: Q, options?: RankOptions): Promise<CascadeResult<K>> {
    const { k, until, signal } = resolveRankOptions(options, this.#k);
    throwIfAborted(signal, 'the request');
    const started = performance.now();
    const run: Run<Q> = { query, until: until - this.#reserveMs, signal, reports: [] };
    let ranking = await this.#retrieve(run, k);
    for (let at = 1; at <= this.#stages.length; at++)
      ranking = await this.#refine(run, ranking, at);
    const { keys, scores, scoredBy } = ranking.first(k);
    return {
      ...{ keys, scores, scoredBy },
      isDegraded: run.reports.some(({ outcome }) => outcome !== 'full'),
      ms: performance.now() - started,
      stages: run.reports,
    };
  }

  /** What the stages have done so far: the retrieval, then each of them. */
  stats(): StageStatistics[] {
    return this.#records.map((record) => record.stats());
  }

  async #retrieve(run: Run<Q>, k: number): Promise<Ranking<K>> {
    const { retrieve, fallback } = this.#retrieval;
    const record = this.#records[0]!;
    // Not fewer than there shall be results.
    const wanted = Math.max(record.most, k);
    const now = performance.now();
    // Some there must be, also if no number seems to fit.
    const planned = Math.max(k, this.#plan(0, run.until - now, wanted) || record.least);
    const count = record.isDueInFull(now) ? wanted : planned;
    const attempt = await this.#attempt(record, run, [count, wanted], async (context) => {
      const ranking = Ranking.of(await retrieve(run.query, count, context));
      if (ranking === undefined) throw notCandidates('retrieve');
      return ranking;
    });
    const { ms } = attempt;
    if (attempt.isDone) {
      const { result } = attempt;
      const outcome = count < wanted ? 'reduced' : 'full';
      this.#report(run, record, { outcome, wanted, candidates: result.size, ms });
      return result;
    }
    const { error } = attempt;
    const outcome = error instanceof LateError ? 'late' : 'failed';
    if (fallback === undefined) {
      record.ended(outcome);
      if (outcome === 'failed') throw error;
      throw new LichenError('ERR_LICHEN_DEADLINE', 'there were no candidates by the deadline');
    }
    const instead = Ranking.of(fallback(run.query, wanted));
    if (instead === undefined) throw notCandidates('fallback');
    const reason = `${reasonOf(error)}; these are the fallback's`;
    this.#report(run, record, { outcome, wanted, candidates: instead.size, ms, reason });
    return instead;
  }

  /** The ranking with its best in the order of stage `at`, if there is time for that. */
  async #refine(run: Run<Q>, ranking: Ranking<K>, at: number): Promise<Ranking<K>> {
    const stage = this.#stages[at - 1]!;
    const record = this.#records[at]!;
    const wanted = Math.min(record.most, ranking.size);
    if (wanted === 0) {
      this.#report(run, record, { outcome: 'full', wanted, candidates: 0, ms: 0 });
      return ranking;
    }
    const now = performance.now();
    const count = this.#countFor(at, ranking.size, run.until - now);
    const reason =
      typeof count === 'string'
        ? count
        : record.breaker.tryPass()
          ? undefined
          : 'it is left alone after failures';
    if (typeof count === 'string' || reason !== undefined) {
      this.#report(run, record, { outcome: 'skipped', wanted, candidates: 0, ms: 0, reason });
      return ranking;
    }
    const { keys, scores } = ranking.first(count);
    const attempt = await this.#attempt(record, run, [count, wanted], async (context) => {
      const result = await stage.score(run.query, { keys, scores }, context);
      const order = orderOf(result, count);
      return ranking.reordered(order, count, result, at);
    });
    const { ms } = attempt;
    if (attempt.isDone) {
      record.breaker.succeeded();
      const outcome = count < wanted ? 'reduced' : 'full';
      this.#report(run, record, { outcome, wanted, candidates: count, ms });
      return attempt.result;
    }
    const outcome = attempt.error instanceof LateError ? 'late' : 'failed';
    // That a request had little time does not speak against the stage.
    if (outcome === 'failed' || record.breaker.state !== 'closed') record.breaker.failed();
    const why = reasonOf(attempt.error);
    this.#report(run, record, { outcome, wanted, candidates: 0, ms, reason: why });
    return ranking;
  }

  /** How many candidates stage `at` scores, or why none. */
  #countFor(at: number, available: number, leftMs: number): number | string {
    if (leftMs <= 0) return 'no time was left';
    const count = this.#plan(at, leftMs, available);
    const record = this.#records[at]!;
    const now = performance.now();
    if (count > 0) return record.isDueInFull(now) ? Math.min(record.most, available) : count;
    const least = Math.min(record.least, available);
    if (record.isDue(now)) return least;
    const takes = record.expected(least).toFixed(1);
    return `${least} candidates take ${takes} ms, and ${leftMs.toFixed(1)} ms were left`;
  }

  /** Candidates of stage `at`, when it and those behind it have so much time; 0: it does not fit. */
  #plan(at: number, leftMs: number, available: number): number {
    if (leftMs === Infinity)
      return at === 0 ? available : Math.min(this.#records[at]!.most, available);
    const stages = this.#records.slice(at).map((record, behind) => ({
      most: at + behind === 0 ? available : Math.min(record.most, available),
      least: Math.min(record.least, available),
      expected: (candidates: number) => record.expected(candidates),
    }));
    return planCounts(stages, leftMs)[0]!;
  }

  async #attempt<T>(
    record: StageRecord,
    run: Run<Q>,
    [count, wanted]: readonly [number, number],
    work: (context: StageContext) => Promise<T>,
  ): Promise<Attempt<T>> {
    const begun = performance.now();
    record.begins(begun, count >= wanted);
    try {
      const result = await withinRequest(work, run.until - begun, run.signal);
      const ms = performance.now() - begun;
      record.took(count, ms);
      return { isDone: true, result, ms };
    } catch (error) {
      // The caller has given up.
      if (error instanceof LichenAbortError && run.signal?.aborted === true) throw error;
      const ms = performance.now() - begun;
      if (error instanceof LateError) record.tookMoreThan(count, ms);
      return { isDone: false, error, ms };
    }
  }

  #report(
    { reports }: Run<Q>,
    record: StageRecord,
    { reason, ...report }: Omit<StageReport, 'name' | 'reason'> & { reason?: string | undefined },
  ): void {
    record.ended(report.outcome satisfies StageOutcome);
    reports.push({ name: record.name, ...report, ...(reason === undefined ? {} : { reason }) });
  }
}

/** @throws what is wrong with the scores of a stage. */
function orderOf(scores: ArrayLike<number>, count: number): Uint32Array {
  const length: unknown = (scores as ArrayLike<number> | null | undefined)?.length;
  if (length !== count) {
    throw new Error(`it must give a score for each of ${count} candidates, got ${String(length)}`);
  }
  const order = descending(scores);
  if (order === undefined) throw new Error('it gave a score that is no number');
  return order;
}

function notCandidates(what: string): LichenArgumentError {
  const message = `${what} must give { keys, scores } of one length`;
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
