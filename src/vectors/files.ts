import { LichenArgumentError, LichenFileError } from '../errors.js';
import { binHeader, binReader } from './bin.js';
import { withBytes, writeChunks, type FileOptions } from './bytes.js';
import { isWholeDtype, type Dtype } from './dtype.js';
import { floatToHalf } from './half.js';
import { requireFinite, type IntMatrix, type Matrix } from './matrix.js';
import { withHdf5 } from './hdf5.js';
import { npyHeader, readNpy } from './npy.js';
import { readParquetVectors } from './parquet.js';
import { bytesOf, pieces, type Allocate, type ValueReader } from './values.js';
import { vecsChunks, vecsReader } from './vecs.js';

/** Options of {@link readMatrix}. */
export interface ReadMatrixOptions extends FileOptions {
  /** Lets NaN and infinite values through; they are an error by default. */
  allowNonFinite?: boolean | undefined;
  /**
   * Of a .parquet file: the column of vectors, needed if there are several. Of a file of HDF5: the data set, by default
   * `train`, the base vectors as ann-benchmarks calls them.
   */
  column?: string | undefined;
}

/** Options of {@link readIntMatrix}. */
export interface ReadIntMatrixOptions extends FileOptions {
  /** Of a file of HDF5: the data set. Default `neighbors`. */
  column?: string | undefined;
}

/** Options of {@link writeMatrix}. */
export interface WriteMatrixOptions extends FileOptions {
  /** Value type in the file: `f32` (default) or `f16` (.npy only; rounded to nearest). */
  dtype?: 'f32' | 'f16' | undefined;
}

/** Whole numbers to be written, row-major. */
export interface Integers {
  /** `rows * dim` integers; beyond 32 bits only .npy can hold them. */
  readonly data: ArrayLike<number>;
  /** Number of rows. */
  readonly rows: number;
  /** Values a row. */
  readonly dim: number;
}

const READERS: Readonly<Record<string, ValueReader>> = {
  '.npy': readNpy,
  '.fvecs': vecsReader('f32'),
  '.ivecs': vecsReader('i32'),
  '.bvecs': vecsReader('u8'),
  '.fbin': binReader('f32'),
  '.u8bin': binReader('u8'),
  '.i8bin': binReader('i8'),
  '.ibin': binReader('i32'),
};
const PARQUET = '.parquet';
const HDF5 = ['.hdf5', '.h5'];
const LATER = ['.arrow', '.feather'];

/**
 * Reads the vectors of a file as f32, whatever its value type. The kind is read from the name: .npy .fvecs .ivecs
 * .bvecs .fbin .u8bin .i8bin .ibin .parquet, each also with .gz, and .hdf5 .h5.
 * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_ABORTED; ERR_LICHEN_UNSUPPORTED for another kind of file
 * or value; ERR_LICHEN_FORMAT for a corrupt, ragged or truncated file; ERR_LICHEN_EMPTY for one without vectors;
 * ERR_LICHEN_NOT_FINITE naming row and column; ERR_LICHEN_ARGUMENT for a column that does not suit; for .parquet and
 * .hdf5 ERR_LICHEN_MISSING_PACKAGE without the package hyparquet, or h5wasm.
 *
 * @example
 * const vectors = await readMatrix('items.npy');
 * console.log(vectors.rows, vectors.dim);
 */
export async function readMatrix(path: string, options: ReadMatrixOptions = {}): Promise<Matrix> {
  const kind = requireKind(path, 'read', [...Object.keys(READERS), PARQUET, ...HDF5]);
  const { column } = options;
  if (kind !== PARQUET) requireNoColumn(path, kind, column);
  let vectors: Matrix;
  if (HDF5.includes(kind)) {
    vectors = await withHdf5(path, (file) => file.vectors(column ?? 'train', options));
  } else if (kind === PARQUET) {
    vectors = await readParquetVectors(path, options);
  } else {
    vectors = await withBytes(path, options, (source) =>
      READERS[kind]!(source, (length) => new Float32Array(length)),
    );
  }
  if (options.allowNonFinite !== true) requireFinite(vectors, path);
  return vectors;
}

/**
 * Reads whole numbers, such as the keys of exact neighbours: .ivecs .ibin .bvecs .u8bin .i8bin and .npy of an integer
 * type, each also with .gz, and .hdf5 .h5.
 * @throws as {@link readMatrix}; ERR_LICHEN_FORMAT for floats and for values beyond 32 bits.
 *
 * @example
 * const truth = await readIntMatrix('neighbours.ivecs');
 * truth.data.subarray(0, truth.dim); // of the first query
 */
