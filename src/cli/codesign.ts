import { Command } from 'commander';
import { LichenArgumentError } from '../errors.js';
import { requireCharts, writeReport } from '../evaluation/report.js';
import { itemsOf, type Interactions } from '../interactions/interactions.js';
import { readInteractions } from '../interactions/reader.js';
import { codesignReport, codesignSummary } from '../planning/codesign-report.js';
import { codesign, type CodesignResult, type DesignResult } from '../planning/codesign.js';
import type { DesignRequest } from '../planning/design-bench.js';
import type { Demand } from '../planning/fleet.js';
import { DEFAULT_PRICES, readPrices } from '../planning/prices.js';
import { readTrace } from '../planning/trace.js';
import { InteractionRanker } from '../towers/interaction-ranker.js';
import { TwoTowerModel } from '../towers/two-tower-model.js';
import { Random } from '../vectors/random.js';
import { tellBackend } from './backend-notice.js';
import { requireNewPairs } from './known-pairs.js';
import { grouped, openTerminal, table, type Terminal } from './terminal.js';
import {
  counts,
  examples,
  integer,
  integers,
  listOf,
  outputPath,
  percentile,
  positiveNumber,
  share,
} from './usage.js';

interface CodesignFlags {
  model: string;
  interactions: string;
  test: string;
  qps: number;
  slo: number;
  percentile: number;
  utilization: number;
  availability: number;
  budget?: number;
  memory?: number;
  quality: number;
  ranker?: boolean;
  learners: number;
  trace?: string;
  rate: number;
  requests: number;
  reportRequests: number;
  k: number;
  dims?: number[];
  storage?: string[];
  index?: ('flat' | 'hnsw')[];
  m?: number[];
  efConstruction?: number[];
  ef?: number[];
  candidates?: number[];
  designs: number;
  prices?: string;
  seed: number;
  report?: string;
  json?: boolean;
}

/** `lichen codesign` */
export function codesignCommand(): Command {
  const words = (text: string) => text.split(',').map((part) => part.trim());
  return new Command('codesign')
    .description('Choose model, storage, index, ranker and caches together, by quality and cost.')
    .optionsGroup('Data and demand:')
    .requiredOption('--model <folder>', 'a model that lichen train saved')
    .requiredOption('--interactions <file>', 'what users have already')
    .requiredOption('--test <file>', 'what they met later; the model has not seen it')
    .requiredOption('--qps <n>', 'requests a second at the peak', positiveNumber)
    .requiredOption('--slo <ms>', 'latency that the percentile must keep to', positiveNumber)
    .option('--percentile <p>', 'of the latency, 1 to 99.9', percentile, 99)
    .option('--utilization <share>', 'of the processors, at the peak', share, 0.6)
    .option('--availability <share>', 'of the time', share, 0.999)
    .option('--budget <$>', 'most that a month may cost', positiveNumber)
    .option('--memory <GiB>', 'most that a machine may need', positiveNumber)
    .option('--quality <share>', 'of the best nDCG that must be kept', share, 0.99)
    .optionsGroup('Judging:')
    .option('--ranker', 'try a ranker behind the search, trained on a part of the test users')
    .option('--learners <n>', 'test users that the ranker is trained on', integer(10), 5000)
    .option('--trace <file>', 'requests by user, to try caches of results')
    .option('--rate <n>', 'requests a second, for a trace without times', positiveNumber, 100)
    .option('--requests <n>', 'test users that designs are chosen by', integer(10), 2000)
    .option('--report-requests <n>', 'others that judge the chosen one', integer(0), 2000)
    .option('--k <n>', 'results a request', integer(1), 20)
    .optionsGroup('Designs:')
    .option(
      '--dims <n,n,…>',
      "leading values of the vectors (default: the model's prefixes)",
      integers,
    )
    .option('--storage <list>', 'storage[/pca][+rerank], commas between', words)
    .option('--index <list>', 'hnsw, flat', listOf(['flat', 'hnsw'] as const))
    .option('--m <n,n,…>', 'links a vector', integers)
    .option('--ef-construction <n,n,…>', 'beams while building', integers)
    .option('--ef <n,n,…>', 'search beams', integers)
    .option('--candidates <n,n,…>', 'of the ranker; 0: none, all: every item', counts)
    .option('--designs <n>', 'designs tried at most', integer(1), 200)
    .option('--prices <file>', 'JSON with machines and prices (default: a table that is built in)')
    .option('--seed <n>', 'decides users, designs and order', integer(0), 42)
    .optionsGroup('Options:')
    .option('--report <file>', 'a page with picture and table (.html)', outputPath)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      examples(
        'lichen codesign --model model --interactions train.csv --test test.csv \\',
        '                --qps 500 --slo 50 --ranker --report design.html',
      ),
    )
    .action(runCodesign);
}

