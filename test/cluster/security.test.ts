import { writeFileSync } from 'node:fs';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ClusterIndex,
  ClusterNode,
  createCluster,
  dropCluster,
  publishToCluster,
  reshardCluster,
  type ClusterAddress,
} from '../../src/cluster/index.js';
import { encodeWrite } from '../../src/cluster/write-message.js';
import { FlatIndex } from '../../src/index/flat.js';
import {
  makeCertificates,
  makeNkey,
  OPENSSL_MISSING,
  OPENSSL_NOTE,
} from '../servers/credentials.js';
import { NATS_MISSING, NATS_NOTE, startNats, type NatsServer } from '../servers/nats.js';
import { until } from '../servers/processes.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import {
  adminPermissions,
  clientPermissions,
  nodePermissions,
  searcherPermissions,
} from './permissions.js';
import { SmallCluster } from './small-cluster.js';
import { codeRejected } from './thrown.js';

const INDEX = { kind: 'flat', keys: 'integer', dim: 2, metric: 'l2' } as const;
const IO = 'ERR_LICHEN_IO';

/** What is refused of an address, for each of some changes of it. */
async function codesOf(address: object, parts: readonly object[]): Promise<unknown[]> {
  const codes: unknown[] = [];
  for (const part of parts) {
    const options = { name: 'items', connectTimeout: 5000, ...address, ...part };
    codes.push(await codeRejected(ClusterIndex.connect(options as ClusterAddress)));
  }
  return codes;
}

describe.skipIf(NATS_MISSING)(`who is let in${NATS_NOTE}`, () => {
  const at = temporaryFolder();
  const { nkeyPublic, seed } = makeNkey();
  let server: NatsServer;

  beforeAll(async () => {
    writeFileSync(at('seed'), `${Buffer.from(seed).toString()}\n`);
    writeFileSync(at('other-seed'), makeNkey().seed);
    writeFileSync(at('garbage'), 'garbage');
    server = await startNats({ user: 'ada', password: 'secret', nkeyPublic });
  });
  afterAll(() => server?.stop());

  it('are users with their passwords, and holders of a seed', async () => {
    const ada = { servers: server.url, name: 'items', user: 'ada', password: 'secret' };
    const holder = { servers: server.url, name: 'items', nkey: at('seed') };
    await using cluster = await SmallCluster.start({
      ...{ ...ada, index: INDEX, shards: 2, replicas: 1, nodeAddress: holder },
    });
    await using index = await ClusterIndex.connect(holder);
    await index.upsert([[1, 2]], { keys: [7] });
    expect([...(await index.search([1, 2])).keys]).toEqual([7]);
    await using same = await cluster.connect();
    expect(await same.has(7)).toBe(true);
  });

  it('are nobody else', async () => {
    const { url: servers } = server;
    const codes = await codesOf({ servers }, [
      ...[
        { user: 'ada', password: 'wrong' },
        { user: 'ada' },
        {},
        { user: 'bob', password: 'secret' },
      ],
      ...[{ token: 'secret' }, { nkey: at('other-seed') }, { nkey: at('garbage') }],
      ...[{ credentials: at('garbage') }, { user: 'ada', password: 'secret', tls: {} }],
    ]);
    expect(codes).toEqual(new Array(9).fill(IO));
    const place = { shard: 0, shards: 1, directory: at('node'), name: 'items' };
    const intruder = { servers, user: 'ada', password: 'wrong' };
    expect(await codeRejected(ClusterNode.start({ ...place, ...intruder }))).toBe(IO);
    const making = createCluster({ ...intruder, name: 'items', shards: 1, index: INDEX });
    expect(await codeRejected(making)).toBe(IO);
  });

  it('are told which file is missing, and that one way is enough', async () => {
    const { url: servers } = server;
    expect(
      await codesOf({ servers }, [
        { nkey: at('none') },
        { credentials: at('none') },
        { tls: { ca: at('none') } },
      ]),
    ).toEqual(new Array(3).fill('ERR_LICHEN_NOT_FOUND'));
    expect(
      await codesOf({ servers }, [
        ...[
          { user: 'ada', token: 'a' },
          { user: 'ada', nkey: at('seed') },
        ],
        { nkey: at('seed'), credentials: at('seed') },
      ]),
    ).toEqual(new Array(3).fill('ERR_LICHEN_ARGUMENT'));
  });
});

