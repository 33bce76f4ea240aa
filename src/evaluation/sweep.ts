import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { LichenFileError, throwIfAborted } from '../errors.js';
import { FlatIndex } from '../index/flat.js';
import { byteChunks } from '../vectors/bytes.js';
import type { Metric } from '../vectors/metric.js';
import { Random } from '../vectors/random.js';
import { runFile, saveRun } from './ann-benchmarks.js';
import { latencySummary } from './latency.js';
import { loadedLatency } from './loaded-latency.js';
import { describeMachine, type MachineDescription } from './machine.js';
import { recallsByScore } from './neighbours.js';
import { paretoFront } from './pareto.js';
import { meanInterval, spreadOf, type Interval, type Spread } from './statistics.js';
import { indexFile, SweepJournal, type RoundRecord } from './sweep-journal.js';
import { resolveSweep, type ResolvedSweep, type SweepOptions } from './sweep-options.js';
import type { OpenSide, SweepSide, SweepTask } from './sweep-sides.js';
import { exactScores } from './truth.js';

/** An index at one beam and number of candidates. */
export interface SweepPoint {
  /** The index. */
  readonly name: string;
  /** Whose index it is. */
  readonly library: SweepSide['library'];
  /** What it was built with. */
  readonly parameters: Readonly<Record<string, string | number>>;
  /** Search beam; undefined without a graph. */
  readonly ef?: number;
  /** Candidates a result that were scored anew; undefined where none are. */
  readonly oversample?: number;
  /** recall@k over the queries. */
  readonly recall: Interval;
  /** Searches a second, one at a time on one thread; median of the rounds. */
  readonly qps: Spread;
  /** Of a search alone, in microseconds. */
  readonly p50us: Spread;
  /** As `p50us`, what 99 in 100 searches do not exceed. */
  readonly p99us: Spread;
  /** As callers at random would see it, waiting included, at `utilization`. */
  readonly loadedP99us: Spread;
  /** Bytes of memory a vector, or of the file where a library does not tell its memory. */
  readonly bytesPerVector: number;
  /** Seconds that building took. */
  readonly buildSeconds: number;
  /** Threads that built it. */
  readonly buildThreads: number;
  /** Whether no other point has at least its recall and its speed. */
  readonly isFastest: boolean;
  /** Whether none has at least its recall and at most its bytes. */
  readonly isSmallest: boolean;
}

/** What {@link sweep} measured. */
export interface SweepResult {
  /** Where it was measured. */
  readonly machine: MachineDescription;
  /** Vectors in each index. */
  readonly rows: number;
  /** Values a vector. */
  readonly dim: number;
  /** What scores are. */
  readonly metric: Metric;
  /** Queries a pass. */
  readonly queries: number;
  /** Results a query. */
  readonly k: number;
  /** Times that every point was measured. */
  readonly rounds: number;
  /** The share of its capacity at which `loadedP99us` is computed. */
  readonly utilization: number;
  /** Every index at every beam and number of candidates. */
  readonly points: readonly SweepPoint[];
}

interface PointPlan {
  readonly id: string;
  readonly side: SweepSide;
  readonly file: string;
  readonly ef: number | undefined;
  readonly oversample: number | undefined;
}

/** Searches of a point in a round, at least. */
const LEAST_SEARCHES = 100;
const WARM_UP = 200;

/**
 * Builds each candidate and measures it: recall@k with its confidence interval, speed and latency in several rounds in
 * turns (what disturbs the machine meets all candidates), the same queries in the same order for all, the first searches of
 * each not counted.
 * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION, ERR_LICHEN_EMPTY, ERR_LICHEN_MISSING_PACKAGE for a peer that is not
 * installed, ERR_LICHEN_FORMAT for a folder with another sweep, ERR_LICHEN_IO, ERR_LICHEN_ABORTED: then the folder keeps
 * what was done.
 *
 * @example
 * const { points } = await sweep({
 *   ...{ base: itemVectors, queries, metric: 'dot', folder: 'sweep' },
 *   candidates: crossCandidates([parseStored('f32'), parseStored('i8+f16')], ['hnsw'], [16], [100]),
 *   efs: [32, 64, 128],
 * });
 * const fastest = points.filter(({ isFastest }) => isFastest);
 */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const resolved = resolveSweep(options);
  const { task } = resolved;
  const fingerprint = fingerprintOf(task, resolved);
  const journal = await SweepJournal.open(resolved.folder, fingerprint, task.queries.rows);
  try {
    return await sweepInto(journal, options, resolved);
  } finally {
    await journal.close();
  }
}

