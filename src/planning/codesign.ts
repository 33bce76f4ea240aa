import { setImmediate } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import { describeMachine, type MachineDescription } from '../evaluation/machine.js';
import { paretoRanks, type Objective } from '../evaluation/pareto.js';
import { mean, meanInterval, pairedRatio, type Interval } from '../evaluation/statistics.js';
import {
  resolveCodesign,
  type CodesignOptions,
  type ResolvedCodesign,
} from './codesign-options.js';
import { DesignBench, type DesignMeasurement, type DesignRequest } from './design-bench.js';
import { DesignCosts, type DesignCost } from './design-cost.js';
import { designName, designsOf, indexKey, sampleDesigns, type Design } from './design.js';
import { mebibytes } from './fleet.js';
import { measureCost } from './measure.js';

/** A design, as far as it was measured. */
export interface DesignResult extends DesignCost {
  /** See {@link designName}. */
  readonly name: string;
  /** What was built. */
  readonly design: Design;
  /** Requests it served. */
  readonly requests: number;
  /** Mean nDCG@k with its 95% confidence interval. */
  readonly ndcg: Interval;
  /** Of the nDCG of the best design, over the same requests. */
  readonly ofBest: Interval;
  /** Microseconds of search and ranker, on average. */
  readonly searchUs: number;
  /** Microseconds of the ranker, on average. */
  readonly rankUs: number;
  /** Whether it was chosen, or no other beats it in both nDCG and cost. */
  readonly verdict: 'chosen' | 'front' | 'rejected';
  /** Why it was not chosen. */
  readonly reason: string;
}

/** What {@link codesign} finds. */
export interface CodesignResult {
  /** Where it was measured. */
  readonly machine: MachineDescription;
  /** Designs in the space, and of those how many were tried. */
  readonly designs: number;
  /** Designs that were tried. */
  readonly tried: number;
  /** The rungs, each with fewer designs and more requests. */
  readonly rungs: readonly {
    /** Designs that were left. */
    readonly designs: number;
    /** Requests that they had served. */
    readonly requests: number;
  }[];
  /** The best by nDCG alone, whatever it costs. */
  readonly best: DesignResult;
  /** The ranker over all items, which accuracy alone would choose; undefined if it was not tried. */
  readonly whole: DesignResult | undefined;
  /** The cheapest that keeps to all constraints; undefined if none does. */
  readonly chosen: DesignResult | undefined;
  /** Those that no other beats in both nDCG and cost, from cheap to dear. */
  readonly front: readonly DesignResult[];
  /** All that were tried, the chosen one first, then by how far they came. */
  readonly results: readonly DesignResult[];
  /** How many times the processor time of the chosen one others take. */
  readonly saved:
    | {
        /** The best. */
        readonly ofBest: number;
        /** The ranker over all items; undefined if it was not tried. */
        readonly ofWhole: number | undefined;
      }
    | undefined;
  /** The chosen and the best on requests that had no part in choosing. */
  readonly report:
    | {
        /** How many they were. */
        readonly requests: number;
        /** nDCG@k of the best. */
        readonly best: Interval;
        /** nDCG@k of the chosen one. */
        readonly chosen: Interval;
        /** The latter as a share of the former. */
        readonly ofBest: Interval;
      }
    | undefined;
}

interface Trial {
  readonly design: Design;
  readonly measured: DesignMeasurement;
  cost: DesignCost | undefined;
  /** That it has served for. */
  seconds: number;
  /** Rungs that it was measured on. */
  rungs: number;
  /** Why it was left behind. */
  left: string | undefined;
}

/**
 * Searches storage, graph, prefixes, candidates of a ranker, batches and caches together for the cheapest design that keeps
 * to quality, SLO, memory and budget. All designs serve a few requests; those that others beat in both nDCG and cost are
 * left behind, the rest serves more (successive halving; Jamieson and Talwalkar, 2016), in turns, until few are left that
 * served all. The best by nDCG goes along whatever it costs. Costs come from times measured on this machine.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION, ERR_LICHEN_EMPTY without requests, ERR_LICHEN_ABORTED; what the ranker
 * throws.
 *
 * @example
 * const { chosen, best } = await codesign({
 *   ...{ items: itemVectors, users: queries, metric: 'dot', k: 20 },
 *   requests: [{ user: 0, relevant: [10, 20] }],
 *   demand: { qps: 500, sloMs: 20 },
 * });
 * if (chosen) console.log(designName(chosen.design), chosen.ofBest.mean);
 */
