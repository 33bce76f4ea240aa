import { LichenFileError, type LichenErrorCode } from '../errors.js';
import { bfloat16ToFloat, halfToFloat } from './half.js';
import type { ByteSource } from './bytes.js';

// Typed arrays here view file bytes directly: every machine that runs lichen is little-endian.

interface Decoder {
  /** Bytes a value. */
  readonly size: number;
  /** Whether the values are whole numbers. */
  readonly whole: boolean;
  /** Writes the values of an aligned little-endian block to `into` from index `at` on. */
  readonly decode: (
    block: ArrayBuffer,
    count: number,
    into: Float32Array | Int32Array,
    at: number,
  ) => void;
}

type NumberArray = { readonly [index: number]: number };

function copying(
  size: number,
  whole: boolean,
  view: (block: ArrayBuffer, count: number) => NumberArray,
): Decoder {
  return {
    size,
    whole,
    decode(block, count, into, at) {
      const values = view(block, count);
      for (let i = 0; i < count; i++) into[at + i] = values[i]!;
    },
  };
}

/** 64-bit integers as `low + high * 2^32`: exact up to 2^53, and without a BigInt a value. */
function wide(high: (block: ArrayBuffer, count: number) => Int32Array | Uint32Array): Decoder {
  return {
    size: 8,
    whole: true,
    decode(block, count, into, at) {
      const lows = new Uint32Array(block, 0, count * 2);
      const highs = high(block, count * 2);
      for (let i = 0; i < count; i++) into[at + i] = lows[2 * i]! + highs[2 * i + 1]! * 4294967296;
    },
  };
}

const halfWords = (block: ArrayBuffer, n: number): Uint16Array => new Uint16Array(block, 0, n);

const DECODERS = {
  f16: copying(2, false, (b, n) => halfToFloat(halfWords(b, n))),
  bf16: copying(2, false, (b, n) => bfloat16ToFloat(halfWords(b, n))),
  f32: copying(4, false, (b, n) => new Float32Array(b, 0, n)),
  f64: copying(8, false, (b, n) => new Float64Array(b, 0, n)),
  i8: copying(1, true, (b, n) => new Int8Array(b, 0, n)),
  u8: copying(1, true, (b, n) => new Uint8Array(b, 0, n)),
  i16: copying(2, true, (b, n) => new Int16Array(b, 0, n)),
  u16: copying(2, true, (b, n) => new Uint16Array(b, 0, n)),
  i32: copying(4, true, (b, n) => new Int32Array(b, 0, n)),
  u32: copying(4, true, (b, n) => new Uint32Array(b, 0, n)),
  i64: wide((b, n) => new Int32Array(b, 0, n)),
  u64: wide((b, n) => new Uint32Array(b, 0, n)),
} satisfies Record<string, Decoder>;

/** The element types of files that lichen reads. */
export type Dtype = keyof typeof DECODERS;

/** Bytes of one value. */
export function dtypeSize(dtype: Dtype): number {
  return DECODERS[dtype].size;
}

/** Whether the values of the type are whole numbers. */
export function isWholeDtype(dtype: Dtype): boolean {
  return DECODERS[dtype].whole;
}

/** Values read at a time; a block is at most 1 MiB. */
const BLOCK_VALUES = 1 << 17;

/**
 * Reads `into.length` values of a type from a file.
 * @throws ERR_LICHEN_FORMAT when `into` holds integers and a value is no 32-bit integer.
 */
export async function decodeValues(
  source: ByteSource,
  position: number,
  dtype: Dtype,
  into: Float32Array | Int32Array,
  bigEndian = false,
): Promise<void> {
  const { size, decode } = DECODERS[dtype];
  const sameBits = into instanceof Float32Array ? dtype === 'f32' : dtype === 'i32';
  if (sameBits && !bigEndian) {
    await source.read(new Uint8Array(into.buffer, into.byteOffset, into.byteLength), position);
    return;
  }
  const block = new ArrayBuffer(Math.min(BLOCK_VALUES, into.length) * size);
  const narrows = into instanceof Int32Array && mayOverflow(dtype);
  for (let at = 0; at < into.length; at += BLOCK_VALUES) {
    const count = Math.min(BLOCK_VALUES, into.length - at);
    const bytes = Buffer.from(block, 0, count * size);
    await source.read(bytes, position + at * size);
    if (bigEndian) swapBytes(bytes, size);
    if (narrows) requireInt32(source.path, block, dtype, count, at);
    decode(block, count, into, at);
  }
}

function mayOverflow(dtype: Dtype): boolean {
  return dtype === 'u32' || dtype === 'i64' || dtype === 'u64';
}

function requireInt32(
  path: string,
  block: ArrayBuffer,
  dtype: Dtype,
  count: number,
  from: number,
): void {
  const words = new Int32Array(block, 0, (count * dtypeSize(dtype)) / 4);
  const step = dtypeSize(dtype) / 4;
  for (let i = 0; i < count; i++) {
    const low = words[i * step]!;
    const high = step === 2 ? words[2 * i + 1]! : 0;
    // The upper half repeats the sign for i64; anything above zero is too large for the unsigned types.
    const fits = dtype === 'i64' ? high === low >> 31 : high === 0 && low >= 0;
    if (!fits) {
      throw new LichenFileError(
        'ERR_LICHEN_FORMAT',
        `${path}: value ${from + i} (of type ${dtype}) is no 32-bit integer`,
      );
    }
  }
}

function swapBytes(bytes: Buffer, size: number): void {
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else if (size === 8) bytes.swap64();
}

/**
 * The number of values of a `rows x dim` array, after checking that exactly its bytes follow `position`: so a
 * hostile header cannot make anybody allocate more than the file's size warrants.
 * @throws ERR_LICHEN_FORMAT saying what is missing or too much, ERR_LICHEN_EMPTY when there are no values.
 */
export function requireExtent(
  source: ByteSource,
  position: number,
  rows: number,
  dim: number,
  dtype: Dtype,
): number {
  const shape = `${rows} x ${dim} values of type ${dtype}`;
  const fail = (code: LichenErrorCode, text: string): LichenFileError =>
    new LichenFileError(code, `${source.path}: ${text}`);
  if (rows === 0 || dim === 0) {
    throw fail('ERR_LICHEN_EMPTY', `holds no vectors (the header says ${rows} x ${dim})`);
  }
  const expected = rows * dim * dtypeSize(dtype);
  const actual = source.length - position;
  if (!Number.isSafeInteger(expected) || actual < expected) {
    throw fail(
      'ERR_LICHEN_FORMAT',
      `truncated: the header says ${shape}, that is ${expected} bytes from byte ${position} on, got ${actual}`,
    );
  }
  if (actual > expected) {
    throw fail(
      'ERR_LICHEN_FORMAT',
      `${actual - expected} bytes too many after the ${shape} that the header says`,
    );
  }
  return rows * dim;
}
