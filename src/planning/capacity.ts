import { LichenArgumentError, throwIfAborted } from '../errors.js';
import { makeIndex, requireCandidate, type IndexCandidate } from '../evaluation/candidate.js';
import { requireInteger } from '../index/arguments.js';
import { recallsByScore } from '../evaluation/neighbours.js';
import { mean, meanInterval, spreadOf, type Spread } from '../evaluation/statistics.js';
import { exactTruthAmong } from '../evaluation/truth.js';
import { madeVectors } from '../vectors/made.js';
import { matrixRow, matrixRows, type Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import { Random } from '../vectors/random.js';

/** Options of {@link measureCapacity}. */
export interface CapacityOptions {
  /** The index that is measured. */
  readonly candidate: IndexCandidate;
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  /** Results a search. */
  readonly k: number;
  /** Beam of searches. */
  readonly ef?: number | undefined;
  /** Numbers of vectors that are measured, at least two. Default 20,000, 60,000 and 180,000. */
  readonly rows?: readonly number[] | undefined;
  /** Vectors of one's own instead of made ones; the first so many of them are taken. Default `queries`: the others. */
  readonly vectors?: Matrix | undefined;
  /** Vectors that are searched for. Default: see `vectors`. */
  readonly queries?: Matrix | undefined;
  /** Decides what vectors are made. Default 42. */
  readonly seed?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told how many sizes are measured, and of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** An index of one size. */
export interface CapacityPoint {
  /** Vectors in the index. */
  readonly rows: number;
  /** Mean time of a search, in microseconds. */
  readonly meanUs: number;
  /** The mean of each pass over the queries. */
  readonly passesUs?: Spread | undefined;
  /** Bytes of memory a vector, all of the index included. */
  readonly bytesPerVector: number;
  /** recall@k against exact search. */
  readonly recall: number;
  /** Where the recall lies with 95% confidence. */
  readonly recallRange?: readonly [number, number] | undefined;
  /** Seconds that building took. */
  readonly buildSeconds: number;
}

/** What was measured of small indexes, and follows for large ones. */
export interface Capacity {
  /** What was measured, by number of vectors. */
  readonly points: readonly CapacityPoint[];
  /** Mean time of a search: `fixedUs + growthUs × g(rows)`, g being the logarithm for a graph and the number itself flat. */
  readonly fixedUs: number;
  /** Microseconds more by growth; see `fixedUs`. */
  readonly growthUs: number;
  /** How the time of a search grows with the number of vectors. */
  readonly grows: 'logarithmically' | 'linearly';
  /** Bytes of memory a vector, of the largest index. */
  readonly bytesPerVector: number;
  /** Times of searches in the largest index, in microseconds. */
  readonly samplesUs: readonly number[];
}

const ROWS = [20_000, 60_000, 180_000];
const QUERIES = 1000;
const PASSES = 3;

/**
 * Measures how fast an index is, and how large, at several sizes on this machine, one search at a time on one thread, and
 * fits how its time grows: a graph's with the logarithm of the number of vectors (Malkov and Yashunin, 2018), a scan's with
 * the number. What is beyond the sizes measured is extrapolated; where an index outgrows the caches of the processor, a
 * graph of many millions is slower by some tens of percent than this says.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION, ERR_LICHEN_ABORTED
 *
 * @example
 * const candidate = { index: 'hnsw', storage: 'i8', rerank: 'f16' } as const;
 * const capacity = await measureCapacity({ candidate, dim: 64, metric: 'dot', k: 10, ef: 64 });
 */
export async function measureCapacity(options: CapacityOptions): Promise<Capacity> {
  const { candidate, dim, metric, k, ef, seed = 42, signal, onProgress } = options;
  const rows = [...new Set(options.rows ?? ROWS)].sort((a, b) => a - b);
  requireInteger('k', k, 1, 2 ** 31 - 1);
  for (const count of rows) requireInteger('rows', count, 1, 2 ** 31 - 1);
  requireCandidate(candidate, { dim, metric });
  if (rows.length < 2 || !(rows[0]! >= k)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `rows must be at least two numbers of vectors, each at least k = ${k}`,
    );
  }
  const most = rows.at(-1)!;
  const made = options.vectors ? undefined : madeVectors(most + QUERIES, dim, seed);
  const all = options.vectors ?? first(made!, most);
  if (all.rows < most || all.dim !== dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `vectors must be at least ${most} of dim ${dim}, got ${all.rows} of dim ${all.dim}`,
    );
  }
  const queries = options.queries ?? (made ? lastRows(made, QUERIES) : drawnRows(all, most, seed));
  const points: CapacityPoint[] = [];
  let samplesUs: number[] = [];
  for (const [at, count] of rows.entries()) {
    throwIfAborted(signal, 'measuring');
    const base = first(all, count);
    using index = makeIndex(candidate, { dim, metric });
    const started = performance.now();
    await index.add(base, { signal });
    const buildSeconds = (performance.now() - started) / 1000;
    const search = { k, ...(candidate.index === 'hnsw' && ef !== undefined && { ef }) };
    const micros: number[] = [];
    const means: number[] = [];
    // The first pass warms up.
    for (let pass = 0; pass <= PASSES; pass++) {
      const before = micros.length;
      for (let query = 0; query < queries.rows; query++) {
        const vector = matrixRow(queries, query);
        const begun = performance.now();
        index.searchSync(vector, search);
        if (pass > 0) micros.push((performance.now() - begun) * 1000);
      }
      if (pass > 0) means.push(mean(micros.slice(before)));
    }
    const truth = await exactTruthAmong(base, index, queries, k, signal);
    const found = await index.searchBatch(queries, { ...search, signal });
    if (truth.by !== 'score') throw new Error('expected scores');
    const values = truth.scoresOf?.(found) ?? found.scores;
    const recalls = recallsByScore({ values, rows: queries.rows, width: k }, truth.neighbours, {
      ...{ k, metric },
    });
    const recall = meanInterval(recalls, [0, 1]);
    points.push({
      ...{ rows: count, meanUs: mean(micros), passesUs: spreadOf(means) },
      ...{ bytesPerVector: index.bytes / count, buildSeconds },
      ...{ recall: recall.mean, recallRange: [recall.low, recall.high] },
    });
    samplesUs = micros;
    onProgress?.(at + 1, rows.length);
  }
  return { ...fitted(points, candidate.index), points, samplesUs };
}

