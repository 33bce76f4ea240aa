import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import { openLmdbStore } from './lmdb-store.js';
import { openPostgresStore } from './postgres-store.js';
import { openRedisStore } from './redis-store.js';
import type { OnlineStore } from './store.js';

/**
 * Opens a store by its address: `lmdb:FOLDER`, `redis://…`, `rediss://…`, `postgres://…`.
 * @throws ERR_LICHEN_ARGUMENT for an address of another kind, ERR_LICHEN_IO, ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * const store = await openFeatureStore('lmdb:features');
 */
export async function openFeatureStore(address: string): Promise<OnlineStore> {
  if (typeof address === 'string') {
    if (address.startsWith('lmdb:')) return openLmdbStore({ path: address.slice(5) });
    if (/^rediss?:/.test(address)) return openRedisStore({ url: address });
    if (/^postgres(ql)?:/.test(address)) return openPostgresStore({ url: address });
  }
  throw badArgument(`a store is lmdb:FOLDER, redis://… or postgres://…, got ${shown(address)}`);
}
