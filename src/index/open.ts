import { native } from '../native.js';
import type { OpenIndexOptions } from './file-options.js';
import { FlatIndex } from './flat.js';
import { HnswIndex } from './hnsw.js';
import { attachNative, type ShareToken } from './share.js';
import { adopt, openNative, type OpenedIndex } from './snapshot.js';
import type { Key } from './types.js';

/**
 * Reads an index of whichever kind the snapshot file holds.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_LOCKED, ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
 *
 * @example
 * const index = await openIndex('items.lichen', { map: true });
 * const { keys } = await index.search(query, { k: 10 });
 */
export async function openIndex<K extends Key = number>(
  path: string,
  options?: OpenIndexOptions,
): Promise<FlatIndex<K> | HnswIndex<K>> {
  return adopted<K>(await openNative(path, options));
}

/**
 * The index that another thread of this process shares (`index.share()`), of whichever kind it is. It is that thread's
 * index itself, not a copy: changes of one are seen by all, one change at a time (ERR_LICHEN_BUSY for another meanwhile).
 * It stays in memory until it is closed, or collected, in every thread that has it. An index with a journal can be
 * searched but not changed: ERR_LICHEN_UNSUPPORTED.
 * @throws ERR_LICHEN_ARGUMENT for what is no share of this process, ERR_LICHEN_CLOSED for a share that is closed.
 *
 * @example
 * const index = attachIndex(workerData as ShareToken); // what index.share() gave, in another thread
 * index.searchSync(query, { k: 10 });
 */
export function attachIndex<K extends Key = number>(
  share: ShareToken,
): FlatIndex<K> | HnswIndex<K> {
  return adopted<K>(attachNative(share));
}

function adopted<K extends Key>(opened: OpenedIndex): FlatIndex<K> | HnswIndex<K> {
  return native().indexDescribe(opened.handle).index === 'hnsw'
    ? adopt<HnswIndex<K>>(HnswIndex, opened)
    : adopt<FlatIndex<K>>(FlatIndex, opened);
}
