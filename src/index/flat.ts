import { native } from '../native.js';
import { parseMetric } from '../vectors/metric.js';
import { requireDim, requireOptions, resolveRerank, resolveStorage } from './arguments.js';
import { resolveSchema } from './attributes.js';
import type { OpenIndexOptions } from './file-options.js';
import { attachNativeOf, type ShareToken } from './share.js';
import { adopt, openNativeOf } from './snapshot.js';
import type { IndexOptions, Key, RerankOptions, StorageOptions } from './types.js';
import { VectorIndex } from './vector-index.js';

/** Options of {@link FlatIndex}. */
export interface FlatOptions extends IndexOptions, StorageOptions, RerankOptions {}

const FLAT_OPTIONS = [
  'dim',
  'metric',
  'storage',
  'rerank',
  'subspaces',
  'pca',
  'seed',
  'attributes',
] as const;

/**
 * Exhaustive search: every query is scored against every vector, in the storage type chosen. With `f32` it is exact:
 * the truth that other indexes are measured against. The smaller types hold more vectors in the same memory and are
 * read faster; {@link StorageType} says what each is. `rerank` brings the accuracy of a finer type back.
 *
 * Training happens in the first add: `i8`, `i4` and `b1` take the mean of its vectors if it brings at least 64, and
 * `pq` learns its centroids from it, which needs at least 16, `pca` its components, which needs as many. So the first add should be representative of those to
 * come. An add encodes on its `threads`, beside searches.
 *
 * @example
 * const index = new FlatIndex({ dim: 64, metric: 'dot', storage: 'i4', rerank: 'i8' });
 * await index.add(vectors);
 * const { keys, scores } = await index.search(query, { k: 10 });
 */
export class FlatIndex<K extends Key = number> extends VectorIndex<K> {
  /** @throws ERR_LICHEN_ARGUMENT for an option that is unknown, out of range or does not go with the others. */
  constructor(options: FlatOptions) {
    const given = requireOptions(options, FLAT_OPTIONS);
    const dim = requireDim(given.dim);
    const metric = parseMetric(given.metric);
    const stored = resolveStorage(given, dim);
    const { storage, codes, seed } = stored;
    const rerank = resolveRerank(given.rerank, stored);
    const attributes = resolveSchema(given.attributes ?? {}).native;
    super(native().createFlat(dim, metric, storage, rerank, codes, seed, attributes));
  }

  /**
   * Reads a flat index that `save` wrote.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_LOCKED,
   * ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
   */
  static async open<K extends Key = number>(
    path: string,
    options?: OpenIndexOptions,
  ): Promise<FlatIndex<K>> {
    return adopt<FlatIndex<K>>(FlatIndex, await openNativeOf('flat', path, options));
  }

  /** As `attachIndex`; ERR_LICHEN_ARGUMENT also for an index of another kind. */
  static attach<K extends Key = number>(share: ShareToken): FlatIndex<K> {
    return adopt<FlatIndex<K>>(FlatIndex, attachNativeOf('flat', share));
  }
}