export async function codesign(options: CodesignOptions): Promise<CodesignResult> {
  const resolved = resolveCodesign(options);
  const { parts, scope, space, maxDesigns, seed, requests, reportRequests } = resolved;
  const all = designsOf(space, scope);
  const trials = sampleDesigns(all, maxDesigns, seed).map((design): Trial => ({
    ...{ design, measured: { ndcg: [], searchUs: [], rankUs: [] } },
    ...{ cost: undefined, seconds: 0, rungs: 0, left: undefined },
  }));
  const costs = new DesignCosts({ ...resolved, k: parts.k, encodeUs: await encodeCosts(resolved) });
  const bench = new DesignBench(parts);
  try {
    const rungs: { designs: number; requests: number }[] = [];
    let alive = trials;
    let from = 0;
    for (const [rung, to] of rungEnds(resolved).entries()) {
      rungs.push({ designs: alive.length, requests: to });
      await serveInTurns(bench, alive, requests.slice(from, to), resolved, rung);
      for (const trial of alive) {
        trial.rungs = rung + 1;
        const bytes = await bench.bytesOf(trial.design, resolved.signal);
        trial.cost = costs.of(trial.design, trial.measured, bytes);
      }
      from = to;
      if (to < requests.length) alive = survivors(alive, resolved, to);
      bench.keepOnly(alive.map(({ design }) => design));
    }
    const judged = judge(trials, alive, resolved);
    const { best, whole, chosen } = judged;
    const report = await reportOn(bench, best, chosen, reportRequests, resolved);
    return {
      machine: describeMachine(),
      ...{ designs: all.length, tried: trials.length, rungs, ...judged, report },
      saved: chosen && {
        ofBest: best.processorUs / chosen.processorUs,
        ofWhole: whole && whole.processorUs / chosen.processorUs,
      },
    };
  } finally {
    bench.close();
  }
}

/** Numbers of requests that designs have served at the end of each rung. */
function rungEnds({ requests, firstRung, factor }: ResolvedCodesign): number[] {
  const ends: number[] = [];
  for (
    let end = Math.min(firstRung, requests.length);
    ;
    end = Math.min(requests.length, end * factor)
  ) {
    ends.push(end);
    if (end === requests.length) return ends;
  }
}

/** Designs take turns, some requests at a time, so that what disturbs the machine meets all. */
async function serveInTurns(
  bench: DesignBench,
  trials: readonly Trial[],
  requests: readonly DesignRequest[],
  { signal, onProgress, turns, seed, maxSecondsADesign }: ResolvedCodesign,
  rung: number,
): Promise<void> {
  const already = Math.max(...trials.map(({ measured }) => measured.ndcg.length));
  const step = Math.max(1, Math.min(MOST_A_TURN, Math.ceil(requests.length / turns)));
  let done = 0;
  const total = trials.length * Math.ceil(requests.length / step);
  // Those that share an index stand side by side.
  const order = [...trials].sort((a, b) => (indexKey(a.design) < indexKey(b.design) ? -1 : 1));
  for (let from = 0, turn = 0; from < requests.length; from += step, turn++) {
    const some = requests.slice(from, from + step);
    const first = (turn * 7919 + seed) % order.length;
    for (const trial of [...order.slice(first), ...order.slice(0, first)]) {
      if (from === 0 && trial.rungs === 0) await warmUp(bench, trial.design, some, signal);
      // What is slow serves fewer, the first ones.
      if (trial.seconds < maxSecondsADesign && trial.measured.ndcg.length === already + from) {
        const started = performance.now();
        await bench.serve(trial.design, some, trial.measured, signal);
        trial.seconds += (performance.now() - started) / 1000;
      }
      onProgress?.(`rung ${rung + 1}`, ++done, total);
      await setImmediate();
    }
  }
}

/** What comes first (an index to build, code to compile) does not count. */
async function warmUp(
  bench: DesignBench,
  design: Design,
  requests: readonly DesignRequest[],
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfAborted(signal, 'measuring');
  const count = design.candidates === Infinity ? 1 : 8;
  const unused = { ndcg: [], searchUs: [], rankUs: [] };
  await bench.serve(design, requests.slice(0, count), unused, signal);
}

