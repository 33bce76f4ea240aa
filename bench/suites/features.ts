import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as lmdb from 'lmdb';
import type { Redis } from 'ioredis';
import type { Pool } from 'pg';
import { connectPostgres } from '../../src/features/postgres-store.js';
import { connectRedis } from '../../src/cache/redis-tier.js';
import { rowOf } from '../../src/features/frame.js';
import { Random, type OnlineStore } from '../../src/index.js';
import { POSTGRES_MISSING, startPostgres } from '../../test/servers/postgres.js';
import { REDIS_MISSING, startRedis } from '../../test/servers/redis.js';
import { until } from '../../test/servers/processes.js';
import { compiled, type Lichen } from '../harness/compiled.js';
import {
  featureData,
  fillStore,
  requestedTracks,
  type FeatureData,
} from '../harness/feature-data.js';
import { timedRounds } from '../harness/percentiles.js';
import {
  integerOption,
  listOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';

const STORES = ['lmdb', 'redis', 'postgres'] as const;
const WARM_UP = 50;

/** Latency of a request for many entities and features, from each store, beside reads of one key each. */
export const featuresSuite: Suite = {
  name: 'features',
  description: 'reads from memory, LMDB, Redis, PostgreSQL; naive reads beside',
  options: {
    stores: `which of ${STORES.join(', ')} (default: all that are installed)`,
    tracks: 'entities in the stores (default 50000)',
    entities: 'entities a request (default 100)',
    rounds: 'requests a side (default 1000; a tenth of that for naive reads)',
  },
  quick: { tracks: '2000', entities: '20', rounds: '50' },
  run,
};

/** What a program without lichen does: an object a key and view, each read by itself. */
interface Naive {
  readonly get: (view: string, key: number) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** lichen, and the features that are asked for. */
interface Given {
  readonly library: Lichen;
  readonly data: FeatureData;
  readonly tracks: number;
}

interface Side {
  readonly store: OnlineStore;
  readonly naive: Naive;
  readonly close: () => Promise<void>;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const tracks = integerOption(context, 'tracks', 50_000);
  const entities = integerOption(context, 'entities', 100);
  const rounds = integerOption(context, 'rounds', 1000);
  const library = compiled();
  const data = featureData(library);
  const { profile, recent } = data;
  const given: Given = { library, data, tracks };
  const features = Object.keys(profile.features).length + Object.keys(recent.features).length;
  context.say(
    `${entities} entities × ${features} features a request, ${tracks} entities in a store`,
  );
  const results: Result[] = [];
  for (const name of listOption(context, 'stores', STORES)) {
    const isMissing = { lmdb: false, redis: REDIS_MISSING, postgres: POSTGRES_MISSING }[name];
    if (isMissing) {
      context.say(`${name} is not installed: skipped`);
      continue;
    }
    const side = await OPEN[name](given);
    try {
      results.push(...(await measure(name, side, given, { entities, rounds })));
    } finally {
      await side.close();
    }
  }
  return results;
}

async function measure(
  name: string,
  { store, naive }: Side,
  { library: { OnlineFeatures }, data: { profile, ranker, recent }, tracks }: Given,
  { entities, rounds }: { entities: number; rounds: number },
): Promise<Result[]> {
  const plain = new OnlineFeatures(ranker, { store, timeoutMs: 5000 });
  const cached = new OnlineFeatures(ranker, {
    store,
    timeoutMs: 5000,
    memory: { maxBytes: 256e6, freshMs: 60_000 },
  });
  const asked = (seed: number) => {
    const random = new Random(seed);
    const lists = Array.from({ length: rounds + WARM_UP }, () =>
      requestedTracks(random, tracks, entities),
    );
    return (round: number): number[] => lists[round]!;
  };
  const keys = asked(1);
  const side = async (label: string, count: number, work: (round: number) => Promise<unknown>) => {
    for (let round = 0; round < WARM_UP; round++) await work(count + round);
    return { name: `${name}: ${label}`, ...(await timedRounds(count, work)) };
  };
  // Memory that has met every key once.
  for (let round = 0; round < rounds + WARM_UP; round++) await cached.get({ track: keys(round) });
  const fewer = Math.max(10, Math.floor(rounds / 10));
  return [
    await side('memory before it', rounds, (round) => cached.get({ track: keys(round) })),
    await side('one request', rounds, (round) => plain.get({ track: keys(round) })),
    await side('naive, one key after another', fewer, async (round) => {
      for (const key of keys(round)) {
        await naive.get(profile.name, key);
        await naive.get(recent.name, key);
      }
    }),
    await side('naive, all at once', fewer, (round) =>
      Promise.all(
        keys(round).flatMap((key) => [naive.get(profile.name, key), naive.get(recent.name, key)]),
      ),
    ),
  ];
}

/** The same values as objects, a view and key each. */
async function* objects(
  { library: { OnlineFeatures }, data: { profile, ranker, recent }, tracks }: Given,
  store: OnlineStore,
): AsyncGenerator<[string, number, object][]> {
  const online = new OnlineFeatures(ranker, { store, timeoutMs: 60_000 });
  for (let from = 0; from < tracks; from += 1000) {
    const track = Array.from({ length: Math.min(1000, tracks - from) }, (_, at) => from + at);
    const { columns } = await online.get({ track });
    yield track.flatMap((key, row): [string, number, object][] => [
      [profile.name, key, rowOf(profile.features, columns.track_profile, row)],
      [recent.name, key, plainLists(rowOf(recent.features, columns.track_recent, row))],
    ]);
  }
}

function plainLists(values: Record<string, unknown>): object {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      value instanceof Float64Array ? [...value] : value,
    ]),
  );
}

