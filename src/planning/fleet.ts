import { mean } from '../evaluation/statistics.js';
import { requireRange } from '../index/arguments.js';
import type { MachinePrice, PriceTable } from './prices.js';
import { quantile } from './fan-out.js';
import { atLeastWorking, queueLatency } from './queueing.js';

/** What a service must bear. */
export interface Demand {
  /** Requests a second at the peak. */
  readonly qps: number;
  /** The time in milliseconds that `percentile` % of the requests must not exceed. */
  readonly sloMs: number;
  /** Default 99. */
  readonly percentile?: number | undefined;
  /** The share of the time that all shards must be served at the SLO. Default 0.999. */
  readonly availability?: number | undefined;
  /** The share of their time that servers may be used. Default 0.6. */
  readonly utilization?: number | undefined;
  /** What may be filled of a machine's memory. Default 0.75. */
  readonly memoryShare?: number | undefined;
  /** Of a message to a shard and back, in microseconds. Default 300. */
  readonly networkUs?: number | undefined;
  /** The mean rate as a share of the peak's, by which the cost of a million requests is told. Default 1. */
  readonly meanShare?: number | undefined;
}

/** What it is that a machine serves. */
export interface ServedWork {
  /** Bytes that all shards hold together. */
  readonly bytes: number;
  /** Bytes that every machine needs beside them: the process, caches, a model. */
  readonly fixedBytes: number;
  /** Measured times of a shard, in microseconds, one of so many parts of the whole. */
  serviceUs(shards: number): ArrayLike<number>;
  /** Parts it may be cut into at most. */
  readonly mostShards: number;
  /** Processor time of the machine that asks the shards and puts answers together, in microseconds a request. */
  gatewayUs(shards: number): number;
  /** Bytes on the network a request. */
  networkBytes(shards: number): number;
  /** What a request waits for beside processors and their queues (a batch that fills, say), in microseconds. Default 0. */
  readonly besideUs?: number | undefined;
}

/** A fleet that bears the demand. */
export interface Fleet {
  /** What is rented. */
  readonly machine: MachinePrice;
  /** Parts that vectors are spread over. */
  readonly shards: number;
  /** Machines of each shard. */
  readonly replicas: number;
  /** Of these so many that the load alone needs. */
  readonly needed: number;
  /** Of the shards. */
  readonly machines: number;
  /** Machines that ask the shards; 0 with one shard, whose machines answer themselves. */
  readonly gateways: number;
  /** Bytes of memory of a machine that are used, and that there are. */
  readonly usedBytes: number;
  /** Bytes of memory of a machine. */
  readonly memoryBytes: number;
  /** The share of the servers' time that is used at the peak, and when a replica of a shard is down. */
  readonly utilization: number;
  /** As `utilization`, when a replica of a shard is down. */
  readonly utilizationDegraded: number;
  /** Predicted, in milliseconds, at the peak with all machines at work. */
  readonly p50Ms: number;
  /** At the percentile of the SLO, in milliseconds. */
  readonly tailMs: number;
  /** The chance that every shard has the replicas that it needs. */
  readonly availability: number;
  /** What machines and traffic cost an hour, in US dollars. */
  readonly usdPerHour: number;
  /** What machines and traffic cost a month, in US dollars. */
  readonly usdPerMonth: number;
  /** Of that what is for traffic between zones. */
  readonly networkUsdPerMonth: number;
  /** Of a million requests, in US dollars. */
  readonly usdPerMillion: number;
}

/** Why a machine cannot be used. */
export interface Unfit {
  /** Its name. */
  readonly machine: string;
  /** Why. */
  readonly reason: string;
}

/** What {@link sizeFleets} finds. */
export interface FleetChoice {
  /** For every machine that can be used the cheapest fleet, from cheap to dear. */
  readonly fleets: readonly Fleet[];
  readonly unfit: readonly Unfit[];
}

export const HOURS_A_MONTH = 730;
const GIB = 2 ** 30;
const MOST_MACHINES = 100_000;
/** More shards than memory asks for are tried, so many times as many: each has less to search. */
const SHARD_FACTORS = [1, 2, 4, 8];

