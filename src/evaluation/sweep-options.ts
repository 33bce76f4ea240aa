import { badArgument } from '../cache/cache-limits.js';
import { LichenArgumentError, shown } from '../errors.js';
import { requireInteger, requirePath, resolveThreads } from '../index/arguments.js';
import { machine } from '../native.js';
import { requireFinite, type IntMatrix, type Matrix } from '../vectors/matrix.js';
import { parseMetric, type Metric } from '../vectors/metric.js';
import { requireSeed } from '../vectors/random.js';
import { candidateName, requireCandidate, type IndexCandidate } from './candidate.js';
import { peerSide, SWEEP_PEERS, type SweepPeer } from './sweep-peers.js';
import { lichenSide, type SweepSide, type SweepTask } from './sweep-sides.js';

/** Options of {@link sweep}. */
export interface SweepOptions {
  /** Vectors that indexes are built of; their keys are row numbers. */
  readonly base: Matrix;
  /** Vectors that are searched for, of as many values. */
  readonly queries: Matrix;
  /** What scores are. */
  readonly metric: Metric;
  /** Indexes to build. */
  readonly candidates: readonly IndexCandidate[];
  /** Other libraries, as far as they are installed, with the links and beams of the graphs among the candidates. */
  readonly peers?: readonly SweepPeer[] | undefined;
  /** Search beams of graphs; those below k are left out. */
  readonly efs: readonly number[];
  /** Candidates a result where results are rescored. Default: what the storage asks for. */
  readonly oversamples?: readonly number[] | undefined;
  /** Results a query. Default 10. */
  readonly k?: number | undefined;
  /** Keys (row numbers) of the exact neighbours, at least k a query. Default: they are searched for. */
  readonly truth?: IntMatrix | undefined;
  /**
   * Writes a file a point, as ann-benchmarks does, into this folder: neighbours and times of all queries. It knows no
   * inner products.
   */
  readonly annBenchmarks?:
    | {
        /** Where files go. */
        readonly folder: string;
        /** The name of the data set. */
        readonly dataset: string;
      }
    | undefined;
  /** Keeps what was built and measured; a sweep that was ended goes on from there. */
  readonly folder: string;
  /** Times that every point is measured, in turns. Default 3. */
  readonly rounds?: number | undefined;
  /** How long a point is measured in a round. Default 0.2. */
  readonly secondsAPoint?: number | undefined;
  /** The share of its capacity at which `loadedP99us` is computed. Default 0.7. */
  readonly utilization?: number | undefined;
  /** Threads that build. Default: every processor. */
  readonly threads?: number | undefined;
  /** Decides the order of queries. Default 42. */
  readonly seed?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED; the folder keeps what was done. */
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done, and how much of it. */
  readonly onProgress?: ((what: string, done: number, total: number) => void) | undefined;
}

/** Checks the options of a sweep. @throws as `sweep`. */
export function resolveSweep(options: SweepOptions) {
  const { base, queries, k = 10, truth, candidates, peers = [], efs, signal, onProgress } = options;
  const { annBenchmarks, rounds = 3, secondsAPoint = 0.2, utilization = 0.7, seed = 42 } = options;
  const metric = parseMetric(options.metric);
  if (base.rows === 0 || queries.rows === 0) {
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'base and queries must hold vectors');
  }
  if (queries.dim !== base.dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `queries: dim is ${base.dim}, got ${queries.dim} values`,
    );
  }
  for (const [name, vectors] of Object.entries({ base, queries })) {
    if (vectors.data.length !== vectors.rows * vectors.dim) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `${name} must hold ${vectors.rows} x ${vectors.dim} values, got ${vectors.data.length}`,
      );
    }
    requireFinite(vectors, name);
  }
  requireSeed(seed);
  for (const candidate of candidates) requireCandidate(candidate, { dim: base.dim, metric });
  requireInteger('k', k, 1, base.rows);
  requireInteger('rounds', rounds, 1, 1000);
  if (!(secondsAPoint > 0 && secondsAPoint < 3600)) {
    throw badArgument(`secondsAPoint must be a number above 0, got ${String(secondsAPoint)}`);
  }
  if (!(utilization > 0 && utilization < 1)) {
    throw badArgument(`utilization must be a number between 0 and 1, got ${String(utilization)}`);
  }
  if (candidates.length + peers.length === 0) throw badArgument('candidates: none');
  for (const peer of peers) {
    if (!SWEEP_PEERS.includes(peer)) {
      throw badArgument(`peers are ${SWEEP_PEERS.join(', ')}, got ${shown(peer)}`);
    }
  }
  if (annBenchmarks !== undefined && metric === 'dot') {
    const message =
      'annBenchmarks: it knows no inner products, only cosine (angular) and l2 (euclidean)';
    throw new LichenArgumentError('ERR_LICHEN_UNSUPPORTED', message);
  }
  if (annBenchmarks !== undefined) {
    requirePath(annBenchmarks.folder);
    if (typeof annBenchmarks.dataset !== 'string' || annBenchmarks.dataset === '') {
      throw badArgument(
        `annBenchmarks.dataset must be a text, got ${shown(annBenchmarks.dataset)}`,
      );
    }
  }
  const isWhole = truth === undefined || truth.data.length === truth.rows * truth.dim;
  if (truth !== undefined && (truth.rows !== queries.rows || truth.dim < k || !isWhole)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `truth must have at least k = ${k} keys for each of ${queries.rows} queries, got ${truth.rows} x ${truth.dim}`,
    );
  }
  for (const key of truth?.data ?? []) {
    if (!(key >= 0 && key < base.rows)) throw badArgument(`truth names row ${key} of ${base.rows}`);
  }
  const graphs = candidates.filter(({ index }) => index === 'hnsw');
  const beams = [...new Set(efs)].filter((ef) => requireInteger('efs', ef, 1, 2 ** 31 - 1) >= k);
  if (beams.length === 0 && graphs.length + peers.length > 0) {
    throw badArgument(`efs: none is at least k = ${k}`);
  }
  const oversamples = [...new Set(options.oversamples ?? [])];
  for (const oversample of oversamples) requireInteger('oversamples', oversample, 1, 2 ** 31 - 1);
  const task: SweepTask = { base, queries, metric, k };
  let made: Promise<SweepSide[]> | undefined;
  return {
    ...{ task, truth, rounds, secondsAPoint, utilization, seed, signal, onProgress, annBenchmarks },
    ...{ efs: beams.sort((a, b) => a - b), oversamples, folder: requirePath(options.folder) },
    threads: resolveThreads(options.threads, machine().threads),
    sides: () => (made ??= sidesOf(task, candidates, peers)),
  };
}

/** Options of a sweep, checked. */
export type ResolvedSweep = ReturnType<typeof resolveSweep>;

async function sidesOf(
  task: SweepTask,
  candidates: readonly IndexCandidate[],
  peers: readonly SweepPeer[],
): Promise<SweepSide[]> {
  const graphs = new Map<string, { m: number; efConstruction: number }>();
  for (const { index, m = 16, efConstruction = 100 } of candidates) {
    if (index === 'hnsw') graphs.set(`${m} ${efConstruction}`, { m, efConstruction });
  }
  if (graphs.size === 0) graphs.set('', { m: 16, efConstruction: 100 });
  const different = new Map(candidates.map((one) => [candidateName(one), one]));
  const sides = [...different.values()].map((candidate) => lichenSide(task, candidate));
  for (const peer of new Set(peers)) {
    for (const graph of graphs.values()) sides.push(await peerSide(peer, task, graph));
  }
  return sides;
}
