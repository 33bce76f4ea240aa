import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeFrame } from '../../src/cluster/frame.js';
import type { ClusterIndex, NodeStatistics } from '../../src/cluster/index.js';
import { ClusterNames } from '../../src/cluster/names.js';
import { failureOf } from '../../src/cluster/search-message.js';
import { HnswIndex } from '../../src/index/hnsw.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { until } from '../servers/processes.js';
import {
  absurdQuestions,
  absurdSearches,
  damagedSearches,
  damagedWrites,
  goodSearch,
  mutated,
} from './hostile-messages.js';
import { ATTRIBUTES, listed, queriesOf, rowsOf } from './search-data.js';
import { SmallCluster } from './small-cluster.js';

const DIM = 4;
const SHARDS = 3;
const REPLICAS = 2;
const EPOCH = 1;
const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
const NAMES = new ClusterNames('default', 'items');
const INDEX = { kind: 'hnsw', keys: 'integer', dim: DIM, metric: 'l2' } as const;

let server: NatsServer;
let questions = 0;

describe.skipIf(NATS_MISSING)(`among strangers${NATS_NOTE}`, () => {
  const rows = rowsOf(300, DIM, (at) => at);
  const local = new HnswIndex({ dim: DIM, metric: 'l2', attributes: ATTRIBUTES });
  let cluster: SmallCluster;
  let index: ClusterIndex;
  let stranger: NatsConnection;
  let leave: () => Promise<void>;

  beforeAll(async () => {
    server = await startNats({ maxPayload: 64 * 1024 });
    cluster = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', shards: SHARDS, replicas: REPLICAS },
      index: { ...INDEX, attributes: ATTRIBUTES },
    });
    index = await cluster.connect();
    const inside = await cluster.inside();
    stranger = inside.cluster.connection;
    leave = async () => inside[Symbol.asyncDispose]();
    const given = { keys: rows.keys, attributes: rows.attributes };
    await index.add(rows.vectors, given);
    await local.add(rows.vectors, given);
  });
  afterAll(async () => {
    local.close();
    await leave?.();
    await cluster?.stop();
    await server?.stop();
  });

  /** That searches and questions are answered as ever. */
  async function expectRight(of: ClusterIndex = index): Promise<void> {
    const queries = queriesOf(5, DIM);
    const options = { k: 7, exact: true, where: { year: { gte: 1960 } }, groupBy: 'genre' };
    const found = await of.searchBatch(queries, { ...options, partial: 'refuse' });
    const own = await local.searchBatch(queries, options);
    expect([found.keys, found.scores]).toEqual([own.keys, own.scores]);
    const one = queries.subarray(0, DIM);
    expect(listed(await of.search(one))).toEqual(listed(await local.search(one)));
    expect(await of.get(rows.keys[5]!)).toEqual(local.get(rows.keys[5]!));
  }

  const statistics = (): NodeStatistics[] => cluster.nodes.map((node) => node.statistics());
  const rejectedOf = (node: NodeStatistics): number => node.epochs[0]!.requests.rejected;
  const rejectedBy = (shard: number): number =>
    statistics()
      .filter((node) => node.shard === shard)
      .reduce((sum, node) => sum + rejectedOf(node), 0);

  /** Sends messages, each as a question and as a statement; gives the codes of so many answers, or more. */
  async function send(
    subject: string,
    messages: readonly Uint8Array[],
    answers = 0,
  ): Promise<string[]> {
    const inbox = `_INBOX.stranger.${questions++}`;
    const codes: string[] = [];
    const subscription = stranger.subscribe(inbox, {
      callback: (_, { data, headers: head }) => {
        if (data.length === 0 && head?.code === 503) return;
        codes.push(failureOf(decodeFrame(data))?.code ?? 'none');
      },
    });
    for (const message of messages) {
      stranger.publish(subject, message, { reply: inbox });
      stranger.publish(subject, message);
      // As much as a node takes at a time: a subscriber that is late NATS cuts off.
      await stranger.flush();
    }
    await until(() => codes.length >= answers, `answers on ${subject}`);
    subscription.unsubscribe();
    return codes;
  }

  /** Damaged ones are counted when they come: with and without a reply subject. */
  async function expectRejected(shard: number, count: number): Promise<void> {
    await until(() => rejectedBy(shard) >= count, 'that all of it has come');
    expect(rejectedBy(shard)).toBe(count);
  }

  it('damaged searches are refused and counted, by one replica of each shard', async () => {
    const damaged = damagedSearches(DIM);
    const before = ALL.map(rejectedBy);
    const codes = await send(NAMES.search(EPOCH), damaged, SHARDS * damaged.length);
    expect(codes).toEqual(new Array(SHARDS * damaged.length).fill('ERR_LICHEN_FORMAT'));
    for (const shard of ALL) await expectRejected(shard, before[shard]! + 2 * damaged.length);
    await expectRight();
  });

  it('second questions are refused and counted by every replica', async () => {
    const damaged = damagedSearches(DIM).slice(0, 20);
    for (const shard of ALL) {
      const before = rejectedBy(shard);
      const answers = REPLICAS * damaged.length;
      const codes = await send(NAMES.hedge(EPOCH, shard), damaged, answers);
      expect(codes).toEqual(new Array(answers).fill('ERR_LICHEN_FORMAT'));
      await expectRejected(shard, before + 2 * answers);
    }
    await expectRight();
  });

  it('searches for what cannot be are refused, and those for too much', async () => {
    const absurd = absurdSearches(DIM);
    const codes = await send(NAMES.search(EPOCH), absurd, SHARDS * absurd.length);
    // None is a defect of lichen.
    expect(new Set(codes)).not.toContain('ERR_LICHEN_INTERNAL');
    expect(codes.filter((code) => code === 'ERR_LICHEN_ARGUMENT').length).toBeGreaterThan(300);
    expect(codes).toContain('ERR_LICHEN_UNSUPPORTED');
    await expectRight();
  });

  it('questions to a shard that cannot be answered are refused', async () => {
    const codes = new Set<string>();
    for (const shard of ALL) {
      const before = rejectedBy(shard);
      const absurd = absurdQuestions(DIM);
      const answers = await send(NAMES.ask(EPOCH, shard), absurd, absurd.length);
      for (const code of answers) codes.add(code);
      await until(() => rejectedBy(shard) > before + 50, 'a count of those');
    }
    // Too many vectors for a message, of a key that one of them has.
    const expected = ['ARGUMENT', 'FORMAT', 'NOT_READY', 'UNSUPPORTED'];
    expect([...codes].sort()).toEqual([...expected.map((code) => `ERR_LICHEN_${code}`), 'none']);
    await expectRight();
  });

  it('messages with some bytes changed do no harm', async () => {
    const searches = mutated([...absurdSearches(DIM), goodSearch(DIM)], 300);
    const codes = await send(NAMES.search(EPOCH), searches);
    for (const shard of ALL) {
      codes.push(...(await send(NAMES.hedge(EPOCH, shard), searches.slice(0, 60))));
      codes.push(...(await send(NAMES.ask(EPOCH, shard), mutated(absurdQuestions(DIM), 100))));
    }
    expect(new Set(codes)).not.toContain('ERR_LICHEN_INTERNAL');
    await expectRight();
  });

  it('whatever is sent to where replicas tell of themselves does no harm', async () => {
    const services = ['PING', 'INFO', 'STATS'].flatMap((kind) => [
      `$SRV.${kind}`,
      `$SRV.${kind}.lichen-shard`,
      `$SRV.${kind}.lichen-shard.${cluster.nodes[0]!.replica}`,
    ]);
    const reply = '_INBOX.stranger.nowhere';
    for (const subject of [...services, NAMES.stats]) {
      for (const message of damagedSearches(DIM).slice(0, 10)) {
        stranger.publish(subject, message, { reply });
        stranger.publish(subject, message);
      }
    }
    await stranger.flush();
    await expectRight();
    expect((await index.stats()).shards.map(({ replicas }) => replicas.length)).toEqual([2, 2, 2]);
  });

  it('changes that are none are skipped and counted by all replicas alike', async () => {
    const damaged = damagedWrites(DIM);
    const rejected = () => statistics().map((node) => node.epochs[0]!.changes.rejected);
    const before = rejected();
    for (const shard of ALL) {
      for (const message of damaged) {
        const reply = await stranger.request(NAMES.write(EPOCH, shard), message, {
          timeout: 20_000,
        });
        expect(reply.json()).toMatchObject({ stream: NAMES.stream(EPOCH, shard) });
      }
    }
    await cluster.settled();
    expect(rejected()).toEqual(before.map((count) => count + damaged.length));
    await expectRight();
    // And what comes after them is done.
    await index.upsert(rows.vectors.subarray(0, DIM), { keys: [0] });
    await index.setAttributes([0], { genre: ['jazz'] });
    local.setAttributes([0], { genre: ['jazz'] });
    await expectRight();
  });

  it('an index of numbers that is empty does not become one of texts', async () => {
    await using own = await SmallCluster.start({
      ...{ servers: server.url, name: 'empty', shards: 1, replicas: 1, index: INDEX },
    });
    const client = await own.connect();
    for (const message of damagedWrites(DIM)) {
      await stranger.request('lichen.default.empty.1.0.write', message, { timeout: 20_000 });
    }
    await client.add(new Float32Array(DIM), { keys: [7] });
    expect([...(await client.search(new Float32Array(DIM))).keys]).toEqual([7]);
  });

  it('what is another tenant’s stays apart', async () => {
    await using other = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', tenant: 'other', shards: SHARDS, replicas: 1 },
      index: INDEX,
    });
    const client = await other.connect();
    const before = statistics().map((node) => node.epochs[0]!.sequence);
    await client.upsert(rows.vectors, { keys: rows.keys.map((key) => key + 10_000) });
    expect((await client.search(new Float32Array(DIM))).keys.every((key) => key >= 10_000)).toBe(
      true,
    );
    expect(statistics().map((node) => node.epochs[0]!.sequence)).toEqual(before);
    await expectRight();
    expect((await index.stats()).shards.map(({ replicas }) => replicas.length)).toEqual([2, 2, 2]);
  });

  it('replicas of a shard are the same in the end, and what one index is', async () => {
    const [first, second] = [await cluster.contents(), cluster.nodes.length / REPLICAS];
    const keys: number[] = [];
    for (const { shard, rows: there } of first.slice(0, second)) {
      const twin = first.slice(second).find((one) => one.shard === shard)!;
      expect(twin.rows).toEqual(there);
      keys.push(...(there.keys() as unknown as number[]));
    }
    expect(keys.sort((a, b) => a - b)).toEqual(rows.keys);
  });
});