async function sweepInto(
  journal: SweepJournal,
  options: SweepOptions,
  resolved: ResolvedSweep,
): Promise<SweepResult> {
  const { task, sides, rounds, signal } = resolved;
  await buildAll(journal, await sides(), resolved);
  const plans = plansOf(journal, await sides(), resolved);
  await recallAll(journal, plans, task, resolved);
  const isDone = (id: string, round: number) => journal.rounds.get(id)?.has(round) === true;
  let total = 0;
  for (const { id } of plans) {
    for (let round = 1; round <= rounds; round++) if (!isDone(id, round)) total++;
  }
  let done = 0;
  for (let round = 1; round <= rounds; round++) {
    for (const group of turned(bySide(plans), round)) {
      const missing = group.filter(({ id }) => !isDone(id, round));
      await withOpen(missing, async (open) => {
        for (const plan of turned(missing, round)) {
          throwIfAborted(signal, 'measuring');
          open.aim(plan.ef, plan.oversample);
          await journal.addRound(plan.id, round, measure(open, round, resolved));
          await setImmediate();
          options.onProgress?.('measuring', ++done, total);
        }
      });
    }
  }
  const result = resultOf(journal, plans, resolved);
  if (resolved.annBenchmarks !== undefined) await saveRuns(plans, result, resolved);
  return result;
}

/** Of all that measurements must have in common to stand in one table. */
function fingerprintOf(
  { base, queries, metric, k }: SweepTask,
  { secondsAPoint, utilization, seed, truth }: ResolvedSweep,
): string {
  const { processor, isa, version } = describeMachine();
  const same = { metric, k, secondsAPoint, utilization, seed, processor, isa, version };
  const hash = createHash('sha256').update(JSON.stringify(same));
  for (const { data, dim } of [base, queries, ...(truth ? [truth] : [])]) {
    hash.update(`${dim} `).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

async function buildAll(
  journal: SweepJournal,
  sides: readonly SweepSide[],
  { folder, threads, signal, onProgress }: ResolvedSweep,
): Promise<void> {
  for (const side of sides) {
    throwIfAborted(signal, 'building');
    const file = fileOf(folder, side);
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    const known = journal.built.get(side.name);
    if (known !== undefined && isThere) {
      if ((await digestOf(file)) === known.digest) continue;
      throw new LichenFileError(
        'ERR_LICHEN_FORMAT',
        `${file} is not what was built: remove it, and it is built again`,
      );
    }
    const report = (done: number, total: number) =>
      onProgress?.(`building ${side.name}`, done, total);
    const built = await side.build(file, { threads, signal, onProgress: report });
    await journal.addBuilt(side.name, { ...built, digest: await digestOf(file) });
  }
}

/** A file of another library that is damaged may end the process. */
async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of byteChunks(file)) hash.update(chunk);
  return hash.digest('hex');
}

function fileOf(folder: string, { name }: SweepSide): string {
  return join(folder, indexFile(name));
}

function plansOf(
  { folder }: SweepJournal,
  sides: readonly SweepSide[],
  { efs, oversamples }: ResolvedSweep,
): PointPlan[] {
  return sides.flatMap((side) => {
    const beams = side.hasBeam ? efs : [undefined];
    const counts = side.rescores && oversamples.length > 0 ? oversamples : [undefined];
    const file = fileOf(folder, side);
    return beams.flatMap((ef) =>
      counts.map((oversample) => {
        const id = `${side.name} ef ${ef ?? '-'} oversample ${oversample ?? '-'}`;
        return { id, side, file, ef, oversample };
      }),
    );
  });
}

async function recallAll(
  journal: SweepJournal,
  plans: readonly PointPlan[],
  task: SweepTask,
  { truth, signal, onProgress }: ResolvedSweep,
): Promise<void> {
  const missing = plans.filter(({ id }) => !journal.recalls.has(id));
  if (missing.length === 0) return;
  const { base, queries, metric, k } = task;
  const scoreOf = exactScores(base, queries, metric);
  const scores = (keysOf: (query: number) => ArrayLike<number | bigint>) => {
    const values = new Float64Array(queries.rows * k).fill(NaN);
    for (let query = 0; query < queries.rows; query++) {
      const keys = keysOf(query);
      for (let at = 0; at < Math.min(k, keys.length); at++) {
        values[query * k + at] = scoreOf(query, Number(keys[at]));
      }
    }
    return { values, rows: queries.rows, width: k };
  };
  const exact = truth ?? (await exactKeys(task, signal));
  const wanted = scores((query) => exact.data.subarray(query * exact.dim, query * exact.dim + k));
  let done = 0;
  for (const group of bySide(missing)) {
    await withOpen(group, async (open) => {
      for (const { id, ef, oversample } of group) {
        throwIfAborted(signal, 'measuring');
        open.aim(ef, oversample);
        const found = scores((query) => open.search(query));
        await journal.addRecalls(id, [...recallsByScore(found, wanted, { k, metric })]);
        onProgress?.('recall', ++done, missing.length);
      }
    });
  }
}

async function exactKeys(
  { base, queries, metric, k }: SweepTask,
  signal: AbortSignal | undefined,
): Promise<{ data: Float64Array; dim: number }> {
  using flat = new FlatIndex({ dim: base.dim, metric });
  await flat.add(base, { signal });
  const { keys } = await flat.searchBatch(queries, { k, exact: true, signal });
  return { data: keys, dim: k };
}

