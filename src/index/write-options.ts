import { machine } from '../native.js';
import { resolveThreads, toKeys, toNeighbors, toVectors } from './arguments.js';
import { toAttributes, type ResolvedSchema } from './attributes.js';
import type { HnswAddSyncOptions, Key, VectorsInput } from './types.js';

export const ADD_SYNC_OPTIONS = ['keys', 'attributes', 'threads'] as const;
export const ADD_OPTIONS = [...ADD_SYNC_OPTIONS, 'signal', 'onProgress'] as const;
export const HNSW_ADD_SYNC_OPTIONS = [...ADD_SYNC_OPTIONS, 'neighbors'] as const;
export const HNSW_ADD_OPTIONS = [...ADD_OPTIONS, 'neighbors'] as const;
export const COMPACT_OPTIONS = ['threads', 'signal', 'onProgress'] as const;

/** What the native index is given to add. */
export function resolveAdd<K extends Key>(
  { dim, schema }: { readonly dim: number; readonly schema: ResolvedSchema },
  vectors: VectorsInput,
  options: HnswAddSyncOptions<K>,
) {
  const data = toVectors('vectors', vectors, dim);
  const count = data.length / dim;
  return {
    data,
    keys: toKeys<K>(options.keys, count),
    attributes: toAttributes(schema, options.attributes, count),
    neighbors: toNeighbors(options.neighbors, count),
    threads: resolveThreads(options.threads, machine().threads),
  };
}

/** A copy of what native code is to be given later: arrays of arrays, typed or not. */
export function ownCopy<T>(given: T): T {
  const copy = (value: unknown): unknown => {
    if (ArrayBuffer.isView(value)) return (value as Float32Array).slice();
    if (Array.isArray(value)) return value.map(copy);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copy(part)]));
  };
  return copy(given) as T;
}
