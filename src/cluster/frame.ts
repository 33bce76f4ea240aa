import { createHash } from 'node:crypto';
import { LichenFileError, type LichenError } from '../errors.js';

// What goes over the network: a header as JSON, then typed arrays, little-endian, each on a multiple of 8 bytes.
// `LCF` and a version, the header's length, the header (which says how long each array is), the arrays, and, where bytes
// are to be kept, the first 8 bytes of their SHA-256.

const PLAIN = 0x0146434c;
const SEALED = 0x8146434c;
const PREFIX_BYTES = 8;
const DIGEST_BYTES = 8;
const MOST_HEADER_BYTES = 16 * 2 ** 20;
const MOST_SECTIONS = 256;

/** A message taken apart; its arrays are the receiver's own. */
export interface Frame {
  readonly header: Readonly<Record<string, unknown>>;
  readonly sections: readonly Uint8Array[];
}

/** Puts a message together. @param isSealed with a digest, so that what is damaged is told. */
export function encodeFrame(
  header: object,
  sections: readonly ArrayBufferView[],
  isSealed = false,
): Uint8Array {
  const sizes = sections.map(({ byteLength }) => byteLength);
  const text = Buffer.from(jsonOf({ ...header, sections: sizes }));
  let end = padded(PREFIX_BYTES + text.length);
  for (const size of sizes) end = padded(end + size);
  const bytes = Buffer.alloc(end + (isSealed ? DIGEST_BYTES : 0));
  bytes.writeUInt32LE(isSealed ? SEALED : PLAIN, 0);
  bytes.writeUInt32LE(text.length, 4);
  text.copy(bytes, PREFIX_BYTES);
  let at = padded(PREFIX_BYTES + text.length);
  for (const { buffer, byteOffset, byteLength } of sections) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at = padded(at + byteLength);
  }
  if (isSealed) digestOf(bytes.subarray(0, end)).copy(bytes, end);
  return bytes;
}

/** Bytes that a message takes besides its header. */
export function sectionBytes(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + padded(size), PREFIX_BYTES + DIGEST_BYTES);
}

/** @throws ERR_LICHEN_FORMAT for what {@link encodeFrame} would not have made, or not with a digest where one is wanted. */
export function decodeFrame(message: Uint8Array, isSealed = false): Frame {
  const { length } = message;
  if (length < PREFIX_BYTES) throw broken('it is too short');
  // In memory of its own: a message may begin at any byte of a larger one.
  const memory = new Uint8Array(message).buffer;
  const bytes = Buffer.from(memory);
  if (bytes.readUInt32LE(0) !== (isSealed ? SEALED : PLAIN)) throw broken('it does not begin so');
  const end = isSealed ? length - DIGEST_BYTES : length;
  const headerBytes = bytes.readUInt32LE(4);
  if (headerBytes > MOST_HEADER_BYTES || PREFIX_BYTES + headerBytes > end) {
    throw broken('its header is longer than it is');
  }
  if (isSealed && !digestOf(bytes.subarray(0, end)).equals(bytes.subarray(end))) {
    throw broken('its digest is not that of its bytes');
  }
  const header = headerOf(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes));
  const sizes = header['sections'];
  if (!Array.isArray(sizes) || sizes.length > MOST_SECTIONS) throw broken('it tells no sections');
  const sections: Uint8Array[] = [];
  let at = padded(PREFIX_BYTES + headerBytes);
  for (const size of sizes as unknown[]) {
    if (!Number.isSafeInteger(size) || (size as number) < 0 || at + (size as number) > end) {
      throw broken('its sections are longer than it is');
    }
    sections.push(new Uint8Array(memory, at, size as number));
    at = padded(at + (size as number));
  }
  if (at !== end) throw broken('it is longer than its sections');
  return { header, sections };
}

function headerOf(bytes: Buffer): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(bytes.toString());
    if (header !== null && typeof header === 'object' && !Array.isArray(header)) {
      return header as Record<string, unknown>;
    }
  } catch {
    // As below.
  }
  throw broken('its header is no JSON object');
}

/** The float64 values of a section. @throws ERR_LICHEN_FORMAT for another length than expected. */
export function float64sOf(section: Uint8Array | undefined, count?: number): Float64Array {
  return viewOf(Float64Array, section, count);
}

export function float32sOf(section: Uint8Array | undefined, count?: number): Float32Array {
  return viewOf(Float32Array, section, count);
}

export function uint32sOf(section: Uint8Array | undefined, count?: number): Uint32Array {
  return viewOf(Uint32Array, section, count);
}

function viewOf<T>(
  type: {
    new (buffer: ArrayBufferLike, offset: number, length: number): T;
    BYTES_PER_ELEMENT: number;
  },
  section: Uint8Array | undefined,
  count: number | undefined,
): T {
  const width = type.BYTES_PER_ELEMENT;
  const length = (section?.byteLength ?? 0) / width;
  if (section === undefined || !Number.isInteger(length) || (count ?? length) !== length) {
    throw broken(`a section holds ${String(section?.byteLength)} bytes, expected ${count} values`);
  }
  return new type(section.buffer, section.byteOffset, length);
}

/** JSON in which infinite numbers stay: they are written as numbers too large to be read as any other. */
export function jsonOf(value: unknown): string {
  if (value === Infinity || value === -Infinity) return value > 0 ? '1e999' : '-1e999';
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${Array.from(value, jsonOf).join()}]`;
  const members = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{${members.map(([name, part]) => `${JSON.stringify(name)}:${jsonOf(part)}`).join()}}`;
}

/** A list of texts, or of lists of them, as a section of its own. */
export function jsonSection(list: readonly unknown[]): Uint8Array {
  return Buffer.from(JSON.stringify(list));
}

/** Numbers as they are, texts as JSON. */
export function sectionOf(values: Float64Array | readonly unknown[]): ArrayBufferView {
  return values instanceof Float64Array ? values : jsonSection(values);
}

/** @throws ERR_LICHEN_FORMAT for what is no list of that length. */
export function listOf(section: Uint8Array | undefined, count?: number): unknown[] {
  let list: unknown;
  try {
    list = JSON.parse(Buffer.from(section ?? []).toString());
  } catch {
    throw broken('a section is no JSON');
  }
  if (!Array.isArray(list) || (count ?? list.length) !== list.length) {
    throw broken(`a section is no list of ${count}`);
  }
  return list;
}

/** A message that is not what it should be. */
export function broken(why: string): LichenError {
  return new LichenFileError(
    'ERR_LICHEN_FORMAT',
    `a message is damaged or of another kind: ${why}`,
  );
}

function padded(size: number): number {
  return (size + 7) & ~7;
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, DIGEST_BYTES);
}
