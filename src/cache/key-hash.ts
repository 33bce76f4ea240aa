import { shown, type LichenArgumentError } from '../errors.js';
import { badArgument } from './cache-limits.js';

/** What a cache finds values by: a safe integer or a string. */
export type CacheKey = number | string;

export function isCacheKey(key: unknown): key is CacheKey {
  return typeof key === 'string' || Number.isSafeInteger(key);
}

/** @throws ERR_LICHEN_ARGUMENT unless it is a safe integer or a string. */
export function requireCacheKey(key: unknown): asserts key is CacheKey {
  if (!isCacheKey(key)) throw badKey(key);
}

function badKey(key: unknown): LichenArgumentError {
  return badArgument(`key must be a safe integer or a string, got ${shown(key)}`);
}

/**
 * 32 bits of a key as a signed number, which V8 keeps in a register, well mixed (the finalizer of MurmurHash3 over the
 * number, or over FNV-1a of the text).
 */
export function hashOf(key: CacheKey): number {
  let hash: number;
  if (typeof key === 'number') {
    hash = key | 0;
    if (hash !== key) hash ^= Math.imul(Math.floor(key / 2 ** 32) + 1, 0x9e3779b1);
  } else {
    if (typeof key !== 'string') throw badKey(key);
    hash = 0x811c9dc5 ^ key.length;
    for (let at = 0; at < key.length; at++) {
      hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
    }
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

const POINTER_BYTES = 8;
const HEAP_NUMBER_BYTES = 16;
const STRING_HEADER_BYTES = 16;

/** Bytes that V8 takes for a key in an array, the key itself included. */
export function keyBytes(key: CacheKey): number {
  if (typeof key === 'number') {
    return (key | 0) === key ? POINTER_BYTES : POINTER_BYTES + HEAP_NUMBER_BYTES;
  }
  // One byte a character, or two if one of them needs that.
  const width = /^[\u0000-\u00ff]*$/.test(key) ? 1 : 2;
  return POINTER_BYTES + STRING_HEADER_BYTES + ((key.length * width + 7) & ~7);
}
