import { basename } from 'node:path';
import { Command, Option } from 'commander';
import { readAnnBenchmarks } from '../evaluation/ann-benchmarks.js';
import { crossCandidates, parseStored, type StoredAs } from '../evaluation/candidate.js';
import { requireCharts, writeReport } from '../evaluation/report.js';
import { removeSweep } from '../evaluation/sweep-journal.js';
import { SWEEP_PEERS, type SweepPeer } from '../evaluation/sweep-peers.js';
import { pointLabel, sweepReport } from '../evaluation/sweep-report.js';
import { sweep, type SweepPoint, type SweepResult } from '../evaluation/sweep.js';
import { LichenArgumentError } from '../errors.js';
import { writeChunks } from '../vectors/bytes.js';
import { readIntMatrix, readMatrix } from '../vectors/files.js';
import { isHdf5 } from '../vectors/hdf5.js';
import { matrixRows, type IntMatrix, type Matrix } from '../vectors/matrix.js';
import { METRICS, type Metric } from '../vectors/metric.js';
import { Random } from '../vectors/random.js';
import { grouped, keepsWhenInterrupted, openTerminal, table, type Terminal } from './terminal.js';
import {
  argument,
  examples,
  integer,
  integers,
  listOf,
  oneOf,
  outputPath,
  positiveNumber,
  share,
} from './usage.js';

interface SweepFlags {
  input: string;
  queries?: string;
  truth?: string;
  metric?: Metric;
  storage: StoredAs[];
  index: ('flat' | 'hnsw')[];
  m: number[];
  efConstruction: number[];
  ef: number[];
  oversample?: number[];
  k: number;
  limit: number;
  peers: SweepPeer[];
  rounds: number;
  seconds: number;
  load: number;
  threads?: number;
  seed: number;
  state?: string;
  report?: string;
  csv?: string;
  annBenchmarks?: string;
  json?: boolean;
}

const STORAGES = 'f32,i8+f16,i4+i8';
const DEFAULT_EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512];

/** `lichen sweep` */
export function sweepCommand(): Command {
  const stored = (text: string) =>
    text.split(',').map((part) => argument(() => parseStored(part.trim())));
  return new Command('sweep')
    .description('Build and measure many configurations: recall against speed, latency and bytes.')
    .optionsGroup('Data:')
    .requiredOption('--input <file>', 'vectors, or an .hdf5 file of ann-benchmarks, with all of it')
    .option('--queries <file>', 'vectors to search for (default: test, of an .hdf5 file)')
    .option(
      '--truth <file>',
      'row numbers of the exact neighbours (default: they are searched for)',
    )
    .option(
      '--metric <metric>',
      `${METRICS.join(', ')} (default: of an .hdf5 file)`,
      oneOf(METRICS),
    )
    .addOption(
      new Option('--storage <list>', 'storage[/pca][+rerank][@efConstruction][:m], commas between')
        .argParser(stored)
        .default(stored(STORAGES), STORAGES),
    )
    .optionsGroup('Indexes:')
    .option('--index <list>', 'hnsw, flat', listOf(['flat', 'hnsw'] as const), ['hnsw' as const])
    .option('--m <n,n,…>', 'links a vector', integers, [16])
    .option('--ef-construction <n,n,…>', 'beams while building', integers, [100])
    .optionsGroup('Measuring:')
    .option('--ef <n,n,…>', 'search beams', integers, DEFAULT_EFS)
    .option('--oversample <n,n,…>', 'candidates a result (default: by storage type)', integers)
    .option('--k <n>', 'results a query', integer(1), 10)
    .option('--limit <n>', 'queries used at most, drawn by the seed', integer(1), 2000)
    .option('--peers <list>', `other libraries: ${SWEEP_PEERS.join(', ')}`, listOf(SWEEP_PEERS), [])
    .option('--rounds <n>', 'times that each point is measured, in turns', integer(1, 1000), 3)
    .option('--seconds <s>', 'how long a point is measured in a round', positiveNumber, 0.2)
    .option('--load <share>', 'of its capacity, at which latency under load is told', share, 0.7)
    .option('--threads <n>', 'threads that build (default: every processor)', integer(1, 1024))
    .option('--seed <n>', 'decides which queries, in which order', integer(0), 42)
    .optionsGroup('Results:')
    .option('--state <folder>', 'keeps indexes and measurements; goes on with what is there')
    .option('--report <file>', 'a page with picture and table (.html)', outputPath)
    .option('--csv <file>', 'the table', outputPath)
    .option('--ann-benchmarks <folder>', 'results as ann-benchmarks keeps them, a file a point')
    .option('--json', 'print the result as JSON')
    .optionsGroup('Options:')
    .addHelpText(
      'after',
      '\nA sweep that was interrupted goes on where it ended when it is started again.' +
        '\nWithout --state its folder (INPUT.sweep, here) goes once it is done.\n' +
        examples(
          'lichen sweep --input items.npy --queries users.npy --metric dot \\',
          '             --storage f32,i8+f16,i4+i8 --report sweep.html --csv sweep.csv',
          'lichen sweep --input sift-128-euclidean.hdf5 --peers hnswlib,usearch',
        ),
    )
    .action(runSweep);
}

