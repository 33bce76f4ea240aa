import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type * as hyparquet from 'hyparquet' with { 'resolution-mode': 'import' };
import type { AsyncBuffer, Compressors, FileMetaData, SchemaTree } from 'hyparquet' with {
  'resolution-mode': 'import',
};
import { LichenArgumentError, LichenError, LichenFileError } from '../errors.js';
import { withBytes, type ByteSource, type FileOptions } from './bytes.js';
import { withinMemory } from './memory.js';
import { matrix, type Matrix } from './matrix.js';
import { importPackage, requirePackage } from './packages.js';

type Hyparquet = typeof hyparquet;

/** Options of {@link readParquetVectors}. */
export interface ReadParquetOptions extends FileOptions {
  /** The column of vectors, lists of numbers; needed if there are several. */
  column?: string | undefined;
}

/**
 * Reads the vectors of a .parquet file (also gzipped), a column of lists of numbers, each as long as the others, one
 * row group at a time. By the package hyparquet, an optional peer.
 * @throws ERR_LICHEN_ARGUMENT for a column that is not there or none of vectors, and where there are several and none
 * is named; ERR_LICHEN_FORMAT for a corrupt file or one with lists that are missing or of several lengths,
 * ERR_LICHEN_EMPTY for one without vectors, ERR_LICHEN_UNSUPPORTED for a compression that is not known,
 * ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_MEMORY; as `readMatrix`.
 *
 * @example
 * const vectors = await readParquetVectors('items.parquet', { column: 'embedding' });
 */
export async function readParquetVectors(
  path: string,
  options: ReadParquetOptions = {},
): Promise<Matrix> {
  return withParquet(path, options, async (file) => {
    const { column } = options;
    const name = vectorColumn(file, column);
    const { rows } = file;
    let vectors: Matrix | undefined;
    await file.read(name, (value, row) => {
      const list = requireList(path, name, row, value);
      vectors ??= emptyVectors(path, rows, list.length);
      const { data, dim } = vectors;
      if (list.length !== dim) {
        throw corrupt(
          path,
          `column ${JSON.stringify(name)}, row ${row} has ${list.length} values, expected ${dim} as in the rows before`,
        );
      }
      for (let at = 0; at < dim; at++) {
        const number = list[at];
        if (typeof number !== 'number' && typeof number !== 'bigint') {
          throw corrupt(path, `column ${JSON.stringify(name)}, row ${row}, value ${at} is missing`);
        }
        data[row * dim + at] = Number(number);
      }
    });
    if (vectors !== undefined) return vectors;
    throw new LichenFileError('ERR_LICHEN_EMPTY', `${path}: holds no vectors (it has no rows)`);
  });
}

/**
 * Reads keys out of a column of a .parquet file: integers or texts, one a row.
 * @throws ERR_LICHEN_ARGUMENT for a column that is not there or holds something else, ERR_LICHEN_FORMAT where one is
 * missing; as {@link readParquetVectors}.
 *
 * @example
 * const ids = await readParquetKeys('items.parquet', 'id');
 */
export async function readParquetKeys(
  path: string,
  column: string,
  options: FileOptions = {},
): Promise<Float64Array | string[]> {
  return withParquet(path, options, async (file) => {
    requireColumn(file, column);
    const integers = new Float64Array(file.rows);
    const strings: string[] = [];
    await file.read(column, (value, row) => {
      const wrong = (): LichenFileError =>
        corrupt(
          path,
          `column ${JSON.stringify(column)}, row ${row} is no key: an integer of 53 bits or a text`,
        );
      if (typeof value === 'string' && strings.length === row) {
        strings.push(value);
        return;
      }
      const integer = typeof value === 'bigint' ? Number(value) : value;
      if (!Number.isSafeInteger(integer) || strings.length > 0) throw wrong();
      integers[row] = integer as number;
    });
    return strings.length > 0 ? strings : integers;
  });
}

/** Rows of a .parquet file. */
export interface ParquetRows {
  /** The values of each column. */
  readonly columns: ReadonlyMap<string, readonly unknown[]>;
  readonly rows: number;
  /** Rows before these, and rows of the file. */
  readonly before: number;
  readonly total: number;
}

