// What planning says of a cluster whose replicas have a processor each, beside what is measured.

import { Random } from '../../src/index.js';
import { quantile } from '../../src/planning/fan-out.js';
import type * as policies from '../../src/cluster/hedge-policy.js';
import { simulateFleet } from '../../src/planning/simulate.js';
import { spread } from './alternate.js';
import type { ArrivalClock } from './arrival-clock.js';
import { poisson, type Arrivals } from './arrivals.js';
import { closedLoop } from './closed-loop.js';
import { usedProcessors, type Deployment } from './cluster-fleet.js';
import { compiledPart } from './compiled.js';
import { measureRoundTrip, bareSearch } from './cluster-probes.js';
import { spreadFields } from './cluster-rows.js';
import type { SectionResult } from './report.js';

/** Loads, as shares of what is answered to several at a time. */
const SHARES = [0.3, 0.5, 0.7] as const;
/** Queries of a request: scored against every vector, they take a shard some milliseconds, and little else matters. */
export const QUERIES = 64;
const AT_ONCE = 8;
/** A load lasts so many times as long as what is measured one request at a time. */
const LOAD_LENGTHS = 3;
const WARM_UP_SECONDS = 3;
const RUNS = 5;
/** One request at a time, as the simulation has it. */
const APART_REQUESTS = 1000;
const APART_US = 1e7;
/** As many answers as `HedgePolicy` remembers. */
const REMEMBERED = 512;

export interface PlanningOptions {
  readonly deployment: Deployment;
  readonly clock: ArrivalClock;
  /** Each of {@link QUERIES} vectors. */
  readonly batches: readonly Float32Array[];
  readonly k: number;
  readonly seconds: number;
  readonly rounds: number;
}

/** One load of one round. */
interface Load {
  readonly arrivals: Arrivals;
  /** From when each was due to its answer. */
  readonly micros: Float64Array;
  /** Processor time of a shard for a request. */
  readonly processorUs: number;
  /** What searches before it took, of which the client knows when a shard is late. */
  readonly beforeUs: Float64Array;
  /** Second requests, a request to a shard. */
  readonly hedged: number;
}

interface Round {
  /** Until all shards have answered, one request at a time, by a bare question of NATS. */
  readonly bareUs: Float64Array;
  /** Processor time of a shard for it. */
  readonly processorUs: number;
  /** Of all shards, one request at a time. */
  readonly aloneUs: Float64Array;
  /** Of a message to a shard that has nothing to do for it, and back. */
  readonly roundTripUs: Float64Array;
  /** How late requests are made. */
  readonly lateUs: number;
  readonly loads: ReadonlyMap<number, Load>;
}

/** Measures, tells by simulation what should have come of the same arrivals, and compares. */
export async function planningRows(
  name: string,
  options: PlanningOptions,
): Promise<SectionResult[]> {
  const { deployment, batches, k, rounds: count } = options;
  const history: number[] = [];
  const search = async (at: number): Promise<void> => {
    const since = performance.now();
    await deployment.index.searchBatch(batches[at % batches.length]!, { k, exact: true });
    history.push(1000 * (performance.now() - since));
  };
  const warm = Math.min(WARM_UP_SECONDS, LOAD_LENGTHS * options.seconds);
  await closedLoop(1, warm, search);
  const { qps: capacity } = await closedLoop(AT_ONCE, warm, search);
  const rounds: Round[] = [];
  for (let round = 0; round < count; round++) {
    rounds.push(await oneRound(options, { search, history, capacity }, round));
  }
  return SHARES.map((share) =>
    rowOf(`${name}, ${Math.round(100 * share)}%`, rounds, share, options),
  );
}

interface Searching {
  readonly search: (at: number) => Promise<void>;
  /** What each search took so far, in microseconds, from when it was made. */
  readonly history: readonly number[];
  /** Searches a second, several at once. */
  readonly capacity: number;
}

async function oneRound(
  { deployment, clock, batches, k, seconds }: PlanningOptions,
  { search, history, capacity }: Searching,
  round: number,
): Promise<Round> {
  const { shards, processors } = deployment;
  const askAll = bareSearch(deployment);
  const before = processors();
  const { micros: bareUs } = await closedLoop(1, seconds, (at) =>
    askAll(batches[at % batches.length]!, { k, exact: true }),
  );
  const { nodes } = usedProcessors(before, processors());
  const { micros: aloneUs } = await closedLoop(1, seconds, search);
  const roundTripUs = await measureRoundTrip(deployment, seconds);
  const late = await clock.latencies(poisson(capacity, 1, new Random(round)), () =>
    Promise.resolve(),
  );
  const loads = new Map<number, Load>();
  for (const share of SHARES) {
    const random = new Random(1000 * round + Math.round(100 * share));
    const arrivals = poisson(share * capacity, LOAD_LENGTHS * seconds, random);
    const beforeUs = Float64Array.from(history.slice(-REMEMBERED));
    const since = processors();
    const { hedges } = deployment.index.counts;
    const micros = await clock.latencies(arrivals, search);
    const used = usedProcessors(since, processors());
    const first = micros.length * shards;
    const second = deployment.index.counts.hedges - hedges;
    const processorUs = used.nodes / (first + second);
    loads.set(share, { arrivals, micros, processorUs, beforeUs, hedged: second / first });
  }
  return {
    ...{ bareUs, processorUs: nodes / (bareUs.length * shards), aloneUs, roundTripUs, loads },
    lateUs: quantile(late.sort(), 0.5),
  };
}

