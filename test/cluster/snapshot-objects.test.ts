import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openCluster, type Cluster } from '../../src/cluster/connection.js';
import { createCluster } from '../../src/cluster/index.js';
import { getFile, putFile } from '../../src/cluster/snapshot-objects.js';
import { removeObject, removeOlder } from '../../src/cluster/snapshot-removal.js';
import { Random } from '../../src/vectors/random.js';
import {
  NATS_MISSING,
  NATS_NOTE,
  startNats,
  startNatsCluster,
  type NatsServer,
} from '../servers/nats.js';
import { until } from '../servers/processes.js';
import { SmallCluster } from './small-cluster.js';

const MIB = 2 ** 20;
const CHUNK = 128 * 1024;
const INDEX = { kind: 'flat', keys: 'integer', dim: 4, metric: 'l2' } as const;

describe.skipIf(NATS_MISSING)(`snapshots in the object store of NATS${NATS_NOTE}`, () => {
  let nats: NatsServer;
  let folder: string;
  let cluster: Cluster;
  let count = 0;
  const random = new Random(5);

  beforeAll(async () => {
    nats = await startNats();
    folder = await mkdtemp(join(tmpdir(), 'lichen-objects-'));
  });
  beforeEach(async () => {
    await cluster?.close();
    const address = { servers: nats.url, name: `items-${count++}` };
    await createCluster({ ...address, shards: 1, index: INDEX });
    cluster = await openCluster(address);
    for (const { name } of await (await cluster.snapshots()).list()) {
      await removeObject(cluster, name);
    }
  });
  afterAll(async () => {
    await cluster?.close();
    await nats.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function fileOf(bytes: number): Promise<{ path: string; content: Buffer }> {
    const content = Buffer.from(Uint8Array.from({ length: bytes }, () => 256 * random.uniform()));
    const path = join(folder, `file-${count++}`);
    await writeFile(path, content);
    return { path, content };
  }

  /** Messages of the bucket: one for each object and one for each chunk. */
  async function messages(): Promise<number> {
    const stream = `OBJ_${cluster.names.snapshots}`;
    return (await cluster.manager.streams.info(stream)).state.messages;
  }

  /** What the server takes for stored, of all streams. */
  const stored = async () => (await cluster.manager.getAccountInfo()).storage;

  /** The same cluster, whose changes fail some times with an error. */
  function failing(times: number, error: () => Error, from = 0) {
    let calls = 0;
    const publish: Cluster['jetstream']['publish'] = (...given) => {
      const at = calls++;
      if (at >= from && at < from + times) return Promise.reject(error());
      return cluster.jetstream.publish(...given);
    };
    const jetstream = Object.create(cluster.jetstream, { publish: { value: publish } }) as unknown;
    const its = Object.create(cluster, { jetstream: { value: jetstream } }) as Cluster;
    return { its, calls: () => calls };
  }
  const leaderless = () => new Error('JetStream system temporarily unavailable');

  it.each([0, 1, CHUNK, CHUNK + 1, 20 * CHUNK, 20 * CHUNK - 1])(
    'gives back %i bytes, also by the client of NATS',
    async (bytes) => {
      const { path, content } = await fileOf(bytes);
      expect(await putFile(cluster, 'shard', path)).toBe(bytes);
      expect(await messages()).toBe(Math.ceil(bytes / CHUNK) + 1);
      const copy = join(folder, 'copy');
      await getFile(cluster, 'shard', copy);
      expect((await readFile(copy)).equals(content)).toBe(true);
      // Which compares digests itself.
      const store = await cluster.snapshots();
      expect(Buffer.from((await store.getBlob('shard'))!).equals(content)).toBe(true);
      expect(await store.info('shard')).toMatchObject({ size: bytes, name: 'shard' });
    },
  );

  it('gets what the client of NATS has put', async () => {
    const { content } = await fileOf(3 * CHUNK + 17);
    await (await cluster.snapshots()).putBlob({ name: 'theirs' }, content);
    const copy = join(folder, 'copy');
    await getFile(cluster, 'theirs', copy);
    expect((await readFile(copy)).equals(content)).toBe(true);
  });

  it('puts an object in the place of one of the same name, which goes', async () => {
    const [first, second] = [await fileOf(5 * CHUNK), await fileOf(2 * CHUNK)];
    await putFile(cluster, 'shard', first.path);
    await putFile(cluster, 'shard', second.path);
    const copy = join(folder, 'copy');
    await getFile(cluster, 'shard', copy);
    expect((await readFile(copy)).equals(second.content)).toBe(true);
    expect(await messages()).toBe(3);
  });

  it('leaves nothing of what is removed, also in what the server takes for stored', async () => {
    const { path } = await fileOf(40 * CHUNK);
    await putFile(cluster, 'kept', path);
    const [before, storedBefore] = [await messages(), await stored()];
    for (let round = 0; round < 3; round++) {
      await putFile(cluster, `round-${round}`, path);
      expect(await stored()).toBeGreaterThan(storedBefore + 40 * CHUNK);
      await removeObject(cluster, `round-${round}`);
    }
    expect(await messages()).toBe(before);
    // Writing an object under a name takes a purge of the name, which older servers count wrong by some hundred bytes.
    expect(Math.abs((await stored()) - storedBefore)).toBeLessThan(2000);
    await removeObject(cluster, 'never');
    expect(await messages()).toBe(before);
  });

  it('removes older snapshots of a shard, and chunks that nobody is told of', async () => {
    const { path } = await fileOf(CHUNK + 1);
    const names = ['1-0-5-a', '1-0-5-a.ids', '1-0-20-b', '1-0-100-c', '1-1-5-d', '2-0-5-e'];
    for (const name of names) await putFile(cluster, name, path);
    const orphan = `$O.${cluster.names.snapshots}.C.0123456789`;
    for (let chunk = 0; chunk < 3; chunk++) await cluster.jetstream.publish(orphan, 'left');
    const before = await messages();
    await removeOlder(cluster, { epoch: 1, shard: 0 }, 20);
    const store = await cluster.snapshots();
    const left = async () => (await store.list()).map(({ name }) => name).sort();
    expect(await left()).toEqual(['1-0-100-c', '1-0-20-b', '1-1-5-d', '2-0-5-e']);
    expect(await messages()).toBe(before - 6);
    // It may be of an object that is being put.
    await removeOlder(cluster, { epoch: 1, shard: 0 }, 20, -1000);
    expect(await messages()).toBe(before - 9);
    await removeOlder(cluster, { epoch: 1, shard: 0 }, Infinity);
    expect(await left()).toEqual(['1-1-5-d', '2-0-5-e']);
  });

  it('is tried again while NATS has no leader, from the beginning of the file', async () => {
    const { path, content } = await fileOf(10 * CHUNK);
    const { its } = failing(2, leaderless, 3);
    expect(await putFile(its, 'shard', path, 1)).toBe(content.length);
    const copy = join(folder, 'copy');
    await getFile(cluster, 'shard', copy);
    expect((await readFile(copy)).equals(content)).toBe(true);
    expect(await messages()).toBe(11);
  });

  it('tells what NATS says when that does not end', async () => {
    const { path } = await fileOf(10);
    const { its, calls } = failing(Infinity, leaderless);
    await expect(putFile(its, 'shard', path, 1)).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: expect.stringMatching(/shard .*temporarily unavailable/) as string,
    });
    expect(calls()).toBe(6);
    expect(await messages()).toBe(0);
  });

  it('is not tried again when NATS refuses it', async () => {
    const { path } = await fileOf(10);
    const { its, calls } = failing(Infinity, () => new Error('insufficient resources'));
    await expect(putFile(its, 'shard', path, 1)).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: expect.stringMatching(/insufficient resources.*max_file_store/) as string,
    });
    expect(calls()).toBe(1);
  });

  it('is not tried again for a file that is not there', async () => {
    const { its, calls } = failing(0, leaderless);
    await expect(putFile(its, 'shard', join(folder, 'none'), 1)).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: expect.stringContaining('ENOENT') as string,
    });
    expect(calls()).toBe(0);
  });
});

