import { quantile } from '../../src/planning/fan-out.js';
import type { LoadPoint } from './cluster-rounds.js';
import { runMachine, type ProcessCost, type SharedMachine } from './shared-machine.js';

/** What a machine is fitted to. */
export interface MachineEvidence {
  readonly shards: number;
  readonly replicas: number;
  readonly processors: number;
  readonly clockUs: number;
  /** Requests one at a time: nothing waits, every message wakes a process. */
  readonly alone: LoadPoint;
  /** As many at a time as it takes to have most of them waiting. */
  readonly most: LoadPoint;
  readonly atOnce: number;
}

const STEPS = 10;
const DAMPING = 0.7;
const ALONE_REQUESTS = 3000;
const MOST_REQUESTS = 8000;
/** Requests that took longer than so many times the median were kept from going on. */
const STALLED = 2;
const KINDS = ['client', 'nats', 'nodes'] as const;
type Costs = Record<(typeof KINDS)[number], ProcessCost>;

/**
 * What messages cost, from two loads alone: that the processor time of a request, by kind of process, comes out as it was
 * measured one at a time and with most of them waiting, and the median one at a time. Stalls are what lies beyond.
 */
export function fitMachine(evidence: MachineEvidence): SharedMachine {
  const { shards, replicas, processors, clockUs, alone, most, atOnce } = evidence;
  const wanted = { alone: perRequest(alone), most: perRequest(most) };
  // A request passes the client and NATS once and once more for each answer.
  const messages = { client: 1 + shards, nats: 1 + shards, nodes: shards };
  const median = quantile(alone.micros.slice().sort(), 0.5);
  const costs = {} as Costs;
  for (const kind of KINDS) {
    const messageUs = wanted.most[kind] / messages[kind];
    costs[kind] = {
      messageUs,
      wakeUs: Math.max(0, wanted.alone[kind] / messages[kind] - messageUs),
    };
  }
  let afterShare = 0;
  let hopUs = 0;
  const machine = (): SharedMachine => ({
    ...{ shards, replicas, processors, clockUs, afterShare, hopUs },
    ...{ client: costs.client, nats: costs.nats, node: costs.nodes },
    stalls: stallsOf(alone, median),
  });
  for (let step = 0; step < STEPS; step++) {
    const one = runMachine(machine(), { atOnce: 1 }, ALONE_REQUESTS);
    const many = runMachine(machine(), { atOnce }, MOST_REQUESTS);
    for (const kind of KINDS) {
      const lacking = (wanted.most[kind] - many.used[kind]) / messages[kind];
      const lackingAlone = (wanted.alone[kind] - one.used[kind]) / messages[kind];
      const { messageUs, wakeUs } = costs[kind];
      costs[kind] = {
        messageUs: Math.max(0.5, messageUs + DAMPING * lacking),
        wakeUs: Math.max(0, wakeUs + DAMPING * (lackingAlone - lacking)),
      };
    }
    // Too slow: some of the work is done behind what is sent. Too quick: messages are on their way for a while.
    const late = quantile(one.micros.slice().sort(), 0.5) - median;
    if (hopUs > 0 || (late < 0 && afterShare === 0))
      hopUs = Math.max(0, hopUs - (DAMPING * late) / HOPS);
    else afterShare = Math.min(0.9, Math.max(0, afterShare + (DAMPING * late) / median));
  }
  return machine();
}

const HOPS = 4;

function perRequest({ used, micros }: LoadPoint) {
  const per = (of: number): number => of / micros.length;
  return { client: per(used.client), nats: per(used.nats), nodes: per(used.nodes) };
}

function stallsOf(alone: LoadPoint, median: number): SharedMachine['stalls'] {
  const us = alone.micros.filter((micros) => micros > STALLED * median).map((one) => one - median);
  const { client, nats, nodes } = alone.used;
  // Of the work of all of them, since any of it may be kept waiting.
  const chance = us.length === 0 ? 0 : us.length / (client + nats + nodes);
  return { chance, us };
}
