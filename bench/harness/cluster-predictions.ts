import { availableParallelism } from 'node:os';
import { quantile } from '../../src/planning/fan-out.js';
import { simulateFleet, type SimulatedFleet } from '../../src/planning/simulate.js';
import { AT_ONCE, type OpenRun, type Round } from './cluster-rounds.js';
import { fitMachine } from './machine-fit.js';
import { runMachine, type SharedMachine } from './shared-machine.js';

/** Two quantiles of latencies, in microseconds. */
export interface Quantiles {
  readonly p50us: number;
  readonly p99us: number;
}

/** What was measured at one load, and what was said of it. */
export interface Predicted {
  readonly measured: Quantiles;
  /** Of this machine, on which all processes run. */
  readonly shared: Quantiles;
  /** Of its processors as the servers of one queue. */
  readonly pooled: Quantiles;
  /** Of a fleet in which every replica has a machine of its own, and the client too. */
  readonly apart: Quantiles;
}

export interface RoundPredictions {
  readonly machine: SharedMachine;
  /** By share of the capacity. */
  readonly open: ReadonlyMap<number, Predicted>;
  /** Searches a second to so many at once that the machine was not fitted to: measured and said. */
  readonly closed: ReadonlyMap<number, { readonly qps: number; readonly predictedQps: number }>;
}

const REQUESTS = 20_000;
const RUNS = 3;
const MOST = Math.max(...AT_ONCE);

/**
 * Predicts the latencies of an open loop from what was measured in closed ones, in three ways.
 *
 * `apart` is `simulateFleet` as planning uses it: a shard's time of service is what a search of it alone takes without the
 * message's round trip, that is the network's, and the merge comes on top. It is of machines that have nothing to do with
 * each other; where shards, NATS and client share a few processors, it knows nothing of how they keep each other waiting.
 *
 * `pooled` is `simulateFleet` with one shard, whose servers are the processors of this machine, and whose times of service
 * are the processor time of a request where as many are answered a second as come, spread as latencies one at a time are.
 * It knows of the load, but not that a request is at work on several processors, nor that it takes less while others wait.
 *
 * `shared` is of this machine. Its processes take messages in runs, which cost less a message the more there are, and wait
 * for processors; what that costs is fitted to the processor time of a request one at a time and with the most at once, and
 * to the latency of the first (see `fitMachine`). Nothing of the open loop goes into it. It is for machines like this one:
 * elsewhere waking up and passing a message cost something else, and who waits for whom is another matter.
 */
export function predictRound(
  { loads, pieces, clock, open }: Round,
  { shards, replicas }: { readonly shards: number; readonly replicas: number },
): RoundPredictions {
  const processors = availableParallelism();
  const machine = fitMachine({
    ...{ shards, replicas, processors, clockUs: clock.processorUs },
    ...{ alone: loads.get(1)!, most: loads.get(MOST)!, atOnce: MOST },
  });
  const lateUs = median(clock.lateUs);
  const predicted = open.map((run): readonly [number, Predicted] => {
    const apart = simulateFleet({
      ...{ shards, replicas, servers: 1, rate: run.rate, serviceUs: pieces.shardUs },
      ...{ networkUs: median(pieces.roundTripUs), mergeUs: pieces.mergeUs, routing: 'random' },
      ...(replicas > 1 && { hedgeAfterUs: 1000 * run.hedgeAfterMs }),
      ...{ requests: REQUESTS, runs: RUNS },
    });
    const pooled = simulateFleet({
      ...{ shards: 1, replicas: 1, servers: processors, rate: run.rate },
      serviceUs: scaled(loads.get(1)!.micros, processorUsAt(loads, run.rate) + clock.processorUs),
      ...{ requests: REQUESTS, runs: RUNS },
    });
    const late = ({ p50us, p99us }: SimulatedFleet): Quantiles => {
      return { p50us: p50us.mean + lateUs, p99us: p99us.mean + lateUs };
    };
    const shared = quantilesOf(run, machine, lateUs);
    const measured = quantiles(run.micros);
    return [run.share, { measured, shared, apart: late(apart), pooled: late(pooled) }];
  });
  const between = AT_ONCE.filter((atOnce) => atOnce > 1 && atOnce < MOST);
  const closed = between.map((atOnce): readonly [number, { qps: number; predictedQps: number }] => {
    const { qps } = runMachine(machine, { atOnce }, REQUESTS);
    return [atOnce, { qps: loads.get(atOnce)!.qps, predictedQps: qps }];
  });
  return { machine, open: new Map(predicted), closed: new Map(closed) };
}

/** Processor time of a request where so many are answered a second: between what was measured, along a line. */
function processorUsAt(loads: Round['loads'], rate: number): number {
  const points = [...loads.values()]
    .map(({ qps, used, micros }) => ({
      qps,
      us: (used.client + used.nats + used.nodes) / micros.length,
    }))
    .sort((one, other) => one.qps - other.qps);
  const at = points.findIndex(({ qps }) => qps >= rate);
  const above = points.at(at)!;
  const below = points[at - 1] ?? above;
  if (at < 0 || below === above) return above.us;
  return below.us + ((rate - below.qps) / (above.qps - below.qps)) * (above.us - below.us);
}

function scaled(micros: Float64Array, mean: number): Float64Array {
  const factor = (mean * micros.length) / micros.reduce((sum, one) => sum + one, 0);
  return micros.map((one) => one * factor);
}

function quantilesOf({ rate }: OpenRun, machine: SharedMachine, lateUs: number): Quantiles {
  const all = Array.from({ length: RUNS }, (_, run) =>
    quantiles(runMachine(machine, { rate }, REQUESTS, 1 + run).micros),
  );
  const mean = (of: (one: Quantiles) => number) =>
    all.reduce((sum, one) => sum + of(one), 0) / all.length + lateUs;
  return { p50us: mean(({ p50us }) => p50us), p99us: mean(({ p99us }) => p99us) };
}

function quantiles(micros: Float64Array): Quantiles {
  const sorted = micros.slice().sort();
  return { p50us: quantile(sorted, 0.5), p99us: quantile(sorted, 0.99) };
}

function median(values: Float64Array): number {
  return quantile(values.slice().sort(), 0.5);
}
