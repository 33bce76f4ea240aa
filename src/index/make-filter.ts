import { native, type IndexHandle } from '../native.js';
import { toKeyList } from './arguments.js';
import type { ResolvedSchema } from './attributes.js';
import { filterOf, type Filter } from './filter.js';
import type { Key, KeyCondition, KeysInput } from './types.js';
import { resolveWhere, type Where } from './where.js';

/** A filter of an index, of keys, of a condition on keys, or of one on attributes. */
export function makeFilter<K extends Key>(
  handle: IndexHandle,
  schema: ResolvedSchema,
  which: KeysInput<K> | KeyCondition<K> | Where,
): Filter {
  if (typeof which === 'function') return filterOfKeys(handle, which);
  if (isList(which)) {
    const { bits, layout } = native().indexFilter(handle, toKeyList(which));
    return filterOf(bits, layout);
  }
  const { key, program, strings } = resolveWhere(schema, which);
  const { bits, layout } = native().indexWhere(handle, [key, program, strings]);
  return filterOf(bits, layout);
}

function isList(which: unknown): boolean {
  // What is no object is no condition either, and lists of keys say best what they may be.
  return Array.isArray(which) || ArrayBuffer.isView(which) || typeof which !== 'object' || !which;
}

function filterOfKeys<K extends Key>(handle: IndexHandle, holds: KeyCondition<K>): Filter {
  const { keys, rows, layout } = native().indexKeys(handle);
  const bits = new Uint8Array(Math.ceil(((rows.at(-1) ?? -1) + 1) / 8));
  rows.forEach((row, at) => {
    if (holds(keys[at] as K)) bits[row >>> 3]! |= 1 << (row & 7);
  });
  return filterOf(bits, layout);
}
