import { LichenFileError } from '../errors.js';
import type { ByteSource } from './bytes.js';
import { decodeValues, dtypeSize, type Dtype } from './dtype.js';
import { bytesOf, type ValueArray, type ValueReader } from './values.js';

const BLOCK_BYTES = 1 << 20;

/** A reader of .fvecs, .ivecs and .bvecs: each row is its dim as little-endian i32, then its values. */
export function vecsReader(dtype: Dtype): ValueReader {
  return async (source, allocate) => {
    if (source.length === 0) {
      throw new LichenFileError('ERR_LICHEN_EMPTY', `${source.path}: holds no vectors`);
    }
    const dim = await dimOfRow(source, 0, 0);
    const stride = 4 + dim * dtypeSize(dtype);
    const rows = Math.floor(source.length / stride);
    // A first row that does not fit shows before anything of its size is allocated.
    if (rows === 0) throw await unevenEnd(source, dim, 0, 0);
    const data = allocate(rows * dim, dtype);
    const rowsABlock = Math.max(1, Math.floor(BLOCK_BYTES / stride));
    const block = new Uint8Array(Math.min(rows, rowsABlock) * stride);
    const packed = new Uint8Array((block.length / stride) * (stride - 4));
    for (let row = 0; row < rows; row += rowsABlock) {
      const count = Math.min(rowsABlock, rows - row);
      await source.read(block.subarray(0, count * stride), row * stride);
      packRows(source, block, packed, { row, count, dim, stride });
      const values = data.subarray(row * dim, (row + count) * dim);
      await decodeValues(bytesSource(source, packed), 0, dtype, values);
    }
    if (rows * stride !== source.length) throw await unevenEnd(source, dim, rows, rows * stride);
    return { data, rows, dim };
  };
}

interface RowBlock {
  readonly row: number;
  readonly count: number;
  readonly dim: number;
  readonly stride: number;
}

/** Copies the rows of a block without their dims, which must all be the same. */
function packRows(source: ByteSource, block: Uint8Array, packed: Uint8Array, at: RowBlock): void {
  const view = new DataView(block.buffer);
  for (let i = 0; i < at.count; i++) {
    const start = i * at.stride;
    const dim = view.getInt32(start, true);
    if (dim !== at.dim) throw ragged(source, at.row + i, dim, at.dim);
    packed.set(block.subarray(start + 4, start + at.stride), i * (at.stride - 4));
  }
}

/** The dim that the row at a byte position says it has. */
async function dimOfRow(source: ByteSource, row: number, position: number): Promise<number> {
  const bytes = Buffer.alloc(Math.min(4, source.length - position));
  await source.read(bytes, position);
  const dim = bytes.length < 4 ? 0 : bytes.readInt32LE();
  if (dim < 1) {
    const got = bytes.length < 4 ? `the ${bytes.length} last bytes of the file` : `dim ${dim}`;
    throw new LichenFileError(
      'ERR_LICHEN_FORMAT',
      `${source.path}: row ${row} must begin with its dim, at least 1 (4 bytes), got ${got}`,
    );
  }
  return dim;
}

/** Why the file does not end with a whole row. */
async function unevenEnd(
  source: ByteSource,
  dim: number,
  row: number,
  position: number,
): Promise<LichenFileError> {
  const found = await dimOfRow(source, row, position);
  if (found !== dim) return ragged(source, row, found, dim);
  const got = source.length - position;
  return new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${source.path}: truncated: row ${row} of dim ${dim} has only ${got} bytes, its dim included`,
  );
}

function ragged(source: ByteSource, row: number, got: number, dim: number): LichenFileError {
  return new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `${source.path}: ragged: row ${row} has dim ${got}, the rows before it have ${dim}`,
  );
}

function bytesSource(source: ByteSource, bytes: Uint8Array): ByteSource {
  return {
    path: source.path,
    length: bytes.length,
    read(target, position) {
      target.set(bytes.subarray(position, position + target.length));
      return Promise.resolve();
    },
  };
}

/** The rows of a .fvecs or .ivecs file, some together. */
export function* vecsChunks(data: ValueArray, dim: number): Generator<Uint8Array> {
  const rows = data.length / dim;
  const rowsABlock = Math.max(1, Math.floor(BLOCK_BYTES / (4 * dim + 4)));
  for (let from = 0; from < rows; from += rowsABlock) {
    const count = Math.min(rowsABlock, rows - from);
    const words = new Int32Array(count * (dim + 1));
    const bits = new Int32Array(data.buffer, data.byteOffset + from * dim * 4, count * dim);
    for (let i = 0; i < count; i++) {
      words[i * (dim + 1)] = dim;
      words.set(bits.subarray(i * dim, (i + 1) * dim), i * (dim + 1) + 1);
    }
    yield bytesOf(words);
  }
}