describe.skipIf(NATS_MISSING || OPENSSL_MISSING)(`TLS${NATS_NOTE}${OPENSSL_NOTE}`, () => {
  const [at, elsewhere] = [temporaryFolder(), temporaryFolder()];
  let server: NatsServer;
  let ca: string;
  let otherCa: string;

  beforeAll(async () => {
    const tls = makeCertificates(at('.'));
    ca = tls.ca;
    otherCa = makeCertificates(elsewhere('.')).ca;
    writeFileSync(at('garbage'), 'garbage');
    server = await startNats({ user: 'ada', password: 'secret', tls });
  });
  afterAll(() => server?.stop());

  it('lets in who knows the authority, and nobody else', async () => {
    const ada = { servers: server.url, name: 'items', user: 'ada', password: 'secret' };
    await using cluster = await SmallCluster.start({
      ...{ ...ada, tls: { ca }, index: INDEX, shards: 2, replicas: 1 },
    });
    const index = await cluster.connect();
    await index.upsert([[1, 2]], { keys: [7] });
    expect([...(await index.search([1, 2])).keys]).toEqual([7]);
    const codes = await codesOf(ada, [
      ...[{ tls: { ca: otherCa } }, { tls: {} }, {}, { tls: { ca: at('garbage') } }],
      ...[
        { tls: { ca }, password: 'wrong' },
        { tls: { ca, cert: at('garbage'), key: at('garbage') } },
      ],
    ]);
    expect(codes).toEqual(new Array(6).fill(IO));
  });
});

