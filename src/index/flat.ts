import { native } from '../native.js';
import { parseMetric } from '../vectors/metric.js';
import { requireDim, requireOptions } from './arguments.js';
import { adopt, openHandleOf } from './snapshot.js';
import type { IndexOptions, Key } from './types.js';
import { VectorIndex } from './vector-index.js';

/**
 * Exact search: every query is scored against every vector. Right for up to some ten thousand vectors, and as the
 * truth that other indexes are measured against.
 *
 * @example
 * const index = new FlatIndex({ dim: 64, metric: 'dot' });
 * await index.add(vectors);
 * const { keys, scores } = await index.search(query, { k: 10 });
 */
export class FlatIndex<K extends Key = number> extends VectorIndex<K> {
  /** @throws ERR_LICHEN_ARGUMENT for a dim or metric out of range and for unknown options. */
  constructor(options: IndexOptions) {
    const { dim, metric } = requireOptions(options, ['dim', 'metric']);
    super(native().createFlat(requireDim(dim), parseMetric(metric)));
  }

  /**
   * Reads a flat index that `save` wrote.
   * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
   */
  static async open<K extends Key = number>(path: string): Promise<FlatIndex<K>> {
    return adopt<FlatIndex<K>>(FlatIndex, await openHandleOf('flat', path));
  }
}
