import { badArgument } from '../cache/cache-limits.js';
import type { Pool } from 'pg';
import { LichenError, shown, throwIfAborted } from '../errors.js';
import { connectPostgres } from './postgres-store.js';
import { BATCH_ROWS } from './row-sources.js';
import type { BatchSource, ReadSourceOptions, SourceBatch, SourceRow } from './source.js';

/** Options of {@link postgresSource}. */
export interface PostgresSourceOptions {
  /** `postgres://[user[:password]@]host[:port]/database`. */
  url: string;
  /** A table, with its schema where there is one. */
  table: string;
  /**
   * A column of integers that grows with every row that is written or changed, such as a sequence: what was read before
   * is not read again. Default: all is read each time.
   */
  cursor?: string;
}

/**
 * A table of PostgreSQL (package pg, an optional peer), read in pieces by its cursor or, without one, by its rows.
 *
 * @example
 * const source = postgresSource({ url: 'postgres://localhost/shop', table: 'tracks', cursor: 'seq' });
 * await materialize(profile, store, { source });
 */
export function postgresSource({ url, table, cursor }: PostgresSourceOptions): BatchSource {
  return {
    name: `table ${table}`,
    async *read(reading) {
      const pool = await connectPostgres(url);
      try {
        if (cursor === undefined) yield* wholeTable(pool, table, reading);
        else yield* behindCursor(pool, table, cursor, reading);
      } catch (cause) {
        if (cause instanceof LichenError) throw cause;
        const { code, message } = cause as { code?: string; message: string };
        // Names that are not there: of columns, tables, schemas, databases.
        if (['42703', '42P01', '3F000', '0A000'].includes(code ?? '')) {
          throw badArgument(`table ${table}: ${message}`);
        }
        throw new LichenError('ERR_LICHEN_IO', `cannot read table ${table}: ${message}`, { cause });
      } finally {
        await pool.end();
      }
    },
  };
}

async function* behindCursor(
  pool: Pool,
  table: string,
  cursor: string,
  { after, columns, signal }: ReadSourceOptions,
): AsyncGenerator<SourceBatch> {
  const names = [...new Set([...columns, cursor])].map(quoted).join(', ');
  let position = after ?? '-9223372036854775808';
  let done = 0;
  const { rows: counted } = await pool.query<{ count: string }>(
    `SELECT count(*) FROM ${quotedTable(table)} WHERE ${quoted(cursor)} > $1`,
    [position],
  );
  const total = Number(counted[0]!.count);
  for (;;) {
    throwIfAborted(signal, 'reading');
    const { rows } = await pool.query<SourceRow>(
      `SELECT ${names} FROM ${quotedTable(table)} WHERE ${quoted(cursor)} > $1
        ORDER BY ${quoted(cursor)} LIMIT ${BATCH_ROWS}`,
      [position],
    );
    if (rows.length === 0) return;
    done += rows.length;
    const last = rows[rows.length - 1]![cursor];
    position = String(last);
    if (!/^-?\d+$/.test(position)) {
      throw badArgument(
        `the cursor ${cursor} of table ${table} must be integers, got ${shown(last)}`,
      );
    }
    yield { rows, position, done, total: Math.max(total, done) };
  }
}

/** In one transaction, so that the pieces are of one state of the table. */
async function* wholeTable(
  pool: Pool,
  table: string,
  { columns, signal }: ReadSourceOptions,
): AsyncGenerator<SourceBatch> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const names = columns.map(quoted).join(', ');
    await client.query(`DECLARE lichen_rows CURSOR FOR SELECT ${names} FROM ${quotedTable(table)}`);
    const { rows: counted } = await client.query<{ count: string }>(
      `SELECT count(*) FROM ${quotedTable(table)}`,
    );
    let done = 0;
    for (;;) {
      throwIfAborted(signal, 'reading');
      const { rows } = await client.query<SourceRow>(`FETCH ${BATCH_ROWS} FROM lichen_rows`);
      if (rows.length === 0) return;
      done += rows.length;
      // What is read another time is read from the beginning: writing it again changes nothing.
      yield { rows, position: '', done, total: Number(counted[0]!.count) };
    }
  } finally {
    client.release(true);
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function quotedTable(table: string): string {
  return table.split('.').map(quoted).join('.');
}