async function runCodesign(flags: CodesignFlags): Promise<void> {
  const terminal = openTerminal(flags.json === true);
  if (flags.report !== undefined) requireCharts();
  if (flags.ranker === true) tellBackend(terminal);
  const { signal } = terminal;
  const { k, seed, ranker: wantsRanker } = flags;
  const model = await TwoTowerModel.open(flags.model, { signal });
  const { users, items, userVectors, itemVectors, metric, info } = model;
  const vocabularies = { users, items, signal };
  const known = await readInteractions(flags.interactions, vocabularies);
  const later = await readInteractions(flags.test, vocabularies);
  requireNewPairs(known, later);
  const prices = flags.prices === undefined ? DEFAULT_PRICES : await readPrices(flags.prices);
  const trace =
    flags.trace === undefined
      ? undefined
      : await readTrace(flags.trace, { rate: flags.rate, signal });
  const parts = splitUsers(later, flags);
  using ranker = wantsRanker
    ? await terminal.withProgress('training the ranker', (onProgress) =>
        InteractionRanker.train(
          {
            ...{ known, users: userVectors, items: itemVectors, metric, later },
            learners: parts.learners,
          },
          { seed, signal, epochs: 30, onEpoch: ({ epoch }) => onProgress(epoch, 30) },
        ),
      )
    : undefined;
  const demand: Demand = {
    ...{ qps: flags.qps, sloMs: flags.slo, percentile: flags.percentile },
    ...{ utilization: flags.utilization, availability: flags.availability },
  };
  const request = (user: number): DesignRequest => ({
    user,
    relevant: itemsOf(later, user),
    exclude: itemsOf(known, user),
  });
  const result = await terminal.withProgress('codesign', (onProgress) =>
    codesign({
      ...{ items: itemVectors, users: userVectors, metric, k, demand, prices, seed, signal },
      requests: parts.requests.map(request),
      reportRequests: parts.report.map(request),
      ...(ranker && {
        ranker: (user: number, rows: Uint32Array) => ranker.score(user, rows),
        rankerBytes: ranker.bytes,
      }),
      ...(trace && { trace }),
      ...{ minQuality: flags.quality, maxDesigns: flags.designs },
      budgetUsdPerMonth: flags.budget,
      ...(flags.memory && { memoryBytes: flags.memory * 2 ** 30 }),
      space: {
        dims: flags.dims ?? [...info.options.prefixes, model.dim],
        ...{ storages: flags.storage, indexes: flags.index, m: flags.m, efs: flags.ef },
        ...{ efConstruction: flags.efConstruction, candidates: flags.candidates },
      },
      onProgress: (_, done, total) => onProgress(done, total),
    }),
  );
  const context = {
    title: 'Which design: quality against cost',
    ...{ demand, k, minQuality: flags.quality, prices },
    facts: {
      model: `${grouped(users.size)} users, ${grouped(items.size)} items, dim ${model.dim}`,
      users: `${parts.requests.length} chose, ${parts.report.length} judged${ranker ? `, ${parts.learners.length} trained the ranker` : ''}; none twice`,
    },
  };
  sayResult(terminal, result, k);
  terminal.say('');
  for (const line of codesignSummary(result, context)) terminal.say(line);
  if (flags.report !== undefined) await writeReport(flags.report, codesignReport(result, context));
  terminal.result(result);
}

/** Test users for each purpose, none for two. */
function splitUsers(later: Interactions, flags: CodesignFlags) {
  const users: number[] = [];
  for (let user = 0; user < later.users.size; user++) {
    if (itemsOf(later, user).length > 0) users.push(user);
  }
  new Random(flags.seed).shuffle(users);
  const { requests, reportRequests } = flags;
  const learners = flags.ranker === true ? flags.learners : 0;
  if (users.length < requests + 1 || (learners > 0 && users.length < requests + 100)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `--test has ${users.length} users with items of the model, fewer than --requests asks for`,
    );
  }
  const rest = users.slice(requests);
  // What is left is shared where it is not enough for both.
  const wanted = reportRequests + learners;
  const report = rest.slice(0, Math.floor(Math.min(1, rest.length / wanted) * reportRequests));
  return {
    requests: users.slice(0, requests),
    report,
    learners: rest.slice(report.length, report.length + learners),
  };
}

const SHOWN_REJECTED = 12;

function sayResult(
  terminal: Terminal,
  { front, results, chosen }: CodesignResult,
  k: number,
): void {
  const row = (one: DesignResult) => [
    one.verdict === 'chosen' ? '>' : one.verdict === 'front' ? '*' : '',
    one.name,
    one.ndcg.mean.toFixed(4),
    `${(100 * one.ofBest.mean).toFixed(1)}%`,
    grouped(one.processorUs),
    one.aloneMs.toPrecision(3),
    grouped(one.indexBytes / 2 ** 20, 1),
    one.usdPerMillion.toPrecision(3),
    one.reason,
  ];
  const head = [
    '',
    'design',
    `nDCG@${k}`,
    'of best',
    'processor µs',
    'alone ms',
    'MiB',
    '$/million',
  ];
  const shown = new Set<DesignResult>([...front, ...(chosen ? [chosen] : [])]);
  const others = results.filter((one) => !shown.has(one));
  terminal.say(
    table([
      [...head, 'why not'],
      ...[...shown].sort((a, b) => a.usdPerMillion - b.usdPerMillion).map(row),
      ...others.slice(0, SHOWN_REJECTED).map(row),
    ]),
  );
  if (others.length > SHOWN_REJECTED) {
    terminal.say(
      `${others.length - SHOWN_REJECTED} more were rejected; --report and --json have all, with reasons.`,
    );
  }
}
