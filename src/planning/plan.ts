import { LichenArgumentError } from '../errors.js';
import { requireInteger, requireRange } from '../index/arguments.js';
import { meanUsAt, recallAt, requireCapacity, samplesAt, type Capacity } from './capacity.js';
import { networkBytes } from './fan-out.js';
import {
  fleetWith,
  requireDemand,
  resolveDemand,
  sizeFleets,
  type Demand,
  type Fleet,
  type ServedWork,
  type Unfit,
} from './fleet.js';
import { DEFAULT_PRICES, type PriceTable } from './prices.js';
import { simulateFleet, type SimulatedFleet } from './simulate.js';

/** Options of {@link planCapacity}. */
export interface PlanOptions {
  /** Vectors. */
  readonly items: number;
  /** Values a vector. */
  readonly dim: number;
  /** Results a request. Default 10. */
  readonly k?: number | undefined;
  /** What the service has to bear. */
  readonly demand: Demand;
  /** Measured on this machine, as `measureCapacity` does. */
  readonly capacity: Capacity;
  /** What machines cost. Default {@link DEFAULT_PRICES}. */
  readonly prices?: PriceTable | undefined;
  /**
   * What a request costs the machine that takes it beside the search, in microseconds of its processor. Default 250: HTTP,
   * JSON and admission.
   */
  readonly overheadUs?: number | undefined;
  /** What a message to a shard costs that shard, in microseconds. Default 40. */
  readonly messageUs?: number | undefined;
  /** Memory of a machine beside its shard: the process, caches, a model. Default 512 MiB. */
  readonly fixedBytes?: number | undefined;
  /** By how much the items may grow before machines are added, as a share. Default 0.2. */
  readonly growth?: number | undefined;
  /** Requests a simulated run. Default 20,000. */
  readonly requests?: number | undefined;
  /** Of the simulation. Default 1. */
  readonly seed?: number | undefined;
  /** Gives the simulation up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@link planCapacity} proposes. */
export interface CapacityPlan {
  /** Vectors. */
  readonly items: number;
  /** Bytes of memory that they take in all shards of one replica. */
  readonly bytes: number;
  /** Bytes of memory a vector, as measured. */
  readonly bytesPerVector: number;
  /** Mean time of a search in a shard of the fleet chosen, in microseconds, and whether it is beyond what was measured. */
  readonly searchUs: number;
  /** Whether a shard has more vectors than the largest index that was measured. */
  readonly isExtrapolated: boolean;
  /** Expected of a search in such a shard, at the beam that was measured. */
  readonly recall: number;
  /** The cheapest; with more replicas than the formula asks for, if the simulation wanted them. */
  readonly fleet: Fleet;
  /** Replicas of each shard that the simulation wanted beyond the formula. */
  readonly addedReplicas: number;
  /** With all machines at work, and with one replica of a shard down. */
  readonly simulated: SimulatedFleet;
  /** With one replica of a shard down; undefined with one replica. */
  readonly degraded: SimulatedFleet | undefined;
  /** Whether `simulated` keeps to the SLO. */
  readonly isWithinSlo: boolean;
  /** Whether `degraded` keeps to it; false with one replica. */
  readonly isWithinSloDegraded: boolean;
  /** The cheapest fleet of each other kind of machine. */
  readonly alternatives: readonly Fleet[];
  /** Machines that cannot be used, and why. */
  readonly unfit: readonly Unfit[];
  /** Of which day the prices are, and whose. */
  readonly prices: Pick<PriceTable, 'asOf' | 'source'>;
}

/** What putting the answers together costs the gateway, in microseconds a shard. */
const MERGE_US = 15;
const MOST_ADDED = 8;
const MIB = 2 ** 20;

/** Each reason once, with the machines that it is of. */
function reasonsOf(unfit: readonly Unfit[]): string[] {
  const machines = new Map<string, Set<string>>();
  for (const { machine, reason } of unfit) {
    machines.set(reason, (machines.get(reason) ?? new Set()).add(machine));
  }
  return [...machines].map(([reason, names]) => {
    const [first] = names;
    return `${reason} (${first}${names.size > 1 ? ` and ${names.size - 1} more` : ''})`;
  });
}

/**
 * Plans machines for so many vectors and requests: by formula for every kind of machine, then the cheapest by simulation,
 * with replicas added until it keeps to the SLO there too.
 * @throws ERR_LICHEN_ARGUMENT; ERR_LICHEN_UNSUPPORTED when no machine bears the demand, with the reasons.
 *
 * @example
 * const candidate = { index: 'hnsw', storage: 'i8' } as const;
 * const capacity = await measureCapacity({ candidate, dim: 64, metric: 'dot', k: 10 });
 * const { fleet } = planCapacity({ items: 50e6, dim: 64, demand: { qps: 2000, sloMs: 20 }, capacity });
 * console.log(fleet.machine.name, fleet.shards, fleet.replicas, fleet.usdPerMonth);
 */
export function planCapacity(options: PlanOptions): CapacityPlan {
  const { items, demand, capacity, prices = DEFAULT_PRICES, growth = 0.2, seed = 1 } = options;
  requireInteger('items', items, 1, Number.MAX_SAFE_INTEGER);
  requireInteger('dim', options.dim, 1, 65_536);
  requireInteger('k', options.k ?? 10, 1, 2 ** 31 - 1);
  requireDemand(demand);
  requireCapacity(capacity);
  requireRange('growth', growth, 0, 1000);
  requireRange('overheadUs', options.overheadUs ?? 0, 0, 1e9);
  requireRange('messageUs', options.messageUs ?? 0, 0, 1e9);
  requireRange('fixedBytes', options.fixedBytes ?? 0, 0, 1e15);
  const work = workOf(options);
  const { fleets, unfit } = sizeFleets(work, demand, prices);
  const [cheapest, ...alternatives] = fleets;
  if (cheapest === undefined) {
    throw new LichenArgumentError(
      'ERR_LICHEN_UNSUPPORTED',
      `no machine bears the demand: ${reasonsOf(unfit).join('; ')}`,
    );
  }
  const { sloMs, percentile, networkUs, qps } = resolveDemand(demand);
  const simulate = ({ machine, shards, replicas }: Fleet, down: number) =>
    simulateFleet({
      ...{ shards, replicas, down, rate: qps, servers: machine.vcpus, seed },
      serviceUs: Float64Array.from(work.serviceUs(shards), (us) => us / (machine.speed ?? 1)),
      networkUs: shards > 1 ? networkUs : 0,
      mergeUs: work.gatewayUs(shards) / (machine.speed ?? 1),
      requests: options.requests,
      signal: options.signal,
    });
  // The next percentile that the simulation tells.
  const tail = ({ p99us, p999us, p50us }: SimulatedFleet) =>
    percentile > 99 ? p999us : percentile > 50 ? p99us : p50us;
  const isInTime = (result: SimulatedFleet) => tail(result).mean <= sloMs * 1000;
  let fleet = cheapest;
  let simulated = simulate(fleet, 0);
  let addedReplicas = 0;
  while (!isInTime(simulated) && addedReplicas < MOST_ADDED) {
    addedReplicas++;
    const replicas = fleet.replicas + 1;
    fleet = fleetWith(work, demand, fleet.machine, prices, { ...fleet, replicas });
    simulated = simulate(fleet, 0);
  }
  const degraded = fleet.replicas > 1 ? simulate(fleet, 1) : undefined;
  const rows = Math.ceil(items / fleet.shards);
  return {
    ...{ items, bytes: items * capacity.bytesPerVector, bytesPerVector: capacity.bytesPerVector },
    searchUs: meanUsAt(capacity, rows * (1 + growth)),
    recall: recallAt(capacity, rows * (1 + growth)),
    isExtrapolated: rows * (1 + growth) > capacity.points.at(-1)!.rows,
    ...{ fleet, addedReplicas, simulated, degraded, alternatives, unfit },
    isWithinSlo: isInTime(simulated),
    isWithinSloDegraded: degraded !== undefined && isInTime(degraded),
    prices: { asOf: prices.asOf, source: prices.source },
  };
}

function workOf(options: PlanOptions): ServedWork {
  const { items, dim, k = 10, capacity, growth = 0.2, fixedBytes = 512 * MIB } = options;
  const { overheadUs = 250, messageUs = 40 } = options;
  const grown = items * (1 + growth);
  return {
    ...{ bytes: grown * capacity.bytesPerVector, fixedBytes },
    mostShards: Math.max(1, Math.min(10_000, Math.floor(items / 1000))),
    serviceUs: (shards) => {
      const beside = shards === 1 ? overheadUs : messageUs;
      return samplesAt(capacity, grown / shards).map((us) => us + beside);
    },
    gatewayUs: (shards) => (shards === 1 ? 0 : overheadUs + shards * MERGE_US),
    networkBytes: (shards) => networkBytes(shards, { dim, k }).total,
  };
}