const COST: Objective<Trial> = { value: ({ cost }) => cost!.usdPerMillion, better: 'lower' };
/** Requests that a design serves before another has its turn. */
const MOST_A_TURN = 64;

/** nDCG as a share of that of the best design which served all requests, over the same requests. */
function qualityAmong(trials: readonly Trial[]): Objective<Trial> {
  const most = Math.max(...trials.map(({ measured }) => measured.ndcg.length));
  const whole = trials.filter(({ measured }) => measured.ndcg.length === most);
  const reference = whole.reduce((one, other) =>
    mean(other.measured.ndcg) > mean(one.measured.ndcg) ? other : one,
  );
  return {
    better: 'higher',
    value: ({ measured: { ndcg } }) => {
      const same = mean(reference.measured.ndcg.slice(0, ndcg.length));
      return same === 0 ? 1 : mean(ndcg) / same;
    },
  };
}

/** Whether a design is what nothing but accuracy would choose: the whole ranker. */
function isWhole({ design }: Trial): boolean {
  return design.candidates === Infinity;
}

/** A share of the trials: front after front by nDCG and cost, and always the best, the whole ranker, the best that can be served. */
function survivors(
  trials: readonly Trial[],
  resolved: ResolvedCodesign,
  requests: number,
): Trial[] {
  const quality = qualityAmong(trials);
  const byQuality = [...trials].sort((a, b) => quality.value(b) - quality.value(a));
  const whole = byQuality.find(isWhole);
  const kept = new Set<Trial>([...byQuality.slice(0, 1), ...(whole ? [whole] : [])]);
  const servable = byQuality.find(({ cost }) => breach(cost!, resolved) === undefined);
  if (servable !== undefined) kept.add(servable);
  const wanted = Math.max(resolved.leastSurvivors, Math.ceil(trials.length / resolved.factor));
  // What breaks a constraint by its cost alone will not mend.
  const able = trials.filter(({ cost }) => breach(cost!, resolved) === undefined);
  for (const front of paretoRanks(able, [quality, COST])) {
    for (const trial of [...front].sort((a, b) => quality.value(b) - quality.value(a))) {
      if (kept.size < wanted) kept.add(trial);
    }
  }
  for (const trial of trials) {
    if (kept.has(trial)) continue;
    trial.left =
      breach(trial.cost!, resolved) ??
      `after ${requests} requests enough others were better, or as good and cheaper`;
  }
  return trials.filter((trial) => kept.has(trial));
}

/** What nDCGs are of others of the same requests; where the others find nothing, as good. */
function shareOf(own: readonly number[], others: readonly number[], seed: number): Interval {
  if (mean(others) === 0) return { mean: 1, low: 1, high: 1 };
  return pairedRatio(own, others, { seed });
}

/** Which constraint a design breaks, whatever its quality. */
function breach(
  cost: DesignCost,
  { budgetUsdPerMonth, memoryBytes }: ResolvedCodesign,
): string | undefined {
  const { fleet, reason, machineBytes } = cost;
  if (machineBytes > memoryBytes) {
    return `takes ${mebibytes(machineBytes)} of memory, allowed are ${mebibytes(memoryBytes)}`;
  }
  if (fleet === undefined) return `cannot be served: ${reason}`;
  if (fleet.usdPerMonth > budgetUsdPerMonth) {
    return `costs ${Math.round(fleet.usdPerMonth)} $ a month, the budget is ${budgetUsdPerMonth}`;
  }
  return undefined;
}

