import { headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../../src/cluster/connection.js';
import { encodeFrame } from '../../src/cluster/frame.js';
import { shardOf, type ClusterIndex } from '../../src/cluster/index.js';
import { ClusterNames } from '../../src/cluster/names.js';
import { encodeReply } from '../../src/cluster/search-message.js';
import { FlatIndex } from '../../src/index/flat.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { until } from '../servers/processes.js';
import { queriesOf, rowsOf } from './search-data.js';
import { SmallCluster } from './small-cluster.js';
import { codeRejected } from './thrown.js';

const DIM = 4;
const SHARDS = 3;
const EPOCH = 1;
const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
const NAMES = new ClusterNames('default', 'items');
const INDEX = { kind: 'flat', keys: 'integer', dim: DIM, metric: 'l2' } as const;

/** Answers of a shard to a search of a query, none of which is one. */
function lies(): Uint8Array[] {
  const from = { shard: 0, replica: 'liar', sequence: 1, size: 1 };
  const counts = Uint32Array.of(1);
  const [keys, scores] = [Float64Array.of(-7), Float32Array.of(0)];
  const whole = encodeReply({ ...from, counts, keys, scores, groups: undefined });
  const header = { ...from, keys: 'integer', hasGroups: false };
  return [
    ...[new Uint8Array(), Buffer.from('{}'), Buffer.from('garbage'), Buffer.alloc(5000, 0xff)],
    ...[whole.subarray(0, -8), whole.subarray(0, 20), Buffer.concat([whole, new Uint8Array(8)])],
    encodeFrame(header, [counts, scores, keys], true),
    // Of shards that there are not.
    ...[-1, SHARDS, 99, 0.5, 2 ** 53, '0', null, undefined, [0]].map((shard) =>
      encodeFrame({ ...header, shard }, [counts, scores, keys]),
    ),
    // Of shards that there are, and yet no answers.
    ...ALL.flatMap((shard) => [
      ...[encodeFrame({ shard }, []), encodeFrame({ ...header, shard }, [])],
      encodeFrame({ ...header, shard }, [Uint32Array.of(1, 1), scores, keys]),
      encodeFrame({ ...header, shard }, [Uint32Array.of(2 ** 32 - 1), scores, keys]),
      encodeFrame({ ...header, shard }, [counts, Float32Array.of(0, 1), keys]),
      encodeFrame({ ...header, shard }, [counts, scores, Float64Array.of(1, 2)]),
      encodeFrame({ ...header, shard, keys: 'string' }, [counts, scores, Buffer.from('["a"]')]),
      encodeFrame({ ...header, shard, hasGroups: true }, [counts, scores, keys]),
      encodeFrame({ ...header, shard, sequence: 'x' }, [counts, scores, keys]),
      ...['EIO', '', 5, {}].map((code) => encodeFrame({ ...header, shard, code }, [])),
    ]),
  ];
}

let server: NatsServer;

describe.skipIf(NATS_MISSING)(`among liars${NATS_NOTE}`, () => {
  const rows = rowsOf(300, DIM, (at) => at);
  const local = new FlatIndex({ dim: DIM, metric: 'l2' });
  const query = queriesOf(1, DIM);
  let cluster: SmallCluster;
  let index: ClusterIndex;
  let inside: Cluster;
  let liar: NatsConnection;
  let leave: () => Promise<void>;
  const told: { unsubscribe(): void }[] = [];

  beforeAll(async () => {
    server = await startNats();
    cluster = await SmallCluster.start({
      ...{ servers: server.url, name: 'items', shards: SHARDS, index: INDEX },
    });
    index = await cluster.connect();
    const opened = await cluster.inside();
    inside = opened.cluster;
    liar = inside.connection;
    leave = async () => opened[Symbol.asyncDispose]();
    await index.add(rows.vectors, { keys: rows.keys });
    await local.add(rows.vectors, { keys: rows.keys });
  });
  afterEach(() => {
    for (const subscription of told.splice(0)) subscription.unsubscribe();
  });
  afterAll(async () => {
    local.close();
    await leave?.();
    await cluster?.stop();
    await server?.stop();
  });

  /** Answers what comes to a subject besides those who should, so many times. */
  async function lie(subject: string, answer: (message: Msg) => void, times = Infinity) {
    let left = times;
    const heard = { count: 0 };
    const subscription = liar.subscribe(subject, {
      callback: (_, message) => {
        heard.count++;
        if (left-- > 0) answer(message);
      },
    });
    told.push(subscription);
    await liar.flush();
    return heard;
  }

  async function expectRight(): Promise<void> {
    const options = { k: 9, exact: true };
    const found = await index.search(query, { ...options, partial: 'refuse' });
    const own = await local.search(query, options);
    expect([found.keys, found.scores]).toEqual([own.keys, own.scores]);
  }

  it('answers to searches that are none count as none', async () => {
    const all = lies();
    const heard = await lie(NAMES.search(EPOCH), (message) => {
      for (const answer of all) message.respond(answer);
    });
    for (let round = 0; round < 30; round++) await expectRight();
    expect(heard.count).toBeGreaterThanOrEqual(30);
  });

  it('nor do those to second questions, whoever they say that they are of', async () => {
    await using other = await SmallCluster.start({
      ...{
        servers: server.url,
        name: 'partial',
        shards: 2,
        replicas: 1,
        served: [0],
        index: INDEX,
      },
    });
    const client = await other.connect({ deadline: 400 });
    const vector = new Float32Array(DIM);
    await client.upsert(vector, { keys: [1] });
    const holder = (await client.search(vector, { deadline: 20_000 })).keys.length;
    const names = new ClusterNames('default', 'partial');
    const from = { replica: 'liar', sequence: 1, size: 1, groups: undefined };
    const empty = {
      counts: new Uint32Array(1),
      keys: new Float64Array(),
      scores: new Float32Array(),
    };
    const all = [...lies(), encodeReply({ ...from, ...empty, shard: 0 })];
    const heard = await lie(names.hedge(EPOCH, 1), (message) => {
      for (const answer of all) message.respond(answer);
    });
    await until(async () => {
      // On a busy machine shard 0 may be late itself.
      const found = await client.search(vector).catch(() => undefined);
      if (found === undefined || found.missing.includes(0)) return false;
      // What it has answered stays.
      expect(found.missing).toEqual([1]);
      expect(found.keys).toHaveLength(holder);
      return heard.count > 3;
    }, 'questions to the liar');
  });

  it('notes that nobody is there are taken only for shards that are asked', async () => {
    const nobody = headers(503, 'No Responders');
    await lie(NAMES.search(EPOCH), ({ reply }) => {
      for (const shard of [SHARDS, 99, 2 ** 31, -1, 0.5, 'x', '', '0.1', '__proto__']) {
        if (shard !== '') liar.publish(`${reply}.${shard}`, undefined, { headers: nobody });
      }
    });
    for (let round = 0; round < 30; round++) await expectRight();
  });

  it('questions to shards are asked again when the answer is none', async () => {
    const answers = [
      ...[new Uint8Array(), Buffer.from('garbage'), encodeFrame({}, [])],
      ...[encodeFrame({ found: [1], columns: [] }, []), encodeFrame({ found: 'x' }, [])],
      ...[encodeFrame({ code: 'EIO' }, []), encodeFrame({ outcome: { kind: 'done' } }, [])],
      encodeFrame({ outcome: { kind: 'rejected', code: 'x' } }, []),
    ];
    for (const shard of ALL) {
      const one = rows.keys.find((key) => shardOf(key, SHARDS) === shard)!;
      for (const answer of answers) {
        await lie(NAMES.ask(EPOCH, shard), (message) => message.respond(answer), 2);
      }
      expect(await index.get(one)).toEqual(local.get(one));
      expect(await index.has(1e9)).toBe(false);
    }
    const changed = queriesOf(1, DIM, 4);
    await index.update(changed, { keys: [5] });
    await local.update(changed, { keys: [5] });
    expect(await codeRejected(index.update(changed, { keys: [1e9] }))).toBe(
      'ERR_LICHEN_UNKNOWN_KEY',
    );
    await expectRight();
  });

  it('replicas that are none are not among those that tell of themselves', async () => {
    const node = { ...cluster.nodes[0]!.statistics(), replica: 'liar' };
    const [epoch] = node.epochs;
    const answers: unknown[] = [
      ...[null, 1, [], {}, 'x', { replica: 'liar' }, { ...node, epochs: {} }],
      ...[null, 1, 'x', {}, { epoch: 1 }].map((one) => ({ ...node, epochs: [one] })),
      ...[null, undefined, {}, 1].flatMap((part) => [
        { ...node, epochs: [{ ...epoch, changes: part }] },
        { ...node, epochs: [{ ...epoch, requests: part }] },
      ]),
      ...['1', null, NaN, {}].map((size) => ({ ...node, epochs: [{ ...epoch, size }] })),
      ...[-1, 99, '0', null].map((shard) => ({ ...node, shard })),
    ];
    await lie(NAMES.stats, (message) => {
      message.respond('garbage');
      message.respond(Buffer.from([0xff, 0xfe]));
      for (const answer of answers) message.respond(JSON.stringify(answer));
    });
    const { shards, others } = await index.stats(5000);
    expect(others).toEqual([]);
    const names = shards.map(({ replicas }) => replicas.map(({ replica }) => replica));
    expect(names.flat().sort()).toEqual(cluster.nodes.map(({ replica }) => replica).sort());
    expect(index.size).toBe(300);
  });

  it('acknowledgements that are none do not pass for one', async () => {
    const stream = NAMES.stream(EPOCH, 0);
    const answers = [
      ...['garbage', '', '{}', '[]', 'null', '{"stream":""}', JSON.stringify({ stream })],
      ...[-1, 0, '7', 0.5, null].map((seq) => JSON.stringify({ stream, seq })),
      JSON.stringify({ stream, seq: 2 ** 53, duplicate: true }),
      JSON.stringify({ error: { code: 500, err_code: 1, description: 'x' } }),
    ];
    for (const shard of ALL) {
      let next = 0;
      await lie(
        NAMES.write(EPOCH, shard),
        (message) => message.respond(answers[next++ % answers.length]),
        2 * answers.length,
      );
    }
    for (let round = 0; round < 10; round++) {
      const token = await index.upsert(rows.vectors, { keys: rows.keys });
      for (const sequence of token.sequences) {
        expect(Number.isSafeInteger(sequence) && sequence > 0).toBe(true);
      }
    }
    await local.upsert(rows.vectors, { keys: rows.keys });
    await expectRight();
    await cluster.settled();
  });

  it('a bucket with garbage in it keeps nobody from answering', async () => {
    const bucket = await inside.bucket();
    const current = (await bucket.get('current'))!.string();
    for (const garbage of ['garbage', '{}', '[]', '{"epoch":1e9}', '']) {
      await bucket.put('next', garbage);
      await bucket.put('current', garbage);
      expect(await codeRejected(index.refresh())).toBe('ERR_LICHEN_FORMAT');
      await expectRight();
    }
    await bucket.put('current', current);
    await bucket.purge('next');
    expect(await index.refresh()).toBe(false);
    await index.upsert(rows.vectors.subarray(0, DIM), { keys: [0] });
    await cluster.settled();
    await expectRight();
  });
});
