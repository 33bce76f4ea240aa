import { mkdirSync } from 'node:fs';
import type { Database, RootDatabase, RootDatabaseOptionsWithPath } from 'lmdb';
import { importPackage, requirePackage } from '../vectors/packages.js';
import { fileError } from '../errors.js';
import type { FeatureKey } from './keys.js';
import { RECORD_HEADER, timeOf } from './record.js';
import {
  latestEntries,
  movedCheckpoint,
  storeClosed,
  storeError,
  type Checkpoint,
  type OnlineStore,
  type ReadRequest,
  type RecordVisitor,
  type WriteBatch,
} from './store.js';

/** Options of {@link openLmdbStore}. */
export interface LmdbStoreOptions {
  /** The folder of the database; made if it is not there. */
  path: string;
  /** The most that the database may grow to, in bytes. Default: as lmdb, which grows its map as needed. */
  mapSize?: number;
}

/** Views of a store, with their versions. */
const MOST_TABLES = 256;
const CHECKPOINTS = '#checkpoints';

type Table = Database<Buffer, FeatureKey>;

/**
 * Opens the embedded store: LMDB (package lmdb, an optional peer), a file in a folder that several processes may read
 * and one at a time writes. A write is on disk when its promise is fulfilled. Reads are answered before they return.
 * @throws ERR_LICHEN_IO, ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * const store = await openLmdbStore({ path: 'features' });
 * await materialize(profile, store);
 */
export async function openLmdbStore({ path, mapSize }: LmdbStoreOptions): Promise<LmdbStore> {
  type Package = { open: (options: RootDatabaseOptionsWithPath) => RootDatabase<Buffer, string> };
  const { open } = await requirePackage<Package>(importPackage, 'lmdb', 3);
  try {
    mkdirSync(path, { recursive: true });
    const root = open({
      path,
      maxDbs: MOST_TABLES,
      encoding: 'binary',
      // A promise that is fulfilled means that the disk has it.
      overlappingSync: false,
      ...(mapSize === undefined ? {} : { mapSize }),
    });
    return new LmdbStore(root);
  } catch (cause) {
    throw fileError('open', path, cause);
  }
}

/** See {@link openLmdbStore}. */
export class LmdbStore implements OnlineStore {
  readonly kind = 'LMDB';
  private readonly tables = new Map<string, Table>();
  private isClosed = false;

  /** @internal */
  constructor(private readonly root: RootDatabase<Buffer, string>) {}

  read(requests: readonly ReadRequest[], visit: RecordVisitor): void {
    for (let request = 0; request < requests.length; request++) {
      const { table: name, keys } = requests[request]!;
      const table = this.table(name);
      for (let at = 0; at < keys.length; at++) {
        let record: Uint8Array | undefined;
        try {
          record = table.getBinaryFast(plain(keys[at]!));
        } catch (cause) {
          throw storeError(this.kind, 'read', cause);
        }
        visit(request, at, record);
      }
    }
  }

  async write({ table: name, entries, checkpoint }: WriteBatch): Promise<number> {
    const table = this.table(name);
    const checkpoints = this.table(CHECKPOINTS);
    let stored = 0;
    try {
      await this.root.transaction(() => {
        if (checkpoint !== undefined) {
          const found = checkpointOf(checkpoints.getBinary(checkpoint.name));
          // Before anything is put: what a transaction has put would stay.
          if ((found?.sequence ?? 0) !== checkpoint.expected)
            throw movedCheckpoint(checkpoint.name);
        }
        for (const { key, record } of latestEntries(entries)) {
          const place = plain(key);
          const old = table.getBinaryFast(place);
          if (old !== undefined && old.length >= RECORD_HEADER && timeOf(old) > timeOf(record)) {
            continue;
          }
          void table.put(place, record);
          stored++;
        }
        if (checkpoint !== undefined) {
          const next = { sequence: checkpoint.expected + 1, text: checkpoint.text };
          void checkpoints.put(checkpoint.name, Buffer.from(JSON.stringify(next)));
        }
      });
    } catch (cause) {
      throw storeError(this.kind, 'write', cause);
    }
    return stored;
  }

  checkpoint(name: string): Promise<Checkpoint | undefined> {
    return Promise.resolve(checkpointOf(this.table(CHECKPOINTS).getBinary(name)));
  }

  async prune(table: string, time: number): Promise<number> {
    const from = this.table(table);
    const old: FeatureKey[] = [];
    await this.scan(table, (key, record) => {
      if (timeOf(record) < time) old.push(key);
    });
    let removed = 0;
    await this.root.transaction(() => {
      for (const key of old) {
        const record = from.getBinaryFast(key);
        // It may have been written anew meanwhile.
        if (record === undefined || timeOf(record) >= time) continue;
        void from.remove(key);
        removed++;
      }
    });
    return removed;
  }

  scan(table: string, visit: (key: FeatureKey, record: Uint8Array) => void): Promise<void> {
    for (const { key, value } of this.table(table).getRange()) visit(key, value);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.root.close();
  }

  private table(name: string): Table {
    if (this.isClosed) throw storeClosed(this.kind);
    let table = this.tables.get(name);
    if (table === undefined) {
      table = this.root.openDB<Buffer, FeatureKey>({ name, encoding: 'binary' });
      this.tables.set(name, table);
    }
    return table;
  }
}

/** 0 and -0 are one key to everyone but LMDB. */
function plain(key: FeatureKey): FeatureKey {
  return typeof key === 'number' ? key + 0 : key;
}

function checkpointOf(bytes: Uint8Array | undefined): Checkpoint | undefined {
  if (bytes === undefined) return undefined;
  return JSON.parse(Buffer.from(bytes).toString()) as Checkpoint;
}
