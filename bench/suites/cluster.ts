import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { NATS_MISSING } from '../../test/servers/nats.js';
import { ArrivalClock } from '../harness/arrival-clock.js';
import { bytesRow } from '../harness/cluster-bytes.js';
import { ClusterFleet, type Deployment } from '../harness/cluster-fleet.js';
import { planningRows, QUERIES as PLANNING_QUERIES } from '../harness/cluster-planning.js';
import type { Searches } from '../harness/cluster-probes.js';
import { measureReplicas } from '../harness/cluster-replicas.js';
import { measureRounds } from '../harness/cluster-rounds.js';
import * as rows from '../harness/cluster-rows.js';
import { measureVisibility, measureWrites, settle } from '../harness/cluster-writes.js';
import { compiled } from '../harness/compiled.js';
import { PINNING_MISSING } from '../harness/processors.js';
import { recallJudge } from '../harness/recall.js';
import {
  sectionsOf,
  significant,
  type ResultTable,
  type SectionResult,
} from '../harness/report.js';
import {
  integerOption,
  integersOption,
  listOption,
  numberOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { mixture, packed } from '../harness/vectors.js';

const SHARDS = [1, 2, 3, 3];
const REPLICAS = [1, 1, 1, 2];
const QUERIES = 1000;
/** Of the queries, for the recall. */
const JUDGED = 200;
/** Of them, for requests of many. */
const BATCHES = 50;
/** Rows that make the next checkpoint one. */
const CHANGED = 100;
const PARTS = ['searches', 'planning', 'changes', 'replicas'] as const;
type Part = (typeof PARTS)[number];

/** Searches and changes of an index that is spread over NATS, beside what planning says of them. */
export const clusterSuite: Suite = {
  name: 'cluster',
  description: 'ClusterIndex on three nats-server, and planning held against it',
  options: {
    shards: `of each configuration, with commas between (default ${SHARDS.join(',')})`,
    replicas: `of each shard, by configuration, or of all (default ${REPLICAS.join(',')})`,
    rows: 'vectors of the index (default 100,000)',
    dim: 'values of a vector (default 64)',
    k: 'results (default 10)',
    ef: 'search beam (default 64)',
    seconds: 'of a measurement (default 1)',
    rounds: 'rounds of all measurements (default 3)',
    parts: `which of ${PARTS.join(', ')} (default all)`,
  },
  quick: {
    shards: '2',
    rows: '2000',
    dim: '16',
    seconds: '0.2',
    rounds: '1',
    parts: 'searches,changes',
  },
  missing: () => (NATS_MISSING ? 'nats-server is not installed' : undefined),
  run,
  tables,
};

interface Settings extends Searches {
  readonly rows: number;
  readonly dim: number;
  readonly base: Float32Array;
  readonly seconds: number;
  readonly rounds: number;
  readonly parts: readonly Part[];
}

type Local = InstanceType<ReturnType<typeof compiled>['HnswIndex']>;

/** What every configuration is measured with. */
interface Given {
  readonly context: SuiteContext;
  readonly settings: Settings;
  readonly fleet: ClusterFleet;
  readonly clock: ArrivalClock;
  readonly local: Local;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const options = optionsOf(context);
  const configurations = configurationsOf(context);
  const settings = { ...options, ...vectorsOf(options) };
  const { rows: count, dim, base } = settings;
  const { HnswIndex } = compiled();
  context.say(`seeded mixture, ${count} × ${dim}, l2, f32: building the graph`);
  const local = new HnswIndex({ dim, metric: 'l2' });
  await local.add(base, { keys: Array.from({ length: count }, (_, row) => row) });
  try {
    await using fleet = await ClusterFleet.start();
    await using clock = new ArrivalClock();
    const file = join(fleet.folder, 'index.lichen');
    await local.save(file);
    const results: SectionResult[] = [];
    for (const { shards, replicas } of configurations) {
      const name = `${shards}×${replicas}`;
      const given = { context, settings, fleet, clock, local };
      results.push(...(await measureOne(given, file, name, { shards, replicas })));
      if (settings.parts.includes('planning')) {
        results.push(...(await measurePlanning(given, file, name, { shards, replicas })));
      }
    }
    return results;
  } finally {
    local.close();
  }
}

function optionsOf(context: SuiteContext): Omit<Settings, 'base' | 'queries'> {
  return {
    rows: integerOption(context, 'rows', 100_000),
    dim: integerOption(context, 'dim', 64),
    k: integerOption(context, 'k', 10),
    ef: integerOption(context, 'ef', 64),
    seconds: numberOption(context, 'seconds', 1),
    rounds: integerOption(context, 'rounds', 3),
    parts: listOption(context, 'parts', PARTS),
  };
}

function vectorsOf({ rows: count, dim }: { readonly rows: number; readonly dim: number }) {
  const drawn = mixture(42, count + QUERIES, dim);
  const queries = Array.from({ length: QUERIES }, (_, at) =>
    drawn.slice((count + at) * dim, (count + at + 1) * dim),
  );
  return { base: drawn.subarray(0, count * dim), queries };
}

function configurationsOf(context: SuiteContext) {
  const shards = integersOption(context, 'shards', SHARDS);
  const isDefault = !context.options.has('shards') && !context.options.has('replicas');
  const replicas = integersOption(context, 'replicas', isDefault ? REPLICAS : [1]);
  if (replicas.length !== 1 && replicas.length !== shards.length) {
    throw new InvalidArgumentError(
      `--replicas must be one number or ${shards.length}, as --shards`,
    );
  }
  return shards.map((count, at) => ({ shards: count, replicas: replicas[at] ?? replicas[0]! }));
}

async function measureOne(
  { context, settings, fleet, clock, local }: Given,
  file: string,
  name: string,
  { shards, replicas }: { readonly shards: number; readonly replicas: number },
): Promise<SectionResult[]> {
  const { parts, rows: count, dim, seconds, rounds } = settings;
  await using deployment = await fleet.deploy(file, shards, replicas);
  const results: SectionResult[] = [];
  if (parts.includes('searches')) {
    const options = { deployment, local, clock, searches: settings, seconds, rounds };
    const measured = await measureRounds(options);
    context.say(`${name}: searches done`);
    results.push(
      rows.overheadRow(name, measured, await recalls(deployment, local, settings)),
      ...rows.loadRows(name, measured),
      await bytesRow(fleet.nats, deployment, settings, { name, dim, seconds }),
      ...rows.openRows(name, measured),
      rows.pieceRow(name, measured),
    );
  }
  const writes = { deployment, dim, seconds, rounds };
  if (parts.includes('changes')) {
    results.push(...rows.writeRows(name, await measureWrites({ ...writes, firstKey: count })));
    const visibility = await measureVisibility({ ...writes, firstKey: 1e9 });
    results.push(rows.visibilityRow(name, visibility));
    context.say(`${name}: changes done`);
  }
  if (parts.includes('replicas')) {
    let key = 2e9;
    const change = async () => {
      const keys = Array.from({ length: CHANGED }, () => key++);
      await deployment.index.upsert(settings.base.subarray(0, CHANGED * dim), { keys });
      await settle(deployment.index, dim);
    };
    const times = await measureReplicas(deployment, { folder: fleet.folder, rounds, change });
    results.push(rows.replicaRow(name, times));
    context.say(`${name}: replicas done`);
  }
  return results;
}

/** Where processes can be kept to processors: NATS and the client must not keep a replica waiting. */
async function measurePlanning(
  { context, settings, fleet, clock }: Given,
  file: string,
  name: string,
  { shards, replicas }: { readonly shards: number; readonly replicas: number },
): Promise<SectionResult[]> {
  if (PINNING_MISSING !== undefined) {
    context.say(`${name}: planning skipped: ${PINNING_MISSING}`);
    return [];
  }
  const { queries, k, seconds, rounds } = settings;
  await using deployment = await fleet.deploy(file, shards, replicas, true);
  const batches = Array.from({ length: BATCHES }, (_, batch) =>
    packed(
      queries.filter((_, at) => at % BATCHES === batch),
      PLANNING_QUERIES,
    ),
  );
  const results = await planningRows(name, { deployment, clock, batches, k, seconds, rounds });
  context.say(`${name}: planning done`);
  return results;
}

/** Of the cluster and of the index in this process, with the same beam: every shard has one of its own. */
async function recalls({ index }: Deployment, local: Local, settings: Settings) {
  const { base, rows: count, dim, queries: all, k, ef } = settings;
  const rowsJudged = Math.min(JUDGED, all.length);
  const data = packed(all, rowsJudged);
  const queries = { data, rows: rowsJudged, dim };
  const judge = await recallJudge({ data: base, rows: count, dim }, queries, 'l2', k);
  const found = await index.searchBatch(data, { k, ef });
  const here = await local.searchBatch(data, { k, ef });
  return { recall: judge(found.keys), localRecall: judge(here.keys as Float64Array) };
}

/** A table for each section; where a value has a least and a greatest, or an interval, they stand in brackets. */
function tables(results: readonly Result[]): ResultTable[] {
  return sectionsOf(results).map((title) => ({
    title,
    rows: sectionRows(results.filter(({ section }) => section === title)),
  }));
}

function sectionRows(all: readonly Result[]): string[][] {
  const isPlain = (key: string) => !/(Min|Max|Low|High)$/.test(key) && key !== 'section';
  const columns = [...new Set(all.flatMap((row) => Object.keys(row)))].filter(isPlain);
  const text = (row: Result, key: string): string => {
    const value = row[key];
    if (typeof value !== 'number') return value ?? '';
    const low = row[`${key}Min`] ?? row[`${key}Low`];
    const high = row[`${key}Max`] ?? row[`${key}High`];
    if (typeof low !== 'number' || typeof high !== 'number') return significant(value);
    return `${significant(value)} (${significant(low)}–${significant(high)})`;
  };
  return [columns, ...all.map((row) => columns.map((key) => text(row, key)))];
}
