import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type * as maps from '../../src/cluster/shard-map.js';
import type * as objects from '../../src/cluster/snapshot-objects.js';
import type * as removal from '../../src/cluster/snapshot-removal.js';
import type { Deployment } from './cluster-fleet.js';
import { compiledPart } from './compiled.js';

/** What starting one more replica takes, and writing a snapshot. */
export interface ReplicaTimes {
  /** Of a shard's snapshot. */
  readonly bytes: number;
  /** From the start of a process without files until it answers. */
  readonly readySeconds: readonly number[];
  /** Getting a snapshot from the object store as a file, and putting one there. */
  readonly getSeconds: readonly number[];
  readonly putSeconds: readonly number[];
  /** A checkpoint of every shard, all at once. */
  readonly checkpointSeconds: readonly number[];
}

export async function measureReplicas(
  deployment: Deployment,
  {
    folder,
    rounds,
    change,
  }: {
    readonly folder: string;
    readonly rounds: number;
    /** Without a change there is no new checkpoint. */
    readonly change: () => Promise<unknown>;
  },
): Promise<ReplicaTimes> {
  const { cluster, index } = deployment;
  const { readCheckpoint } = compiledPart<typeof maps>('cluster/shard-map.js');
  const { getFile, putFile } = compiledPart<typeof objects>('cluster/snapshot-objects.js');
  const { removeObject } = compiledPart<typeof removal>('cluster/snapshot-removal.js');
  const file = join(folder, 'snapshot');
  const times = { ready: [] as number[], get: [] as number[], put: [] as number[] };
  const checkpoints: number[] = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    await change();
    checkpoints.push(await secondsOf(() => index.checkpoint()));
    const stored = await readCheckpoint(await cluster.bucket(), index.map.epoch, 0);
    const { object } = stored!.checkpoint;
    times.get.push(await secondsOf(() => getFile(cluster, object, file)));
    bytes = (await stat(file)).size;
    times.put.push(await secondsOf(() => putFile(cluster, 'bench', file)));
    await removeObject(cluster, 'bench');
    const node = deployment.addReplica();
    times.ready.push(await node.ready);
    await node.stop();
  }
  return {
    ...{ bytes, readySeconds: times.ready, checkpointSeconds: checkpoints },
    ...{ getSeconds: times.get, putSeconds: times.put },
  };
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return (performance.now() - since) / 1000;
}
