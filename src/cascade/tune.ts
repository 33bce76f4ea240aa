import { LatencyModel } from '../batching/latency-model.js';
import { LichenArgumentError, shown, throwIfAborted } from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions } from '../index/arguments.js';
import type { Key, KeysOf } from '../index/types.js';
import { resolveCascadeOptions, type CascadeOptions } from './cascade-options.js';
import { descending } from './order.js';
import { Ranking } from './ranking.js';
import type { StageContext, StageCost } from './stage.js';

/** A request, and what turned out to be relevant to it. */
export interface TuningRequest<Q, K extends Key> {
  /** What the cascade is asked. */
  readonly query: Q;
  /** Keys that a good result has. */
  readonly relevant: Iterable<K>;
}

/** Options of {@link tuneCascade}. */
export interface TuneCascadeOptions<Q, K extends Key> {
  /** Requests with known answers; hundreds of them make the choice sure. */
  readonly requests: Iterable<TuningRequest<Q, K>>;
  /** The most that a request may cost on average, in milliseconds of its stages. Default: whatever it takes. */
  readonly maxCostMs?: number | undefined;
  /** Numbers of candidates that are tried for each stage, from the least to `candidates`, 2 to 64. Default 8. */
  readonly steps?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each request how many are done. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Numbers of candidates, and what comes of them. */
export interface TuningPoint {
  /** Of the retrieval, then of each stage; 0: it is left out. */
  readonly candidates: readonly number[];
  /** Mean nDCG at `k` of the cascade, relevance being 0 or 1. */
  readonly ndcg: number;
  /** Mean cost of a request, in milliseconds of its stages. */
  readonly costMs: number;
}

/** What {@link tuneCascade} finds. */
export interface CascadeTuning {
  /** The best quality within `maxCostMs`, the cheapest of equals; undefined if nothing is so cheap. */
  readonly best: TuningPoint | undefined;
  /** With all candidates in all stages. */
  readonly full: TuningPoint;
  /** All that were tried. */
  readonly points: readonly TuningPoint[];
  /** The points that no other is better than at the same cost or less, from cheap to dear. */
  readonly front: readonly TuningPoint[];
  /** What the retrieval and each stage cost. */
  readonly costs: readonly (StageCost & {
    /** The name of the stage. */
    readonly name: string;
  })[];
}

const OPTIONS = ['requests', 'maxCostMs', 'steps', 'signal', 'onProgress'] as const;
/** Requests of which stages are measured with fewer candidates as well. */
const MEASURED = 50;

/**
 * Chooses numbers of candidates for the stages of a cascade: each request is scored once by every stage, with the
 * retrieval's `candidates`, and from these scores follows what any smaller numbers would have come to (the first
 * candidates of a retrieval are taken for those of a smaller one). What stages cost is measured meanwhile; so nothing else
 * should be done by the machine.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY without requests that have something relevant, ERR_LICHEN_ABORTED; what a
 * stage throws.
 *
 * @example
 * const requests = [{ query: user, relevant: [10, 20] }];
 * const { best } = await tuneCascade({ retrieval, stages }, { requests, maxCostMs: 5 });
 * best?.candidates; // of the retrieval, then of each stage
 */
export async function tuneCascade<Q, K extends Key = number>(
  cascade: CascadeOptions<Q, K>,
  options: TuneCascadeOptions<Q, K>,
): Promise<CascadeTuning> {
  const { retrieval, stages, k } = resolveCascadeOptions(cascade);
  const {
    requests,
    maxCostMs = Infinity,
    steps = 8,
    signal,
    onProgress,
  } = requireOptions(options, OPTIONS);
  requireInteger('steps', steps, 2, 64);
  if (typeof maxCostMs !== 'number' || !(maxCostMs > 0)) {
    throw bad(`maxCostMs must be a number above 0, got ${shown(maxCostMs)}`);
  }
  const all = [retrieval, ...stages];
  const grids = all.map(({ candidates, leastCandidates = Math.min(k, candidates) }, at) =>
    gridOf(
      at === 0 ? Math.max(k, leastCandidates) : leastCandidates,
      Math.max(candidates, at === 0 ? k : 0),
      steps,
    ),
  );
  const points = pointsOf(grids);
  const sums = new Float64Array(points.length);
  const models = all.map(() => new LatencyModel());
  const context: StageContext = {
    signal: signal ?? new AbortController().signal,
    leftMs: Infinity,
  };
  let counted = 0;
  for (const { query, relevant } of requests) {
    throwIfAborted(signal, 'tuning');
    const wanted = new Set<Key>(relevant);
    if (wanted.size === 0) continue;
    const scored = await scoresOf(query);
    evaluate(scored, wanted);
    counted++;
    onProgress?.(counted);
  }
  if (counted === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'requests: none has something relevant');
  }
  return chosen();

