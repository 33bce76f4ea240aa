import { badArgument } from '../cache/cache-limits.js';
import type { Random } from '../vectors/random.js';
import { EventQueue } from './event-queue.js';
import { SharedMachines } from './shared-machines.js';
import type { Hedging, SimulateOptions } from './simulate.js';

/** What one run of a simulated fleet tells. */
export interface RunResult {
  /** Latencies in microseconds, ascending. */
  readonly sorted: Float64Array;
  readonly utilization: number;
  readonly partial: number;
  readonly hedged: number;
}

/** A request to a shard that a second replica may be asked for. */
interface Part {
  readonly request: number;
  readonly shard: number;
  readonly first: number;
  /** When its answer is there; Infinity while that is not known. */
  at: number;
  /** Replicas that have it and are not done. */
  pending: number;
  /** Whether a second one may still be asked. */
  isOpen: boolean;
}

const WARM_UP_SHARE = 0.2;

/** One run; the options are right. */
export function runFleet(options: SimulateOptions, random: Random): RunResult {
  const { machines, hedging } = options;
  if (machines === undefined && hedging === undefined) return new ApartRun(options, random).run();
  return new SharedRun(options, random).run();
}

/** Requests in the order of their coming, and what comes of them. */
abstract class FleetRun {
  protected readonly hedges = new EventQueue<Part>();
  protected now = 0;
  /** When the last request came. */
  protected elapsedUs = 0;
  readonly #counted: number;
  readonly #warmUp: number;
  readonly #arrivedAt: Float64Array;
  readonly #done: Float64Array;
  readonly #missing: Uint8Array;
  readonly #deadlineUs: number;
  #sent = 0;
  #hedged = 0;

  constructor(
    protected readonly options: SimulateOptions,
    protected readonly random: Random,
  ) {
    const { arrivalsUs, requests = 20_000, deadlineUs = Infinity } = options;
    this.#counted = arrivalsUs?.length ?? requests;
    this.#warmUp = arrivalsUs === undefined ? Math.ceil(WARM_UP_SHARE * this.#counted) : 0;
    const total = this.#warmUp + this.#counted;
    this.#arrivedAt = new Float64Array(total);
    this.#done = new Float64Array(total);
    this.#missing = new Uint8Array(total);
    this.#deadlineUs = deadlineUs;
  }

  run(): RunResult {
    const { rate, arrivalsUs, shards } = this.options;
    let time = 0;
    for (let request = 0; request < this.#arrivedAt.length; request++) {
      time = arrivalsUs?.[request] ?? time - (Math.log(1 - this.random.uniform()) / rate!) * 1e6;
      this.advance(time);
      this.now = time;
      this.#arrivedAt[request] = time;
      this.#done[request] = time;
      this.asked();
      for (let shard = 0; shard < shards; shard++) {
        this.#sent++;
        const replica = this.#choose(shard, -1);
        if (replica < 0) this.#missing[request] = 1;
        else this.first({ request, shard, first: replica, at: Infinity, pending: 0, isOpen: true });
      }
    }
    this.elapsedUs = time;
    this.advance(Infinity);
    return this.#result();
  }

  /** Lets happen what happens until then. */
  protected abstract advance(until: number): void;
  /** A request has come. */
  protected asked(): void {
    // Only some runs want to know.
  }
  /** Gives a request to the replica that was chosen. */
  protected abstract first(part: Part): void;
  /** Gives it to a second one. */
  protected abstract second(part: Part, replica: number): void;
  /** Whether the first replica has less to do. */
  protected abstract isFreer(one: number, other: number): boolean;
  protected abstract utilization(): number;

  protected arrivedAt(request: number): number {
    return this.#arrivedAt[request]!;
  }

  protected finish(request: number, answer: number): void {
    const arrived = this.arrivedAt(request);
    let end = answer;
    if (answer - arrived > this.#deadlineUs) {
      this.#missing[request] = 1;
      end = arrived + this.#deadlineUs;
    }
    this.#done[request] = Math.max(this.#done[request]!, end);
  }

  /** The first replica is late. */
  protected hedge(part: Part): void {
    const other = this.#choose(part.shard, part.first);
    if (other >= 0) this.#hedged++;
    this.second(part, other);
  }

  protected service(): number {
    const { serviceUs } = this.options;
    return serviceUs[this.random.below(serviceUs.length)]!;
  }

  protected network(): number {
    const { networkUs = 0 } = this.options;
    return typeof networkUs === 'number'
      ? // Latencies of networks have a tail of their own.
        networkUs * (0.5 - 0.5 * Math.log(1 - this.random.uniform()))
      : networkUs[this.random.below(networkUs.length)]!;
  }

  protected firstUp(shard: number): number {
    return shard === 0 ? (this.options.down ?? 0) : 0;
  }

  /** One of a shard's replicas; -1 if there is none. */
  #choose(shard: number, besides: number): number {
    const { replicas, routing = 'random' } = this.options;
    const from = shard * replicas + this.firstUp(shard);
    const up = replicas - this.firstUp(shard) - (besides < 0 ? 0 : 1);
    if (up <= 0) return -1;
    const nth = (at: number) => (besides >= 0 && from + at >= besides ? from + at + 1 : from + at);
    let best = nth(this.random.below(up));
    if (routing === 'two-choices') {
      const other = nth(this.random.below(up));
      if (this.isFreer(other, best)) best = other;
    } else if (routing === 'least-loaded') {
      for (let at = 0; at < up; at++) if (this.isFreer(nth(at), best)) best = nth(at);
    }
    return best;
  }

  #result(): RunResult {
    const { mergeUs = 0 } = this.options;
    const latencies = new Float64Array(this.#counted);
    let partial = 0;
    for (let at = 0; at < this.#counted; at++) {
      const request = this.#warmUp + at;
      latencies[at] = this.#done[request]! - this.#arrivedAt[request]! + mergeUs;
      partial += this.#missing[request]!;
    }
    return {
      ...{ sorted: latencies.sort(), utilization: this.utilization() },
      ...{ partial: partial / this.#counted, hedged: this.#hedged / this.#sent },
    };
  }
}

