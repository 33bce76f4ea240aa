import { LichenArgumentError, shown } from '../errors.js';

/** How vectors can be stored, finest first. */
export const STORAGE_TYPES = Object.freeze(['f32', 'f16', 'bf16', 'i8', 'i4', 'b1', 'pq'] as const);

/**
 * How an index or a store keeps a vector of `dim` values:
 *
 * - `f32`: as it was given, 4 bytes a value; scores are exact up to rounding.
 * - `f16`: IEEE half precision, 2 bytes a value, 11 significant bits, magnitudes up to 65,504.
 * - `bf16`: the upper half of f32, 2 bytes a value, 8 significant bits, the whole range of f32.
 * - `i8`: scalar quantization, a byte a value between the least and the largest of the vector itself (local
 *   quantization), around the mean of the training vectors.
 * - `i4`: extended RaBitQ, 4 bits a value: the vector less the mean, randomly rotated.
 * - `b1`: RaBitQ, 1 bit a value, rotated likewise.
 * - `pq`: product quantization, 4 bits a subspace: the nearest of 16 centroids learned from the training vectors.
 */
export type StorageType = (typeof STORAGE_TYPES)[number];

/**
 * The storage type named by a text; ERR_LICHEN_ARGUMENT naming the known ones otherwise.
 *
 * @example
 * parseStorageType('i8'); // 'i8'
 */
export function parseStorageType(text: unknown, name = 'storage'): StorageType {
  const found = STORAGE_TYPES.find((type) => type === text);
  if (found === undefined) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `${name} is one of ${STORAGE_TYPES.join(', ')}, got ${shown(text)}`,
    );
  }
  return found;
}

/** Whether codes of the type can be of principal components. */
export function takesPca(type: StorageType): boolean {
  return type === 'i8' || type === 'i4' || type === 'b1';
}

/** Whether the first type keeps vectors more precisely than the second. */
export function isFiner(first: StorageType, second: StorageType): boolean {
  return STORAGE_TYPES.indexOf(first) < STORAGE_TYPES.indexOf(second);
}
