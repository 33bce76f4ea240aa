import { ABSENT, isSound, type ValueBytes } from './value-bytes.js';

/** "lC", version 1. */
const MAGIC = 0x01436c;
const HEADER = 40;

/** A value as it lies in a shared tier. */
export interface Enveloped extends ValueBytes {
  /** Time of day, in milliseconds, until which it needs no refreshing. */
  readonly freshUntil: number;
  /** For how long it was to be fresh when it was stored, and how long it may be served. */
  readonly freshMs: number;
  readonly servedMs: number;
  /** How long the origin took for it. */
  readonly loadMs: number;
}

/** What stands under a key that was invalidated a moment ago: no older load may write over it. */
export const TOMBSTONE = Uint8Array.of(0x6c, 0x43, 0x00);

/** magic and version 3, kind 1, length 4, freshUntil 8, freshMs 8, servedMs 8, loadMs 8, then the value. */
export function seal({ kind, bytes, freshUntil, freshMs, servedMs, loadMs }: Enveloped): Buffer {
  const whole = Buffer.allocUnsafe(HEADER + bytes.length);
  whole.writeUIntLE(MAGIC, 0, 3);
  whole[3] = kind;
  whole.writeUInt32LE(bytes.length, 4);
  whole.writeDoubleLE(freshUntil, 8);
  whole.writeDoubleLE(freshMs, 16);
  whole.writeDoubleLE(servedMs, 24);
  whole.writeDoubleLE(loadMs, 32);
  whole.set(bytes, HEADER);
  return whole;
}

export function isTombstone(bytes: Uint8Array): boolean {
  return bytes.length === TOMBSTONE.length && TOMBSTONE.every((byte, at) => bytes[at] === byte);
}

/** What {@link seal} made, or undefined if these bytes are something else: nothing of them is trusted. */
export function unseal(bytes: Uint8Array): Enveloped | undefined {
  if (bytes.length < HEADER) return undefined;
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = whole[3]!;
  const length = whole.readUInt32LE(4);
  const value = bytes.subarray(HEADER);
  const freshUntil = whole.readDoubleLE(8);
  const freshMs = whole.readDoubleLE(16);
  const servedMs = whole.readDoubleLE(24);
  const loadMs = whole.readDoubleLE(32);
  const isWhole =
    whole.readUIntLE(0, 3) === MAGIC &&
    length === value.length &&
    (kind === ABSENT ? length === 0 : isSound(kind, length)) &&
    [freshUntil, freshMs, servedMs, loadMs].every((time) => time >= 0);
  return isWhole ? { kind, bytes: value, freshUntil, freshMs, servedMs, loadMs } : undefined;
}
