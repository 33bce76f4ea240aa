import { Random, type HnswIndex } from '../../src/index.js';
import type { ArrivalClock } from './arrival-clock.js';
import { poisson } from './arrivals.js';
import { closedLoop, type ClosedLoop } from './closed-loop.js';
import { usedProcessors, type Deployment, type Processors } from './cluster-fleet.js';
import { packed } from './vectors.js';
import { measurePieces, searchOf, type Pieces, type Searches } from './cluster-probes.js';

/** How many searches are under way at a time. */
export const AT_ONCE = [1, 2, 4, 8, 16, 32] as const;
/** Loads of the open loop, as shares of what is answered to the most at a time. */
export const SHARES = [0.3, 0.5, 0.7] as const;
export const BATCH = 100;
const WARM_SHARE = 0.2;
const WARM_UP_SECONDS = 2;

/** Searches of which always as many were under way, with the processor time that each took. */
export interface LoadPoint extends ClosedLoop {
  readonly used: Processors;
}

/** Searches that came at random. */
export interface OpenRun {
  readonly share: number;
  /** A second. */
  readonly rate: number;
  /** From when each was due to its answer, of those that count. */
  readonly micros: Float64Array;
  readonly refused: number;
  /** Shares of the searches that lacked a shard, and of the shards asked that were asked twice. */
  readonly partial: number;
  readonly hedged: number;
  readonly hedgeAfterMs: number;
  readonly used: Processors;
}

/** What making searches when they are due takes by itself. */
export interface ClockCost {
  readonly lateUs: Float64Array;
  readonly processorUs: number;
}

/** Everything once, in some minutes at most: what disturbs the machine meets it all. */
export interface Round {
  /** Searches of the same vectors in this process, by the promise and without. */
  readonly local: ClosedLoop;
  readonly localSync: ClosedLoop;
  readonly loads: ReadonlyMap<number, LoadPoint>;
  readonly batchQps: number;
  readonly pieces: Pieces;
  readonly clock: ClockCost;
  readonly open: readonly OpenRun[];
}

/** What is measured, and with what. */
export interface RoundOptions {
  readonly deployment: Deployment;
  /** An index in this process that holds all vectors. */
  readonly local: HnswIndex;
  readonly clock: ArrivalClock;
  readonly searches: Searches;
  /** Of each measurement. */
  readonly seconds: number;
  readonly rounds: number;
}

export async function measureRounds(options: RoundOptions): Promise<Round[]> {
  const { deployment, searches, rounds, seconds } = options;
  const most = Math.max(...AT_ONCE);
  const search = searchOf(deployment.index, searches);
  const warm = Math.min(WARM_UP_SECONDS, 2 * seconds);
  for (const atOnce of [1, most]) await closedLoop(atOnce, warm, search);
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) measured.push(await oneRound(options, round));
  return measured;
}

async function oneRound(
  { deployment, local, clock, searches, seconds }: RoundOptions,
  round: number,
): Promise<Round> {
  const { queries, k, ef } = searches;
  const search = searchOf(deployment.index, searches);
  const vector = (at: number) => queries[at % queries.length]!;
  const inProcess = await closedLoop(1, seconds / 2, (at) => local.search(vector(at), { k, ef }));
  const localSync = await closedLoop(1, seconds / 2, (at) =>
    local.searchSync(vector(at), { k, ef }),
  );
  const loads = new Map<number, LoadPoint>();
  // One at a time right beside this process's own; the order of the others turns round.
  const [one, ...more] = AT_ONCE;
  for (const atOnce of [one, ...(round % 2 === 0 ? more : more.reverse())]) {
    const before = deployment.processors();
    const loop = await closedLoop(atOnce, seconds, search);
    loads.set(atOnce, { ...loop, used: usedProcessors(before, deployment.processors()) });
  }
  const batch = packed(queries, BATCH);
  const batches = await closedLoop(1, seconds, () =>
    deployment.index.searchBatch(batch, { k, ef }),
  );
  const pieces = await measurePieces(deployment, searches, seconds / 2);
  const capacity = loads.get(Math.max(...AT_ONCE))!.qps;
  const cost = await clockCost(clock, capacity / 2, seconds);
  const open: OpenRun[] = [];
  for (const share of SHARES) {
    const seed = 1000 * round + Math.round(100 * share);
    open.push(
      await openRun(deployment, clock, search, { share, rate: share * capacity, seconds, seed }),
    );
  }
  return {
    ...{ local: inProcess, localSync, loads, batchQps: BATCH * batches.qps },
    ...{ pieces, clock: cost, open },
  };
}

async function clockCost(clock: ArrivalClock, rate: number, seconds: number): Promise<ClockCost> {
  const arrivals = poisson(rate, seconds, new Random(1));
  const before = process.cpuUsage();
  const lateUs = await clock.latencies(arrivals, () => Promise.resolve());
  const { user, system } = process.cpuUsage(before);
  return { lateUs, processorUs: (user + system) / Math.max(1, arrivals.length) };
}

async function openRun(
  { index, processors }: Deployment,
  clock: ArrivalClock,
  search: (at: number) => Promise<{ readonly missing: readonly number[] }>,
  given: { share: number; rate: number; seconds: number; seed: number },
): Promise<OpenRun> {
  const { share, rate, seconds, seed } = given;
  const arrivals = poisson(rate, seconds * (1 + WARM_SHARE), new Random(seed));
  const before = index.counts;
  const used = processors();
  const micros = await clock.latencies(arrivals, search);
  const after = index.counts;
  const counted = micros.filter((_, at) => arrivals[at]! >= 1000 * WARM_SHARE * seconds);
  const answered = counted.filter((value) => !Number.isNaN(value));
  const questions = Math.max(1, after.questions - before.questions);
  return {
    ...{ share, rate, micros: answered, refused: counted.length - answered.length },
    partial: (after.partial - before.partial) / questions,
    hedged: (after.hedges - before.hedges) / (questions * index.map.shards),
    hedgeAfterMs: after.hedgeAfterMs,
    used: usedProcessors(used, processors()),
  };
}
