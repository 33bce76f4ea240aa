import { badArgument } from '../cache/cache-limits.js';
import { open } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream';
import type { LichenArgumentError } from '../errors.js';
import { fileError, LichenError, LichenFileError, shown } from '../errors.js';
import { readParquetGroup } from '../vectors/parquet.js';
import { throwIfAborted } from '../errors.js';
import type { BatchSource, ReadSourceOptions, SourceBatch, SourceRow } from './source.js';

/** Rows that are handed over at a time. */
export const BATCH_ROWS = 1000;

/**
 * Rows that are there already: for tests, and what a program makes itself.
 *
 * @example
 * const source = rowsSource([{ track: 7, event_time: Date.now(), year: 1959 }]);
 * await materialize(profile, store, { source });
 */
export function rowsSource(rows: readonly SourceRow[], name = 'rows'): BatchSource {
  return {
    name,
    // eslint-disable-next-line @typescript-eslint/require-await
    async *read({ after, columns }) {
      for (let at = Number(after ?? 0); at < rows.length; at += BATCH_ROWS) {
        const some = rows.slice(at, at + BATCH_ROWS);
        for (const column of columns) {
          if (some[0] !== undefined && !(column in some[0])) throw noColumn(name, column);
        }
        const done = at + some.length;
        yield { rows: some, position: String(done), done, total: rows.length };
      }
    },
  };
}

/** Options of {@link csvSource}. */
export interface CsvSourceOptions {
  /** What stands between fields. Default a comma, a tab for names in `.tsv`. */
  delimiter?: string;
  /** Rows are only ever added at the end of the file: what was read before is not read again. Default false. */
  isAppended?: boolean;
}

/**
 * A text file of rows with a line of names (`.csv`, `.tsv`, also with `.gz`), by the package csv-parse. Values are texts;
 * an empty one counts as missing. Reading it may fail with ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT (rows that are
 * none), ERR_LICHEN_ARGUMENT (a column that is not there) and ERR_LICHEN_ABORTED.
 *
 * @example
 * await materialize(profile, store, { source: csvSource('tracks.tsv.gz', { isAppended: true }) });
 */
export function csvSource(path: string, options: CsvSourceOptions = {}): BatchSource {
  const { isAppended = false } = options;
  const { delimiter = /\.tsv(\.gz)?$/.test(path) ? '\t' : ',' } = options;
  return {
    name: path,
    read: (reading) =>
      fileBatches(path, isAppended, reading, async function* (skip) {
        const { parse, CsvError } = await import('csv-parse');
        const source = createReadStream(path);
        const parser = parse({ columns: true, bom: true, delimiter, skip_empty_lines: true });
        const done = (): void => undefined;
        if (path.endsWith('.gz')) pipeline(source, createGunzip(), parser, done);
        else pipeline(source, parser, done);
        let row = 0;
        let isNamed = false;
        try {
          for await (const record of parser as AsyncIterable<SourceRow>) {
            if (!isNamed) {
              for (const column of reading.columns) {
                if (!(column in record)) throw noColumn(path, column);
              }
              isNamed = true;
            }
            if (row++ >= skip) yield record;
          }
        } catch (cause) {
          if (cause instanceof CsvError) {
            throw new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${cause.message}`, { cause });
          }
          throw cause instanceof LichenError ? cause : fileError('read', path, cause);
        } finally {
          source.destroy();
        }
      }),
  };
}

/** Options of {@link parquetSource}. */
export interface ParquetSourceOptions {
  /** As of {@link csvSource}. */
  isAppended?: boolean;
}

/**
 * A .parquet file (also gzipped), by the package hyparquet, an optional peer; a row group is in memory at a time. Reading it
 * may fail as {@link csvSource} does, and with ERR_LICHEN_MISSING_PACKAGE.
 *
 * @example
 * await materialize(profile, store, { source: parquetSource('tracks.parquet') });
 */
export function parquetSource(path: string, options: ParquetSourceOptions = {}): BatchSource {
  return {
    name: path,
    read: (reading) =>
      fileBatches(path, options.isAppended ?? false, reading, (skip) =>
        parquetRows(path, reading.columns, skip),
      ),
  };
}

/** Rows behind the first `skip`, and before those of a group the number of all. */
async function* parquetRows(
  path: string,
  columns: readonly string[],
  skip: number,
): AsyncGenerator<SourceRow | number> {
  for (let number = 0; ; number++) {
    const group = await readParquetGroup(path, columns, number);
    if (group === undefined) return;
    yield group.total;
    for (let row = Math.max(0, skip - group.before); row < group.rows; row++) {
      yield Object.fromEntries(columns.map((name) => [name, group.columns.get(name)![row]]));
    }
  }
}

/** Where a file was read to, and which file it was. */
interface FilePosition {
  readonly rows: number;
  readonly size: number;
  readonly changed: number;
  /** A hash of the file's beginning, of so many bytes. */
  readonly head: string;
  readonly headBytes: number;
}

const HEAD_BYTES = 65_536;

/**
 * Batches of a file's rows behind those that were read before: none if it is the same file, those that were added if it
 * only grows, else all.
 */
async function* fileBatches(
  path: string,
  isAppended: boolean,
  { after, signal }: ReadSourceOptions,
  rowsFrom: (skip: number) => AsyncIterable<SourceRow | number>,
): AsyncGenerator<SourceBatch> {
  const { size, changed } = await factsOf(path);
  const old = after === undefined ? undefined : (JSON.parse(after) as FilePosition);
  const isSame = old !== undefined && old.size === size && old.changed === changed;
  const isGrown =
    !isSame &&
    old !== undefined &&
    isAppended &&
    size >= old.size &&
    (await headOf(path, old.headBytes)) === old.head;
  const skip = isSame || isGrown ? old.rows : 0;
  const headBytes = Math.min(HEAD_BYTES, size);
  const head = await headOf(path, headBytes);
  let done = skip;
  let total = 0;
  let rows: SourceRow[] = [];
  const batch = (): SourceBatch => {
    done += rows.length;
    const position: FilePosition = { rows: done, size, changed, head, headBytes };
    return { rows, position: JSON.stringify(position), done, total };
  };
  for await (const row of rowsFrom(skip)) {
    throwIfAborted(signal, 'reading');
    if (typeof row === 'number') {
      total = row;
      continue;
    }
    rows.push(row);
    if (rows.length < BATCH_ROWS) continue;
    yield batch();
    rows = [];
  }
  // Also without rows: the file that was read is another one.
  if (rows.length > 0 || !isSame) yield batch();
}

async function factsOf(path: string): Promise<{ size: number; changed: number }> {
  const file = await open(path).catch((cause: unknown) => {
    throw fileError('open', path, cause);
  });
  try {
    const { size, mtimeMs } = await file.stat();
    return { size, changed: mtimeMs };
  } finally {
    await file.close();
  }
}

async function headOf(path: string, bytes: number): Promise<string> {
  const file = await open(path);
  try {
    const head = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(head, 0, bytes, 0);
    return createHash('sha256').update(head.subarray(0, bytesRead)).digest('hex');
  } finally {
    await file.close();
  }
}

/** The error of a column that a source does not have. */
export function noColumn(source: string, column: string): LichenArgumentError {
  return badArgument(`${source} has no column ${shown(column)}`);
}