function judge(
  trials: readonly Trial[],
  finalists: readonly Trial[],
  resolved: ResolvedCodesign,
): Pick<CodesignResult, 'best' | 'whole' | 'chosen' | 'front' | 'results'> {
  const quality = qualityAmong(finalists);
  const best = finalists.reduce((one, other) =>
    quality.value(other) > quality.value(one) ? other : one,
  );
  const front = new Set<Trial>(paretoRanks(finalists, [quality, COST])[0]);
  const ofBest = (trial: Trial): Interval => {
    const [own, others] = [trial.measured.ndcg, best.measured.ndcg];
    const same = Math.min(own.length, others.length);
    return shareOf(own.slice(0, same), others.slice(0, same), resolved.seed);
  };
  const ratios = new Map(trials.map((trial) => [trial, ofBest(trial)]));
  const able = finalists.filter(({ cost }) => breach(cost!, resolved) === undefined);
  const good = able.filter((trial) => ratios.get(trial)!.mean >= resolved.minQuality);
  const chosen = good.reduce<Trial | undefined>(
    (one, other) => (one === undefined || COST.value(other) < COST.value(one) ? other : one),
    undefined,
  );
  const whole = finalists.find(isWhole);
  const reasonOf = (trial: Trial): string => {
    if (trial === chosen) return '';
    const why = trial.left ?? breach(trial.cost!, resolved);
    if (why !== undefined) return why;
    const ratio = ratios.get(trial)!.mean;
    if (ratio < resolved.minQuality) {
      return `has ${(100 * ratio).toFixed(1)}% of the best nDCG, asked are ${100 * resolved.minQuality}%`;
    }
    if (chosen === undefined) return 'no other is good enough either';
    const times = COST.value(trial) / COST.value(chosen);
    return `is good enough, and costs ${times.toFixed(2)} times as much as the chosen one`;
  };
  const results = new Map(
    trials.map((trial): [Trial, DesignResult] => [
      trial,
      {
        ...{ name: designName(trial.design), design: trial.design, ...trial.cost! },
        requests: trial.measured.ndcg.length,
        ndcg: meanInterval(trial.measured.ndcg, [0, 1]),
        ofBest: ratios.get(trial)!,
        searchUs: mean(trial.measured.searchUs),
        rankUs: mean(trial.measured.rankUs),
        verdict: trial === chosen ? 'chosen' : front.has(trial) ? 'front' : 'rejected',
        reason: reasonOf(trial),
      },
    ]),
  );
  const order = [...trials].sort(
    (a, b) =>
      Number(b === chosen) - Number(a === chosen) ||
      b.rungs - a.rungs ||
      COST.value(a) - COST.value(b),
  );
  return {
    best: results.get(best)!,
    whole: whole && results.get(whole)!,
    chosen: chosen && results.get(chosen)!,
    front: order
      .filter((trial) => front.has(trial))
      .sort((a, b) => COST.value(a) - COST.value(b))
      .map((trial) => results.get(trial)!),
    results: order.map((trial) => results.get(trial)!),
  };
}

/** The two on requests that had no part in choosing, which tells what choosing has flattered. */
async function reportOn(
  bench: DesignBench,
  best: DesignResult,
  chosen: DesignResult | undefined,
  requests: readonly DesignRequest[],
  { onProgress, signal, seed, maxSecondsADesign }: ResolvedCodesign,
): Promise<CodesignResult['report']> {
  if (chosen === undefined || requests.length === 0) return undefined;
  const sides = [best, chosen].map(({ design }) => ({
    design,
    measured: { ndcg: [] as number[], searchUs: [], rankUs: [] },
  }));
  const started = performance.now();
  let served = 0;
  for (const [at, request] of requests.entries()) {
    if (performance.now() - started > 2000 * maxSecondsADesign) break;
    for (const { design, measured } of sides) {
      await bench.serve(design, [request], measured, signal);
    }
    served++;
    if (at % 10 === 0) {
      onProgress?.('report', at, requests.length);
      await setImmediate();
    }
  }
  const [ofBest, ofChosen] = sides.map(({ measured }) => measured.ndcg);
  return {
    requests: served,
    best: meanInterval(ofBest!, [0, 1]),
    chosen: meanInterval(ofChosen!, [0, 1]),
    ofBest: shareOf(ofChosen!, ofBest!, seed),
  };
}

/** What batches of the sizes that are tried cost the encoder. */
async function encodeCosts({
  encoder,
  space,
  signal,
}: ResolvedCodesign): Promise<Map<number, number> | undefined> {
  if (encoder === undefined) return undefined;
  const costs = new Map<number, number>();
  for (const batch of space.batches ?? [1, 4, 16, 64]) {
    throwIfAborted(signal, 'measuring');
    costs.set(batch, (await measureCost(() => encoder(batch))).us.median);
  }
  return costs;
}
