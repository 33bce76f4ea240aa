import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type * as h5wasm from 'h5wasm/node' with { 'resolution-mode': 'import' };
import { fileError, LichenArgumentError, LichenFileError, throwIfAborted } from '../errors.js';
import type { FileOptions } from './bytes.js';
import { isGzip } from './bytes.js';
import type { IntMatrix, Matrix } from './matrix.js';
import { withinMemory } from './memory.js';
import { importPackage, requirePackage } from './packages.js';

type H5 = typeof h5wasm;
type Dataset = InstanceType<H5['Dataset']>;

/** A file of HDF5 that is open for reading. */
export interface Hdf5File {
  readonly path: string;
  /** The names of its data sets. */
  readonly names: readonly string[];
  /** An attribute of the file; undefined if there is none of that name. */
  attribute(name: string): unknown;
  /** A data set of two dimensions as f32. @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_FORMAT, ERR_LICHEN_UNSUPPORTED */
  vectors(name: string, options?: FileOptions): Matrix;
  /** A data set of two dimensions that holds whole numbers. @throws as `vectors`. */
  integers(name: string, options?: FileOptions): IntMatrix;
}

/** What a new file of HDF5 holds. */
export interface Hdf5Content {
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly datasets: readonly {
    readonly name: string;
    readonly data: Float32Array | Float64Array | Int32Array;
    readonly shape: readonly number[];
  }[];
}

const PACKAGE_VERSION = 0;
const SIGNATURE = Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a);
/** The signature stands at 0, 512, 1024, 2048 … (section III.A of the format's specification). */
const LAST_SIGNATURE = 1 << 20;
/** Values read at a time. */
const VALUES_AT_ONCE = 1 << 20;
const NUMBER = /^[<|][bBhHiIqQefd]$/;
const INTEGER = /^[<|][bBhHiIqQ]$/;

/** Whether the name says that it is a file of HDF5. */
export function isHdf5(path: string): boolean {
  return /\.(hdf5|h5)$/i.test(path);
}

/**
 * Calls `use` with a file of HDF5, by the package h5wasm, an optional peer; it is closed afterwards.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT for what is no whole HDF5 file,
 * ERR_LICHEN_MISSING_PACKAGE; ERR_LICHEN_UNSUPPORTED for one with .gz.
 */
export async function withHdf5<T>(path: string, use: (file: Hdf5File) => T): Promise<T> {
  if (isGzip(path)) {
    const message = `cannot read ${path}: files of HDF5 are compressed inside, unpack it first`;
    throw new LichenFileError('ERR_LICHEN_UNSUPPORTED', message);
  }
  await requireSignature(path);
  const h5 = await load();
  const others = openStreams();
  let file: InstanceType<H5['File']> | undefined;
  try {
    const root = (file = new h5.File(path, 'r'));
    const find = (name: string): Dataset => requireDataset(h5, root, path, name);
    return use({
      path,
      names: root.keys().filter((name) => root.get(name) instanceof h5.Dataset),
      attribute: (name) => root.attrs[name]?.value,
      vectors: (name, options) => readValues(find(name), path, name, NUMBER, Float32Array, options),
      integers: (name, options) => readValues(find(name), path, name, INTEGER, Int32Array, options),
    });
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('HDF5-DIAG')) {
      throw corrupt(path, reasonOf(error), error);
    }
    throw error;
  } finally {
    closeAll(file, others);
  }
}

/**
 * Writes a file of HDF5; what stood there is replaced once the new one is whole.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_MISSING_PACKAGE.
 */
export async function writeHdf5(path: string, content: Hdf5Content): Promise<void> {
  const h5 = await load();
  const part = `${path}.${randomBytes(6).toString('hex')}.part`;
  try {
    // What the folder has against it is said by Node, in words.
    await (await open(part, 'w')).close();
    const others = openStreams();
    let file: InstanceType<H5['File']> | undefined;
    try {
      file = new h5.File(part, 'w');
      for (const [name, value] of Object.entries(content.attributes)) {
        if (typeof value === 'string') file.create_attribute(name, value);
        else if (typeof value === 'boolean') file.create_attribute(name, Number(value), null, '<b');
        else file.create_attribute(name, value, null, Number.isInteger(value) ? '<q' : '<d');
      }
      for (const { name, data, shape } of content.datasets) {
        file.create_dataset({ name, data, shape: [...shape] });
      }
      file.flush();
    } finally {
      closeAll(file, others);
    }
    const written = await open(part, 'r');
    await written.sync().finally(() => written.close());
    await rename(part, path);
  } catch (cause) {
    await rm(part, { force: true }).catch(() => undefined);
    const isTold = cause instanceof Error && cause.message.startsWith('HDF5-DIAG');
    throw fileError('write', path, isTold ? new Error(reasonOf(cause), { cause }) : cause);
  }
}

