import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileError, LichenFileError, shown } from '../errors.js';
import type { FileOptions } from '../vectors/bytes.js';
import { withHdf5, writeHdf5 } from '../vectors/hdf5.js';
import { requireFinite, type IntMatrix, type Matrix } from '../vectors/matrix.js';
import type { Metric } from '../vectors/metric.js';
import type { SweepTask } from './sweep-sides.js';
import { exactScores } from './truth.js';

// Files of ann-benchmarks (Aumüller, Bernhardsson, Faithfull: ANN-Benchmarks, Information Systems 2020).

/** A data set as ann-benchmarks publishes them. */
export interface AnnBenchmarksData {
  /** `train` */
  readonly base: Matrix;
  /** `test` */
  readonly queries: Matrix;
  /** Row numbers of the exact neighbours of each query, best first; undefined if the file has none. */
  readonly neighbours: IntMatrix | undefined;
  /** What `distance` of the file says. */
  readonly metric: Metric;
}

const METRICS: ReadonlyMap<unknown, Metric> = new Map<unknown, Metric>([
  ['angular', 'cosine'],
  ['euclidean', 'l2'],
  // Not among its own sets, but in files that others made.
  ['dot', 'dot'],
  ['ip', 'dot'],
]);
const DISTANCES: Readonly<Record<Metric, string>> = {
  cosine: 'angular',
  l2: 'euclidean',
  dot: 'dot',
};

/**
 * Reads a data set of ann-benchmarks (`glove-100-angular.hdf5`, `sift-128-euclidean.hdf5` …), by the package h5wasm.
 * @throws as `readMatrix`; ERR_LICHEN_UNSUPPORTED for a distance that lichen does not have (hamming, jaccard).
 *
 * @example
 * const { base, queries, neighbours, metric } = await readAnnBenchmarks('glove-100-angular.hdf5');
 */
export async function readAnnBenchmarks(
  path: string,
  options: FileOptions = {},
): Promise<AnnBenchmarksData> {
  return withHdf5(path, (file) => {
    const distance = file.attribute('distance');
    const metric = METRICS.get(distance);
    if (metric === undefined) {
      throw new LichenFileError(
        'ERR_LICHEN_UNSUPPORTED',
        `${path}: its distance is ${shown(distance)}, expected one of ${[...METRICS.keys()].join(', ')}`,
      );
    }
    const base = file.vectors('train', options);
    const queries = file.vectors('test', { signal: options.signal });
    requireFinite(base, `${path}, train`);
    requireFinite(queries, `${path}, test`);
    const neighbours = file.names.includes('neighbors') ? file.integers('neighbors') : undefined;
    return { base, queries, neighbours, metric };
  });
}

/** Where ann-benchmarks looks for a run: `FOLDER/DATASET/COUNT/ALGORITHM/ARGUMENTS.hdf5`. */
export function runFile(
  folder: string,
  dataset: string,
  count: number,
  algorithm: string,
  parameters: readonly (string | number)[],
): string {
  const name = JSON.stringify(parameters)
    .replace(/\W+/g, '_')
    .replace(/^_+|_+$/g, '');
  return join(folder, dataset, String(count), algorithm, `${name}.hdf5`);
}

/** Searches that do not count. */
const WARM_UP = 200;

/** What a run says of itself. */
export interface RunFacts {
  readonly dataset: string;
  readonly algorithm: string;
  readonly name: string;
  readonly buildSeconds: number;
  readonly bytes: number;
  /** Mean seconds a query of the best round. */
  readonly bestSeconds: number;
  readonly runs: number;
}

/** Searches for every query once more and writes what was found, and in how long, as ann-benchmarks does. */
export async function saveRun(
  path: string,
  { base, queries, metric, k }: SweepTask,
  search: (query: number) => ArrayLike<number | bigint>,
  facts: RunFacts,
): Promise<void> {
  const scoreOf = exactScores(base, queries, metric);
  const neighbours = new Int32Array(queries.rows * k).fill(-1);
  const distances = new Float32Array(queries.rows * k).fill(Infinity);
  const times = new Float32Array(queries.rows);
  for (let query = 0; query < Math.min(WARM_UP, queries.rows); query++) search(query);
  let found = 0;
  for (let query = 0; query < queries.rows; query++) {
    const started = performance.now();
    const keys = search(query);
    times[query] = (performance.now() - started) / 1000;
    found += Math.min(k, keys.length);
    for (let at = 0; at < Math.min(k, keys.length); at++) {
      const key = Number(keys[at]);
      neighbours[query * k + at] = key;
      distances[query * k + at] = distanceOf(scoreOf(query, key), metric);
    }
  }
  await mkdir(dirname(path), { recursive: true }).catch((cause: unknown) => {
    throw fileError('make', dirname(path), cause);
  });
  await writeHdf5(path, {
    attributes: {
      ...{ algo: facts.algorithm, dataset: facts.dataset, count: k, distance: DISTANCES[metric] },
      ...{ name: facts.name, batch_mode: false, expect_extra: false, run_count: facts.runs },
      build_time: facts.buildSeconds,
      // In kibibytes, as it counts memory.
      index_size: facts.bytes / 1024,
      best_search_time: facts.bestSeconds,
      candidates: found / queries.rows,
    },
    datasets: [
      { name: 'times', data: times, shape: [queries.rows] },
      { name: 'neighbors', data: neighbours, shape: [queries.rows, k] },
      { name: 'distances', data: distances, shape: [queries.rows, k] },
    ],
  });
}

/** As ann-benchmarks measures: 1 - cosine, and the distance itself. */
function distanceOf(score: number, metric: Metric): number {
  if (metric === 'l2') return Math.sqrt(score);
  return metric === 'cosine' ? 1 - score : -score;
}
