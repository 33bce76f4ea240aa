import { badArgument } from '../cache/cache-limits.js';
import { shown } from '../errors.js';
import type { Entity } from './definitions.js';

/** What identifies an entity: a safe integer or a text. */
export type FeatureKey = number | string;

/** Stores keep keys in indexes, which have a limit. */
const MOST_KEY_BYTES = 512;

/** Why a value is no key of an entity, or undefined if it is one. */
export function keyMismatch(entity: Entity, key: unknown): string | undefined {
  if (entity.keys === 'integer') {
    return Number.isSafeInteger(key) ? undefined : `a safe integer, got ${shown(key)}`;
  }
  const isText =
    typeof key === 'string' &&
    key !== '' &&
    !/\p{Surrogate}/u.test(key) &&
    !key.includes('\0') &&
    (key.length * 3 <= MOST_KEY_BYTES || Buffer.byteLength(key) <= MOST_KEY_BYTES);
  if (isText) return undefined;
  return `a well-formed text of 1 to ${MOST_KEY_BYTES} bytes without NUL, got ${shown(key)}`;
}

/** @throws ERR_LICHEN_ARGUMENT for a value that is no key of an entity. */
export function requireKey(entity: Entity, key: unknown): void {
  const reason = keyMismatch(entity, key);
  if (reason === undefined) return;
  throw badArgument(`a key of entity ${entity.name} must be ${reason}`);
}

/** A key as a text that tells integers from texts. */
export function keyText(key: FeatureKey): string {
  return typeof key === 'number' ? `i${key}` : `s${key}`;
}

/** What {@link keyText} made a text of. */
export function keyOfText(text: string): FeatureKey {
  return text.startsWith('i') ? Number(text.slice(1)) : text.slice(1);
}