/** The demand with all that it leaves open. */
export function resolveDemand(demand: Demand) {
  return {
    percentile: demand.percentile ?? 99,
    availability: demand.availability ?? 0.999,
    utilization: demand.utilization ?? 0.6,
    memoryShare: demand.memoryShare ?? 0.75,
    networkUs: demand.networkUs ?? 300,
    meanShare: demand.meanShare ?? 1,
    ...{ qps: demand.qps, sloMs: demand.sloMs },
  };
}

/** @throws ERR_LICHEN_ARGUMENT for a number out of range. */
export function requireDemand(demand: Demand): void {
  const resolved = resolveDemand(demand);
  const ranges: Record<keyof typeof resolved, readonly [low: number, high: number]> = {
    qps: [Number.MIN_VALUE, 1e12],
    sloMs: [Number.MIN_VALUE, 1e9],
    percentile: [1, 99.9],
    availability: [0, 0.9999999],
    utilization: [0.01, 0.99],
    memoryShare: [0.01, 1],
    networkUs: [0, 1e9],
    meanShare: [1e-6, 1],
  };
  for (const [name, [low, high]] of Object.entries(ranges)) {
    requireRange(name, resolved[name as keyof typeof resolved], low, high);
  }
}

/** For each kind of machine the cheapest fleet that bears the demand, by formula. */
export function sizeFleets(work: ServedWork, demand: Demand, prices: PriceTable): FleetChoice {
  const fleets: Fleet[] = [];
  const unfit: Unfit[] = [];
  for (const machine of prices.machines) {
    const found = sizeFleet(work, demand, machine, prices);
    if (typeof found === 'string') unfit.push({ machine: machine.name, reason: found });
    else fleets.push(found);
  }
  return { fleets: fleets.sort((a, b) => a.usdPerMonth - b.usdPerMonth), unfit };
}

/** The cheapest fleet of one kind of machine, or why there is none. */
export function sizeFleet(
  work: ServedWork,
  demand: Demand,
  machine: MachinePrice,
  prices: PriceTable,
): Fleet | string {
  const { memoryShare } = resolveDemand(demand);
  const room = machine.memoryGiB * GIB * memoryShare - work.fixedBytes;
  if (room <= 0)
    return `its memory has no room beside ${mebibytes(work.fixedBytes)} of the process`;
  const least = Math.max(1, Math.ceil(work.bytes / room));
  if (least > work.mostShards) return `its memory would need ${least} shards`;
  let best: Fleet | undefined;
  let reason = '';
  for (const factor of SHARD_FACTORS) {
    const shards = least * factor;
    if (shards > work.mostShards) break;
    const fleet = fleetOf(work, demand, machine, prices, shards);
    if (typeof fleet === 'string') reason ||= fleet;
    else if (best === undefined || fleet.usdPerMonth < best.usdPerMonth) best = fleet;
  }
  return best ?? reason;
}

/**
 * Replicas: so many that the load keeps to the utilization, that the tail of the slowest shard keeps to the SLO, and that
 * beside those which the load needs enough are there to be missed.
 */
function fleetOf(
  work: ServedWork,
  demand: Demand,
  machine: MachinePrice,
  prices: PriceTable,
  shards: number,
): Fleet | string {
  const { qps, sloMs, percentile, availability, utilization } = resolveDemand(demand);
  const queue = queueOf(work, demand, machine, shards);
  const { serviceUs, beyondUs, shardShare } = queue;
  const alone = quantile(serviceUs, shardShare) + beyondUs;
  if (alone > sloMs * 1000) {
    return `p${percentile} is ${ms(alone)} ms without any waiting, the SLO ${sloMs} ms`;
  }
  const load = (qps * mean(serviceUs)) / 1e6;
  let needed = Math.max(1, Math.ceil(load / (machine.vcpus * utilization)));
  const tooMany = `more than ${MOST_MACHINES.toLocaleString('en-US')} machines would be needed`;
  if (needed * shards > MOST_MACHINES) return tooMany;
  while (queue.latencyOf(needed).quantileUs(shardShare) + beyondUs > sloMs * 1000) {
    needed = Math.ceil(needed * 1.1 + 0.5);
    if (needed * shards > MOST_MACHINES) return 'no number of replicas keeps to the SLO';
  }
  let replicas = needed;
  while (working(prices, shards, needed, replicas) < availability) {
    replicas++;
    if (replicas * shards > MOST_MACHINES) return 'no number of replicas is available enough';
  }
  return fleetWith(work, demand, machine, prices, { shards, needed, replicas });
}