/** Every replica has a machine for itself. */
class ApartRun extends FleetRun {
  /** When each server is free again; first come, first served, so nothing else must be known of the queue. */
  readonly #freeAt: Float64Array;
  readonly #busy: Float64Array;

  constructor(options: SimulateOptions, random: Random) {
    super(options, random);
    const replicas = options.shards * options.replicas;
    this.#freeAt = new Float64Array(replicas * options.servers);
    this.#busy = new Float64Array(replicas);
  }

  protected override advance(until: number): void {
    while (this.hedges.size > 0 && this.hedges.time <= until) {
      this.now = this.hedges.time;
      this.hedge(this.hedges.pop()!);
    }
  }

  protected override first(part: Part): void {
    const { hedgeAfterUs = Infinity } = this.options;
    part.at = this.#serve(part.first);
    if (part.at - this.now > hedgeAfterUs) this.hedges.push(this.now + hedgeAfterUs, part);
    else this.finish(part.request, part.at);
  }

  protected override second({ request, at }: Part, replica: number): void {
    this.finish(request, replica < 0 ? at : Math.min(at, this.#serve(replica)));
  }

  protected override isFreer(one: number, other: number): boolean {
    return this.#freeAt[this.#earliest(one)]! < this.#freeAt[this.#earliest(other)]!;
  }

  protected override utilization(): number {
    const { shards, replicas, servers } = this.options;
    const utilizations = Array.from({ length: shards }, (_, shard) => {
      const from = shard * replicas;
      const used = this.#busy
        .subarray(from, from + replicas)
        .reduce((sum, value) => sum + value, 0);
      return used / (Math.max(1, replicas - this.firstUp(shard)) * servers * this.elapsedUs);
    });
    return utilizations.reduce((most, value) => Math.max(most, value), 0);
  }

  #earliest(replica: number): number {
    const { servers } = this.options;
    let best = replica * servers;
    for (let at = best + 1; at < (replica + 1) * servers; at++) {
      if (this.#freeAt[at]! < this.#freeAt[best]!) best = at;
    }
    return best;
  }

  /** When the replica has answered. */
  #serve(replica: number): number {
    const server = this.#earliest(replica);
    const service = this.service();
    this.#freeAt[server] = Math.max(this.now, this.#freeAt[server]!) + service;
    this.#busy[replica]! += service;
    return this.#freeAt[server] + this.network();
  }
}

/** Event by event: when a replica is done depends on what comes for others on its machine until then. */
class SharedRun extends FleetRun {
  readonly #machines: SharedMachines;
  readonly #hedging: Hedging | undefined;

  constructor(options: SimulateOptions, random: Random) {
    super(options, random);
    const { shards, replicas, servers, machines = shards * replicas, hedging } = options;
    this.#machines = new SharedMachines(shards * replicas, machines, servers);
    this.#hedging = hedging?.();
  }

  protected override advance(until: number): void {
    for (;;) {
      const time = Math.min(this.hedges.time, this.#machines.time);
      if (time > until || time === Infinity) return;
      this.now = time;
      if (this.#machines.time <= this.hedges.time) this.#machines.next();
      else this.#late(this.hedges.pop()!);
    }
  }

  protected override asked(): void {
    this.#hedging?.asked(this.options.shards);
  }

  protected override first(part: Part): void {
    const afterUs = this.#hedgeAfterUs();
    part.isOpen = afterUs < Infinity;
    if (part.isOpen) this.hedges.push(this.now + afterUs, part);
    this.#serve(part, part.first, this.now + afterUs);
  }

  protected override second(part: Part, replica: number): void {
    if (replica >= 0) this.#serve(part, replica, Infinity);
    else if (part.pending === 0) this.finish(part.request, part.at);
  }

  protected override isFreer(one: number, other: number): boolean {
    return this.#machines.load(one) < this.#machines.load(other);
  }

  protected override utilization(): number {
    return this.#machines.mostBusyUs / (this.options.servers * this.elapsedUs);
  }

  #hedgeAfterUs(): number {
    if (this.#hedging === undefined) return this.options.hedgeAfterUs ?? Infinity;
    const { afterMs } = this.#hedging;
    if (typeof afterMs === 'number' && afterMs >= 0) return 1000 * afterMs;
    throw badArgument(`afterMs of hedging must be a number of at least 0, got ${String(afterMs)}`);
  }

  #late(part: Part): void {
    if (!part.isOpen) return;
    part.isOpen = false;
    if (this.#hedging?.mayHedge() ?? true) this.hedge(part);
    else this.second(part, -1);
  }

  /** @param untilUs before then the answer must be there, or a second replica may be asked. */
  #serve(part: Part, replica: number, untilUs: number): void {
    part.pending++;
    const done = (now: number): void => {
      part.pending--;
      const answer = now + this.network();
      if (part.at === Infinity) {
        const ms = (answer - this.arrivedAt(part.request)) / 1000;
        this.#hedging?.answered(ms, replica !== part.first);
      }
      part.at = Math.min(part.at, answer);
      if (part.pending > 0 || (part.isOpen && part.at > untilUs)) return;
      part.isOpen = false;
      this.finish(part.request, part.at);
    };
    this.#machines.add(this.now, { replica, serviceUs: this.service(), done });
  }
}
