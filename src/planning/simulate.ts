import { badArgument } from '../cache/cache-limits.js';
import { shown, throwIfAborted } from '../errors.js';
import { requireInteger } from '../index/arguments.js';
import { meanInterval, type Interval } from '../evaluation/statistics.js';
import { Random } from '../vectors/random.js';
import { EventQueue } from './event-queue.js';
import { quantile } from './fan-out.js';
import { requireTimes } from './queueing.js';

/** A fleet: every shard has replicas, every replica some servers (threads) and one queue. */
export interface FleetShape {
  readonly shards: number;
  readonly replicas: number;
  /** Servers (threads) of a machine. */
  readonly servers: number;
}

/** Which replica gets a request: any, the one with less to do of two, or of all. */
export type Routing = 'random' | 'two-choices' | 'least-loaded';

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
  /** Default `random`, as queue groups do. */
  readonly routing?: Routing | undefined;
  /** A second replica is asked once the first has not answered for so long, in microseconds. Default: never. */
  readonly hedgeAfterUs?: number | undefined;
  /** Answers that come later are left out: the response is partial then. Default: never. */
  readonly deadlineUs?: number | undefined;
  /** Replicas of the first shard that are down. Default 0. */
  readonly down?: number | undefined;
  /** Requests of a run that count, where they come at random; a fifth more come before them. Default 20,000. */
  readonly requests?: number | undefined;
  /** Runs with other random numbers, for the confidence intervals. Default 5. */
  readonly runs?: number | undefined;
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What {@link simulateFleet} tells, over its runs. */
export interface SimulatedFleet {
  readonly p50us: Interval;
  readonly p99us: Interval;
  readonly p999us: Interval;
  readonly meanUs: Interval;
  /** The share of the servers' time that was used, in the shard that was used most. */
  readonly utilization: Interval;
  /** Share of the requests that were answered without some shard. */
  readonly partial: Interval;
  /** Requests to shards beyond one a shard, as a share. */
  readonly hedged: Interval;
}

/** A request to a shard. */
interface Part {
  readonly request: number;
  readonly shard: number;
  readonly first: number;
  readonly at: number;
}

const WARM_UP_SHARE = 0.2;
const MOST_SERVERS = 50_000_000;
const ROUTINGS: readonly Routing[] = ['random', 'two-choices', 'least-loaded'];

/**
 * Simulates a fleet request by request: each goes to one replica of every shard, waits there in the order of coming for a
 * free server, and is answered when the last shard has answered. Where the load is too great the queues grow, and so do
 * the times, with the number of requests.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY without times of service, ERR_LICHEN_ABORTED.
 */
