import { Command } from 'commander';
import { LichenArgumentError } from '../errors.js';
import { rankingMetrics } from '../ranking/ranking-metrics.js';
import { measureSearch, type SearchPoint } from '../evaluation/search-points.js';
import { exactTruth, exactTruthAmong, type Truth } from '../evaluation/truth.js';
import { openIndex } from '../index/open.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { readInteractions } from '../interactions/reader.js';
import { recommendBatch } from '../ranking/recommend.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { readIntMatrix, readMatrix } from '../vectors/files.js';
import type { Matrix } from '../vectors/matrix.js';
import { requireNewPairs } from './known-pairs.js';
import { grouped, openTerminal, table, type Terminal } from './terminal.js';
import { examples, integer, integers, oneOf } from './usage.js';

interface EvalFlags {
  index: string;
  queries?: string;
  truth?: string;
  exactInput?: string;
  model?: string;
  interactions?: string;
  test?: string;
  k: number;
  ef: number[];
  oversample?: number;
  threads: number;
  mode: 'single' | 'batch';
  json?: boolean;
}

const DEFAULT_EFS = [10, 16, 32, 64, 128, 256];

/** `lichen eval` */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description('Measure recall, throughput and latency of an index at each search beam.')
    .requiredOption('--index <file>', 'a snapshot that lichen build saved')
    .option('--queries <file>', 'vectors, any kind that lichen build reads')
    .option('--truth <file>', 'keys of the exact neighbours, one row a query: .ivecs .npy .ibin')
    .option('--exact-input <file>', 'the vectors to find the exact neighbours among')
    .option('--k <n>', 'results a query', integer(1), 10)
    .option('--ef <n,n,…>', 'search beams', integers, DEFAULT_EFS)
    .option('--oversample <n>', 'candidates a result (default: by storage type)', integer(1))
    .option('--threads <n>', 'queries at work side by side', integer(1, 1024), 1)
    .option('--mode <mode>', 'single or batch calls', oneOf(['single', 'batch']), 'single')
    .option('--model <folder>', 'with --interactions and --test: measure recommendations instead')
    .option('--interactions <file>', 'what users have already')
    .option('--test <file>', 'what should be recommended to them')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nWithout --truth or --exact-input, the exact neighbours are found among the vectors' +
        '\nof the index itself, as its finest storage has them; what quantization loses only' +
        '\nthe other two show.\n' +
        examples(
          'lichen eval --index items.lichen --queries users.npy --ef 16,64,256',
          'lichen eval --index items.lichen --model model --interactions train.csv \\',
          '            --test test.csv --k 20',
        ),
    );
  return command.action(async (flags: EvalFlags) => {
    const { model, interactions, test } = flags;
    if (model !== undefined && interactions !== undefined && test !== undefined) {
      await evalRecommendations({ ...flags, model, interactions, test });
    } else if (model ?? interactions ?? test) {
      command.error("error: options '--model', '--interactions' and '--test' go together");
    } else if (flags.truth !== undefined && flags.exactInput !== undefined) {
      command.error("error: options '--truth' and '--exact-input' exclude each other");
    } else if (flags.queries === undefined) {
      command.error("error: required option '--queries <file>' not specified");
    } else {
      await evalSearch({ ...flags, queries: flags.queries });
    }
  });
}

async function evalSearch(flags: EvalFlags & { queries: string }): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const { k, oversample, threads, mode } = flags;
  using index = await openIndex<Key>(flags.index);
  const queries = await readMatrix(flags.queries, { signal });
  const truth = await findTruth(flags, index, queries, terminal);
  const points = await terminal.withProgress('measuring', (onProgress) =>
    measureSearch(index, queries, truth, {
      k,
      efs: flags.ef,
      oversample,
      mode,
      threads,
      signal,
      onProgress,
    }),
  );
  terminal.say(pointsTable(k, points));
  terminal.result({
    k,
    queries: queries.rows,
    ...(oversample !== undefined && { oversample }),
    threads,
    mode,
    points,
  });
}

function pointsTable(k: number, points: readonly SearchPoint[]): string {
  return table([
    ['ef', `recall@${k}`, 'queries/s', 'p50 µs', 'p99 µs'],
    ...points.map(({ ef, recall, qps, p50us, p99us }) => [
      ef === undefined ? 'exact' : String(ef),
      recall.toFixed(4),
      grouped(qps),
      grouped(p50us, 1),
      grouped(p99us, 1),
    ]),
  ]);
}

async function findTruth(
  flags: EvalFlags,
  index: VectorIndex<Key>,
  queries: Matrix,
  { signal }: Terminal,
): Promise<Truth> {
  const { k } = flags;
  if (flags.truth !== undefined) {
    const { data, rows, dim } = await readIntMatrix(flags.truth, { signal });
    if (index.keyKind === 'string') {
      throw new LichenArgumentError(
        'ERR_LICHEN_ARGUMENT',
        `--truth holds integers, but the keys of ${flags.index} are strings`,
      );
    }
    return { by: 'key', neighbours: { values: data, rows, width: dim } };
  }
  if (flags.exactInput === undefined) return exactTruth(index, queries, k, signal);
  const vectors = await readMatrix(flags.exactInput, { signal });
  return exactTruthAmong(vectors, index, queries, k, signal);
}

/** recall@k and ndcg@k of recommendations through the index, beside those of exact search. */
async function evalRecommendations(
  flags: EvalFlags & { model: string; interactions: string; test: string },
): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  const { signal } = terminal;
  const { k, oversample, threads } = flags;
  using index = await openIndex<Key>(flags.index);
  const model = await TwoTowerModel.open(flags.model);
  const { users: userIds, items } = model;
  const known = await readInteractions(flags.interactions, { users: userIds, items, signal });
  const test = await readInteractions(flags.test, { users: userIds, items, signal });
  requireNewPairs(known, test);
  const request = { index, items, queries: model.userVectors, known };
  const measure = async (label: string, search: { ef?: number; exact?: boolean }) => {
    const ranked = await terminal.withProgress(label, (onProgress) =>
      recommendBatch(request, { k, oversample, threads, signal, onProgress, ...search }),
    );
    return rankingMetrics(ranked, test, [k]).values;
  };
  const exact = await measure('exact', { exact: true });
  const points = [];
  for (const ef of flags.ef) {
    points.push({ ef, ...(await measure(`ef ${ef}`, { ef })) });
  }
  const names = [`recall@${k}`, `ndcg@${k}`];
  terminal.say(
    table([
      ['ef', ...names],
      ['exact', ...names.map((name) => exact[name]!.toFixed(5))],
      ...points.map((point) => [
        String(point.ef),
        ...names.map((name) => (point as Record<string, number>)[name]!.toFixed(5)),
      ]),
    ]),
  );
  terminal.result({
    k,
    users: userIds.size,
    ...(oversample !== undefined && { oversample }),
    threads,
    exact,
    points,
  });
}
