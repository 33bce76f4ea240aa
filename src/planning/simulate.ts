import { badArgument } from '../cache/cache-limits.js';
import { shown, throwIfAborted } from '../errors.js';
import { requireInteger } from '../index/arguments.js';
import { meanInterval, type Interval } from '../evaluation/statistics.js';
import { Random } from '../vectors/random.js';
import { quantile } from './fan-out.js';
import { requireTimes } from './queueing.js';
import { runFleet, type RunResult } from './fleet-run.js';

/** A fleet: every shard has replicas, every replica some servers (threads) and one queue. */
export interface FleetShape {
  /** Parts that every request goes to. */
  readonly shards: number;
  /** Machines of each shard, one of which answers. */
  readonly replicas: number;
  /** Servers (threads) of a machine. */
  readonly servers: number;
}

/** Which replica gets a request: any, the one with less to do of two, or of all. */
export type Routing = 'random' | 'two-choices' | 'least-loaded';

/** When a second replica is asked, by what was seen before; a cluster's client decides so. */
export interface Hedging {
  /** Milliseconds after which a shard that has not answered may be asked once more. */
  readonly afterMs: number;
  /** So many shards were asked. */
  asked(shards: number): void;
  /** A shard's first answer. @param isHedge whether it was the replica that was asked second. */
  answered(ms: number, isHedge: boolean): void;
  /** Whether one more may be asked a second time; takes what that costs. */
  mayHedge(): boolean;
}

/** Options of {@link simulateFleet}. */
export interface SimulateOptions extends FleetShape {
  /** Requests a second, at random (Poisson). */
  readonly rate?: number | undefined;
  /** Instead of `rate`: when requests came, in microseconds, ascending, such as a recorded hour. All of them count. */
  readonly arrivalsUs?: ArrayLike<number> | undefined;
  /** Measured times of service of a shard, in microseconds; they are drawn from. */
  readonly serviceUs: ArrayLike<number>;
  /**
   * Of a message to a shard and back, in microseconds: measured times, which are drawn from, or the mean, half of which is
   * fixed and half exponential. Default 0.
   */
  readonly networkUs?: number | ArrayLike<number> | undefined;
  /** What putting the answers of the shards together takes, in microseconds. Default 0. */
  readonly mergeUs?: number | undefined;
  /**
   * Machines that all replicas are spread over in turns; those of one share its `servers`, equally among all that is being
   * served there. Default: every replica has a machine for itself.
   */
  readonly machines?: number | undefined;
  /** Default `random`, as queue groups do. */
  readonly routing?: Routing | undefined;
  /** A second replica is asked once the first has not answered for so long, in microseconds. Default: never. */
  readonly hedgeAfterUs?: number | undefined;
  /** Instead of `hedgeAfterUs`: makes for each run what decides it. */
  readonly hedging?: (() => Hedging) | undefined;
  /** Answers that come later are left out: the response is partial then. Default: never. */
  readonly deadlineUs?: number | undefined;
  /** Replicas of the first shard that are down. Default 0. */
  readonly down?: number | undefined;
  /** Requests of a run that count, where they come at random; a fifth more come before them. Default 20,000. */
  readonly requests?: number | undefined;
  /** Runs with other random numbers, for the confidence intervals. Default 5. */
  readonly runs?: number | undefined;
  /** Decides what is random. Default 1. */
  readonly seed?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@link simulateFleet} tells, over its runs. */
export interface SimulatedFleet {
  /** Median latency of a request, in microseconds. */
  readonly p50us: Interval;
  /** What 99 in 100 requests do not exceed. */
  readonly p99us: Interval;
  /** What 999 in 1,000 requests do not exceed. */
  readonly p999us: Interval;
  /** Mean latency of a request, in microseconds. */
  readonly meanUs: Interval;
  /** The share of the servers' time that was used, in the shard (of shared machines: the machine) that was used most. */
  readonly utilization: Interval;
  /** Share of the requests that were answered without some shard. */
  readonly partial: Interval;
  /** Requests to shards beyond one a shard, as a share. */
  readonly hedged: Interval;
}

const MOST_SERVERS = 50_000_000;
const ROUTINGS: readonly Routing[] = ['random', 'two-choices', 'least-loaded'];