describe.skipIf(NATS_MISSING)(`servers that have no room${NATS_NOTE}`, () => {
  let nats: NatsServer;
  beforeAll(async () => {
    nats = await startNats({ maxFileStore: 4 * MIB });
  });
  afterAll(() => nats.stop());

  it('makes more checkpoints than they have room for at a time, and tells when one does not fit', async () => {
    const dim = 64;
    const index = { ...INDEX, dim };
    const address = { servers: nats.url, name: 'items' };
    await using small = await SmallCluster.start({ ...address, index, shards: 1, replicas: 1 });
    const client = await small.connect();
    const random = new Random(9);
    const upsert = (first: number, rows: number) =>
      client.upsert(
        Float32Array.from({ length: rows * dim }, () => random.gaussian()),
        { keys: Array.from({ length: rows }, (_, row) => first + row) },
      );
    // Some 0.5 MB each, of which three may be there at a time.
    for (let from = 0; from < 2000; from += 500) await upsert(from, 500);
    for (let round = 0; round < 12; round++) {
      await upsert(round, 1);
      await client.checkpoint();
    }
    const errors = async () =>
      (await client.stats()).shards[0]!.replicas.map(({ checkpointError }) => checkpointError);
    expect(await errors()).toEqual([undefined]);
    // Two checkpoints and the changes since may be all that there is room for.
    for (let from = 2000; from < 8000; from += 500) await upsert(from, 500);
    await expect(client.checkpoint()).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
      message: expect.stringMatching(
        /could not make a checkpoint: .*insufficient.*max_file_store/,
      ) as string,
    });
    expect((await client.search(new Float32Array(dim), { k: 3 })).keys).toHaveLength(3);
  }, 60_000);
});

describe.skipIf(NATS_MISSING)(`an account of three servers that has no room${NATS_NOTE}`, () => {
  it('refuses what does not fit, and takes more when something is removed', async () => {
    // Of all three together.
    const jetstream = { max_mem: MIB, max_file: 27 * MIB };
    const accounts = { own: { jetstream, users: [{ user: 'u', password: 'p' }] } };
    await using nats = await startNatsCluster(3, { settings: { accounts } });
    const address = { servers: nats.urls, name: 'items', user: 'u', password: 'p' };
    await createCluster({ ...address, shards: 1, index: INDEX });
    const cluster = await openCluster(address);
    const folder = await mkdtemp(join(tmpdir(), 'lichen-objects-'));
    try {
      const path = join(folder, 'shard');
      await writeFile(path, Buffer.alloc(3 * MIB, 'lichen'));
      // Servers tell each other now and then what they have stored: it may be more than the limit by then.
      const putAll = async () => {
        for (let at = 0; at < 40; at++) await putFile(cluster, `shard-${at}`, path, 100);
      };
      await expect(putAll()).rejects.toMatchObject({
        code: 'ERR_LICHEN_IO',
        message: expect.stringMatching(/limits exceeded.*max_file_store/) as string,
      });
      const store = await cluster.snapshots();
      for (const { name } of await store.list()) await removeObject(cluster, name);
      expect(await store.list()).toEqual([]);
      const isThere = () => putFile(cluster, 'last', path, 100).then(Boolean, () => false);
      await until(isThere, 'room for another one');
      expect(await store.info('last')).toMatchObject({ size: 3 * MIB });
    } finally {
      await cluster.close();
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
});