const OPEN: Record<(typeof STORES)[number], (given: Given) => Promise<Side>> = {
  lmdb: openLmdb,
  redis: openRedis,
  postgres: openPostgres,
};

async function openLmdb(given: Given): Promise<Side> {
  const { library, data, tracks } = given;
  const folder = mkdtempSync(join(tmpdir(), 'lichen-bench-'));
  const store = await library.openLmdbStore({ path: join(folder, 'store') });
  await fillStore(library, data, store, tracks);
  const { open } = createRequire(__filename)('lmdb') as typeof lmdb;
  const db = open<unknown, string>({ path: join(folder, 'naive') });
  for await (const some of objects(given, store)) {
    await db.transaction(() => {
      for (const [view, key, value] of some) void db.put(`${view}:${key}`, value);
    });
  }
  const naive: Naive = {
    get: (view, key) => Promise.resolve(db.get(`${view}:${key}`)),
    close: () => db.close(),
  };
  const close = async (): Promise<void> => {
    await naive.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { store, naive, close };
}

async function openRedis(given: Given): Promise<Side> {
  const { library, data, tracks } = given;
  const { server, url } = await startRedis();
  const store = await library.openRedisStore({ url });
  const client: Redis = await connectRedis({ url });
  await until(() => client.status === 'ready', 'connecting');
  await until(
    () =>
      store.checkpoint('x').then(
        () => true,
        () => false,
      ),
    'connecting',
  );
  await fillStore(library, data, store, tracks);
  for await (const some of objects(given, store)) {
    const pipeline = client.pipeline();
    for (const [view, key, value] of some) pipeline.set(`${view}:${key}`, JSON.stringify(value));
    await pipeline.exec();
  }
  const naive: Naive = {
    get: async (view, key) => JSON.parse((await client.get(`${view}:${key}`))!) as unknown,
    close: () => Promise.resolve(client.disconnect()),
  };
  const close = async (): Promise<void> => {
    await naive.close();
    await store.close();
    await server.kill();
  };
  return { store, naive, close };
}

async function openPostgres(given: Given): Promise<Side> {
  const { library, data, tracks } = given;
  const { url, remove } = await startPostgres();
  const store = await library.openPostgresStore({ url });
  await fillStore(library, data, store, tracks);
  const pool: Pool = await connectPostgres(url, {});
  await pool.query('CREATE TABLE naive (key text PRIMARY KEY, value jsonb)');
  for await (const some of objects(given, store)) {
    await pool.query('INSERT INTO naive SELECT * FROM unnest($1::text[], $2::jsonb[])', [
      some.map(([view, key]) => `${view}:${key}`),
      some.map(([, , value]) => JSON.stringify(value)),
    ]);
  }
  const naive: Naive = {
    get: async (view, key) => {
      const text = 'SELECT value FROM naive WHERE key = $1';
      const { rows } = await pool.query<{ value: unknown }>(text, [`${view}:${key}`]);
      return rows[0]!.value;
    },
    close: () => pool.end(),
  };
  const close = async (): Promise<void> => {
    await naive.close();
    await store.close();
    await remove();
  };
  return { store, naive, close };
}
