import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { aggregate } from '../../src/features/aggregations.js';
import { batchView, entity, featureService, streamView } from '../../src/features/definitions.js';
import { feature } from '../../src/features/feature-types.js';
import { FEATURE_STATUS } from '../../src/features/frame.js';
import { materialize } from '../../src/features/materialize.js';
import { OnlineFeatures } from '../../src/features/online.js';
import { openPostgresStore } from '../../src/features/postgres-store.js';
import { openRedisStore } from '../../src/features/redis-store.js';
import { rowsSource } from '../../src/features/row-sources.js';
import { StreamWriter } from '../../src/features/stream.js';
import type { OnlineStore } from '../../src/features/store.js';
import { POSTGRES_MISSING, POSTGRES_NOTE, startPostgres } from '../servers/postgres.js';
import { freePort, until, type ServerProcess } from '../servers/processes.js';
import { REDIS_MISSING, REDIS_NOTE, startRedis } from '../servers/redis.js';
import { connected } from './stores.js';

const track = entity('track', { keys: 'integer' });
const profile = batchView({
  name: 'profile',
  entity: track,
  ttlMs: 1e9,
  features: { value: feature.f64({ default: -1 }) },
});
const plays = streamView({
  name: 'plays',
  entity: track,
  ttlMs: 1e9,
  event: {},
  features: { count: aggregate.count(1e8) },
});
const service = featureService({ name: 's', version: 1, views: [profile, plays] });

interface Server {
  readonly server: ServerProcess;
  readonly url: string;
  readonly remove: () => Promise<void>;
  /** Whether what is stored is still there after a crash. */
  readonly isDurable: boolean;
}

const KINDS = [
  {
    name: 'Redis',
    isMissing: REDIS_MISSING,
    note: REDIS_NOTE,
    start: async (): Promise<Server> => {
      const { server, url } = await startRedis();
      return { server, url, remove: () => server.kill(), isDurable: false };
    },
    open: (url: string): Promise<OnlineStore> => openRedisStore({ url }),
    nowhere: (port: number) => `redis://127.0.0.1:${port}`,
    // Nothing is answered.
    slow: (server: ServerProcess): Promise<() => Promise<void>> => {
      server.halt();
      return Promise.resolve(() => Promise.resolve(server.resume()));
    },
  },
  {
    name: 'PostgreSQL',
    isMissing: POSTGRES_MISSING,
    note: POSTGRES_NOTE,
    start: async (): Promise<Server> => ({ ...(await startPostgres()), isDurable: true }),
    open: (url: string): Promise<OnlineStore> => openPostgresStore({ url }),
    nowhere: (port: number) => `postgres://lichen@127.0.0.1:${port}/postgres`,
    // Whoever reads waits for a lock.
    slow: async (_: ServerProcess, url: string): Promise<() => Promise<void>> => {
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query('BEGIN; LOCK TABLE lichen_records');
      return () => client.end();
    },
  },
];

const rows = [{ track: 1, event_time: Date.now(), value: 5 }];
const events = () => [{ key: 1, time: Date.now(), fields: {} }];

describe.each(KINDS)('a feature store that is $name, away$note', (kind) => {
  if (kind.isMissing) {
    it.skip('is done without', () => undefined);
    return;
  }

  it('at the start: features are defaults that say so, writes are refused', async () => {
    const store = await kind.open(kind.nowhere(await freePort()));
    const online = new OnlineFeatures(service, { store, timeoutMs: 1000 });
    const { status, columns } = await online.get({ track: [1] });
    expect([status.profile[0], columns.profile.value[0]]).toEqual([FEATURE_STATUS.unavailable, -1]);
    const away = { code: 'ERR_LICHEN_IO' };
    const load = materialize(profile, store, { source: rowsSource(rows) });
    await expect(load).rejects.toMatchObject(away);
    await expect(StreamWriter.open(plays, store)).rejects.toMatchObject(away);
    await store.close();
  });

  it('in the middle: requests go on, and come back; what was acknowledged is there', async () => {
    const { server, url, remove, isDurable } = await kind.start();
    const store = await kind.open(url);
    await connected(store);
    await materialize(profile, store, { source: rowsSource(rows) });
    const writer = await StreamWriter.open(plays, store);
    const first = events();
    await writer.ingest(first, { position: '1' });
    const online = new OnlineFeatures(service, { store, timeoutMs: 1000 });
    const get = () => online.get({ track: [1] });
    expect((await get()).columns.profile.value[0]).toBe(5);
    await server.kill();
    await until(
      async () => (await get()).status.profile[0] === FEATURE_STATUS.unavailable,
      'death',
    );
    const second = events();
    await expect(writer.ingest(second, { position: '2' })).rejects.toMatchObject({
      code: 'ERR_LICHEN_IO',
    });
    await server.start();
    const { missing, found } = FEATURE_STATUS;
    const back = isDurable ? found : missing;
    await until(async () => (await get()).status.profile[0] === back, 'recovery');
    if (isDurable) {
      await until(
        () =>
          writer.ingest(second, { position: '2' }).then(
            () => true,
            () => false,
          ),
        'writing again',
      );
      expect((await get()).columns.plays.count[0]).toBe(2);
    }
    await store.close();
    await remove();
  });

  it('for a while, slow: a request takes its time budget and no more', async () => {
    const { server, url, remove } = await kind.start();
    const store = await kind.open(url);
    await connected(store);
    await materialize(profile, store, { source: rowsSource(rows) });
    const online = new OnlineFeatures(service, { store, timeoutMs: 100 });
    await online.get({ track: [1] });
    const resume = await kind.slow(server, url);
    const { status } = await online.get({ track: [1] });
    expect(status.profile[0]).toBe(FEATURE_STATUS.unavailable);
    expect(online.stats().store.timeouts).toBe(1);
    await resume();
    await until(async () => {
      const frame = await online.get({ track: [1] });
      return frame.columns.profile.value[0] === 5;
    }, 'recovery');
    await store.close();
    await remove();
  });
});
