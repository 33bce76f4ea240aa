import { deserialize, serialize } from 'node:v8';
import { shown, type LichenArgumentError } from '../errors.js';
import { badArgument } from './cache-limits.js';
import { bytesOf } from '../vectors/values.js';

/** A typed array that caches and feature stores keep. */
export type ValueArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

interface ArrayKind {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): ValueArray;
}

const ARRAYS: readonly ArrayKind[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
const KIND_OF = new Map<unknown, number>(ARRAYS.map((kind, at) => [kind, at + 1]));
const BUFFER = 12;
const TEXT = 13;
const STRUCTURE = 14;

/** The kind of an entry that says that there is no value. */
export const ABSENT = 0;

/** A value as bytes: the elements of a typed array as they are, a text in UTF-8, anything else as a structured clone. */
export interface ValueBytes {
  readonly kind: number;
  /** Lies in the value's own memory where it can. */
  readonly bytes: Uint8Array;
}

/** That there is no value. */
export const NO_VALUE: ValueBytes = { kind: ABSENT, bytes: new Uint8Array(0) };

/**
 * The bytes of a value.
 * @throws ERR_LICHEN_ARGUMENT for what cannot be cloned: functions, symbols, objects that have such; and for undefined,
 * which stands for absence.
 */
export function toBytes(value: unknown): ValueBytes {
  if (ArrayBuffer.isView(value)) {
    if (Buffer.isBuffer(value)) return { kind: BUFFER, bytes: value };
    const kind = KIND_OF.get(value.constructor);
    if (kind !== undefined) return { kind, bytes: bytesOfArray(value) };
  }
  // UTF-8 has no half of a surrogate pair.
  if (typeof value === 'string' && !/\p{Surrogate}/u.test(value)) {
    return { kind: TEXT, bytes: Buffer.from(value) };
  }
  if (value === undefined) throw unstorable(value);
  try {
    return { kind: STRUCTURE, bytes: serialize(value) };
  } catch (cause) {
    throw unstorable(value, cause);
  }
}

/** An array of a kind (see {@link isArrayKind}) over some bytes of a buffer. */
export function arrayOver(
  kind: number,
  buffer: ArrayBuffer,
  start: number,
  bytes: number,
): ValueArray {
  if (kind === BUFFER) return Buffer.from(buffer, start, bytes);
  const Kind = ARRAYS[kind - 1]!;
  return new Kind(buffer, start, bytes / Kind.BYTES_PER_ELEMENT);
}

/** Whether any bytes of this kind that {@link isSound} admits are a value. */
export function isArrayKind(kind: number): boolean {
  return kind >= 1 && kind <= BUFFER;
}

/** Whether bytes of such a kind and length can be a value. */
export function isSound(kind: number, bytes: number): boolean {
  if (kind === BUFFER || kind === TEXT || kind === STRUCTURE) return true;
  const Kind = ARRAYS[kind - 1];
  return Kind !== undefined && bytes % Kind.BYTES_PER_ELEMENT === 0;
}

/**
 * A value made anew of its bytes, which it does not share.
 * @throws what deserializing throws, if they are none.
 */
export function fromBytes({ kind, bytes }: ValueBytes): unknown {
  if (kind === TEXT) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  // Arrays within a structure lie in the bytes that it is made of.
  if (kind === STRUCTURE) return deserialize(new Uint8Array(bytes));
  // `slice` of a Buffer would not copy.
  return arrayOver(kind, new Uint8Array(bytes).buffer, 0, bytes.length);
}

function bytesOfArray(array: ArrayBufferView): Uint8Array {
  try {
    return bytesOf(array);
  } catch (cause) {
    throw badArgument('a cache cannot store an array whose memory was transferred away', cause);
  }
}

function unstorable(value: unknown, cause?: unknown): LichenArgumentError {
  return badArgument(
    `a cache cannot store ${shown(value)}: expected a typed array, a text or what can be cloned`,
    cause,
  );
}