/** What h5wasm has opened: files are used one after another, each between two awaits. */
type OpenStream = object;
interface OpenFiles {
  readonly streams: readonly (OpenStream | null | undefined)[];
  close(stream: OpenStream): void;
}
let files: OpenFiles | undefined;

/**
 * Closes a file with all that was opened beside it: objects of a damaged one keep it open, and every error of HDF5 goes
 * through a temporary file that nobody closes.
 */
function closeAll(
  file: InstanceType<H5['File']> | undefined,
  others: ReadonlySet<OpenStream>,
): void {
  try {
    file?.close();
  } catch {
    // Its handle is closed below.
  }
  for (const stream of openStreams()) if (!others.has(stream)) files!.close(stream);
}

/** Standard ones, and those of whoever else uses h5wasm, among them. */
function openStreams(): ReadonlySet<OpenStream> {
  return new Set(files!.streams.filter((stream) => stream !== null && stream !== undefined));
}

let loading: Promise<H5> | undefined;

async function load(): Promise<H5> {
  loading ??= (async () => {
    const entry = 'h5wasm/node';
    const h5 = await requirePackage<H5>(importPackage, 'h5wasm', PACKAGE_VERSION, entry);
    // Otherwise what is wrong with a file is printed, and reading goes on.
    const module = await h5.ready;
    module.activate_throwing_error_handler();
    files = module.FS as unknown as OpenFiles;
    return h5;
  })();
  try {
    return await loading;
  } catch (error) {
    loading = undefined;
    throw error;
  }
}

async function requireSignature(path: string): Promise<void> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw fileError('read', path, cause);
  });
  try {
    const bytes = new Uint8Array(SIGNATURE.length);
    for (let at = 0; at <= LAST_SIGNATURE; at = at === 0 ? 512 : 2 * at) {
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, at);
      if (bytesRead < bytes.length) break;
      if (bytes.every((byte, place) => byte === SIGNATURE[place])) return;
    }
  } catch (cause) {
    throw fileError('read', path, cause);
  } finally {
    await handle.close();
  }
  throw corrupt(path, 'it does not begin as one');
}

function requireDataset(
  h5: H5,
  file: InstanceType<H5['File']>,
  path: string,
  name: string,
): Dataset {
  let found: unknown;
  try {
    found = name === '' ? undefined : file.get(name);
  } catch {
    // A path through what is no group.
  }
  if (found instanceof h5.Dataset) return found;
  const known = file.keys().map((key) => JSON.stringify(key));
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `${path} has no data set ${JSON.stringify(name)}, but ${known.join(', ') || 'none'}`,
  );
}

/** The values of a matrix, some rows at a time. */
function readValues<A extends Float32Array | Int32Array>(
  dataset: Dataset,
  path: string,
  name: string,
  type: RegExp,
  Values: new (length: number) => A,
  { signal, onProgress }: FileOptions = {},
): { data: A; rows: number; dim: number } {
  const { shape, dtype } = dataset;
  const where = `${path}: data set ${JSON.stringify(name)}`;
  if (typeof dtype !== 'string' || !type.test(dtype)) {
    const kind = type === INTEGER ? 'whole numbers' : 'numbers';
    const message = `${where} must hold ${kind}, little-endian, got type ${JSON.stringify(dtype)}`;
    throw new LichenFileError('ERR_LICHEN_UNSUPPORTED', message);
  }
  if (shape?.length !== 2) {
    const message = `${where} must be a matrix, got ${shape?.length ?? 0} dimensions`;
    throw new LichenFileError('ERR_LICHEN_FORMAT', message);
  }
  const [rows, dim] = shape as [number, number];
  if (rows === 0 || dim === 0) {
    throw new LichenFileError('ERR_LICHEN_EMPTY', `${where} holds no values`);
  }
  const data = withinMemory(rows * dim * 4, () => new Values(rows * dim));
  const step = Math.max(1, Math.floor(VALUES_AT_ONCE / dim));
  for (let row = 0; row < rows; row += step) {
    throwIfAborted(signal, `reading ${path}`);
    const end = Math.min(rows, row + step);
    const values = dataset.slice([[row, end], []]) as ArrayLike<number | bigint>;
    for (let at = 0; at < values.length; at++) {
      const value = Number(values[at]);
      data[row * dim + at] = value;
      if (type === INTEGER && data[row * dim + at] !== value) {
        throw corrupt(path, `data set ${JSON.stringify(name)} has ${value}, beyond 32 bits`);
      }
    }
    onProgress?.(end, rows);
  }
  return { data, rows, dim };
}

/** The innermost of HDF5's own messages, which says most. */
function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const last = text.split('\n').findLast((line) => /^\s*#\d+:/.test(line));
  return last?.replace(/^.*\(\): /, '').trim() ?? text.split('\n', 1)[0]!;
}

function corrupt(path: string, reason: string, cause?: unknown): LichenFileError {
  return new LichenFileError('ERR_LICHEN_FORMAT', `${path} is no whole HDF5 file: ${reason}`, {
    cause,
  });
}
