import { machine, native } from '../native.js';
import { parseMetric } from '../vectors/metric.js';
import {
  requireDim,
  requireInteger,
  requireOptions,
  requirePath,
  resolveRerank,
  resolveStorage,
  resolveThreads,
  toVectors,
} from './arguments.js';
import { resolveSchema } from './attributes.js';
import { readShape } from './hnswlib-sidecar.js';
import { runOperation } from './operation.js';
import type { OpenIndexOptions } from './file-options.js';
import { attachNativeOf, type ShareToken } from './share.js';
import { adopt, openNativeOf } from './snapshot.js';
import type {
  HnswAddOptions,
  HnswAddSyncOptions,
  IndexOptions,
  Key,
  OperationOptions,
  RerankOptions,
  StorageOptions,
  VectorsInput,
} from './types.js';
import { VectorIndex } from './vector-index.js';
import { HNSW_ADD_OPTIONS, HNSW_ADD_SYNC_OPTIONS } from './write-options.js';
import { UNJOURNALED } from './writes.js';

/** Options of {@link HnswIndex}. */
export interface HnswOptions extends IndexOptions, StorageOptions, RerankOptions {
  /** Links a vector on the upper levels, twice as many on the lowest; 2 to 512. Default 16. */
  m?: number | undefined;
  /** Beam of the searches that find a new vector's links, 1 to 65,536: more makes a better graph, slower. Default 100. */
  efConstruction?: number | undefined;
}

/** Options of {@link HnswIndex.fromHnswlib}. */
export interface FromHnswlibOptions
  extends Partial<IndexOptions>, StorageOptions, RerankOptions, OperationOptions {
  /** Threads that encode the vectors. Default: every processor. */
  threads?: number | undefined;
}

/** Recall that a beam reached for the queries of a calibration. */
export interface RecallPoint {
  /** The beam. */
  readonly ef: number;
  /** recall@10 */
  readonly recall: number;
}

const HNSW_DEFAULTS = Object.freeze({ m: 16, efConstruction: 100 });
const HNSW_OPTIONS = [
  'dim',
  'metric',
  'm',
  'efConstruction',
  'seed',
  'storage',
  'rerank',
  'subspaces',
  'pca',
  'attributes',
] as const;
const FROM_HNSWLIB_OPTIONS = [
  ...(['dim', 'metric', 'seed', 'storage', 'rerank', 'subspaces', 'pca', 'attributes'] as const),
  ...(['threads', 'signal', 'onProgress'] as const),
] as const;

/**
 * Approximate search by a hierarchical navigable small-world graph (Malkov and Yashunin, TPAMI 2020). `m` and
 * `efConstruction` are fixed when the index is made; `ef`, or the `recall` wanted, is chosen search by search.
 *
 * The graph is built and walked on the codes of `storage`, which may be any type; with `rerank` the best results are
 * scored anew, and scores are those of the finer type. Training happens in the first add, as in `FlatIndex`.
 *
 * For the metric `dot` the vectors of the greatest norm are kept once more side by side, where searches begin.
 *
 * @example
 * const index = new HnswIndex<string>({ dim: 3, metric: 'cosine' });
 * await index.add([[1, 0, 0], [0, 1, 0]], { keys: ['east', 'north'] });
 * index.searchSync([0.9, 0.1, 0], { k: 1 }).keys; // ['east']
 */
export class HnswIndex<K extends Key = number> extends VectorIndex<K> {
  /** @throws ERR_LICHEN_ARGUMENT for an option out of range and for unknown options. */
  constructor(options: HnswOptions) {
    const given = requireOptions(options, HNSW_OPTIONS);
    const { m = HNSW_DEFAULTS.m, efConstruction = HNSW_DEFAULTS.efConstruction } = given;
    const dim = requireDim(given.dim);
    const metric = parseMetric(given.metric);
    const stored = resolveStorage(given, dim);
    super(
      native().createHnsw(
        dim,
        metric,
        stored.storage,
        resolveRerank(given.rerank, stored),
        stored.codes,
        stored.seed,
        resolveSchema(given.attributes ?? {}).native,
        requireInteger('m', m, 2, 512),
        requireInteger('efConstruction', efConstruction, 1, 65536),
      ),
    );
  }

  /**
   * Reads an HNSW index that `save` wrote.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT, ERR_LICHEN_LOCKED,
   * ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY.
   */
  static async open<K extends Key = number>(
    path: string,
    options?: OpenIndexOptions,
  ): Promise<HnswIndex<K>> {
    return adopt<HnswIndex<K>>(HnswIndex, await openNativeOf('hnsw', path, options));
  }

