import { badArgument } from '../cache/cache-limits.js';
import type { Pool, PoolClient, PoolConfig } from 'pg';
import { importPackage, requirePackage } from '../vectors/packages.js';
import { shown } from '../errors.js';
import { keyOfText, keyText, type FeatureKey } from './keys.js';
import { timeOf } from './record.js';
import {
  latestEntries,
  movedCheckpoint,
  requirePrefix,
  storeClosed,
  storeError,
  type Checkpoint,
  type OnlineStore,
  type ReadRequest,
  type RecordVisitor,
  type WriteBatch,
} from './store.js';

/** Options of {@link openPostgresStore}. */
export interface PostgresStoreOptions {
  /** `postgres://[user[:password]@]host[:port]/database`. */
  url: string;
  /** What the names of the two tables begin with. Default `lichen`. */
  prefix?: string;
  /** More options of pg, for its pool. */
  pool?: PoolConfig;
}

/** Records that a scan fetches at a time. */
const SCANNED = 1000;

/** A pool of connections to PostgreSQL (package pg, an optional peer). */
export async function connectPostgres(url: string, config: PoolConfig = {}): Promise<Pool> {
  if (typeof url !== 'string' || !/^postgres(ql)?:\/\//.test(url)) {
    throw badArgument(`url must begin with postgres://, got ${shown(url)}`);
  }
  type Package = { Pool: new (config: PoolConfig) => Pool };
  const pg = await requirePackage<Package>(importPackage, 'pg', 8);
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 5000, ...config });
  // A connection that breaks while nobody uses it; the next request has a new one.
  pool.on('error', () => undefined);
  return pool;
}

/**
 * Opens a store that is a PostgreSQL database (package pg, an optional peer): one query for all keys. Its tables are
 * made when they are first needed, so the server need not be reachable yet.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * const store = await openPostgresStore({ url: 'postgres://localhost/features' });
 * await materialize(profile, store);
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const { url, prefix = 'lichen', pool } = options;
  requirePrefix('prefix', prefix);
  return new PostgresStore(await connectPostgres(url, pool), prefix);
}

/** See {@link openPostgresStore}. */
export class PostgresStore implements OnlineStore {
  readonly kind = 'PostgreSQL';
  private made: Promise<void> | undefined;
  private isClosed = false;

  /** @internal */
  constructor(
    private readonly pool: Pool,
    private readonly prefix: string,
  ) {}

  async read(requests: readonly ReadRequest[], visit: RecordVisitor): Promise<void> {
    const tables: string[] = [];
    const keys: string[] = [];
    const places: [request: number, at: number][] = [];
    requests.forEach(({ table, keys: wanted }, request) =>
      wanted.forEach((key, at) => {
        tables.push(table);
        keys.push(keyText(key));
        places.push([request, at]);
      }),
    );
    if (keys.length === 0) return;
    const { rows } = await this.ask('read', (pool) =>
      pool.query<{ place: string; record: Buffer }>({
        name: `${this.prefix}_read`,
        text: `SELECT wanted.place, found.record
          FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (feature_view, key, place)
          JOIN ${this.prefix}_records found USING (feature_view, key)`,
        values: [tables, keys],
      }),
    );
    const found = new Array<Buffer | undefined>(keys.length);
    for (const { place, record } of rows) found[Number(place) - 1] = record;
    places.forEach(([request, at], place) => visit(request, at, found[place]));
  }

  async write({ table, entries, checkpoint }: WriteBatch): Promise<number> {
    const latest = latestEntries(entries);
    return this.ask('write', (pool) =>
      inTransaction(pool, async (client) => {
        if (checkpoint !== undefined) await this.moveCheckpoint(client, checkpoint);
        if (latest.length === 0) return 0;
        const { rowCount } = await client.query(
          `INSERT INTO ${this.prefix}_records AS old (feature_view, key, time, record)
            SELECT $1, key, time, record
            FROM unnest($2::text[], $3::float8[], $4::bytea[]) AS new (key, time, record)
            ON CONFLICT (feature_view, key) DO UPDATE
            SET time = excluded.time, record = excluded.record WHERE old.time <= excluded.time`,
          [
            table,
            latest.map(({ key }) => keyText(key)),
            latest.map(({ record }) => timeOf(record)),
            latest.map(({ record }) => record),
          ],
        );
        return rowCount ?? 0;
      }),
    );
  }

  async checkpoint(name: string): Promise<Checkpoint | undefined> {
    const { rows } = await this.ask('read', (pool) =>
      pool.query<{ sequence: string; text: string }>(
        `SELECT sequence, text FROM ${this.prefix}_checkpoints WHERE name = $1`,
        [name],
      ),
    );
    const [row] = rows;
    return row && { sequence: Number(row.sequence), text: row.text };
  }

  async prune(table: string, time: number): Promise<number> {
    const { rowCount } = await this.ask('prune', (pool) =>
      pool.query(`DELETE FROM ${this.prefix}_records WHERE feature_view = $1 AND time < $2`, [
        table,
        time,
      ]),
    );
    return rowCount ?? 0;
  }

  async scan(table: string, visit: (key: FeatureKey, record: Uint8Array) => void): Promise<void> {
    let after = '';
    for (;;) {
      const { rows } = await this.ask('scan', (pool) =>
        pool.query<{ key: string; record: Buffer }>(
          `SELECT key, record FROM ${this.prefix}_records
            WHERE feature_view = $1 AND key > $2 ORDER BY key LIMIT ${SCANNED}`,
          [table, after],
        ),
      );
      for (const { key, record } of rows) visit(keyOfText(key), record);
      if (rows.length < SCANNED) return;
      after = rows[rows.length - 1]!.key;
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.pool.end();
  }

  /** The row is locked until the transaction ends, so of two writers one sees what the other did. */
  private async moveCheckpoint(
    client: PoolClient,
    { name, expected, text }: NonNullable<WriteBatch['checkpoint']>,
  ): Promise<void> {
    const table = `${this.prefix}_checkpoints`;
    const { rowCount } =
      expected === 0
        ? await client.query(
            `INSERT INTO ${table} (name, sequence, text) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING`,
            [name, text],
          )
        : await client.query(
            `UPDATE ${table} SET sequence = sequence + 1, text = $2
              WHERE name = $1 AND sequence = $3`,
            [name, text, expected],
          );
    if (rowCount !== 1) throw movedCheckpoint(name);
  }

  private async ask<T>(what: string, request: (pool: Pool) => Promise<T>): Promise<T> {
    if (this.isClosed) throw storeClosed(this.kind);
    try {
      this.made ??= this.make();
      await this.made;
      return await request(this.pool);
    } catch (cause) {
      throw storeError(this.kind, what, cause);
    }
  }

  private async make(): Promise<void> {
    try {
      await this.pool.query(`
        CREATE TABLE IF NOT EXISTS ${this.prefix}_records (
          feature_view text COLLATE "C", key text COLLATE "C", time float8 NOT NULL, record bytea NOT NULL,
          PRIMARY KEY (feature_view, key));
        CREATE TABLE IF NOT EXISTS ${this.prefix}_checkpoints (
          name text PRIMARY KEY, sequence bigint NOT NULL, text text NOT NULL)`);
    } catch (cause) {
      this.made = undefined;
      // Two that make a table at the same moment get in each other's way; it is there then.
      if ((cause as { code?: string }).code === '23505') return this.make();
      throw cause;
    }
  }
}

async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