/** One after another, so that one index at a time takes memory. */
function bySide(plans: readonly PointPlan[]): PointPlan[][] {
  const groups = new Map<string, PointPlan[]>();
  for (const plan of plans) {
    groups.set(plan.side.name, [...(groups.get(plan.side.name) ?? []), plan]);
  }
  return [...groups.values()];
}

async function withOpen(
  plans: readonly PointPlan[],
  use: (open: OpenSide) => Promise<void>,
): Promise<void> {
  const [first] = plans;
  if (first === undefined) return;
  const open = await first.side.open(first.file);
  try {
    await use(open);
  } finally {
    open.close();
  }
}

/** One round of a point. */
function measure(
  open: OpenSide,
  round: number,
  { task, secondsAPoint, utilization, seed }: ResolvedSweep,
): RoundRecord {
  const { rows } = task.queries;
  const order = new Random((seed + round) % Number.MAX_SAFE_INTEGER).shuffle(
    Uint32Array.from({ length: rows }, (_, at) => at),
  );
  for (let at = 0; at < Math.min(WARM_UP, rows); at++) open.search(order[at]!);
  const micros: number[] = [];
  let seconds = 0;
  for (let at = 0; seconds < secondsAPoint || micros.length < LEAST_SEARCHES; at++) {
    const query = order[at % rows]!;
    const started = performance.now();
    open.search(query);
    const taken = (performance.now() - started) * 1000;
    micros.push(taken);
    seconds += taken / 1e6;
  }
  const { p50us, p99us } = latencySummary(micros);
  return {
    ...{ qps: micros.length / seconds, p50us, p99us, searches: micros.length },
    loadedP99us: loadedLatency(micros, utilization, seed).p99us,
  };
}

/** A file a point, as ann-benchmarks has it. */
async function saveRuns(
  plans: readonly PointPlan[],
  { points }: SweepResult,
  { task, rounds, signal, annBenchmarks, onProgress }: ResolvedSweep,
): Promise<void> {
  const { folder, dataset } = annBenchmarks!;
  let done = 0;
  for (const group of bySide(plans)) {
    await withOpen(group, async (open) => {
      for (const plan of group) {
        throwIfAborted(signal, 'measuring');
        const { side, ef, oversample } = plan;
        const point = points[plans.indexOf(plan)]!;
        open.aim(ef, oversample);
        const parameters = {
          ...side.parameters,
          ...(ef !== undefined && { ef }),
          ...(oversample !== undefined && { oversample }),
        };
        const file = runFile(folder, dataset, task.k, side.library, Object.values(parameters));
        await saveRun(file, task, (query) => open.search(query), {
          ...{ dataset, algorithm: side.library, runs: rounds },
          name: `${side.name}${ef === undefined ? '' : ` ef${ef}`}`,
          buildSeconds: point.buildSeconds,
          bytes: point.bytesPerVector * task.base.rows,
          bestSeconds: 1 / point.qps.max,
        });
        onProgress?.('writing', ++done, plans.length);
      }
    });
  }
}

/** The list from another place on, so that none always comes first. */
function turned<T>(list: readonly T[], by: number): T[] {
  const from = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(from), ...list.slice(0, from)];
}

function resultOf(
  journal: SweepJournal,
  plans: readonly PointPlan[],
  { task, rounds, utilization }: ResolvedSweep,
): SweepResult {
  const { base, queries, metric, k } = task;
  const points = plans.map(({ id, side, ef, oversample }) => {
    const { seconds, threads, bytes } = journal.built.get(side.name)!;
    const of = (pick: (record: RoundRecord) => number) => {
      const records = [...journal.rounds.get(id)!].filter(([round]) => round <= rounds);
      return spreadOf(records.map(([, record]) => pick(record)));
    };
    return {
      ...{ name: side.name, library: side.library, parameters: side.parameters },
      ...(ef !== undefined && { ef }),
      ...(oversample !== undefined && { oversample }),
      recall: meanInterval(journal.recalls.get(id)!, [0, 1]),
      qps: of(({ qps }) => qps),
      p50us: of(({ p50us }) => p50us),
      p99us: of(({ p99us }) => p99us),
      loadedP99us: of(({ loadedP99us }) => loadedP99us),
      bytesPerVector: bytes / base.rows,
      ...{ buildSeconds: seconds, buildThreads: threads },
    };
  });
  type Point = (typeof points)[number];
  const recall = { value: (point: Point) => point.recall.mean, better: 'higher' } as const;
  const speed = { value: (point: Point) => point.qps.median, better: 'higher' } as const;
  const size = { value: (point: Point) => point.bytesPerVector, better: 'lower' } as const;
  const fastest = new Set(paretoFront(points, [recall, speed]));
  const smallest = new Set(paretoFront(points, [recall, size]));
  return {
    machine: describeMachine(),
    ...{ rows: base.rows, dim: base.dim, metric, queries: queries.rows, k, rounds, utilization },
    points: points.map((point) => ({
      ...point,
      isFastest: fastest.has(point),
      isSmallest: smallest.has(point),
    })),
  };
}
