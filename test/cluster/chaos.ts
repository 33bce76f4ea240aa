import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterIndex } from '../../src/cluster/index.js';
import { openIndex } from '../../src/index/open.js';
import { Random } from '../../src/vectors/random.js';
import { emptyFigures, pause, Workload, type WorkloadFigures } from './chaos-workload.js';
import { ChaosWorld, SHARDS } from './chaos-world.js';

/** What is done to the cluster, and taken back. */
export const FAULTS = [
  'kill a replica',
  'kill a replica and its files',
  'kill both replicas of a shard',
  'halt a replica',
  'kill a NATS server',
  'kill the leader of a stream',
  'halt a NATS server',
  'cut a NATS server off',
  'cut a NATS server off from the others',
] as const;
export type Fault = (typeof FAULTS)[number];
/** Those that need network namespaces. */
export const NETWORK_FAULTS: readonly Fault[] = FAULTS.slice(-2);

const SETTLE_MS = 3000;

/** What a round came to. */
export interface RoundReport extends WorkloadFigures {
  readonly fault: Fault;
  /** Milliseconds that the fault lasted, and from its end until every replica had caught up. */
  readonly heldMs: number;
  readonly recoveryMs: number;
}

/** What all rounds came to. */
export interface ChaosReport {
  readonly rounds: readonly RoundReport[];
  readonly violations: readonly string[];
  /** Keys that both replicas of each shard, and the record of what was acknowledged, agree on in the end. */
  readonly keys: number;
  /** Copies of messages that replicas did not do a second time. */
  readonly duplicates: number;
  readonly rejected: number;
  /** Changes that a replica's server of NATS did not have. */
  readonly mended: number;
}

export interface ChaosOptions {
  readonly faults: readonly Fault[];
  readonly seed: number;
  readonly namespaces: boolean;
  /** A fault lasts at most so long. */
  readonly mostMs: number;
  readonly say?: (line: string) => void;
}

/** Puts an index under load through one fault after another. */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const { faults, seed, namespaces, mostMs, say = () => undefined } = options;
  const world = await ChaosWorld.start(namespaces, 150);
  let workload: Workload | undefined;
  try {
    await using index = await ClusterIndex.connect(world.address);
    workload = new Workload(index, seed);
    const random = new Random(seed);
    const rounds: RoundReport[] = [];
    for (const fault of faults) {
      say(`${rounds.length + 1}. ${fault} …`);
      const report = await round(world, index, workload, fault, random, mostMs);
      rounds.push(report);
      say(
        `   ${Object.entries(report)
          .filter(([, value]) => typeof value === 'number' && value > 0)
          .map(([name, value]) => `${name} ${Math.round(value as number)}`)
          .join(', ')}`,
      );
      for (const violation of workload.violations) say(`VIOLATION: ${violation}`);
      if (workload.violations.length > 0) {
        say(await world.describe(index));
        break;
      }
    }
    // A replica that has done other changes than the others hears of it by a checkpoint.
    await index.checkpoint();
    await pause(SETTLE_MS);
    await world.whole(index);
    const { shards } = await index.stats(1500);
    const replicas = shards.flatMap((shard) => shard.replicas);
    const counted = (pick: (one: (typeof replicas)[number]) => number) =>
      replicas.reduce((sum, one) => sum + pick(one), 0);
    const duplicates = counted((one) => one.duplicates);
    const rejected = counted((one) => one.rejected);
    const mended = counted((one) => one.mended);
    await index.close();
    const keys = await compareFiles(world, workload);
    return { rounds, violations: workload.violations, keys, duplicates, rejected, mended };
  } finally {
    workload?.abandon();
    await world.stop();
  }
}

async function round(
  world: ChaosWorld,
  index: ClusterIndex,
  workload: Workload,
  fault: Fault,
  random: Random,
  mostMs: number,
): Promise<RoundReport> {
  workload.figures = emptyFigures();
  workload.start();
  await pause(200 + random.below(300));
  const since = performance.now();
  const mend = await inflict(world, fault, random);
  await pause(random.below(mostMs));
  const heldMs = performance.now() - since;
  const mended = performance.now();
  await mend();
  await world.whole(index);
  const recoveryMs = performance.now() - mended;
  await pause(200);
  await workload.stop();
  await world.whole(index);
  await workload.verify();
  return { fault, heldMs, recoveryMs, ...workload.figures };
}

/** Gives what takes it back. */
async function inflict(
  world: ChaosWorld,
  fault: Fault,
  random: Random,
): Promise<() => Promise<void>> {
  const { nats, nodes } = world;
  const node = nodes[random.below(nodes.length)]!;
  const server = random.below(nats.servers.length);
  switch (fault) {
    case 'kill a replica':
    case 'kill a replica and its files':
      await node.kill();
      if (fault === 'kill a replica and its files') node.wipe();
      return async () => {
        node.start();
        await node.ready;
      };
    case 'kill both replicas of a shard': {
      const both = nodes.filter(({ shard }) => shard === node.shard);
      await Promise.all(both.map((one) => one.kill()));
      return async () => {
        for (const one of both) one.start();
        await Promise.all(both.map((one) => one.ready));
      };
    }
    case 'halt a replica':
      node.halt();
      return () => Promise.resolve(node.resume());
    case 'kill a NATS server':
      await nats.kill(server);
      return () => nats.start(server);
    case 'kill the leader of a stream': {
      const leader = (await nats.streamLeader(world.stream(random.below(SHARDS)))) ?? server;
      await nats.kill(leader);
      return () => nats.start(leader);
    }
    case 'halt a NATS server':
      nats.halt(server);
      return async () => {
        nats.resume(server);
        await nats.settled();
      };
    case 'cut a NATS server off':
    case 'cut a NATS server off from the others':
      nats.cut(server, fault === 'cut a NATS server off' ? 'everyone' : 'hosts');
      return async () => {
        nats.mend(server);
        await nats.settled();
      };
  }
}

/** Ends the replicas, which keep what they have as files: these must hold the same, and what was acknowledged. */
async function compareFiles(world: ChaosWorld, workload: Workload): Promise<number> {
  for (const node of world.nodes) await node.kill('SIGTERM');
  const found = new Map<number, number>();
  for (let shard = 0; shard < SHARDS; shard++) {
    const contents: string[] = [];
    for (const node of world.nodes) {
      if (node.shard !== shard) continue;
      const name = readdirSync(node.directory).find((file) => file.endsWith('.lichen'));
      if (name === undefined) throw new Error(`a replica of shard ${shard} has kept no file`);
      using index = await openIndex(join(node.directory, name));
      const rows = [...index.keys()].sort((a, b) => a - b).map((key) => [key, ...index.get(key)!]);
      for (const [key, , version] of rows) found.set(key!, version!);
      contents.push(JSON.stringify(rows));
    }
    if (new Set(contents).size !== 1) workload.violations.push(`replicas of shard ${shard} differ`);
  }
  const expected = workload.expected();
  for (const [key, version] of expected) {
    if ((found.get(key) ?? 0) === version) continue;
    workload.violations.push(`file: key ${key} has ${found.get(key)}, expected ${version}`);
  }
  for (const key of found.keys()) {
    if (!expected.has(key)) workload.violations.push(`file: key ${key} was never written`);
  }
  return found.size;
}