interface Quantiles {
  readonly p50us: number;
  readonly p99us: number;
}

interface Prediction extends Quantiles {
  readonly hedged: number;
}

function rowOf(
  name: string,
  rounds: readonly Round[],
  share: number,
  { deployment }: PlanningOptions,
): SectionResult {
  const pairs = rounds.map((round) => ({
    measured: quantiles(round.loads.get(share)!.micros),
    predicted: predict(round, round.loads.get(share)!, deployment),
  }));
  const middle = (which: keyof (typeof pairs)[number], key: keyof Quantiles) =>
    spread(pairs.map((pair) => pair[which][key])).median;
  const errors = (key: keyof Quantiles) =>
    spreadFields(`error${key.slice(0, 3).toUpperCase()}`, pairs, ({ measured, predicted }) => {
      return 100 * (predicted[key] / measured[key] - 1);
    });
  const loads = rounds.map((round) => round.loads.get(share)!);
  return {
    ...{ section: 'planning, replicas on processors of their own', name },
    requests: loads.reduce((sum, { micros }) => sum + micros.length, 0),
    processorUs: spread(loads.map(({ processorUs }) => processorUs)).median,
    ...{ p50us: middle('measured', 'p50us'), predictedP50us: middle('predicted', 'p50us') },
    ...errors('p50us'),
    ...{ p99us: middle('measured', 'p99us'), predictedP99us: middle('predicted', 'p99us') },
    ...errors('p99us'),
    ...(deployment.replicas > 1 && {
      hedged: spread(loads.map(({ hedged }) => hedged)).median,
      predictedHedged: spread(pairs.map(({ predicted }) => predicted.hedged)).median,
    }),
  };
}

function quantiles(micros: Float64Array): Quantiles {
  const sorted = micros.filter((one) => !Number.isNaN(one)).sort();
  return { p50us: quantile(sorted, 0.5), p99us: quantile(sorted, 0.99) };
}

/**
 * By `simulateFleet`. A shard's times of service are the processor time that a request took it under the load, spread as
 * bare questions are; messages take what round trips take. What else a request takes, the client's part, is what is missing
 * when the same is told of one request at a time. Of the load itself go in when requests were due and that processor time, no
 * latency: when a second replica is asked is decided as the client does it, with what it had seen before the load.
 */
function predict(
  { bareUs, processorUs, aloneUs, roundTripUs, lateUs }: Round,
  load: Load,
  { shards, replicas, machines }: Deployment,
): Prediction {
  const { HedgePolicy } = compiledPart<typeof policies>('cluster/hedge-policy.js');
  const mean = bareUs.reduce((sum, one) => sum + one, 0) / bareUs.length;
  const servicesOf = (micros: number) => bareUs.map((one) => (one / mean) * micros);
  const fleet = { shards, replicas, machines, servers: 1, runs: RUNS } as const;
  const alone = simulateFleet({
    ...{ ...fleet, serviceUs: servicesOf(processorUs), networkUs: roundTripUs },
    arrivalsUs: Array.from({ length: APART_REQUESTS }, (_, at) => at * APART_US),
  });
  const besides = median(aloneUs) - alone.p50us.mean + lateUs;
  const hedging = () => {
    const policy = new HedgePolicy();
    for (const micros of load.beforeUs) policy.answered(micros / 1000, false);
    return policy;
  };
  const { p50us, p99us, hedged } = simulateFleet({
    ...{ ...fleet, serviceUs: servicesOf(load.processorUs) },
    networkUs: roundTripUs.map((micros) => Math.max(0, micros + besides)),
    arrivalsUs: load.arrivals.map((ms) => 1000 * ms),
    ...(replicas > 1 && { hedging }),
  });
  return { p50us: p50us.mean, p99us: p99us.mean, hedged: hedged.mean };
}

function median(values: Float64Array): number {
  return quantile(values.slice().sort(), 0.5);
}