export async function readIntMatrix(
  path: string,
  options: ReadIntMatrixOptions = {},
): Promise<IntMatrix> {
  const kind = requireKind(path, 'read', [...Object.keys(READERS), ...HDF5]);
  const { column } = options;
  requireNoColumn(path, kind, column);
  if (HDF5.includes(kind)) {
    return withHdf5(path, (file) => file.integers(column ?? 'neighbors', options));
  }
  const read = READERS[kind]!;
  const allocate: Allocate<Int32Array> = (length, dtype) => {
    requireWhole(path, dtype);
    return new Int32Array(length);
  };
  return withBytes(path, options, (source) => read(source, allocate));
}

/** Only files that hold several tables have columns, or data sets. */
function requireNoColumn(path: string, kind: string, column: string | undefined): void {
  if (column === undefined || HDF5.includes(kind)) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `column belongs to .parquet and .hdf5 files, but the file is ${path}`,
  );
}

function requireWhole(path: string, dtype: Dtype): void {
  if (isWholeDtype(dtype)) return;
  throw new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${path}: expected whole numbers, got values of type ${dtype}`,
  );
}

/**
 * Writes vectors as .npy, .fvecs or .fbin (each also with .gz), atomically.
 * @throws ERR_LICHEN_UNSUPPORTED for another name or an f16 file that is not .npy, ERR_LICHEN_NOT_FOUND for a missing
 * folder, ERR_LICHEN_IO, ERR_LICHEN_ABORTED; then `path` is what it was.
 *
 * @example
 * await writeMatrix('items.npy', vectors);
 */
export async function writeMatrix(
  path: string,
  vectors: Matrix,
  options: WriteMatrixOptions = {},
): Promise<void> {
  const { data, rows, dim } = vectors;
  const kind = requireKind(path, 'write', ['.npy', '.fvecs', '.fbin']);
  const dtype = options.dtype ?? 'f32';
  if (dtype === 'f16' && kind !== '.npy') {
    throw new LichenArgumentError(
      'ERR_LICHEN_UNSUPPORTED',
      `cannot write ${path}: f16 values need a .npy file`,
    );
  }
  await writeChunks(
    path,
    function* () {
      if (kind === '.fvecs') {
        yield* vecsChunks(data, dim);
        return;
      }
      const descr = dtype === 'f16' ? '<f2' : '<f4';
      yield kind === '.npy' ? npyHeader(descr, rows, dim) : binHeader(rows, dim);
      for (const piece of pieces(data)) {
        yield bytesOf(dtype === 'f16' ? floatToHalf(piece) : piece);
      }
    },
    options,
  );
}

/**
 * Writes whole numbers as .npy (32 bits, or 64 where a value needs them), .ivecs or .ibin (each also with .gz),
 * atomically.
 * @throws as {@link writeMatrix}; ERR_LICHEN_ARGUMENT for values that are no integers or the file cannot hold.
 *
 * @example
 * await writeIntMatrix('neighbours.ivecs', { data: [3, 1, 2, 0], rows: 2, dim: 2 });
 */
export async function writeIntMatrix(
  path: string,
  integers: Integers,
  options: FileOptions = {},
): Promise<void> {
  const kind = requireKind(path, 'write', ['.npy', '.ivecs', '.ibin']);
  const { rows, dim } = integers;
  const bits = requireIntegers(path, integers.data);
  if (bits === 64 && kind !== '.npy') {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `cannot write ${path}: a value is beyond 32 bits, which needs a .npy file`,
    );
  }
  await writeChunks(
    path,
    function* () {
      if (bits === 64) {
        yield npyHeader('<i8', rows, dim);
        yield bytesOf(BigInt64Array.from(Array.from(integers.data), BigInt));
        return;
      }
      const data = Int32Array.from(integers.data);
      if (kind === '.ivecs') {
        yield* vecsChunks(data, dim);
        return;
      }
      yield kind === '.npy' ? npyHeader('<i4', rows, dim) : binHeader(rows, dim);
      for (const piece of pieces(data)) yield bytesOf(piece);
    },
    options,
  );
}

function requireIntegers(path: string, data: ArrayLike<number>): 32 | 64 {
  let bits: 32 | 64 = 32;
  for (let at = 0; at < data.length; at++) {
    const value = data[at]!;
    if (!Number.isSafeInteger(value)) {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `cannot write ${path}: value ${at} must be an integer, got ${value}`,
      );
    }
    if (value !== (value | 0)) bits = 64;
  }
  return bits;
}

/** The ending that says the kind of a file, which must be one of those `known`. */
function requireKind(path: string, action: 'read' | 'write', known: readonly string[]): string {
  const name = path.toLowerCase().replace(/\.gz$/, '');
  const kind = known.find((ending) => name.endsWith(ending));
  if (kind !== undefined) return kind;
  const later = LATER.find((ending) => name.endsWith(ending));
  throw new LichenFileError(
    'ERR_LICHEN_UNSUPPORTED',
    `cannot ${action} ${path}: ${later === undefined ? 'the name must end in' : `${later} is not supported yet, expected`} ` +
      `${known.join(', ')}, or one of them with .gz`,
  );
}