describe.skipIf(NATS_MISSING)(`tenants of one server${NATS_NOTE}`, () => {
  const at = temporaryFolder();
  const shards = 2;
  const acme = { tenant: 'acme', name: 'items', shards, epochs: [1, 2] };
  const beta = { tenant: 'beta', name: 'items', shards, epochs: [1] };
  const larger = { ...acme, shards: 3, epochs: [1, 2, 3] };
  const users = {
    'acme-admin': adminPermissions(larger),
    'acme-node': nodePermissions(larger),
    'acme-client': clientPermissions(larger),
    'acme-searcher': searcherPermissions(larger),
    'beta-admin': adminPermissions(beta),
    'beta-node': nodePermissions(beta),
    'beta-client': clientPermissions(beta),
  };
  let server: NatsServer;
  const as = (user: keyof typeof users) => {
    const { tenant, name } = user.startsWith('acme') ? acme : beta;
    return { servers: server.url, user, password: user, tenant, name };
  };
  const clusters: SmallCluster[] = [];

  beforeAll(async () => {
    const all = Object.entries(users).map(([user, permissions]) => ({
      ...{ user, password: user, permissions },
    }));
    server = await startNats({ settings: { authorization: { users: all } } });
    // Long enough that its snapshots come under flow control.
    const rows = 60_000;
    using source = new FlatIndex({ dim: 16, metric: 'l2' });
    const vectors = Float32Array.from({ length: rows * 16 }, (_, nth) => nth % 251);
    await source.add(vectors, { keys: Array.from({ length: rows }, (_, row) => row) });
    await source.save(at('large.lichen'));
    using small = new FlatIndex({ dim: 2, metric: 'l2' });
    await small.add(
      [
        [1, 2],
        [3, 4],
      ],
      { keys: [1, 2] },
    );
    await small.save(at('small.lichen'));
  });
  afterAll(async () => {
    for (const cluster of clusters) await cluster.stop();
    await server?.stop();
  });

  it('need no more than their own subjects, streams and buckets, whatever they do', async () => {
    const events: string[] = [];
    await createCluster({ ...as('acme-admin'), shards, from: at('large.lichen') });
    const nodes = await Promise.all(
      [0, 1].map((shard) =>
        ClusterNode.start({
          ...{ ...as('acme-node'), shard, shards, directory: at(`node-${shard}`) },
          ...{ pollInterval: 50, grace: 50, checkpointEvery: 3 },
          onEvent: (text) => events.push(text),
        }),
      ),
    );
    await Promise.all(nodes.map(({ ready }) => ready));
    const options = { ...as('acme-client'), deadline: 20_000, pollInterval: 50 };
    await using index = await ClusterIndex.connect(options);
    await using searcher = await ClusterIndex.connect({ ...as('acme-searcher'), deadline: 20_000 });
    const vector = new Float32Array(16).fill(-1000);
    for (let key = 0; key < 12; key++) await index.upsert(vector, { keys: [key] });
    await index.remove([0], { idempotencyKey: 'twice' });
    await index.remove([0], { idempotencyKey: 'twice' });
    expect(await index.has(0)).toBe(false);
    expect(await searcher.get(1)).toEqual(vector);
    const found = await searcher.search(vector, { k: 11, partial: 'refuse', after: index.token });
    expect(new Set(found.keys)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    expect((await searcher.stats()).shards.map(({ replicas }) => replicas.length)).toEqual([1, 1]);
    // A checkpoint that is due, and one that is asked for: claims, snapshots, what is trimmed.
    await index.checkpoint();
    await until(
      () => nodes.every((node) => node.statistics().epochs[0]!.checkpoint > 0),
      'checkpoints',
    );
    for (let round = 0; round < 3; round++) {
      await index.upsert([...[vector, vector]], { keys: [1, 2] });
      await index.checkpoint();
    }
    await publishToCluster({ ...as('acme-admin'), from: at('small.lichen') });
    await until(() => index.refresh().then(() => index.map.epoch === 2), 'the next epoch');
    expect([...(await index.search([1, 2])).keys]).toEqual([1, 2]);
    await until(
      () => nodes.every((node) => node.statistics().epochs.length === 1),
      'the end of the epoch before',
    );
    await Promise.all(nodes.map((node) => node.close()));
    await index.close();
    const resharding = reshardCluster({ ...as('acme-admin'), shards: 3, waitMs: 20_000 });
    const more = await Promise.all(
      [0, 1, 2].map(async (shard) => {
        const options = { ...as('acme-node'), shard, shards: 3, directory: at(`more-${shard}`) };
        // Before there is a next epoch such a shard has no part in the index.
        let node: ClusterNode | undefined;
        await until(async () => {
          const onEvent = (text: string) => events.push(text);
          const starting = ClusterNode.start({ ...options, pollInterval: 50, onEvent });
          node = await starting.catch(() => undefined);
          return node !== undefined;
        }, 'the next epoch');
        return node!;
      }),
    );
    expect((await resharding).shards).toBe(3);
    await using later = await ClusterIndex.connect({ ...as('acme-client'), deadline: 20_000 });
    expect([...(await later.search([1, 2], { partial: 'refuse' })).keys]).toEqual([1, 2]);
    await Promise.all(more.map((node) => node.close()));
    await dropCluster(as('acme-admin'));
    expect(events.filter((text) => /violation/i.test(text))).toEqual([]);
  });

  it('may have accounts of their own, in which all that is theirs is apart', async () => {
    const accounts = Object.fromEntries(
      ['A', 'B', 'C'].map((name) => [
        name,
        { ...(name !== 'C' && { jetstream: 'enabled' }), users: [{ user: name, password: name }] },
      ]),
    );
    await using own = await startNats({ settings: { accounts } });
    const of = (user: string) => ({ servers: own.url, name: 'items', user, password: user });
    await using one = await SmallCluster.start({ ...of('A'), index: INDEX, shards, replicas: 1 });
    // The same name of the same tenant.
    await using other = await SmallCluster.start({ ...of('B'), index: INDEX, shards, replicas: 1 });
    const [first, second] = [await one.connect(), await other.connect()];
    await first.upsert([[1, 2]], { keys: [7] });
    expect(await second.has(7)).toBe(false);
    expect((await second.stats()).shards.map(({ replicas }) => replicas.length)).toEqual([1, 1]);
    expect(await codeRejected(ClusterIndex.connect(of('C')))).toBe('ERR_LICHEN_UNSUPPORTED');
  });

  describe('that are limited to what is theirs', () => {
    let connection: NatsConnection;
    let index: ClusterIndex;
    const refused: string[] = [];

    beforeAll(async () => {
      for (const tenant of ['acme', 'beta'] as const) {
        clusters.push(
          await SmallCluster.start({
            ...{ ...as(`${tenant}-admin`), nodeAddress: as(`${tenant}-node`) },
            ...{ index: INDEX, shards, replicas: 1 },
          }),
        );
      }
      index = await ClusterIndex.connect({ ...as('acme-client'), deadline: 20_000 });
      await index.upsert([[1, 2]], { keys: [7] });
      const { servers, user, password } = as('beta-client');
      connection = await connect({ servers, user, pass: password, inboxPrefix: '_INBOX.beta' });
      void (async () => {
        for await (const status of connection.status()) {
          if (status.type === 'error') refused.push(status.error.message);
        }
      })();
    });
    afterAll(async () => {
      await connection?.close();
      await index?.close();
    });

    it('cannot reach another’s index', async () => {
      const other = { ...as('beta-client'), tenant: 'acme' };
      expect(await codeRejected(ClusterIndex.connect(other))).toBe(IO);
      const node = { ...as('beta-node'), tenant: 'acme', shard: 0, shards, directory: at('x') };
      expect(await codeRejected(ClusterNode.start(node))).toBe(IO);
      const admin = { ...as('beta-admin'), tenant: 'acme' };
      const making = createCluster({ ...admin, name: 'mine', shards: 1, index: INDEX });
      expect(await codeRejected(making)).toBe(IO);
      const publishing = publishToCluster({ ...admin, from: at('small.lichen') });
      expect(await codeRejected(publishing)).toBe(IO);
      expect(await codeRejected(dropCluster(admin))).toBe(IO);
      // Nor can a searcher change anything.
      await using searcher = await ClusterIndex.connect(as('acme-searcher'));
      expect(await codeRejected(searcher.upsert([[9, 9]], { keys: [9] }))).toBe(IO);
      expect(await index.has(9)).toBe(false);
      expect([...(await searcher.search([1, 2], { partial: 'refuse' })).keys]).toEqual([7]);
    });

    it('cannot ask, change or overhear another’s subjects', async () => {
      const write = encodeWrite({
        ...{ kind: 'remove', id: 'intruder', keys: Float64Array.of(7) },
        ...{ vectors: undefined, columns: undefined },
      });
      const subjects = [
        ...['search', '0.ask', '0.hedge', '0.write', '1.write'].map(
          (what) => `lichen.acme.items.1.${what}`,
        ),
        ...[
          'lichen.acme.items.stats',
          '$KV.lichen_acme_items.current',
          '$KV.lichen_acme_items.next',
        ],
        ...['INFO', 'MSG.GET', 'DELETE', 'PURGE', 'UPDATE'].flatMap((what) => [
          `$JS.API.STREAM.${what}.LICHEN_acme_items_1_0`,
          `$JS.API.STREAM.${what}.KV_lichen_acme_items`,
          `$JS.API.STREAM.${what}.OBJ_lichen_acme_items_snapshots`,
        ]),
        ...[
          '$JS.API.DIRECT.GET.LICHEN_acme_items_1_0',
          '$JS.API.STREAM.CREATE.LICHEN_beta_items_1_0',
        ],
        '$JS.API.CONSUMER.CREATE.LICHEN_acme_items_1_0.x',
        ...['_INBOX.acme.x', '$O.lichen_acme_items_snapshots.M.x'],
      ];
      for (const subject of subjects) {
        const asking = connection.request(subject, write, { timeout: 20_000 });
        await expect(asking, subject).rejects.toThrow(/permissions violation/i);
      }
      const heard: string[] = [];
      for (const subject of [
        'lichen.acme.>',
        'lichen.>',
        '_INBOX.acme.>',
        '_INBOX.>',
        '>',
        '$KV.>',
      ]) {
        const subscription = connection.subscribe(subject, {
          callback: (error, message) => {
            heard.push(error === null ? message.subject : 'refused');
          },
        });
        await until(() => heard.length > 0, `an answer to ${subject}`);
        subscription.unsubscribe();
        expect(heard.splice(0)).toEqual(['refused']);
      }
      expect(refused.length).toBeGreaterThan(0);
      expect([...(await index.search([1, 2], { partial: 'refuse' })).keys]).toEqual([7]);
      const rejected = clusters[0]!.nodes.map((node) => node.statistics().epochs[0]!);
      expect(rejected.map(({ changes, requests }) => changes.rejected + requests.rejected)).toEqual(
        [0, 0],
      );
    });
  });
});