/**
 * Reads a row group of a .parquet file (also gzipped); undefined behind the last one.
 * @throws as {@link readParquetVectors}.
 */
export async function readParquetGroup(
  path: string,
  wanted: readonly string[],
  number: number,
  options: FileOptions = {},
): Promise<ParquetRows | undefined> {
  return withParquet(path, options, async (file) => {
    const { groups, rows: total } = file;
    for (const name of wanted) requireColumn(file, name);
    const group = groups[number];
    if (group === undefined) return undefined;
    const columns = new Map<string, unknown[]>();
    for (const name of wanted) {
      const values: unknown[] = [];
      await group.read(name, (value) => values.push(value));
      columns.set(name, values);
    }
    const before = groups.slice(0, number).reduce((sum, { rows }) => sum + rows, 0);
    return { columns, rows: group.rows, before, total };
  });
}

/** A file that is open. */
interface ParquetFile {
  readonly path: string;
  readonly rows: number;
  readonly columns: readonly SchemaTree[];
  /** Calls `each` with every value of a column, in the order of rows. */
  readonly read: (column: string, each: (value: unknown, row: number) => void) => Promise<void>;
  readonly groups: readonly ParquetGroup[];
}

/** A row group of a file. */
interface ParquetGroup {
  readonly rows: number;
  /** As `read` of the file, for the rows of this group. */
  readonly read: ParquetFile['read'];
}

async function withParquet<T>(
  path: string,
  options: FileOptions,
  use: (file: ParquetFile) => Promise<T>,
): Promise<T> {
  const parquet = await requirePackage<Hyparquet>(importPackage, 'hyparquet', 1);
  return withBytes(path, options, async (source) => {
    try {
      const file = bufferOf(source);
      const metadata = await parquet.parquetMetadataAsync(file);
      const compressors = await compressorsFor(metadata);
      const columns = parquet.parquetSchema(metadata).children;
      const rows = requireRows(path, metadata);
      let end = 0;
      const groups = metadata.row_groups.map(({ num_rows }): ParquetGroup => {
        const from = end;
        const to = (end += Number(num_rows));
        const read: ParquetFile['read'] = (column, each) =>
          eachValue(path, from, to, each, (onChunk) =>
            parquet.parquetRead({
              ...{ file, metadata, compressors, columns: [column] },
              ...{ rowStart: from, rowEnd: to, onChunk },
            }),
          );
        return { rows: to - from, read };
      });
      const read: ParquetFile['read'] = async (column, each) => {
        for (const group of groups) await group.read(column, each);
      };
      return await use({ path, rows, columns, read, groups });
    } catch (error) {
      throw asLichenError(path, error);
    }
  });
}

/** What hyparquet hands over: some values of a column. */
interface Chunk {
  readonly columnData: ArrayLike<unknown>;
  readonly rowStart: number;
}

/** The values of a column in the rows `from` to `to - 1`, a row group. */
async function eachValue(
  path: string,
  from: number,
  to: number,
  each: (value: unknown, row: number) => void,
  read: (onChunk: (chunk: Chunk) => void) => Promise<void>,
): Promise<void> {
  if (to === from) return;
  const chunks: Chunk[] = [];
  await read((chunk) => chunks.push(chunk));
  let row = from;
  for (const { columnData, rowStart } of chunks.sort((a, b) => a.rowStart - b.rowStart)) {
    for (let at = 0; at < columnData.length && row < to; at++, row++) {
      if (rowStart + at !== row) throw corrupt(path, `row ${row} is missing`);
      each(columnData[at], row);
    }
  }
  if (row !== to) throw corrupt(path, `it has ${row} rows, its metadata says ${to} or more`);
}

function requireRows(path: string, { num_rows, row_groups }: FileMetaData): number {
  const rows = Number(num_rows);
  const sum = row_groups.reduce((total, group) => total + Number(group.num_rows), 0);
  const isWhole = row_groups.every((group) => Number(group.num_rows) >= 0);
  if (isWhole && Number.isSafeInteger(rows) && sum === rows) return rows;
  throw corrupt(path, `its row groups have ${sum} rows, its metadata says ${rows}`);
}

