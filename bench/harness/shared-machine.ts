import { HedgePolicy } from '../../src/cluster/hedge-policy.js';
import { Random } from '../../src/index.js';
import { EventQueue } from '../../src/planning/event-queue.js';

/** What a kind of process takes for messages: all that wait are taken at once, as event loops and readers of sockets do. */
export interface ProcessCost {
  /** Waking up: what comes while it is at work anyway does not pay for that. */
  readonly wakeUs: number;
  /** Each message. */
  readonly messageUs: number;
}

/** A cluster whose processes all run on one machine, and the client too. */
export interface SharedMachine {
  readonly shards: number;
  readonly replicas: number;
  readonly processors: number;
  readonly client: ProcessCost;
  readonly nats: ProcessCost;
  readonly node: ProcessCost;
  /** The share of its work that a process does after what it sends is on its way. */
  readonly afterShare: number;
  /** Of each message on its way, without a processor. */
  readonly hopUs: number;
  /** Now and then a process is kept from going on. */
  readonly stalls: {
    /** For each microsecond of work. */
    readonly chance: number;
    /** How long, as measured; they are drawn from. */
    readonly us: ArrayLike<number>;
  };
  /** What making a request when it is due takes the client besides. */
  readonly clockUs: number;
}

/** Always as many at a time, or so many a second at random. */
export type Demand = { readonly atOnce: number } | { readonly rate: number };

/** What became of the requests. */
export interface MachineRun {
  readonly qps: number;
  readonly micros: Float64Array;
  /** Processor time of a request. */
  readonly used: { readonly client: number; readonly nats: number; readonly nodes: number };
  /** Shards that were asked twice, as a share. */
  readonly hedged: number;
}

type Kind = 'client' | 'nats' | 'nodes';

/** A process, and what it has not taken yet. */
interface Process {
  readonly kind: Kind;
  readonly cost: ProcessCost;
  /** Runs that may go on at the same time. */
  readonly threads: number;
  inbox: Message[];
  running: number;
  /** Whether it waits for a processor. */
  isReady: boolean;
  isAwake: boolean;
}

/** On its way to the process that does the next thing for a request. */
interface Message {
  readonly step: 'make' | 'spread' | 'search' | 'bring' | 'take';
  readonly request: number;
  readonly shard: number;
  readonly isHedge: boolean;
}

type Event =
  | { readonly to: Process; readonly message: Message }
  | { readonly sent: readonly Message[] }
  | { readonly ended: Process }
  | { readonly hedge: number }
  | { readonly arrival: true };

const WARM_UP_SHARE = 0.1;

/**
 * Simulates requests to a cluster message by message: the client makes one, NATS spreads it over a replica of each shard,
 * each searches, NATS brings back each answer, the client takes them. A process that has messages waits for a processor, in
 * the order in which they became ready, and then does all that it has: the more there is to do, the less a request takes,
 * which a queue whose times of service are fixed does not know.
 */
