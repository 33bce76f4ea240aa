import { setImmediate } from 'node:timers/promises';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { LichenArgumentError, LichenError, throwIfAborted } from '../errors.js';
import {
  MAX_ROWS,
  requireInteger,
  requireOptions,
  toExclude,
  toVectors,
} from '../index/arguments.js';
import type { SearchBatchResult, VectorsInput } from '../index/types.js';
import { matrix, requireFinite, type Matrix } from '../vectors/matrix.js';
import { parseMetric, type Metric } from '../vectors/metric.js';
import { parseBackend } from './backends.js';
import {
  cutTiles,
  disposeTile,
  nearestInTile,
  preparedRows,
  uploadTile,
  type ItemTile,
} from './item-tiles.js';
import {
  loadTensorFlow,
  resumeBackend,
  type LoadedTensorFlow,
  type TensorFlow,
  type TowerBackend,
} from './tensorflow.js';
import { rescored } from './rescoring.js';
import { TopLists } from './top-lists.js';

/** Options of {@link TfScorer}. */
export interface TfScorerOptions {
  /** How a query is compared with a row. */
  metric: Metric;
  /** Default `auto`: CUDA where it is. */
  backend?: TowerBackend | undefined;
  /** Vectors scored at a time. Default 65,536 on a GPU, else 8,192. */
  tileItems?: number | undefined;
  /** Queries scored at a time; a tile of scores has `tileItems * tileQueries` floats. Default 1,024 on a GPU, else 256. */
  tileQueries?: number | undefined;
}

/** Options of `TfScorer.search`. */
export interface TfSearchOptions {
  /** Results wanted, 1 to the number of vectors. Default 10. */
  k?: number | undefined;
  /** One list of row numbers a query that must not be found for it. */
  exclude?: readonly ArrayLike<number>[] | undefined;
  /** Gives up with ERR_LICHEN_ABORTED when it fires. */
  signal?: AbortSignal | undefined;
}

const SCORER_OPTIONS = ['metric', 'backend', 'tileItems', 'tileQueries'] as const;
const SEARCH_OPTIONS = ['k', 'exclude', 'signal'] as const;

/** Results of a search that names no `k`. */
const DEFAULT_K = 10;

const GPU_TILE = { items: 65_536, queries: 1_024 };
const CPU_TILE = { items: 8_192, queries: 256 };

/** Candidates beyond `k`: near the last place rows may differ by the rounding of a product alone. */
const SPARE = 16;

/**
 * Exhaustive search by TensorFlow.js: the product of all queries with all vectors, tile by tile, and the best of each
 * tile. It runs wherever TensorFlow.js does, so on a GPU with the package tfjs-node-gpu, which is what it is for: on a
 * processor `FlatIndex` is faster.
 *
 * Results are those of a `FlatIndex` of f32 but for the rounding of scores: best first, of equal scores the lower row.
 * Vectors stay on the device until {@link dispose}, and in memory, where what was found is scored anew.
 *
 * @example
 * using scorer = new TfScorer(vectors, { metric: 'dot' });
 * const { keys, scores } = await scorer.search(queries, { k: 100 });
 */
export class TfScorer {
  /** Number of vectors. */
  readonly size: number;
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  readonly #backend: TowerBackend;
  readonly #tileItems: number | undefined;
  readonly #tileQueries: number | undefined;
  readonly #vectors: Matrix;
  readonly #tiles: ItemTile[] = [];
  #device: Promise<Device> | undefined;
  #isDisposed = false;

