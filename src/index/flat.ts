import { machine, native } from '../native.js';
import { parseMetric } from '../vectors/metric.js';
import {
  requireDim,
  requireInteger,
  requireOptions,
  resolveRerank,
  resolveStorage,
  resolveThreads,
} from './arguments.js';
import { resolveSchema } from './attributes.js';
import type { OpenIndexOptions } from './file-options.js';
import { runOperation } from './operation.js';
import { attachNativeOf, type ShareToken } from './share.js';
import { adopt, openNativeOf } from './snapshot.js';
import type {
  IndexOptions,
  Key,
  NeighborLists,
  OperationOptions,
  RerankOptions,
  StorageOptions,
} from './types.js';
import { VectorIndex } from './vector-index.js';

/** Options of {@link FlatIndex}. */
export interface FlatOptions extends IndexOptions, StorageOptions, RerankOptions {}

/** Options of `neighbors`. */
export interface NeighborsOptions extends OperationOptions {
  /** Default: every processor. */
  threads?: number | undefined;
}

const NEIGHBORS_OPTIONS = ['signal', 'onProgress', 'threads'] as const;
const MOST_NEIGHBORS = 1024;

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
 * read faster; `StorageType` says what each is. `rerank` brings the accuracy of a finer type back.
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

  /**
   * The exact `k` nearest neighbours of every vector, itself left out, by the finest storage type: what a graph can be
   * built from (`neighbors` of `HnswIndex.add`), and the truth for it. Vectors count by row, in the order in which they were added (`compact` renumbers).
   * @returns row numbers, `k` a row, the nearest first; 0xFFFFFFFF where there are not so many or the row is removed.
   * @throws ERR_LICHEN_ARGUMENT unless `k` is from 1 to 1,024; ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED.
   */
  async neighbors(k: number, options: NeighborsOptions = {}): Promise<NeighborLists> {
    const given = requireOptions(options, NEIGHBORS_OPTIONS);
    requireInteger('k', k, 1, MOST_NEIGHBORS);
    const threads = resolveThreads(given.threads, machine().threads);
    const rows = new Uint32Array((this.size + native().indexDescribe(this.handle).dead) * k);
    await runOperation('neighbors', given, (progress) =>
      native().indexNeighbors(this.handle, k, threads, progress, rows),
    );
    return { rows, k };
  }

  /** As `attachIndex`; ERR_LICHEN_ARGUMENT also for an index of another kind. */
  static attach<K extends Key = number>(share: ShareToken): FlatIndex<K> {
    return adopt<FlatIndex<K>>(FlatIndex, attachNativeOf('flat', share));
  }
}
