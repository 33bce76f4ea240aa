import { afterAll, beforeAll } from 'vitest';
import { openLmdbStore } from '../../src/features/lmdb-store.js';
import { openPostgresStore } from '../../src/features/postgres-store.js';
import { openRedisStore } from '../../src/features/redis-store.js';
import type { OnlineStore } from '../../src/features/store.js';
import { POSTGRES_MISSING, POSTGRES_NOTE, startPostgres } from '../servers/postgres.js';
import { REDIS_MISSING, REDIS_NOTE, startRedis } from '../servers/redis.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';

/** A kind of store, for the tests that all of them pass. */
export interface StoreKind {
  readonly name: string;
  readonly isMissing: boolean;
  readonly note: string;
  /** Within a `describe`: gives a function that opens a store with nothing in it. */
  readonly prepare: () => () => Promise<OnlineStore>;
}

let number = 0;

/** All kinds of stores, on the real servers. */
export const STORE_KINDS: readonly StoreKind[] = [
  {
    name: 'LMDB',
    isMissing: false,
    note: '',
    prepare: () => {
      const at = temporaryFolder();
      return closing(() => openLmdbStore({ path: at(`store${number++}`) }));
    },
  },
  {
    name: 'Redis',
    isMissing: REDIS_MISSING,
    note: REDIS_NOTE,
    prepare: () => {
      let redis: Awaited<ReturnType<typeof startRedis>>;
      beforeAll(async () => void (redis = await startRedis()));
      afterAll(() => redis.server.kill());
      return closing(async () => {
        const store = await openRedisStore({ url: redis.url, prefix: `t${number++}` });
        await connected(store);
        return store;
      });
    },
  },
  {
    name: 'PostgreSQL',
    isMissing: POSTGRES_MISSING,
    note: POSTGRES_NOTE,
    prepare: () => {
      let postgres: Awaited<ReturnType<typeof startPostgres>>;
      beforeAll(async () => void (postgres = await startPostgres()));
      const open = closing(() => openPostgresStore({ url: postgres.url, prefix: `t${number++}` }));
      afterAll(() => postgres.remove());
      return open;
    },
  },
];

/** Waits until a store answers: one that is a server connects in the background. */
export async function connected(store: OnlineStore): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await store.checkpoint('nothing');
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** How many records a table has, and their bytes. */
export async function contents(
  store: OnlineStore,
  table: string,
): Promise<{ entries: number; bytes: number }> {
  const found = { entries: 0, bytes: 0 };
  await store.scan(table, (_, record) => {
    found.entries++;
    found.bytes += record.length;
  });
  return found;
}

/** Closes what was opened after the tests. */
function closing(open: () => Promise<OnlineStore>): () => Promise<OnlineStore> {
  const opened: OnlineStore[] = [];
  afterAll(async () => {
    for (const store of opened) await store.close();
  });
  return async () => {
    const store = await open();
    opened.push(store);
    return store;
  };
}
