import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, LichenError } from '../errors.js';
import type { Key, SearchBatchResult } from '../index/types.js';

// Bodies of `application/octet-stream`: little-endian, without a header, as typed arrays lie in memory.

export const BINARY = 'application/octet-stream';

/**
 * Vectors of a body: float32 after float32.
 * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_EMPTY
 */
export function vectorsOf(body: Buffer, dim: number, most: number): Float32Array {
  const bytes = 4 * dim;
  if (body.length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'the body is empty');
  if (body.length % bytes !== 0) {
    const message = `the body must hold vectors of ${dim} float32 values, ${bytes} bytes each, got ${body.length} bytes`;
    throw new LichenArgumentError('ERR_LICHEN_DIMENSION', message);
  }
  requireCount('vectors', body.length / bytes, most);
  return new Float32Array(copied(body));
}

/**
 * Keys and vectors of a body: float64 keys, then the vectors.
 * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_EMPTY
 */
export function keyedVectorsOf(
  body: Buffer,
  dim: number,
  most: number,
): { readonly keys: Float64Array; readonly vectors: Float32Array } {
  const bytes = 8 + 4 * dim;
  if (body.length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'the body is empty');
  if (body.length % bytes !== 0) {
    const message = `the body must hold keys (float64) and vectors of ${dim} float32 values, ${bytes} bytes each pair, got ${body.length} bytes`;
    throw new LichenArgumentError('ERR_LICHEN_DIMENSION', message);
  }
  const rows = body.length / bytes;
  requireCount('vectors', rows, most);
  const memory = copied(body);
  return {
    keys: new Float64Array(memory, 0, rows),
    vectors: new Float32Array(memory, rows * 8),
  };
}

/** Keys of a body: float64 after float64. @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_EMPTY */
export function keysOf(body: Buffer, most: number): Float64Array {
  if (body.length === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'the body is empty');
  if (body.length % 8 !== 0) {
    throw badArgument(`the body must hold float64 keys, 8 bytes each, got ${body.length} bytes`);
  }
  requireCount('keys', body.length / 8, most);
  return new Float64Array(copied(body));
}

function requireCount(what: string, count: number, most: number): void {
  if (count > most) throw badArgument(`a request may have ${most} ${what}, got ${count}`);
}

/**
 * Results as a body: uint32 rows, uint32 k, then of each row float64 keys (−1 where there are fewer), then of each row
 * float32 scores (NaN there).
 * @throws ERR_LICHEN_UNSUPPORTED for keys that are strings.
 */
export function resultBody({ keys, scores, rows, k }: SearchBatchResult<Key>): Buffer {
  if (!(keys instanceof Float64Array)) {
    throw new LichenError('ERR_LICHEN_UNSUPPORTED', 'keys that are strings come as JSON only');
  }
  const body = Buffer.allocUnsafe(8 + keys.length * 8 + scores.length * 4);
  body.writeUInt32LE(rows, 0);
  body.writeUInt32LE(k, 4);
  Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength).copy(body, 8);
  Buffer.from(scores.buffer, scores.byteOffset, scores.byteLength).copy(body, 8 + keys.byteLength);
  return body;
}

/** In memory of its own, since a body may begin at any byte of a larger one. */
function copied(body: Buffer): ArrayBuffer {
  return new Uint8Array(body).buffer;
}
