import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterIndex } from '../../src/cluster/cluster-index.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';
import { NodeProcess } from '../cluster/node-process.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { until } from '../servers/processes.js';
import { lichen, lichenJson } from './run.js';

const ROWS = 200;
const DIM = 4;

describe.skipIf(NATS_MISSING)(`lichen cluster and lichen node${NATS_NOTE}`, () => {
  let nats: NatsServer;
  let folder: string;
  const nodes: NodeProcess[] = [];

  beforeAll(async () => {
    nats = await startNats();
    folder = mkdtempSync(join(tmpdir(), 'lichen-cli-cluster-'));
    for (const [at, model] of ['towers-1', 'towers-2'].entries()) {
      using index = new HnswIndex({ dim: DIM, metric: 'dot' });
      const random = new Random(at + 1);
      await index.add(Float32Array.from({ length: ROWS * DIM }, () => random.uniform()));
      await index.save(join(folder, `${model}.lichen`), { modelVersion: model });
    }
  });
  afterAll(async () => {
    for (const node of nodes) {
      await node.kill();
      node.wipe();
    }
    await nats.stop();
    rmSync(folder, { recursive: true });
  });

  const at = (...more: string[]) => ['--name', 'items', '--nats', nats.url, ...more];
  function start(shard: number, shards: number, ...more: string[]): NodeProcess {
    const node = new NodeProcess(shard, shards, at(...more));
    nodes.push(node);
    node.start();
    return node;
  }

  it('make an index, serve it, put another version in force, spread it anew and remove it', async () => {
    const first = join(folder, 'towers-1.lichen');
    const made = lichenJson<{ epoch: number; shards: number; modelVersion: string }>(
      ...['cluster', 'create', ...at('--shards', '2', '--from', first)],
    );
    expect(made).toMatchObject({ epoch: 1, shards: 2, modelVersion: 'towers-1' });
    const old = [start(0, 2), start(1, 2), start(1, 2)];
    await Promise.all(old.map(({ ready }) => ready));

    interface Status {
      map: { epoch: number };
      shards: { size: number; replicas: { isReady: boolean; host: string; pid: number }[] }[];
      streams: { lastSequence: number }[];
    }
    const status = lichenJson<Status>('cluster', 'status', ...at());
    expect(status.shards.map(({ replicas }) => replicas.length)).toEqual([1, 2]);
    expect(status.shards.reduce((sum, { size }) => sum + size, 0)).toBe(ROWS);
    const pids = status.shards.flatMap(({ replicas }) => replicas.map(({ pid }) => pid));
    expect(pids.sort()).toEqual(old.map(({ pid }) => pid).sort());
    const shown = lichen('cluster', 'status', ...at());
    expect(shown.stdout).toMatch(/epoch 1, 2 shards, model towers-1/);
    expect(shown.stdout.match(/ ready /g)).toHaveLength(3);

    const next = lichenJson<{ epoch: number; modelVersion: string }>(
      ...['cluster', 'publish', ...at('--from', join(folder, 'towers-2.lichen'))],
    );
    expect(next).toMatchObject({ epoch: 2, modelVersion: 'towers-2' });
    await using index = await ClusterIndex.connect({ servers: nats.url, name: 'items' });
    expect(index.label.modelVersion).toBe('towers-2');
    await index.upsert(Float32Array.of(9, 9, 9, 9), { keys: [5] });

    // Not a node of three shards is there yet.
    const early = lichen('cluster', 'reshard', ...at('--shards', '3', '--wait', '0'));
    expect(early.status).toBe(1);
    expect(early.stderr).toMatch(/0 of 3 shards are prepared.*\(ERR_LICHEN_DEADLINE\)\n$/);
    for (let shard = 0; shard < 3; shard++) start(shard, 3);
    const switched = lichenJson<{ epoch: number; shards: number }>('cluster', 'switch', ...at());
    expect(switched).toMatchObject({ epoch: 3, shards: 3 });
    await until(() => index.map.epoch === 3, 'the client learning of it');
    const { keys } = await index.search(Float32Array.of(1, 1, 1, 1), { k: 1 });
    expect([...keys]).toEqual([5]);
    await until(
      async () => (await index.stats()).shards.every(({ size }) => size !== undefined),
      '',
    );
    expect((await index.stats()).shards.reduce((sum, { size }) => sum + size!, 0)).toBe(ROWS);

    expect(lichen('cluster', 'drop', ...at()).status).toBe(2);
    expect(lichenJson('cluster', 'drop', ...at('--yes'))).toEqual({
      name: 'items',
      tenant: 'default',
    });
    expect(lichen('cluster', 'status', ...at()).stderr).toMatch(/\(ERR_LICHEN_NOT_FOUND\)\n$/);
  }, 120_000);

  it('end a node by SIGTERM, which keeps its shard for the next start', async () => {
    lichenJson(
      ...['cluster', 'create', '--name', 'kept', '--nats', nats.url, '--shards', '1', '--dim', '4'],
      ...['--metric', 'l2', '--index', 'flat'],
    );
    const node = new NodeProcess(0, 1, ['--name', 'kept', '--nats', nats.url]);
    nodes.push(node);
    node.start();
    await node.ready;
    await using index = await ClusterIndex.connect({ servers: nats.url, name: 'kept' });
    await index.add(Float32Array.of(1, 2, 3, 4), { keys: [1] });
    await node.kill('SIGTERM');
    node.lines.length = 0;
    node.start();
    await node.ready;
    expect(node.lines.join()).toMatch(/1 vectors, from snapshot 1 to change 1/);
    expect(await index.get(1)).toEqual(Float32Array.of(1, 2, 3, 4));
  }, 60_000);

  it('load a replica anew that missed changes which only a snapshot has', async () => {
    lichenJson(
      ...['cluster', 'create', '--name', 'gap', '--nats', nats.url, '--shards', '1', '--dim', '4'],
      ...['--metric', 'l2'],
    );
    const pair = [0, 1].map(() => new NodeProcess(0, 1, ['--name', 'gap', '--nats', nats.url]));
    nodes.push(...pair);
    for (const node of pair) node.start();
    await Promise.all(pair.map(({ ready }) => ready));
    await using index = await ClusterIndex.connect({
      ...{ servers: nats.url, name: 'gap', deadline: 20_000 },
    });
    const [halted] = pair;
    halted!.halt();
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 300; key++) {
        await index.upsert(Float32Array.of(key, round, 0, 0), { keys: [key] });
      }
      await index.checkpoint();
    }
    halted!.resume();
    await until(() => /loaded anew/.test(halted!.lines.join()), 'the gap being seen');
    await until(async () => {
      const [shard] = (await index.stats(1000)).shards;
      return (
        shard!.replicas.filter(({ isReady, sequence }) => isReady && sequence === 900).length === 2
      );
    }, 'both replicas having all');
  }, 60_000);

  it('say what is wrong', () => {
    const lost = lichen(
      'node',
      '--name',
      'nothing',
      '--nats',
      nats.url,
      '--shard',
      '0/1',
      '--dir',
      folder,
    );
    expect(lost.status).toBe(1);
    expect(lost.stderr).toMatch(/there is no index nothing.*\(ERR_LICHEN_NOT_FOUND\)\n$/);
    const wrong = lichen(
      'node',
      '--name',
      'a',
      '--nats',
      nats.url,
      '--shard',
      '2/2',
      '--dir',
      folder,
    );
    expect(wrong.status).toBe(2);
    const name = lichen('cluster', 'status', '--name', 'a.b', '--nats', nats.url);
    expect(name.stderr).toMatch(/^lichen: name must be .*\(ERR_LICHEN_ARGUMENT\)\n$/);
    const nobody = lichen('cluster', 'status', '--name', 'a', '--nats', 'nats://127.0.0.1:1');
    expect(nobody.stderr).toMatch(/^lichen: cannot connect to NATS at .*\(ERR_LICHEN_IO\)\n$/);
    const shapeless = lichen(
      'cluster',
      'create',
      '--name',
      'b',
      '--nats',
      nats.url,
      '--shards',
      '1',
    );
    expect(shapeless.stderr).toMatch(/\(ERR_LICHEN_ARGUMENT\)\n$/);
  });
});
