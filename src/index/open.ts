import { native } from '../native.js';
import type { OpenIndexOptions } from './file-options.js';
import { FlatIndex } from './flat.js';
import { HnswIndex } from './hnsw.js';
import { adopt, openNative } from './snapshot.js';
import type { Key } from './types.js';

/**
 * Reads an index of whichever kind the snapshot file holds.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_LOCKED, ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
 */
export async function openIndex<K extends Key = number>(
  path: string,
  options?: OpenIndexOptions,
): Promise<FlatIndex<K> | HnswIndex<K>> {
  const opened = await openNative(path, options);
  return native().indexDescribe(opened.handle).index === 'hnsw'
    ? adopt<HnswIndex<K>>(HnswIndex, opened)
    : adopt<FlatIndex<K>>(FlatIndex, opened);
}
