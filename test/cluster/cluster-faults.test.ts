import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterIndex, ClusterNode, createCluster, shardOf } from '../../src/cluster/index.js';
import type { ShardIndexOptions } from '../../src/cluster/index.js';
import { FlatIndex } from '../../src/index/flat.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { freePort, until } from '../servers/processes.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { listed, queriesOf, rowsOf } from './search-data.js';
import { SmallCluster } from './small-cluster.js';
import { codeRejected } from './thrown.js';

const DIM = 4;
const SHARDS = 3;
const INDEX: ShardIndexOptions = { kind: 'flat', keys: 'integer', dim: DIM, metric: 'dot' };
const QUERY = [1, 2, 3, 4];

let server: NatsServer;

describe.skipIf(NATS_MISSING)(`a cluster that is not whole${NATS_NOTE}`, () => {
  const at = temporaryFolder();
  const rows = rowsOf(300, DIM, (nth) => nth);
  let cluster: SmallCluster;
  let index: ClusterIndex;
  /** All but what the shard holds that nobody serves. */
  const rest = new FlatIndex({ dim: DIM, metric: 'dot' });

  beforeAll(async () => {
    server = await startNats({ maxPayload: 64 * 1024 });
    cluster = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', shards: SHARDS, served: [0, 2], index: INDEX },
    });
    index = await cluster.connect();
    await index.upsert(rows.vectors, { keys: rows.keys });
    const there = rows.keys.filter((key) => shardOf(key, SHARDS) !== 1);
    const vectors = there.map((key) => rows.vectors.subarray(key * DIM, (key + 1) * DIM));
    await rest.add(vectors, { keys: there });
  });
  afterAll(async () => {
    rest.close();
    await cluster?.stop();
    await server?.stop();
  });

  it('finds what is there, and says what is not', async () => {
    const options = { k: 20, exact: true };
    const found = await index.search(QUERY, options);
    expect(found.missing).toEqual([1]);
    expect(listed(found)).toEqual(listed(await rest.search(QUERY, options)));
    const queries = queriesOf(3000, DIM);
    const batch = await index.searchBatch(queries, options);
    expect(batch.missing).toEqual([1]);
    expect(batch.keys).toEqual((await rest.searchBatch(queries, options)).keys);
    const within = await index.searchWithin(QUERY, { score: 0, exact: true });
    expect(within.missing).toEqual([1]);
    expect(index.counts.partial).toBeGreaterThanOrEqual(3);
  });

  it('fails where nothing less than all will do', async () => {
    const partial = 'refuse';
    for (const search of [
      () => index.search(QUERY, { partial }),
      () => index.searchBatch([QUERY], { partial }),
      () => index.searchWithin(QUERY, { score: 0, partial }),
    ]) {
      expect(await codeRejected(search())).toBe('ERR_LICHEN_DEADLINE');
    }
    const strict = await cluster.connect({ partial });
    expect(await codeRejected(strict.search(QUERY))).toBe('ERR_LICHEN_DEADLINE');
    expect((await strict.search(QUERY, { partial: 'allow' })).missing).toEqual([1]);
    const other = index.search(QUERY, { partial: 'some' as never });
    expect(await codeRejected(other)).toBe('ERR_LICHEN_ARGUMENT');
  });

  it('does not keep searches waiting for what nobody serves', async () => {
    const patient = await cluster.connect({ deadline: 600_000 });
    // More than may be asked a second time at once; each that waits for its deadline waits ten minutes.
    for (let round = 0; round < 100; round++) {
      expect((await patient.search(QUERY)).missing).toEqual([1]);
    }
  });

  it('gives up what is aborted', async () => {
    const reason = new Error('no more');
    const signals = [AbortSignal.abort(reason), AbortSignal.abort()];
    for (const signal of signals) {
      for (const search of [
        index.search(QUERY, { signal }),
        index.searchBatch([QUERY], { signal }),
        index.searchWithin(QUERY, { score: 0, signal }),
      ]) {
        expect(await codeRejected(search)).toBe('ERR_LICHEN_ABORTED');
      }
    }
    await expect(index.search(QUERY, { signal: signals[0]! })).rejects.toMatchObject({
      cause: reason,
    });
    const controller = new AbortController();
    const search = index.search(QUERY, { signal: controller.signal });
    controller.abort();
    expect(await codeRejected(search)).toBe('ERR_LICHEN_ABORTED');
    const writer = new AbortController();
    const write = index.upsert([QUERY], { keys: [1], signal: writer.signal });
    writer.abort();
    expect(['ERR_LICHEN_ABORTED', undefined]).toContain(await codeRejected(write));
  });

  it('says by the deadline of a change that no replica has done it', async () => {
    const key = rows.keys.find((one) => shardOf(one, SHARDS) === 1)!;
    const change = index.remove([key], { deadline: 300, idempotencyKey: 'late' });
    expect(await codeRejected(change)).toBe('ERR_LICHEN_DEADLINE');
    // It is stored nevertheless, as the message says, and so is one that asks no more.
    const token = await index.remove([key], { confirm: 'stored', idempotencyKey: 'late' });
    expect(token.sequences[1]).toBeGreaterThan(0);
    expect(token.sequences[0]).toBe(0);
  });

  it('refuses deadlines and options that are none', async () => {
    for (const deadline of [0, -1, NaN, Infinity, 600_001, '9' as never]) {
      const search = index.search(QUERY, { deadline });
      expect(await codeRejected(search)).toBe('ERR_LICHEN_ARGUMENT');
    }
    const local = rest.filter([0]);
    for (const options of [
      ...[{ k: 0 }, { k: 1.5 }, { k: 2 ** 20 + 1 }, { k: '3' }, { ef: 0 }, { ef: 1, recall: 0.9 }],
      ...[{ recall: 1 }, { exact: 1 }, { into: {} }, { threads: 1 }, { limit: 3 }, { score: 1 }],
      ...[{ where: {} }, { where: { year: 1 } }, { groupBy: 'genre' }, { groupSize: 1 }],
      ...[{ exclude: 7 }, { exclude: [1, 'a'] }, { oversample: 0 }],
      // Bits mean rows, which have other numbers in every shard.
      ...[{ filter: local }, { filter: new Uint8Array(1) }, { filter: [1] }, { filter: {} }],
    ]) {
      const search = index.search(QUERY, options as object);
      expect(await codeRejected(search), JSON.stringify(options)).toBe('ERR_LICHEN_ARGUMENT');
    }
    expect(await codeRejected(index.search([1, 2]))).toBe('ERR_LICHEN_DIMENSION');
    expect(await codeRejected(index.search([1, 2, 3, NaN]))).toBe('ERR_LICHEN_NOT_FINITE');
    expect(await codeRejected(index.searchBatch([]))).toBe('ERR_LICHEN_EMPTY');
    for (const score of [NaN, Infinity, undefined as never]) {
      const search = index.searchWithin(QUERY, { score });
      expect(await codeRejected(search)).toBe('ERR_LICHEN_ARGUMENT');
    }
    // More results than memory can hold, however few there are.
    const many = index.searchBatch(queriesOf(50_000, DIM), { k: 2 ** 20 });
    expect(await codeRejected(many)).toBe('ERR_LICHEN_MEMORY');
    expect(() => index.filter(7 as never)).toThrow(/keys must be an array/);
  });

  it('refuses what does not fit a message, and goes on', async () => {
    const filter = index.filter(Float64Array.from({ length: 20_000 }, (_, key) => key));
    expect(await codeRejected(index.search(QUERY, { filter }))).toBe('ERR_LICHEN_UNSUPPORTED');
    const batch = index.searchBatch(queriesOf(9, DIM), { filter });
    expect(await codeRejected(batch)).toBe('ERR_LICHEN_UNSUPPORTED');
    const exclude = filter.keys as Float64Array;
    expect(await codeRejected(index.search(QUERY, { exclude }))).toBe('ERR_LICHEN_UNSUPPORTED');
    expect((await index.search(QUERY)).keys).toHaveLength(10);
  });

  it('refuses answers and rows that do not fit a message', async () => {
    const string = { ...INDEX, keys: 'string' } as const;
    await using own = await SmallCluster.start({
      ...{ servers: server.url, name: 'long-keys', shards: 1, replicas: 1, index: string },
    });
    const long = await own.connect<string>();
    const keys = ['a', 'b', 'c'].map((letter) => letter.repeat(30_000));
    await long.upsert([QUERY, QUERY, QUERY], { keys });
    expect((await long.search(QUERY, { k: 1 })).keys).toEqual([keys[0]]);
    expect(await codeRejected(long.search(QUERY))).toBe('ERR_LICHEN_UNSUPPORTED');
    const within = long.searchWithin(QUERY, { score: 0 });
    expect(await codeRejected(within)).toBe('ERR_LICHEN_UNSUPPORTED');
    const key = 'd'.repeat(65_535);
    expect(await codeRejected(long.upsert([QUERY], { keys: [key] }))).toBe('ERR_LICHEN_ARGUMENT');
    expect(await codeRejected(long.has(key))).toBe('ERR_LICHEN_UNSUPPORTED');
    expect(await long.has(keys[2]!)).toBe(true);
  });

  it('takes half a surrogate for what it is stored as, wherever it is', async () => {
    const string = { ...INDEX, keys: 'string' } as const;
    await using own = await SmallCluster.start({
      ...{ servers: server.url, name: 'halves', shards: 16, replicas: 1, index: string },
    });
    const texts = await own.connect<string>();
    const [half, stored] = ['a\ud800b', 'a\ufffdb'];
    await texts.add([QUERY], { keys: [half] });
    expect(await texts.has(stored)).toBe(true);
    expect((await texts.search(QUERY)).keys).toEqual([stored]);
    const again = texts.add([QUERY], { keys: [stored] });
    expect(await codeRejected(again)).toBe('ERR_LICHEN_DUPLICATE_KEY');
    const twice = texts.upsert([QUERY, QUERY], { keys: ['a\udfffb', half] });
    expect(await codeRejected(twice)).toBe('ERR_LICHEN_DUPLICATE_KEY');
    await texts.remove([stored]);
    expect(await texts.has(half)).toBe(false);
  });

  it('that is closed does nothing any more', async () => {
    const closed = await cluster.connect();
    // Changes and questions that are under way end too.
    const waiting = [
      closed.get(rows.keys.find((one) => shardOf(one, SHARDS) === 1)!),
      closed.checkpoint(),
    ];
    const ends = Promise.all(waiting.map((promise) => codeRejected(promise)));
    await closed.close();
    await closed.close();
    expect(await ends).toEqual(['ERR_LICHEN_CLOSED', 'ERR_LICHEN_CLOSED']);
    for (const call of [
      () => closed.search(QUERY),
      () => closed.searchBatch([QUERY]),
      () => closed.searchWithin(QUERY, { score: 0 }),
      () => closed.add([QUERY], { keys: [1] }),
      () => closed.update([QUERY], { keys: [1] }),
      () => closed.upsert([QUERY], { keys: [1] }),
      () => closed.remove([1]),
      () => closed.setAttributes([1], {}),
      ...[() => closed.get(1), () => closed.has(1), () => closed.attributesOf([1])],
      ...[() => closed.stats(), () => closed.refresh(), () => closed.checkpoint()],
    ]) {
      expect(await codeRejected(call())).toBe('ERR_LICHEN_CLOSED');
    }
  });

  it('is whole again when its shard is served', async () => {
    const node = await cluster.startNode(1);
    await node.ready;
    await until(async () => (await index.search(QUERY)).missing.length === 0, 'a whole answer');
    expect((await index.search(QUERY, { k: 1000, partial: 'refuse' })).keys).toHaveLength(299);
    const { shards } = await index.stats();
    expect(shards.map(({ replicas }) => replicas.length)).toEqual([2, 1, 2]);
  });

  it('is refused where there is none, or where it cannot be', async () => {
    const address = { servers: server.url, name: 'none-such' };
    const place = { ...address, shard: 0, shards: 3, directory: at('node') };
    expect(await codeRejected(ClusterIndex.connect(address))).toBe('ERR_LICHEN_NOT_FOUND');
    expect(await codeRejected(ClusterNode.start(place))).toBe('ERR_LICHEN_NOT_FOUND');
    const port = await freePort();
    const nowhere = { servers: `127.0.0.1:${port}`, name: 'items', connectTimeout: 500 };
    expect(await codeRejected(ClusterIndex.connect(nowhere))).toBe('ERR_LICHEN_IO');
    for (const part of [
      ...[
        { name: 'a.b' },
        { name: undefined },
        { tenant: '*' },
        { servers: [] },
        { servers: 4222 },
      ],
      ...[
        { deadline: -1 },
        { consistency: 'all' },
        { pollInterval: 1 },
        { onSwap: 1 },
        { user: 'a', token: 'b' },
      ],
      ...[{ connectTimeout: 0 }, { password: 7, users: 1 }],
    ]) {
      const connecting = ClusterIndex.connect({ ...address, name: 'items', ...part } as never);
      expect(await codeRejected(connecting), JSON.stringify(part)).toBe('ERR_LICHEN_ARGUMENT');
    }
    for (const part of [
      { shard: 3 },
      { shards: 2 },
      { directory: '' },
      { grace: -1 },
      { shard: '0' },
    ]) {
      const starting = ClusterNode.start({ ...place, name: 'items', ...part } as never);
      expect(await codeRejected(starting), JSON.stringify(part)).toBe('ERR_LICHEN_ARGUMENT');
    }
  });

  it('is not made of what cannot be, nor twice', async () => {
    const address = { servers: server.url, name: 'made' };
    for (const part of [
      ...[{ kind: 'tree' }, { keys: 'row' }, { dim: 0 }, { metric: 'l1' }, { m: 0 }, { m: 2.5 }],
      ...[{ efConstruction: 0 }, { storage: 'f8' }, { attributes: { not: 'number' } }],
    ]) {
      const index = { ...INDEX, kind: 'hnsw', ...part } as ShardIndexOptions;
      const making = createCluster({ ...address, shards: 1, index });
      expect(await codeRejected(making), JSON.stringify(part)).toBe('ERR_LICHEN_ARGUMENT');
    }
    for (const shards of [0, 1025, 1.5]) {
      const making = createCluster({ ...address, shards, index: INDEX });
      expect(await codeRejected(making)).toBe('ERR_LICHEN_ARGUMENT');
    }
    await createCluster({ ...address, shards: 1, index: INDEX });
    const again = createCluster({ ...address, shards: 1, index: INDEX });
    expect(await codeRejected(again)).toBe('ERR_LICHEN_DUPLICATE_KEY');
  });
});