  /** As `attachIndex`; ERR_LICHEN_ARGUMENT also for an index of another kind. */
  static attach<K extends Key = number>(share: ShareToken): HnswIndex<K> {
    return adopt<HnswIndex<K>>(HnswIndex, attachNativeOf('hnsw', share));
  }

  /**
   * Reads an index file that hnswlib wrote (its C++ library, its Python binding or hnswlib-node), and keeps its graph;
   * vectors may be kept in another `storage`. Keys are its labels; of a file that `HnswlibIndex` saved, the keys that
   * index had, and then `dim` and `metric` need not be given. Vectors marked as deleted are left out by the next
   * {@link compact}. Nothing is calibrated: see {@link calibrate}.
   * @throws ERR_LICHEN_NOT_FOUND, ERR_LICHEN_IO, ERR_LICHEN_FORMAT for what hnswlib would not write,
   * ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_UNSUPPORTED, ERR_LICHEN_MEMORY, ERR_LICHEN_ABORTED.
   */
  static async fromHnswlib<K extends Key = number>(
    path: string,
    options?: FromHnswlibOptions,
  ): Promise<HnswIndex<K>> {
    const given = requireOptions(options, FROM_HNSWLIB_OPTIONS);
    const file = requirePath(path);
    const { dim, metric, sidecar } = await readShape(file, {
      dim: given.dim === undefined ? undefined : requireDim(given.dim),
      metric: given.metric === undefined ? undefined : parseMetric(given.metric),
    });
    const stored = resolveStorage(given, dim);
    const { storage, codes, seed } = stored;
    const rerank = resolveRerank(given.rerank, stored);
    const attributes = resolveSchema(given.attributes ?? {}).native;
    const threads = resolveThreads(given.threads, machine().threads);
    const kind = sidecar?.keyKind ?? 'integer';
    const keys = kind === 'integer' ? null : kind === 'row' ? kind : sidecar!.keys!;
    const shape = [dim, metric, storage, rerank, codes, seed, attributes] as const;
    const handle = await runOperation(`reading ${file}`, given, (progress) =>
      native().indexFromHnswlib(...shape, file, keys, threads, progress),
    );
    return adopt<HnswIndex<K>>(HnswIndex, { handle, writes: UNJOURNALED });
  }

  /**
   * As `add` of any index. The graph of the first add may be started from the nearest neighbors of each vector, which a
   * GPU or `FlatIndex.searchBatch` finds: `neighbors`. Only the vectors on the upper levels are then searched for; the
   * others are linked to those of their neighbors that lie in different directions (the rule of Malkov and Yashunin,
   * TPAMI 2020), and what cannot be reached so is searched for and linked as ever. A journal has the vectors alone:
   * an index that is opened from it makes its graph without the lists.
   * @throws ERR_LICHEN_ARGUMENT for lists of another shape or with other row numbers, and for lists in an add to an
   * index that has rows already, also dead ones; as `add` of any index. The index is then as it was.
   */
  override async add(vectors: VectorsInput, options?: HnswAddOptions<K>): Promise<void> {
    await this.write(vectors, requireOptions(options, HNSW_ADD_OPTIONS), 'add');
  }

  /** As {@link add}, but blocks the thread until the vectors are searchable. */
  override addSync(vectors: VectorsInput, options?: HnswAddSyncOptions<K>): void {
    this.writeSync(vectors, requireOptions(options, HNSW_ADD_SYNC_OPTIONS), 'add');
  }

  /** Links a vector on the upper levels. */
  get m(): number {
    return this.describe().m!;
  }

  /** Beam of the searches that find a new vector's links. */
  get efConstruction(): number {
    return this.describe().efConstruction!;
  }

  /** What beam reached what recall when the index was calibrated last; empty if it was not. */
  get calibration(): readonly RecallPoint[] {
    const pairs = native().indexCalibration(this.handle);
    return Array.from({ length: pairs.length / 2 }, (_, at) => ({
      ef: pairs[2 * at]!,
      recall: pairs[2 * at + 1]!,
    }));
  }

  /**
   * Learns from queries like those to come which beam reaches which recall, and how to search best. An add that at least
   * doubles an index to 1,024 vectors or more does so by itself, with some of its vectors for queries; where queries are
   * of another kind than vectors (users and items), give some hundred of them here.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_BUSY.
   */
  async calibrate(queries: VectorsInput): Promise<void> {
    const given = this.own(toVectors('queries', queries, this.dim));
    await this.writes.run(() => native().indexCalibrate(this.handle, given));
  }
}