export function runMachine(
  machine: SharedMachine,
  demand: Demand,
  requests: number,
  seed = 1,
): MachineRun {
  const { shards, replicas, afterShare, hopUs, stalls, clockUs } = machine;
  const random = new Random(seed);
  const processOf = (kind: Kind, cost: ProcessCost, threads = 1): Process => {
    return { kind, cost, threads, inbox: [], running: 0, isReady: false, isAwake: false };
  };
  const client = processOf('client', machine.client);
  // Several servers, each with a thread for every connection.
  const nats = processOf('nats', machine.nats, Infinity);
  const nodes = Array.from({ length: shards * replicas }, () => processOf('nodes', machine.node));
  const policy = new HedgePolicy();
  const events = new EventQueue<Event>();
  const ready: Process[] = [];
  const used = { client: 0, nats: 0, nodes: 0 };
  const begun: number[] = [];
  const asked: Int32Array[] = [];
  const answered: Uint8Array[] = [];
  const left: number[] = [];
  const micros: number[] = [];
  let idle = machine.processors;
  let hedges = 0;
  let now = 0;

  const send = (to: Process, message: Message): void => {
    events.push(now + hopUs, { to, message });
  };
  const begin = (): void => {
    const request = begun.length;
    begun.push(now);
    left.push(shards);
    asked.push(new Int32Array(shards).fill(-1));
    answered.push(new Uint8Array(shards));
    events.push(now, { to: client, message: { step: 'make', request, shard: 0, isHedge: false } });
  };
  const arrive = (rate: number): void => {
    events.push(now - (1e6 * Math.log(1 - random.uniform())) / rate, { arrival: true });
  };
  /** A replica, as a queue group chooses it; not the one that was asked already. */
  const choose = (request: number, shard: number): Process => {
    const before = asked[request]![shard]!;
    let chosen = random.below(before < 0 ? replicas : replicas - 1);
    if (before >= 0 && chosen >= before) chosen++;
    asked[request]![shard] = chosen;
    return nodes[shard * replicas + chosen]!;
  };
  const take = ({ request, shard, isHedge }: Message): void => {
    if (answered[request]![shard] === 1) return;
    answered[request]![shard] = 1;
    policy.answered((now - begun[request]!) / 1000, isHedge);
    if (--left[request]! > 0) return;
    micros.push(now - begun[request]!);
    if ('atOnce' in demand) begin();
  };
  const forward = (message: Message): void => {
    const { request, shard, step, isHedge } = message;
    if (step === 'take') take(message);
    else if (step === 'bring') send(client, { ...message, step: 'take' });
    else if (step === 'search') send(nats, { ...message, step: 'bring' });
    else if (step === 'make') {
      policy.asked(shards);
      if (replicas > 1) events.push(now + 1000 * policy.afterMs, { hedge: request });
      send(nats, { ...message, step: 'spread' });
    } else if (isHedge) send(choose(request, shard), { ...message, step: 'search' });
    else {
      for (let at = 0; at < shards; at++) {
        send(choose(request, at), { request, shard: at, step: 'search', isHedge });
      }
    }
  };
  const hedge = (request: number): void => {
    for (let shard = 0; shard < shards; shard++) {
      if (answered[request]![shard] === 1 || !policy.mayHedge()) continue;
      hedges++;
      send(nats, { request, shard, step: 'spread', isHedge: true });
    }
  };
  const run = (process: Process): void => {
    const messages = process.inbox;
    process.inbox = [];
    process.isReady = false;
    process.running++;
    idle--;
    const { wakeUs, messageUs } = process.cost;
    let work = (process.isAwake ? 0 : wakeUs) + messages.length * messageUs;
    if ('rate' in demand) {
      for (const { step } of messages) if (step === 'make') work += clockUs;
    }
    used[process.kind] += work;
    const isStalled = random.uniform() < stalls.chance * work;
    const stall = isStalled ? stalls.us[random.below(stalls.us.length)]! : 0;
    events.push(now + stall + work * (1 - afterShare), { sent: messages });
    events.push(now + stall + work, { ended: process });
  };
  const handle = (event: Event): void => {
    if ('to' in event) {
      event.to.inbox.push(event.message);
      if (event.to.running < event.to.threads) makeReady(event.to, false);
    } else if ('sent' in event) event.sent.forEach(forward);
    else if ('hedge' in event) hedge(event.hedge);
    else if ('ended' in event) {
      idle++;
      event.ended.running--;
      if (event.ended.inbox.length > 0) makeReady(event.ended, true);
    } else if ('rate' in demand) {
      begin();
      arrive(demand.rate);
    }
    while (idle > 0 && ready.length > 0) run(ready.shift()!);
  };
  const makeReady = (process: Process, isAwake: boolean): void => {
    if (process.isReady) return;
    process.isReady = true;
    process.isAwake = isAwake;
    ready.push(process);
  };

  if ('rate' in demand) arrive(demand.rate);
  else for (let at = 0; at < demand.atOnce; at++) begin();
  while (micros.length < requests) {
    now = events.time;
    handle(events.pop()!);
  }
  const per = (of: number): number => of / micros.length;
  return {
    qps: (1e6 * micros.length) / now,
    micros: Float64Array.from(micros.slice(Math.floor(WARM_UP_SHARE * requests))),
    used: { client: per(used.client), nats: per(used.nats), nodes: per(used.nodes) },
    hedged: hedges / (begun.length * shards),
  };
}