/**
 * Simulates a fleet request by request: each goes to one replica of every shard, waits there in the order of coming for a
 * free server, and is answered when the last shard has answered. Where the load is too great the queues grow, and so do
 * the times, with the number of requests.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY without times of service, ERR_LICHEN_ABORTED.
 *
 * @example
 * const fleet = { shards: 4, replicas: 2, servers: 8 };
 * const { p99us } = simulateFleet({ ...fleet, rate: 5000, serviceUs: measuredUs, networkUs: 300 });
 */
export function simulateFleet(options: SimulateOptions): SimulatedFleet {
  const { runs = 5, seed = 1, signal } = options;
  requireShape(options);
  requireInteger('runs', runs, 1, 10_000);
  const results = Array.from({ length: runs }, (_, run) => {
    throwIfAborted(signal, 'simulating');
    return runFleet(options, new Random((seed + run) % Number.MAX_SAFE_INTEGER));
  });
  const of = (pick: (result: RunResult) => number) =>
    meanInterval(results.map(pick), [0, Infinity]);
  return {
    p50us: of(({ sorted }) => quantile(sorted, 0.5)),
    p99us: of(({ sorted }) => quantile(sorted, 0.99)),
    p999us: of(({ sorted }) => quantile(sorted, 0.999)),
    meanUs: of(({ sorted }) => sorted.reduce((sum, value) => sum + value, 0) / sorted.length),
    utilization: of(({ utilization }) => utilization),
    partial: of(({ partial }) => partial),
    hedged: of(({ hedged }) => hedged),
  };
}

function requireShape({
  shards,
  replicas,
  servers,
  down = 0,
  rate,
  arrivalsUs,
  ...rest
}: SimulateOptions): void {
  requireInteger('shards', shards, 1, 100_000);
  requireInteger('replicas', replicas, 1, 100_000);
  requireInteger('servers', servers, 1, 100_000);
  requireInteger('down', down, 0, replicas);
  requireInteger('machines', rest.machines ?? 1, 1, shards * replicas);
  requireInteger('requests', rest.requests ?? 1, 1, 100_000_000);
  if (arrivalsUs !== undefined) requireArrivals(arrivalsUs, rate);
  else if (!(typeof rate === 'number' && rate > 0 && rate < Infinity)) {
    throw badArgument(`rate must be a number of requests a second above 0, got ${shown(rate)}`);
  }
  requireTimes('serviceUs', rest.serviceUs);
  if (shards * replicas * servers > MOST_SERVERS) {
    throw badArgument(
      `a fleet must have at most ${MOST_SERVERS} servers, got ${shards * replicas * servers}`,
    );
  }
  if (
    rest.hedging !== undefined &&
    (typeof rest.hedging !== 'function' || rest.hedgeAfterUs !== undefined)
  ) {
    throw badArgument('hedging must be a function, and excludes hedgeAfterUs');
  }
  const { networkUs = 0, mergeUs = 0, hedgeAfterUs = Infinity, deadlineUs = Infinity } = rest;
  const isMeasured = typeof networkUs === 'object' && networkUs !== null;
  if (isMeasured) requireTimes('networkUs', networkUs);
  const numbers = { ...(!isMeasured && { networkUs }), mergeUs };
  for (const [name, value] of Object.entries({ ...numbers, hedgeAfterUs, deadlineUs })) {
    const most = name === 'networkUs' || name === 'mergeUs' ? Number.MAX_VALUE : Infinity;
    if (typeof value === 'number' && value >= 0 && value <= most) continue;
    throw badArgument(`${name} must be a number of at least 0, got ${String(value)}`);
  }
  const { routing = 'random' } = rest;
  if (!ROUTINGS.includes(routing)) {
    throw badArgument(`routing must be one of ${ROUTINGS.join(', ')}, got ${shown(routing)}`);
  }
}

function requireArrivals(arrivalsUs: ArrayLike<number>, rate: unknown): void {
  if (rate !== undefined) throw badArgument('rate and arrivalsUs exclude each other');
  const times = requireTimes('arrivalsUs', arrivalsUs);
  const at = times.findIndex((time, nth) => nth > 0 && time < times[nth - 1]!);
  if (at >= 0) throw badArgument(`arrivalsUs must be ascending: [${at}] is ${times[at]}`);
}
