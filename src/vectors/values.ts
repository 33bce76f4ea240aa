import type { ByteSource } from './bytes.js';
import type { Dtype } from './dtype.js';

/** What files are decoded to: floats for vectors, integers for keys. */
export type ValueArray = Float32Array | Int32Array;

/** Row-major values out of a file. */
export interface Values<A extends ValueArray> {
  readonly data: A;
  readonly rows: number;
  readonly dim: number;
}

/**
 * Gives the array that a reader decodes into, once the reader knows that the file really holds `length` values of
 * this type; throws if the type does not suit.
 */
export type Allocate<A extends ValueArray> = (length: number, dtype: Dtype) => A;

/** Reads one kind of file; the file's name is in every error. */
export type ValueReader = <A extends ValueArray>(
  source: ByteSource,
  allocate: Allocate<A>,
) => Promise<Values<A>>;

/** At most 1 MiB of values: what writers hand over at a time. */
const CHUNK_VALUES = 1 << 18;

/** `values` in consecutive pieces, without copying. */
export function* pieces<A extends ValueArray>(values: A): Generator<A> {
  for (let at = 0; at < values.length; at += CHUNK_VALUES) {
    yield values.subarray(at, at + CHUNK_VALUES) as A;
  }
}

/** The bytes under a typed array, not a copy. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