/** Times of searches in an index of so many vectors: those measured, scaled by how their mean grows. */
export function samplesAt(capacity: Capacity, rows: number): Float64Array {
  const { samplesUs, points } = capacity;
  const measured = points.at(-1)!;
  const factor = meanUsAt(capacity, rows) / measured.meanUs;
  return Float64Array.from(samplesUs, (value) => value * factor);
}

/** The mean time of a search among so many vectors, in microseconds. */
export function meanUsAt({ fixedUs, growthUs, grows, points }: Capacity, rows: number): number {
  const least = points[0]!;
  const expected = fixedUs + growthUs * (grows === 'linearly' ? rows : Math.log(rows));
  // Below what was measured a line may fall under 0.
  return rows >= least.rows ? expected : Math.max(expected, (least.meanUs * rows) / least.rows);
}

/** The recall among so many vectors at the same beam: what was measured, along a line over the logarithm of the number. */
export function recallAt({ points }: Capacity, rows: number): number {
  const { start, slope } = line(
    points.map((point) => Math.log(point.rows)),
    points.map(({ recall }) => recall),
  );
  return Math.min(1, Math.max(0, start + Math.min(0, slope) * Math.log(rows)));
}

function fitted(
  points: readonly CapacityPoint[],
  kind: 'flat' | 'hnsw',
): Pick<Capacity, 'fixedUs' | 'growthUs' | 'grows' | 'bytesPerVector'> {
  const { start, slope } = line(
    points.map(({ rows }) => (kind === 'flat' ? rows : Math.log(rows))),
    points.map(({ meanUs }) => meanUs),
  );
  const flat = mean(points.map(({ meanUs }) => meanUs));
  return {
    ...(slope > 0 ? { fixedUs: start, growthUs: slope } : { fixedUs: flat, growthUs: 0 }),
    grows: kind === 'flat' ? 'linearly' : 'logarithmically',
    bytesPerVector: points.at(-1)!.bytesPerVector,
  };
}

/** The line of least squares. */
function line(x: readonly number[], y: readonly number[]): { start: number; slope: number } {
  const meanX = mean(x);
  const meanY = mean(y);
  let product = 0;
  let square = 0;
  for (const [at, value] of x.entries()) {
    product += (value - meanX) * (y[at]! - meanY);
    square += (value - meanX) ** 2;
  }
  const slope = square === 0 ? 0 : product / square;
  return { start: meanY - slope * meanX, slope };
}

function lastRows({ data, rows, dim }: Matrix, count: number): Matrix {
  return { data: data.subarray((rows - count) * dim), rows: count, dim };
}

/** Vectors that are not among the first so many, or where there are none some of all. */
function drawnRows(vectors: Matrix, used: number, seed: number): Matrix {
  const from = vectors.rows > used ? used : 0;
  const order = Uint32Array.from({ length: vectors.rows - from }, (_, at) => from + at);
  return matrixRows(vectors, new Random(seed).shuffle(order).subarray(0, QUERIES));
}

/**
 * Measurements from elsewhere, as far as plans lean on them.
 * @throws ERR_LICHEN_ARGUMENT
 */
export function requireCapacity(capacity: Capacity): void {
  const { points, samplesUs, fixedUs, growthUs, bytesPerVector, grows } = capacity;
  const isIn = (value: unknown, low: number, high = Number.MAX_VALUE) =>
    typeof value === 'number' && value >= low && value <= high;
  const isWhole =
    Array.isArray(points) &&
    points.length > 0 &&
    (points as readonly (CapacityPoint | null)[]).every(
      (point) =>
        isIn(point?.rows, 1) &&
        isIn(point?.meanUs, Number.MIN_VALUE) &&
        isIn(point?.recall, 0, 1) &&
        isIn(point?.bytesPerVector, Number.MIN_VALUE) &&
        isIn(point?.buildSeconds, 0),
    ) &&
    Array.isArray(samplesUs) &&
    samplesUs.length > 0 &&
    samplesUs.every((value) => isIn(value, 0)) &&
    isIn(fixedUs, -Number.MAX_VALUE) &&
    isIn(growthUs, 0) &&
    isIn(bytesPerVector, Number.MIN_VALUE) &&
    (grows === 'linearly' || grows === 'logarithmically');
  if (isWhole) return;
  throw new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    'capacity must be as measureCapacity gives it: points, samplesUs, fixedUs, growthUs, grows, bytesPerVector',
  );
}

function first(vectors: Matrix, rows: number): Matrix {
  const { data, dim } = vectors;
  return { data: data.subarray(0, rows * dim), rows, dim };
}