async function runSweep(flags: SweepFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  if (flags.report !== undefined) requireCharts();
  const { signal } = terminal;
  const { k, m, efConstruction, peers, rounds, threads, seed } = flags;
  const data = await dataOf(flags, terminal);
  const folder = flags.state ?? `${basename(flags.input)}.sweep`;
  const dataset = basename(flags.input).replace(/\.(gz|hdf5|h5)$/gi, '');
  keepsWhenInterrupted(`${folder} has what is measured, and the same command goes on with it`);
  const result = await terminal.withProgress('sweep', (report) =>
    sweep({
      ...data,
      candidates: crossCandidates(flags.storage, flags.index, m, efConstruction),
      ...{ peers, k, rounds, threads, seed, folder, signal, efs: flags.ef },
      ...(flags.oversample && { oversamples: flags.oversample }),
      ...(flags.annBenchmarks && { annBenchmarks: { folder: flags.annBenchmarks, dataset } }),
      ...{ secondsAPoint: flags.seconds, utilization: flags.load },
      onProgress: (_, done, total) => report(done, total),
    }),
  );
  if (flags.report !== undefined) {
    await writeReport(flags.report, sweepReport(result, `${dataset}: recall, speed and bytes`));
  }
  if (flags.csv !== undefined) await writeCsv(flags.csv, result);
  if (flags.state === undefined) await removeSweep(folder);
  terminal.say(pointsTable(result));
  terminal.say(
    '\n* no other point has more recall and speed; + none has more recall in fewer bytes. Spreads are in --json,' +
      ' --csv and --report.',
  );
  terminal.result(result);
}

interface SweepData {
  readonly base: Matrix;
  readonly queries: Matrix;
  readonly metric: Metric;
  readonly truth?: IntMatrix;
}

async function dataOf(flags: SweepFlags, terminal: Terminal): Promise<SweepData> {
  const { signal } = terminal;
  const { input, queries: queriesFile, truth: truthFile } = flags;
  return terminal.withProgress('reading', async (onProgress) => {
    const whole = isHdf5(input)
      ? await readAnnBenchmarks(input, { signal, onProgress })
      : undefined;
    const metric = flags.metric ?? whole?.metric;
    if (metric === undefined) throw missing('--metric', input);
    if (queriesFile === undefined && whole === undefined) throw missing('--queries', input);
    const base = whole?.base ?? (await readMatrix(input, { signal, onProgress }));
    const all =
      queriesFile === undefined
        ? whole!.queries
        : await readMatrix(queriesFile, {
            signal,
            ...(isHdf5(queriesFile) && { column: 'test' }),
          });
    // What the file calls exact is so by its own distance and for its own queries.
    const isOwn = queriesFile === undefined && metric === whole?.metric;
    const truth =
      truthFile !== undefined
        ? await readIntMatrix(truthFile, { signal })
        : isOwn && (whole?.neighbours?.dim ?? 0) >= flags.k
          ? whole.neighbours
          : undefined;
    if (truth !== undefined && truth.rows !== all.rows) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `--truth must have a row for each of ${all.rows} queries, got ${truth.rows}`,
      );
    }
    return { base, metric, ...drawn(all, truth, flags) };
  });
}

/** So many of the queries, with their neighbours. */
function drawn(
  queries: Matrix,
  truth: IntMatrix | undefined,
  { limit, seed }: SweepFlags,
): Pick<SweepData, 'queries' | 'truth'> {
  if (queries.rows <= limit) return { queries, ...(truth && { truth }) };
  const order = new Random(seed).shuffle(Uint32Array.from({ length: queries.rows }, (_, at) => at));
  const rows = order.subarray(0, limit).sort();
  if (truth === undefined) return { queries: matrixRows(queries, rows) };
  const { dim } = truth;
  const data = new Int32Array(limit * dim);
  rows.forEach((row, at) => data.set(truth.data.subarray(row * dim, (row + 1) * dim), at * dim));
  return { queries: matrixRows(queries, rows), truth: { data, rows: limit, dim } };
}

function missing(option: string, input: string): LichenArgumentError {
  return new LichenArgumentError(
    'ERR_LICHEN_ARGUMENT',
    `${option} is needed: ${input} is no .hdf5 file that tells it`,
  );
}

function pointsTable({ k, utilization, points }: SweepResult): string {
  const load = `p99 µs at ${Math.round(100 * utilization)}%`;
  return table([
    ['', 'index', `recall@${k}`, 'queries/s', 'p50 µs', 'p99 µs', load, 'bytes', 'build s'],
    ...points.map((point) => [
      marks(point),
      pointLabel(point),
      point.recall.mean.toFixed(4),
      grouped(point.qps.median),
      grouped(point.p50us.median, 1),
      grouped(point.p99us.median, 1),
      grouped(point.loadedP99us.median, 1),
      grouped(point.bytesPerVector),
      point.buildSeconds.toFixed(2),
    ]),
  ]);
}

function marks({ isFastest, isSmallest }: SweepPoint): string {
  return `${isFastest ? '*' : ' '}${isSmallest ? '+' : ' '}`;
}

async function writeCsv(path: string, { points }: SweepResult): Promise<void> {
  const spreads = ['qps', 'p50us', 'p99us', 'loadedP99us'] as const;
  const head = [
    ...['library', 'name', 'ef', 'oversample', 'recall', 'recall_low', 'recall_high'],
    ...spreads.flatMap((name) => [name, `${name}_min`, `${name}_max`]),
    ...['bytes_per_vector', 'build_seconds', 'build_threads', 'on_speed_front', 'on_bytes_front'],
  ];
  const rows = points.map((point) => [
    ...[point.library, point.name, point.ef ?? '', point.oversample ?? ''],
    ...[point.recall.mean, point.recall.low, point.recall.high],
    ...spreads.flatMap((name) => [point[name].median, point[name].min, point[name].max]),
    ...[point.bytesPerVector, point.buildSeconds, point.buildThreads],
    ...[Number(point.isFastest), Number(point.isSmallest)],
  ]);
  // No name has a comma, a quotation mark or a line's end in it.
  const text = [head, ...rows].map((row) => row.join(',')).join('\n');
  await writeChunks(path, () => [Buffer.from(`${text}\n`)]);
}