/** The times of a shard, sorted, and the queue before each of its replicas. */
function queueOf(work: ServedWork, demand: Demand, machine: MachinePrice, shards: number) {
  const { qps, percentile, networkUs } = resolveDemand(demand);
  const { speed = 1, vcpus } = machine;
  const serviceUs = Float64Array.from(work.serviceUs(shards), (value) => value / speed).sort();
  const gatewayUs = work.gatewayUs(shards) / speed;
  return {
    ...{ serviceUs, gatewayUs },
    beyondUs: (work.besideUs ?? 0) + gatewayUs + (shards > 1 ? networkUs : 0),
    // The slowest of the shards keeps to the SLO if each does with a share this high.
    shardShare: (percentile / 100) ** (1 / shards),
    // Random routing: each replica is a queue of its own with its share of the requests.
    latencyOf: (replicas: number) =>
      queueLatency({ servers: vcpus, rate: qps / replicas, serviceUs }),
  };
}

/** The chance that every shard has the replicas that it needs. */
function working(prices: PriceTable, shards: number, needed: number, replicas: number): number {
  return atLeastWorking(replicas, needed, prices.machineAvailability) ** shards;
}

/** The fleet of so many shards and replicas, of which the load needs some. */
export function fleetWith(
  work: ServedWork,
  demand: Demand,
  machine: MachinePrice,
  prices: PriceTable,
  { shards, needed, replicas }: Pick<Fleet, 'shards' | 'needed' | 'replicas'>,
): Fleet {
  const { qps, utilization } = resolveDemand(demand);
  const { gatewayUs, beyondUs, shardShare, latencyOf } = queueOf(work, demand, machine, shards);
  const latency = latencyOf(replicas);
  const gatewayLoad = shards > 1 ? (qps * gatewayUs) / 1e6 : 0;
  const gateways =
    gatewayLoad === 0 ? 0 : 1 + Math.max(1, Math.ceil(gatewayLoad / (machine.vcpus * utilization)));
  return {
    ...{ machine, shards, needed, replicas, machines: shards * replicas, gateways },
    usedBytes: work.bytes / shards + work.fixedBytes,
    memoryBytes: machine.memoryGiB * GIB,
    utilization: latency.utilization,
    utilizationDegraded: replicas > 1 ? latencyOf(replicas - 1).utilization : Infinity,
    p50Ms: (latency.quantileUs(0.5 ** (1 / shards)) + beyondUs) / 1000,
    tailMs: (latency.quantileUs(shardShare) + beyondUs) / 1000,
    availability: working(prices, shards, needed, replicas),
    ...costOf(work, demand, prices, machine, shards, shards * replicas + gateways),
  };
}

/** What so many machines cost. */
function costOf(
  work: Pick<ServedWork, 'networkBytes'>,
  demand: Demand,
  prices: PriceTable,
  machine: MachinePrice,
  shards: number,
  count: number,
): Pick<Fleet, 'usdPerHour' | 'usdPerMonth' | 'networkUsdPerMonth' | 'usdPerMillion'> {
  const { qps, meanShare } = resolveDemand(demand);
  const requestsAMonth = qps * meanShare * 3600 * HOURS_A_MONTH;
  // Half of the replicas that are asked stand in another zone.
  const bytes = shards > 1 ? work.networkBytes(shards) / 2 : 0;
  const networkUsdPerMonth = ((bytes * requestsAMonth) / 1e9) * prices.usdPerGB;
  const usdPerMonth = count * machine.usdPerHour * HOURS_A_MONTH + networkUsdPerMonth;
  return {
    ...{ usdPerHour: usdPerMonth / HOURS_A_MONTH, usdPerMonth, networkUsdPerMonth },
    usdPerMillion: (usdPerMonth / requestsAMonth) * 1e6,
  };
}

/** As messages have it. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;
}

function ms(micros: number): string {
  return (micros / 1000).toPrecision(3);
}