  /** What the retrieval gives and what every stage says of all of it. */
  async function scoresOf(query: Q): Promise<{ keys: KeysOf<K>; scores: ArrayLike<number>[] }> {
    const most = grids[0]!.at(-1)!;
    const sizes = counted < MEASURED ? new Set([grids[0]![0]!, most]) : [most];
    let found: Ranking<K> | undefined;
    for (const count of sizes) {
      found = await timed(models[0]!, count, async () =>
        Ranking.of(await retrieval.retrieve(query, count, context)),
      );
    }
    if (found === undefined) throw bad('retrieve must give { keys, scores } of one length');
    const scores: ArrayLike<number>[] = [];
    for (const [at, stage] of stages.entries()) {
      const counts = [...new Set([Math.min(grids[at + 1]![0]!, found.size), found.size])];
      for (const count of counted < MEASURED ? counts : counts.slice(-1)) {
        if (count === 0) continue;
        const { keys, scores: before } = found.first(count);
        const given = await timed(models[at + 1]!, count, async () =>
          stage.score(query, { keys, scores: before }, context),
        );
        if (given.length !== count) {
          throw bad(`${stage.name} must give a score for each of ${count} candidates`);
        }
        scores[at] = given;
      }
    }
    return { keys: found.keys, scores };
  }

  /** Adds up the nDCG of all points for a request. */
  function evaluate(
    { keys, scores }: { keys: KeysOf<K>; scores: ArrayLike<number>[] },
    wanted: ReadonlySet<Key>,
  ): void {
    const isRelevant = Uint8Array.from({ length: keys.length }, (_, at) =>
      wanted.has(keys[at]!) ? 1 : 0,
    );
    let ideal = 0;
    for (let rank = 0; rank < Math.min(k, wanted.size); rank++) ideal += discount(rank);
    let next = 0;
    const visit = (order: Uint32Array, at: number, before: number): void => {
      if (at === grids.length) {
        let gain = 0;
        for (let rank = 0; rank < Math.min(k, order.length); rank++) {
          if (isRelevant[order[rank]!] === 1) gain += discount(rank);
        }
        sums[next++]! += gain / ideal;
        return;
      }
      for (const count of countsWithin(grids[at]!, before)) {
        visit(
          count === 0 ? order : reordered(order, count, scores[at - 1]!),
          at + 1,
          count === 0 ? before : count,
        );
      }
    };
    for (const count of grids[0]!) {
      const first = Uint32Array.from({ length: Math.min(count, keys.length) }, (_, at) => at);
      visit(first, 1, count);
    }
  }

  function chosen(): CascadeTuning {
    const results = points.map((candidates, at) => ({
      candidates,
      ndcg: sums[at]! / counted,
      costMs: candidates.reduce(
        (sum, count, stage) => sum + (count === 0 ? 0 : models[stage]!.expected(count)),
        0,
      ),
    }));
    const front: TuningPoint[] = [];
    for (const point of [...results].sort((a, b) => a.costMs - b.costMs || b.ndcg - a.ndcg)) {
      if (point.ndcg > (front.at(-1)?.ndcg ?? -1)) front.push(point);
    }
    return {
      best: front.findLast(({ costMs }) => costMs <= maxCostMs),
      points: results,
      full: results.findLast(({ candidates }) => !candidates.includes(0))!,
      front,
      costs: all.map(({ name }, at) => ({
        ...{ name, fixedMs: models[at]!.alpha, candidateMs: models[at]!.beta },
      })),
    };
  }
}

/** Whole numbers from the least to the most, each about as many times the one before. */
function gridOf(least: number, most: number, steps: number): number[] {
  const from = Math.min(least, most, MAX_ROWS);
  const grid = Array.from({ length: steps }, (_, step) =>
    Math.round(from * (most / from) ** (step / (steps - 1))),
  );
  return [...new Set(grid)];
}

/** What a stage may score of so many: its grid's numbers up to that, after nothing. */
function countsWithin(grid: readonly number[], before: number): number[] {
  return [0, ...grid.filter((count) => count <= before)];
}

/** All combinations in which no stage has more than the one before, in the order of {@link countsWithin}. */
function pointsOf(grids: readonly (readonly number[])[]): number[][] {
  const points: number[][] = [];
  const visit = (so: readonly number[], before: number): void => {
    if (so.length === grids.length) {
      points.push([...so]);
      return;
    }
    for (const count of countsWithin(grids[so.length]!, before)) {
      visit([...so, count], count === 0 ? before : count);
    }
  };
  for (const count of grids[0]!) visit([count], count);
  return points;
}

/** The first `count` of an order by their scores, and the rest behind them. */
function reordered(order: Uint32Array, count: number, scores: ArrayLike<number>): Uint32Array {
  const first = order.subarray(0, count);
  const sorted = descending(Float64Array.from(first, (at) => scores[at]!));
  if (sorted === undefined) throw bad('a stage gave a score that is no number');
  const rest = order.subarray(count);
  const result = new Uint32Array(sorted.length + rest.length);
  for (let at = 0; at < sorted.length; at++) result[at] = first[sorted[at]!]!;
  result.set(rest, sorted.length);
  return result;
}

function discount(rank: number): number {
  return 1 / Math.log2(rank + 2);
}

async function timed<T>(model: LatencyModel, count: number, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  model.observe(count, performance.now() - started);
  return result;
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
