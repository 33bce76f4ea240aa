import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  ClusterIndex,
  ClusterNode,
  createCluster,
  dropCluster,
  publishToCluster,
  reshardCluster,
  switchCluster,
  type ClusterAddress,
} from '../../src/cluster/index.js';
import { openCluster } from '../../src/cluster/connection.js';
import { encodeFrame } from '../../src/cluster/frame.js';
import { FlatIndex } from '../../src/index/flat.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { Random } from '../../src/vectors/random.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { until } from '../servers/processes.js';

const DIM = 6;
const ROWS = 300;
const POLL_MS = 30;

describe.skipIf(NATS_MISSING)(`epochs of a cluster${NATS_NOTE}`, () => {
  let nats: NatsServer;
  let folder: string;
  let count = 0;
  let address: ClusterAddress;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    nats = await startNats();
    folder = mkdtempSync(join(tmpdir(), 'lichen-epochs-'));
  });
  afterEach(async () => {
    await Promise.allSettled(open.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await nats.stop();
    rmSync(folder, { recursive: true });
  });

  function fresh(): ClusterAddress {
    address = { servers: nats.url, name: `items-${count++}` };
    return address;
  }

  async function node(shard: number, shards: number, more: object = {}): Promise<ClusterNode> {
    const directory = join(folder, `node-${count++}`);
    const started = await ClusterNode.start({
      ...{ ...address, shard, shards, directory, pollInterval: POLL_MS, grace: 300, ...more },
    });
    open.push(started);
    return started;
  }

  async function nodes(shards: number): Promise<ClusterNode[]> {
    const all: ClusterNode[] = [];
    for (let shard = 0; shard < shards; shard++) all.push(await node(shard, shards));
    return all;
  }

  async function client(more: object = {}): Promise<ClusterIndex> {
    const index = await ClusterIndex.connect({ ...address, pollInterval: POLL_MS, ...more });
    open.push(index);
    return index;
  }

  /** A snapshot file of rows whose vectors are drawn by the seed. */
  async function file(seed: number, modelVersion: string): Promise<string> {
    using index = new HnswIndex({ dim: DIM, metric: 'l2', m: 6, attributes: { year: 'number' } });
    await index.add(vectorsOf(seed), {
      keys: Array.from({ length: ROWS }, (_, row) => 10 * row),
      attributes: { year: Array.from({ length: ROWS }, (_, row) => row) },
    });
    const path = join(folder, `${count++}.lichen`);
    await index.save(path, { modelVersion });
    return path;
  }

  function vectorsOf(seed: number): Float32Array {
    const random = new Random(seed);
    return Float32Array.from({ length: ROWS * DIM }, () => random.uniform());
  }

  /** All that a search of everything finds, which every vector is. */
  async function everything(index: ClusterIndex): Promise<Map<number, number>> {
    const options = { k: 2 * ROWS, exact: true, partial: 'refuse' } as const;
    const { keys, scores } = await index.search(new Float32Array(DIM), options);
    return new Map(Array.from(keys, (key, at) => [key, scores[at]!]));
  }

  /** What {@link everything} must be. */
  function squares(seed: number): Map<number, number> {
    const vectors = vectorsOf(seed);
    return new Map(
      Array.from({ length: ROWS }, (_, row) => {
        const own = vectors.subarray(row * DIM, (row + 1) * DIM);
        return [10 * row, own.reduce((sum, value) => sum + value * value, 0)];
      }),
    );
  }

  function expectSame(found: Map<number, number>, wanted: Map<number, number>): void {
    expect([...found.keys()].sort((a, b) => a - b)).toEqual(
      [...wanted.keys()].sort((a, b) => a - b),
    );
    for (const [key, score] of found) expect(score).toBeCloseTo(wanted.get(key)!, 4);
  }

  it('begins with the vectors, attributes and settings of a snapshot file', async () => {
    const from = await file(1, 'towers-1');
    const map = await createCluster({ ...fresh(), shards: 3, from });
    expect(map).toMatchObject({ epoch: 1, shards: 3, modelVersion: 'towers-1' });
    expect(map.index).toMatchObject({ kind: 'hnsw', m: 6, keys: 'integer', metric: 'l2' });
    await Promise.all((await nodes(3)).map(({ ready }) => ready));
    const index = await client();
    expectSame(await everything(index), squares(1));
    expect(index.label).toEqual({ modelVersion: 'towers-1', snapshotVersion: 1 });
    expect((await index.attributesOf([70]))['year']).toEqual(Float64Array.of(7));
    await expect(createCluster({ ...address, shards: 2, from })).rejects.toMatchObject({
      code: 'ERR_LICHEN_DUPLICATE_KEY',
    });
    // What was refused has left what is there alone.
    expectSame(await everything(index), squares(1));
  });

  it('swaps to another version for all shards at once, and never mixes two', async () => {
    await createCluster({ ...fresh(), shards: 2, from: await file(1, 'towers-1') });
    const replicas = [...(await nodes(2)), ...(await nodes(2))];
    await Promise.all(replicas.map(({ ready }) => ready));
    const versions: unknown[] = [];
    const index = await client({ onSwap: (map: unknown) => versions.push(map) });
    const [old, wanted] = [squares(1), squares(2)];
    let isOver = false;
    let searches = 0;
    const searching = (async () => {
      while (!isOver) {
        const found = await everything(index);
        const isOld = Math.abs(found.get(0)! - old.get(0)!) < 1e-4;
        expectSame(found, isOld ? old : wanted);
        searches++;
      }
    })();
    await publishToCluster({ ...address, from: await file(2, 'towers-2'), waitMs: 20_000 });
    await until(() => index.map.epoch === 2, 'the client learning of it');
    await new Promise((resolve) => setTimeout(resolve, 50));
    isOver = true;
    await searching;
    expect(searches).toBeGreaterThan(2);
    expectSame(await everything(index), wanted);
    expect(index.label).toEqual({ modelVersion: 'towers-2', snapshotVersion: 2 });
    expect(versions).toHaveLength(1);
    // The version before goes once its time is over, from nodes and from NATS.
    await until(
      () => replicas.every((one) => one.statistics().epochs.length === 1),
      'the end of the first epoch',
    );
    const cluster = await openCluster(address);
    const names: string[] = [];
    await until(async () => {
      names.length = 0;
      for await (const name of cluster.manager.streams.names()) names.push(name);
      return (
        !names.includes(cluster.names.stream(1, 0)) && !names.includes(cluster.names.stream(1, 1))
      );
    }, 'the end of its streams');
    expect(names).toContain(cluster.names.stream(2, 0));
    await cluster.close();
  });

  it('does not switch before every replica has loaded the next version', async () => {
    await createCluster({ ...fresh(), shards: 2, from: await file(1, 'towers-1') });
    const [first] = await nodes(2);
    const from = await file(2, 'towers-2');
    await first!.close();
    const index = await client();
    await expect(publishToCluster({ ...address, from, waitMs: 300 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_DEADLINE',
    });
    await index.refresh();
    expect(index.map.epoch).toBe(1);
    // Once its node is there, what was prepared is put in force.
    await node(0, 2);
    const prepared: number[] = [];
    const map = await switchCluster({
      ...{ ...address, waitMs: 20_000 },
      onPrepared: (shards) => prepared.push(shards),
    });
    expect(map).toMatchObject({ epoch: 2, modelVersion: 'towers-2' });
    expect(prepared.at(-1)).toBe(2);
    await index.refresh();
    expectSame(await everything(index), squares(2));
    await expect(switchCluster(address)).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
  });

  it('does not write vectors of one model into the version of another', async () => {
    await createCluster({ ...fresh(), shards: 1, from: await file(1, 'towers-1') });
    await (
      await node(0, 1)
    ).ready;
    const index = await client({ pollInterval: 60_000 });
    await publishToCluster({ ...address, from: await file(2, 'towers-2'), waitMs: 20_000 });
    // This client has not heard of it.
    expect(index.map.epoch).toBe(1);
    await expect(index.upsert(new Float32Array(DIM), { keys: [0] })).rejects.toMatchObject({
      code: 'ERR_LICHEN_STALE',
    });
    expect(index.map.epoch).toBe(2);
    expectSame(await everything(index), squares(2));
  });

  it('is spread over another number of shards with all that was acknowledged, while it serves', async () => {
    await createCluster({ ...fresh(), shards: 2, from: await file(1, 'towers-1') });
    const old = await nodes(2);
    await Promise.all(old.map(({ ready }) => ready));
    const index = await client({ writeDeadline: 30_000 });
    const wanted = squares(1);
    // Of the snapshot's rows some are changed, some removed, and others come besides.
    const ones = new Float32Array(3 * DIM).fill(1);
    await index.upsert(ones, { keys: [0, 10, 7777] });
    await index.remove([20, 30]);
    for (const key of [0, 10, 7777]) wanted.set(key, DIM);
    for (const key of [20, 30]) wanted.delete(key);
    expectSame(await everything(index), wanted);

    const resharding = reshardCluster({ ...address, shards: 3, waitMs: 30_000 });
    const cluster = await openCluster(address);
    await until(async () => {
      const { config } = await cluster.manager.streams.info(cluster.names.stream(1, 0));
      return config.sealed;
    }, 'the seal of the streams');
    // A change that comes meanwhile waits, and is done by the shards to come.
    const late = index.upsert(ones.subarray(0, DIM), { keys: [8888] });
    wanted.set(8888, DIM);
    await until(async () => (await (await cluster.bucket()).get('next')) !== null, 'the next map');
    await cluster.close();
    await nodes(3);
    expect((await resharding).shards).toBe(3);
    await late;
    await index.refresh();
    expect(index.map).toMatchObject({ epoch: 2, shards: 3, modelVersion: 'towers-1' });
    expectSame(await everything(index), wanted);
    await until(
      () => old.every((one) => one.statistics().epochs.length === 0),
      'the old nodes having no part any more',
    );
    await expect(node(0, 2)).rejects.toMatchObject({ code: 'ERR_LICHEN_ARGUMENT' });
    await expect(reshardCluster({ ...address, shards: 3 })).rejects.toMatchObject({
      code: 'ERR_LICHEN_ARGUMENT',
    });
  });

  it('makes checkpoints, trims the stream behind them, and starts from them', async () => {
    await createCluster({
      ...{ ...fresh(), shards: 1 },
      index: { kind: 'flat', keys: 'integer', dim: DIM, metric: 'l2' },
    });
    const [one] = [await node(0, 1, { checkpointEvery: 20 })];
    await one.ready;
    const index = await client();
    const cluster = await openCluster(address);
    const stream = cluster.names.stream(1, 0);
    const vectors = vectorsOf(5);
    const write = async (from: number, to: number) => {
      for (let row = from; row < to; row++) {
        await index.upsert(vectors.subarray(row * DIM, (row + 1) * DIM), { keys: [10 * row] });
      }
    };
    await write(0, 30);
    await index.checkpoint();
    await write(30, 60);
    await index.checkpoint();
    await until(async () => {
      const { state } = await cluster.manager.streams.info(stream);
      return state.first_seq > 20;
    }, 'the trim of the stream');
    await write(60, 70);
    // A replica without files has to begin with the snapshot.
    const other = await node(0, 1);
    await other.ready;
    const [epoch] = other.statistics().epochs;
    expect(epoch).toMatchObject({ sequence: 70, size: 70 });
    await one.close();
    expect((await everything(index)).size).toBe(70);
    const objects = await (await cluster.snapshots()).list();
    // Two checkpoints, each with its ids.
    expect(objects.length).toBeLessThanOrEqual(4);
    await cluster.close();
  });

  it('loads a replica anew that has done other changes than the one that made the checkpoint', async () => {
    await createCluster({
      ...{ ...fresh(), shards: 1 },
      index: { kind: 'flat', keys: 'integer', dim: DIM, metric: 'l2' },
    });
    const directory = join(folder, `strayed-${count++}`);
    const [strayed, other] = [await node(0, 1, { directory }), await node(0, 1)];
    await Promise.all([strayed.ready, other.ready]);
    const index = await client();
    const vectors = vectorsOf(6);
    const write = async (row: number) =>
      index.upsert(vectors.subarray(row * DIM, (row + 1) * DIM), { keys: [row] });
    for (let row = 0; row < 5; row++) await write(row);
    await until(() => strayed.statistics().epochs[0]!.sequence === 5, 'all changes');
    await strayed.close();
    // What it kept becomes that of somebody else: a key is missing, and the history is another one.
    const name = readdirSync(directory).find((file) => file.endsWith('.5.lichen'))!;
    using kept = await FlatIndex.open(join(directory, name));
    await kept.remove([3]);
    await kept.save(join(directory, name), { snapshotVersion: 5 });
    const ids = encodeFrame({ fingerprint: 4711 }, [new Uint8Array()], true);
    writeFileSync(join(directory, `${name}.ids`), ids);
    const events: string[] = [];
    const again = await node(0, 1, { directory, onEvent: (text: string) => events.push(text) });
    await again.ready;
    expect(again.statistics().epochs[0]).toMatchObject({ sequence: 5, size: 4 });
    await write(5);
    await other.checkpoint();
    await until(() => events.some((text) => /other changes/.test(text)), 'it being seen');
    await until(() => again.statistics().epochs[0]!.isReady, 'the replica being loaded anew');
    expect(again.statistics().epochs[0]).toMatchObject({ sequence: 6, size: 6 });
  });

  it('is removed with all that it has', async () => {
    await createCluster({ ...fresh(), shards: 2, from: await file(1, 'towers-1') });
    await dropCluster(address);
    await expect(ClusterIndex.connect(address)).rejects.toMatchObject({
      code: 'ERR_LICHEN_NOT_FOUND',
    });
    await expect(node(0, 2)).rejects.toMatchObject({ code: 'ERR_LICHEN_NOT_FOUND' });
    const again = await createCluster({ ...address, shards: 1, from: await file(2, 'towers-2') });
    expect(again).toMatchObject({ epoch: 1, shards: 1 });
  });
});