function emptyVectors(path: string, rows: number, dim: number): Matrix {
  if (dim === 0)
    throw new LichenFileError('ERR_LICHEN_EMPTY', `${path}: its vectors have no values`);
  return matrix(
    withinMemory(rows * dim * 4, () => new Float32Array(rows * dim)),
    dim,
  );
}

function requireList(
  path: string,
  column: string,
  row: number,
  value: unknown,
): ArrayLike<unknown> {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return value as ArrayLike<unknown>;
  throw corrupt(path, `column ${JSON.stringify(column)}, row ${row} has no vector`);
}

const NUMBERS = ['FLOAT', 'DOUBLE', 'INT32', 'INT64'];

/** Whether a column holds lists of numbers, however many groups the writer has put around them. */
function isVectorColumn(column: SchemaTree): boolean {
  let lists = 0;
  let node: SchemaTree | undefined = column;
  for (;;) {
    if (node.element.repetition_type === 'REPEATED') lists++;
    if (node.children.length === 0) break;
    if (node.children.length > 1) return false;
    node = node.children[0]!;
  }
  const { type, logical_type } = node.element;
  return lists === 1 && (NUMBERS.includes(type ?? '') || logical_type?.type === 'FLOAT16');
}

function vectorColumn(file: ParquetFile, wanted: string | undefined): string {
  if (wanted !== undefined) {
    if (isVectorColumn(requireColumn(file, wanted))) return wanted;
    throw bad(`${file.path}: column ${JSON.stringify(wanted)} holds no lists of numbers`);
  }
  const names = file.columns.filter(isVectorColumn).map(({ element }) => element.name);
  if (names.length === 1) return names[0]!;
  if (names.length === 0) {
    throw corrupt(file.path, `none of its columns (${columnNames(file)}) holds lists of numbers`);
  }
  throw bad(`${file.path} has several columns of vectors: name one of ${names.join(', ')}`);
}

function requireColumn(file: ParquetFile, name: string): SchemaTree {
  const found = file.columns.find(({ element }) => element.name === name);
  if (found !== undefined) return found;
  throw bad(`${file.path} has no column ${JSON.stringify(name)}, but ${columnNames(file)}`);
}

function columnNames({ columns }: ParquetFile): string {
  return columns.map(({ element }) => element.name).join(', ');
}

/** Bytes as hyparquet asks for them: only such that are there. */
function bufferOf(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.length,
    async slice(start, end = source.length) {
      if (!(start >= 0 && start <= end && end <= source.length)) {
        throw corrupt(source.path, `it refers to bytes ${start} to ${end} of ${source.length}`);
      }
      const bytes = new Uint8Array(end - start);
      await source.read(bytes, start);
      return bytes.buffer;
    },
  };
}

/** What hyparquet undoes by itself. */
const BUILT_IN = ['UNCOMPRESSED', 'SNAPPY'];

/** Never gives more bytes than the file says, so that a small file cannot fill the memory. */
const OWN: Compressors = {
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: Math.max(1, length) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
};

async function compressorsFor({ row_groups }: FileMetaData): Promise<Compressors> {
  const used = new Set(
    row_groups.flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.codec)),
  );
  const isKnown = [...used].every(
    (codec) => codec === undefined || BUILT_IN.includes(codec) || codec in OWN,
  );
  if (isKnown) return OWN;
  const { compressors } = await requirePackage<{ compressors: Compressors }>(
    importPackage,
    'hyparquet-compressors',
    1,
  );
  return { ...compressors, ...OWN };
}

/** hyparquet's errors have no codes. */
function asLichenError(path: string, error: unknown): unknown {
  if (error instanceof LichenError) return error;
  const { code } = error as NodeJS.ErrnoException;
  // Of the file system, which `withBytes` knows.
  if (typeof code === 'string' && !code.startsWith('ERR_') && !code.startsWith('Z_')) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return /unsupported/i.test(reason)
    ? new LichenFileError('ERR_LICHEN_UNSUPPORTED', `cannot read ${path}: ${reason}`, {
        cause: error,
      })
    : new LichenFileError('ERR_LICHEN_FORMAT', `${path} is no whole parquet file: ${reason}`, {
        cause: error,
      });
}

function corrupt(path: string, reason: string): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${path}: ${reason}`);
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