  /**
   * Copies the vectors; TensorFlow.js is loaded by the first search.
   * @throws ERR_LICHEN_ARGUMENT for a bad option, ERR_LICHEN_EMPTY without vectors, ERR_LICHEN_DIMENSION,
   * ERR_LICHEN_NOT_FINITE.
   */
  constructor(vectors: Matrix, options: TfScorerOptions) {
    const { metric, backend, tileItems, tileQueries } = requireOptions(options, SCORER_OPTIONS);
    const { data, rows, dim } = matrix(vectors.data, vectors.dim);
    if (rows === 0) {
      throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'vectors must hold at least one vector');
    }
    this.metric = parseMetric(metric);
    this.#backend = parseBackend(backend ?? 'auto');
    this.#tileItems = optionalInteger('tileItems', tileItems, MAX_ROWS);
    this.#tileQueries = optionalInteger('tileQueries', tileQueries, MAX_ROWS);
    requireFinite({ data, rows, dim }, 'vectors');
    this.size = rows;
    this.dim = dim;
    this.#vectors = preparedRows({ data, rows, dim }, this.metric);
  }

  /**
   * The `k` best vectors of each query by their row numbers. Makes room for other work of the event loop after each tile.
   * @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_NOT_FINITE, ERR_LICHEN_EMPTY, ERR_LICHEN_ARGUMENT, ERR_LICHEN_ABORTED,
   * ERR_LICHEN_CLOSED after {@link dispose}; ERR_LICHEN_MISSING_PACKAGE, ERR_LICHEN_UNSUPPORTED as `loadTensorFlow`.
   */
  async search(
    queries: VectorsInput,
    options: TfSearchOptions = {},
  ): Promise<SearchBatchResult<number>> {
    const given = requireOptions(options, SEARCH_OPTIONS);
    this.#requireOpen();
    const wanted = matrix(toVectors('queries', queries, this.dim), this.dim);
    requireFinite(wanted, 'queries');
    const rows = preparedRows(wanted, this.metric);
    const k = requireInteger('k', given.k ?? DEFAULT_K, 1, this.size);
    const excluded = excludedRows(given.exclude, rows.rows);
    throwIfAborted(given.signal, 'search');
    const device = await (this.#device ??= this.#start());
    const candidates = new TopLists(rows.rows, Math.min(this.size, k + SPARE));
    for (let from = 0; from < rows.rows; from += device.tileQueries) {
      const to = Math.min(rows.rows, from + device.tileQueries);
      await this.#searchTile(device, {
        rows,
        from,
        to,
        excluded,
        candidates,
        signal: given.signal,
      });
    }
    return rescored(this.#vectors, rows, this.metric, candidates, k);
  }

  /** Frees the device's memory; a search at work fails with ERR_LICHEN_CLOSED. Twice does nothing. */
  dispose(): void {
    this.#isDisposed = true;
    this.#freeTiles();
  }

  /** As `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #freeTiles(): void {
    for (const tile of this.#tiles.splice(0)) disposeTile(tile);
  }

  #requireOpen(): void {
    if (this.#isDisposed) throw new LichenError('ERR_LICHEN_CLOSED', 'the scorer was disposed');
  }

  /** Loads TensorFlow.js and brings the vectors to the device; after a failure the next search tries again. */
  async #start(): Promise<Device> {
    try {
      const loaded = await loadTensorFlow(this.#backend);
      await resumeBackend(loaded);
      this.#requireOpen();
      const standard = loaded.backend === 'tensorflow' ? GPU_TILE : CPU_TILE;
      const { tf } = loaded;
      const tileItems = this.#tileItems ?? standard.items;
      for (const tile of cutTiles(this.#vectors, this.metric, tileItems)) {
        this.#tiles.push(uploadTile(tf, tile, this.dim));
      }
      return { loaded, tileQueries: this.#tileQueries ?? standard.queries };
    } catch (error) {
      this.#device = undefined;
      this.#freeTiles();
      throw error;
    }
  }

  async #searchTile({ loaded }: Device, work: QueryTile): Promise<void> {
    const { rows, from, to } = work;
    const { tf } = loaded;
    const values = rows.data.subarray(from * this.dim, to * this.dim);
    let queries: Tensor2D | undefined;
    try {
      for (const tile of this.#tiles) {
        await setImmediate();
        throwIfAborted(work.signal, 'search');
        await resumeBackend(loaded);
        this.#requireOpen();
        queries ??= tf.tensor2d(values, [to - from, this.dim]);
        await mergeTile(tf, tile, queries, work);
      }
      // Disposing takes the tiles away, which ends the loop.
      this.#requireOpen();
    } finally {
      queries?.dispose();
    }
  }
}

async function mergeTile(
  tf: TensorFlow,
  tile: ItemTile,
  queries: Tensor2D,
  { from, to, excluded, candidates }: QueryTile,
): Promise<void> {
  const count = Math.min(tile.rows, candidates.width);
  const best = tf.tidy(() =>
    nearestInTile(tf, tile, queries, maskOf(tf, tile, excluded?.slice(from, to)), count),
  );
  try {
    const [indices, scores] = await Promise.all([
      best.indices.data<'int32'>(),
      best.values.data<'float32'>(),
    ]);
    const rows = indices.map((row) => tile.first + row);
    for (let query = from; query < to; query++) {
      const at = (query - from) * count;
      candidates.merge(
        query,
        rows.subarray(at, at + count),
        scores.subarray(at, at + count),
        excluded?.[query],
      );
    }
  } finally {
    best.indices.dispose();
    best.values.dispose();
  }
}

/** Where vectors are. */
interface Device {
  readonly loaded: LoadedTensorFlow;
  readonly tileQueries: number;
}

/** Queries `from … to - 1` and where their results go. */
interface QueryTile {
  readonly rows: Matrix;
  readonly from: number;
  readonly to: number;
  readonly excluded: readonly ReadonlySet<number>[] | undefined;
  readonly candidates: TopLists;
  readonly signal: AbortSignal | undefined;
}

function optionalInteger(
  name: string,
  value: number | undefined,
  most: number,
): number | undefined {
  return value === undefined ? undefined : requireInteger(name, value, 1, most);
}

function excludedRows(
  lists: TfSearchOptions['exclude'],
  queries: number,
): ReadonlySet<number>[] | undefined {
  const { keys, ends } = toExclude(lists, queries);
  if (keys === null || ends === null) return undefined;
  if (!(keys instanceof Float64Array)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      'exclude must hold row numbers, got strings',
    );
  }
  return Array.from(
    ends,
    (end, query) => new Set(keys.subarray(query === 0 ? 0 : ends[query - 1], end)),
  );
}

/** -Infinity where a row of the tile is excluded; undefined where none is. */
function maskOf(
  tf: TensorFlow,
  { first, rows }: ItemTile,
  excluded: readonly ReadonlySet<number>[] | undefined,
): Tensor2D | undefined {
  const cells: number[] = [];
  excluded?.forEach((hidden, query) => {
    for (const key of hidden) {
      if (key >= first && key < first + rows) cells.push(query, key - first);
    }
  });
  if (excluded === undefined || cells.length === 0) return undefined;
  const count = cells.length / 2;
  return tf.scatterND(tf.tensor2d(cells, [count, 2], 'int32'), tf.fill([count], -Infinity), [
    excluded.length,
    rows,
  ]);
}