export function simulateFleet(options: SimulateOptions): SimulatedFleet {
  const { runs = 5, seed = 1, signal } = options;
  requireShape(options);
  requireInteger('runs', runs, 1, 10_000);
  const results = Array.from({ length: runs }, (_, run) => {
    throwIfAborted(signal, 'simulating');
    return oneRun(options, new Random((seed + run) % Number.MAX_SAFE_INTEGER));
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

interface RunResult {
  readonly sorted: Float64Array;
  readonly utilization: number;
  readonly partial: number;
  readonly hedged: number;
}

function oneRun(options: SimulateOptions, random: Random): RunResult {
  const { shards, replicas, servers, rate, arrivalsUs, serviceUs, down = 0 } = options;
  const { networkUs = 0, mergeUs = 0, routing = 'random', hedgeAfterUs = Infinity } = options;
  const { deadlineUs = Infinity } = options;
  const requests = arrivalsUs?.length ?? options.requests ?? 20_000;
  const warmUp = arrivalsUs === undefined ? Math.ceil(WARM_UP_SHARE * requests) : 0;
  const total = warmUp + requests;
  const machines = shards * replicas;
  // When each server is free again; first come, first served, so nothing else must be known of the queue.
  const freeAt = new Float64Array(machines * servers);
  const busy = new Float64Array(machines);
  const firstUp = (shard: number) => (shard === 0 ? down : 0);
  const latencies = new Float64Array(requests);
  const done = new Float64Array(total);
  const missing = new Uint8Array(total);
  const arrivedAt = new Float64Array(total);
  const hedges = new EventQueue<Part>();
  let sent = 0;
  let hedged = 0;

  const earliest = (machine: number): number => {
    let best = machine * servers;
    for (let at = best + 1; at < (machine + 1) * servers; at++) {
      if (freeAt[at]! < freeAt[best]!) best = at;
    }
    return best;
  };
  /** Whether the first machine has less to do. */
  const isFreer = (one: number, other: number) => freeAt[earliest(one)]! < freeAt[earliest(other)]!;
  const choose = (shard: number, besides: number): number => {
    const from = shard * replicas + firstUp(shard);
    const up = replicas - firstUp(shard) - (besides < 0 ? 0 : 1);
    if (up <= 0) return -1;
    const nth = (at: number) => (besides >= 0 && from + at >= besides ? from + at + 1 : from + at);
    let best = nth(random.below(up));
    if (routing === 'two-choices') {
      const other = nth(random.below(up));
      if (isFreer(other, best)) best = other;
    } else if (routing === 'least-loaded') {
      for (let at = 0; at < up; at++) if (isFreer(nth(at), best)) best = nth(at);
    }
    return best;
  };
  const network = (): number =>
    typeof networkUs === 'number'
      ? // Latencies of networks have a tail of their own.
        networkUs * (0.5 - 0.5 * Math.log(1 - random.uniform()))
      : networkUs[random.below(networkUs.length)]!;
  /** When the machine has answered. */
  const serve = (machine: number, now: number): number => {
    const server = earliest(machine);
    const service = serviceUs[random.below(serviceUs.length)]!;
    freeAt[server] = Math.max(now, freeAt[server]!) + service;
    busy[machine]! += service;
    return freeAt[server] + network();
  };
  const finish = (request: number, answer: number): void => {
    if (answer - arrivedAt[request]! > deadlineUs) {
      missing[request] = 1;
      done[request] = Math.max(done[request]!, arrivedAt[request]! + deadlineUs);
    } else {
      done[request] = Math.max(done[request]!, answer);
    }
  };
  const hedge = ({ request, shard, first, at }: Part, now: number): void => {
    const other = choose(shard, first);
    if (other < 0) return finish(request, at);
    hedged++;
    finish(request, Math.min(at, serve(other, now)));
  };

  let now = 0;
  for (let request = 0; request < total; request++) {
    now = arrivalsUs?.[request] ?? now - (Math.log(1 - random.uniform()) / rate!) * 1e6;
    while (hedges.time <= now) {
      const { time } = hedges;
      hedge(hedges.pop()!, time);
    }
    arrivedAt[request] = now;
    done[request] = now;
    for (let shard = 0; shard < shards; shard++) {
      sent++;
      const machine = choose(shard, -1);
      if (machine < 0) {
        missing[request] = 1;
        continue;
      }
      const answer = serve(machine, now);
      if (answer - now > hedgeAfterUs) {
        hedges.push(now + hedgeAfterUs, { request, shard, first: machine, at: answer });
      } else {
        finish(request, answer);
      }
    }
  }
  while (hedges.size > 0) {
    const { time } = hedges;
    hedge(hedges.pop()!, time);
  }
  let partial = 0;
  for (let at = 0; at < requests; at++) {
    latencies[at] = done[warmUp + at]! - arrivedAt[warmUp + at]! + mergeUs;
    partial += missing[warmUp + at]!;
  }
  const utilizations = Array.from({ length: shards }, (_, shard) => {
    const from = shard * replicas;
    const used = busy.subarray(from, from + replicas).reduce((sum, value) => sum + value, 0);
    return used / (Math.max(1, replicas - firstUp(shard)) * servers * now);
  });
  return {
    sorted: latencies.sort(),
    utilization: utilizations.reduce((most, value) => Math.max(most, value), 0),
    ...{ partial: partial / requests, hedged: hedged / sent },
  };
}
