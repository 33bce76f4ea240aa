import { LichenArgumentError, throwIfAborted } from '../errors.js';
import { HnswIndex } from '../index/hnsw.js';
import type { Key, SearchBatchResult, SearchSyncOptions } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { matrixRow, type Matrix } from '../vectors/matrix.js';
import { latencySummary } from './latency.js';
import { recallAtK, recallAtKByScore } from './neighbours.js';
import type { Truth } from './truth.js';

/** Options of {@link measureSearch}. */
export interface MeasureOptions {
  /** Results a query. */
  k: number;
  /** Search beams, one point each; a flat index ignores them and gives one point. */
  efs: readonly number[];
  /** `single`: one query a call; `batch`: all in one call. Default single. */
  mode?: 'single' | 'batch' | undefined;
  /** Candidates a result, as the searches take it. Default by storage type. */
  oversample?: number | undefined;
  /** Queries (or threads of a batch) at work side by side. Default 1. */
  threads?: number | undefined;
  /** Each point is measured for at least so long, in whole passes over the queries. Default 0.5. */
  secondsAPoint?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  signal?: AbortSignal | undefined;
  /** Called after each point. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Accuracy and speed at one `ef`. */
export interface SearchPoint {
  /** Undefined for an index without a beam. */
  readonly ef?: number;
  /** recall@k against the truth. */
  readonly recall: number;
  /** Queries a second, all threads together. */
  readonly qps: number;
  /** Latency of a query as the caller sees it; in batch mode of a whole batch. */
  readonly p50us: number;
  /** As `p50us`, what 99 in 100 do not exceed. */
  readonly p99us: number;
}

/**
 * Measures recall, throughput and latency of an index at each `ef`, on one warm-up pass (from which recall is taken)
 * and as many measured passes as fill `secondsAPoint`.
 * @throws ERR_LICHEN_EMPTY without queries, ERR_LICHEN_DIMENSION when queries or truth do not fit the index or k.
 *
 * @example
 * const truth = await exactTruth(index, queries, 10);
 * const points = await measureSearch(index, queries, truth, { k: 10, efs: [32, 64, 128] });
 * for (const { ef, recall, qps } of points) console.log(ef, recall, qps);
 */
export async function measureSearch(
  index: VectorIndex<Key>,
  queries: Matrix,
  truth: Truth,
  options: MeasureOptions,
): Promise<SearchPoint[]> {
  const { k, oversample, mode = 'single', threads = 1, secondsAPoint = 0.5 } = options;
  const { signal, onProgress } = options;
  if (queries.rows === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'queries: none');
  const beams: (number | undefined)[] = index instanceof HnswIndex ? [...options.efs] : [undefined];
  const points: SearchPoint[] = [];
  for (const ef of beams) {
    const search: Omit<SearchSyncOptions, 'exclude'> = { k, ef, oversample };
    const found = await index.searchBatch(queries, { ...search, signal });
    const pass = passOf(index, queries, search, { mode, threads });
    const micros: number[] = [];
    let seconds = 0;
    let passes = 0;
    do {
      throwIfAborted(signal, 'measuring');
      const start = performance.now();
      await pass(micros);
      seconds += (performance.now() - start) / 1000;
      passes++;
    } while (seconds < secondsAPoint);
    const { p50us, p99us } = latencySummary(Float64Array.from(micros));
    points.push({
      ...(ef !== undefined && { ef }),
      recall: recallOf(found, truth, index),
      qps: (passes * queries.rows) / seconds,
      p50us,
      p99us,
    });
    onProgress?.(points.length, beams.length);
  }
  return points;
}

function recallOf(found: SearchBatchResult<Key>, truth: Truth, index: VectorIndex<Key>): number {
  const { keys, scores, rows, k } = found;
  const shape = { rows, width: k };
  if (truth.by === 'key') return recallAtK({ values: keys, ...shape }, truth.neighbours, k);
  const values = truth.scoresOf?.(found) ?? scores;
  return recallAtKByScore({ values, ...shape }, truth.neighbours, { k, metric: index.metric });
}

/** One pass over the queries, which appends the latencies in microseconds. */
function passOf(
  index: VectorIndex<Key>,
  queries: Matrix,
  search: Omit<SearchSyncOptions, 'exclude'>,
  { mode, threads }: { mode: 'single' | 'batch'; threads: number },
): (micros: number[]) => Promise<void> {
  if (mode === 'batch') {
    return async (micros) => {
      const start = performance.now();
      await index.searchBatch(queries, { ...search, threads });
      micros.push((performance.now() - start) * 1000);
    };
  }
  const vectors = Array.from({ length: queries.rows }, (_, row) => matrixRow(queries, row));
  if (threads === 1) {
    return (micros) => {
      for (const vector of vectors) {
        const start = performance.now();
        index.searchSync(vector, search);
        micros.push((performance.now() - start) * 1000);
      }
      return Promise.resolve();
    };
  }
  return async (micros) => {
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < vectors.length) {
        const vector = vectors[next++]!;
        const start = performance.now();
        await index.search(vector, search);
        micros.push((performance.now() - start) * 1000);
      }
    };
    await Promise.all(Array.from({ length: threads }, client));
  };
}
