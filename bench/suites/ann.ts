import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { machine } from '../../src/index.js';
import { alternate, ratioText, type Comparison, type Side } from '../harness/alternate.js';
import { usearchSides } from '../harness/ann-peers.js';
import {
  hnswlibNodeSides,
  lichenSide,
  SECONDS_A_SIDE,
  type AnnSide,
  type AnnTask,
} from '../harness/ann-sides.js';
import { beamLadder, leastBeam, type Curve, type RecallPoint } from '../harness/curves.js';
import { curvesSvg } from '../harness/curves-svg.js';
import { hnswlibNativeSide } from '../harness/hnswlib-process.js';
import { recallJudge } from '../harness/recall.js';
import { ratioFields, resultTable, sectionsOf, type ResultTable } from '../harness/report.js';
import {
  integerOption,
  listOption,
  numberOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { storedOf, type Stored } from '../harness/stored.js';
import { vectorsOf, VECTOR_OPTIONS } from '../harness/vectors.js';
import { zvecSides } from '../harness/zvec-process.js';

const PEERS = ['hnswlib', 'hnswlib-native', 'usearch', 'zvec'] as const;
type Peer = (typeof PEERS)[number];
// What to install; of zvec the lock file could not hold the binaries of every platform, so that it is no dependency.
const PACKAGES: Record<Peer, string> = {
  hnswlib: 'hnswlib-node',
  'hnswlib-native': 'hnswlib-node',
  usearch: 'usearch',
  zvec: '@zvec/zvec',
};
const STORAGES = 'f32,i8+f16,i4+i8';
const TARGETS = [0.9, 0.95, 0.99];
const MOST_BEAM = 1024;
const LADDER_END = 512;
const OURS = 'lichen ';
const ENOUGH = 0.9995; // a curve that has come so far ends

/** Recall against speed of HnswIndex and of other libraries' graphs. */
export const annSuite: Suite = {
  name: 'ann',
  description: 'approximate search beside hnswlib, usearch and zvec, with pictures',
  options: {
    ...VECTOR_OPTIONS,
    peers: `of ${PEERS.join(',')} (default: all that are installed)`,
    storage: `lichen's storage[/pca][+rerank][@efConstruction][:m], commas between (default ${STORAGES})`,
    oversample: 'candidates a result of reranked storages (default: as lichen does)',
    k: 'results of a query (default 10)',
    m: 'links a vector (default 16)',
    'ef-construction': 'beam while building (default 200)',
    rounds: 'rounds of searching that count (default 3)',
    seconds: `that a side works in a round (default ${SECONDS_A_SIDE})`,
    threads: 'threads of batches (default 2, or 1 on a machine of one)',
    svg: 'file for a picture of the curves; that of batches has -batch in its name',
  },
  quick: {
    peers: 'hnswlib,usearch',
    storage: 'f32,i8+f16',
    rows: '4000',
    dim: '32',
    limit: '200',
    rounds: '1',
    seconds: '0.05',
  },
  run,
  tables,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const folder = mkdtempSync(join(tmpdir(), 'lichen-ann-'));
  const sides: AnnSide[] = [];
  try {
    return await measure(context, folder, sides);
  } finally {
    for (const side of sides) await side.close?.();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(context: SuiteContext, folder: string, sides: AnnSide[]): Promise<Result[]> {
  const peers = listOption(context, 'peers', PEERS);
  const storages = (context.options.get('storage') ?? STORAGES).split(',').map(storedOf);
  const { base, queries, label, metric } = await vectorsOf(context);
  const k = integerOption(context, 'k', 10);
  const m = integerOption(context, 'm', 16);
  const efConstruction = integerOption(context, 'ef-construction', 200);
  const rounds = integerOption(context, 'rounds', 3);
  const seconds = numberOption(context, 'seconds', SECONDS_A_SIDE);
  const threads = integerOption(context, 'threads', Math.min(2, machine().threads));
  context.say(`${label}, ${metric}, ${queries.rows} queries, recall@${k} by exact scores`);
  context.say(
    `m ${m}, efConstruction ${efConstruction}; builds and single searches: one thread, batches: ${threads}`,
  );

  const task = { base, queries, metric, m, efConstruction, k, seconds, folder };
  await addSides(context, task, storages, peers, sides);
  const judge = await recallJudge(base, queries, metric, k);
  const recallAt = async (side: AnnSide, ef: number): Promise<RecallPoint> => {
    await side.aim(ef);
    return { ef, recall: judge(await side.keys()) };
  };

  const how = { k, queryRows: queries.rows, rounds, seconds, threads, recallAt };
  const curves = await curvesOf(sides, how, context);
  draw(context, `recall@${k}, ${label}, ${metric}`, sides, curves, threads);
  const results = [...sides.map(buildResult), ...curves];
  const given = { sides, curves, ...how };
  for (const target of TARGETS) {
    results.push(...(await atRecall(target, given)));
    context.say(`recall ≥ ${target}: done`);
  }
  return results;
}

/** Builds side after side; one that cannot be had is said and left out. */
async function addSides(
  context: SuiteContext,
  task: AnnTask,
  storages: readonly Stored[],
  peers: readonly Peer[],
  sides: AnnSide[],
): Promise<void> {
  const add = (some: readonly AnnSide[]): void => {
    sides.push(...some);
    for (const { name, buildSeconds } of some) {
      context.say(`${name}: built in ${buildSeconds.toFixed(2)} s`);
    }
  };
  const oversample = context.options.has('oversample')
    ? integerOption(context, 'oversample', 1)
    : undefined;
  for (const stored of storages) {
    try {
      add([lichenSide(task, stored, oversample)]);
    } catch (error) {
      context.say(`lichen ${stored.text} is left out: ${(error as Error).message}`);
    }
  }
  const say = (line: string): void => context.say(line);
  type Some = AnnSide[] | undefined;
  const makers: Record<Peer, () => Some | Promise<Some>> = {
    hnswlib: () => hnswlibNodeSides(task),
    'hnswlib-native': async () => [await hnswlibNativeSide(task)],
    usearch: () => usearchSides(task, say),
    zvec: () => zvecSides(task, say),
  };
  for (const peer of peers) {
    try {
      const some = await makers[peer]();
      if (some !== undefined) add(some);
      else say(`${peer} is not installed: left out (npm install --no-save ${PACKAGES[peer]})`);
    } catch (error) {
      context.say(`${peer} is left out: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  if (sides.length === 0) throw new Error('no side is left to measure');
}

type RecallAt = (side: AnnSide, ef: number) => Promise<RecallPoint>;

/** How sides are measured. */
interface How {
  readonly k: number;
  readonly queryRows: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly threads: number;
  readonly recallAt: RecallAt;
}

/** Every side at every beam, one query at a time and in batches, in turns, until its recall is as good as it gets. */
async function curvesOf(
  sides: readonly AnnSide[],
  how: How,
  context: SuiteContext,
): Promise<Result[]> {
  const { k, rounds, seconds, recallAt } = how;
  const results: Result[] = [];
  let open = sides;
  for (const ef of beamLadder(k, LADDER_END)) {
    const recalls = new Map<string, number>();
    for (const side of open) recalls.set(side.name, (await recallAt(side, ef)).recall);
    const compared = await alternate(open, { rounds, secondsASide: seconds });
    const batches = await compareBatches(open, how);
    for (const { name } of open) {
      const { median: qps, min: qpsMin, max: qpsMax } = compared.rates.get(name)!;
      const recall = recalls.get(name)!;
      const inBatches = batchFields(batches, name, how.threads);
      results.push({ name, section: 'curve', ef, recall, qps, qpsMin, qpsMax, ...inBatches });
    }
    open = open.filter(({ name }) => recalls.get(name)! < ENOUGH);
    context.say(`ef ${ef}: done`);
    if (open.length === 0) break;
  }
  return results;
}

interface Measured extends How {
  readonly sides: readonly AnnSide[];
  readonly curves: readonly Result[];
}

/** The sides at equal recall: each with the least beam that reaches it. */
async function atRecall(target: number, given: Measured): Promise<Result[]> {
  const { sides, curves, k, rounds, seconds, recallAt } = given;
  const section = `recall ≥ ${target}`;
  const points = new Map<AnnSide, RecallPoint>();
  const results: Result[] = [];
  for (const side of sides) {
    const known = curves
      .filter(({ name }) => name === side.name)
      .map(({ ef, recall }) => ({ ef: Number(ef), recall: Number(recall) }));
    const recallOf = async (ef: number): Promise<number> => (await recallAt(side, ef)).recall;
    const point = await leastBeam(target, known, recallOf, { least: k, most: MOST_BEAM });
    if (point === undefined) {
      results.push({ name: side.name, section, note: `not reached up to ef ${MOST_BEAM}` });
    } else {
      points.set(side, point);
      await side.aim(point.ef);
    }
  }
  if (points.size === 0) return results;
  const reaching = [...points.keys()];
  const single = await alternate(reaching, { rounds, secondsASide: seconds });
  const batches = await compareBatches(reaching, given);
  for (const side of reaching) {
    const { name } = side;
    const { median: qps, min: qpsMin, max: qpsMax } = single.rates.get(name)!;
    const latency = await side.latency();
    results.push({
      name,
      section,
      ...points.get(side)!,
      qps,
      qpsMin,
      qpsMax,
      p50us: latency.p50us,
      p99us: latency.p99us,
      ...batchFields(batches, name, given.threads),
    });
  }
  return [...results, ...ratiosOf(single, reaching, section)];
}

/** Batches of those sides that have them, in turns. */
async function compareBatches(
  sides: readonly AnnSide[],
  { queryRows, rounds, seconds, threads }: How,
): Promise<Comparison | undefined> {
  const inBatches = sides.flatMap(({ name, batch }): Side[] => {
    if (batch === undefined) return [];
    const work = async (): Promise<number> => {
      await batch(threads);
      return queryRows;
    };
    return [{ name, work }];
  });
  if (inBatches.length === 0) return undefined;
  return alternate(inBatches, { rounds, secondsASide: seconds });
}

function batchFields(
  batches: Comparison | undefined,
  name: string,
  threads: number,
): Record<string, number> {
  const rate = batches?.rates.get(name);
  if (rate === undefined) return {};
  const { median: batchQps, min: batchQpsMin, max: batchQpsMax } = rate;
  return { batchQps, batchQpsMin, batchQpsMax, threads };
}

/** What lichen's rates are divided by those of each peer. */
function ratiosOf(compared: Comparison, sides: readonly AnnSide[], section: string): Result[] {
  const isOurs = ({ name }: AnnSide): boolean => name.startsWith(OURS);
  return sides.filter(isOurs).flatMap(({ name }) =>
    sides
      .filter((side) => !isOurs(side))
      .map((peer) => ({
        name,
        section: `ratio, ${section}`,
        peer: peer.name,
        ...ratioFields(compared.ratio(name, peer.name)),
      })),
  );
}

function buildResult({ name, buildSeconds, bytesAVector, bytesBy }: AnnSide): Result {
  return { name, section: 'build', buildSeconds, bytesAVector, bytesBy };
}

/** Two pictures: one query at a time, and batches, with those sides that have them. */
function draw(
  context: SuiteContext,
  title: string,
  sides: readonly AnnSide[],
  results: readonly Result[],
  threads: number,
): void {
  const curves = (some: readonly AnnSide[], rate: 'qps' | 'batchQps'): Curve[] =>
    some.map(({ name }) => ({
      name,
      points: results
        .filter((result) => result.name === name)
        .map((result) => ({ recall: Number(result.recall), qps: Number(result[rate]) })),
    }));
  const inBatches = sides.filter(({ batch }) => batch !== undefined);
  const pictures = [curvesSvg(title, curves(sides, 'qps'))];
  if (inBatches.length > 0) {
    pictures.push(curvesSvg(title, curves(inBatches, 'batchQps'), threads));
  }
  const file = context.options.get('svg');
  const { dir, name, ext } = parse(file ?? '');
  pictures.forEach((picture, at) => {
    context.show(picture);
    if (file === undefined) return;
    writeFileSync(join(dir, at === 0 ? `${name}${ext}` : `${name}-batch${ext}`), picture);
  });
}

/** A table a section; at equal recall with how many times a peer's rate each lichen side has. */
function tables(results: readonly Result[]): ResultTable[] {
  return sectionsOf(results)
    .filter((section) => !section.startsWith('ratio, '))
    .map((section) => {
      const ratios = results.filter((result) => result.section === `ratio, ${section}`);
      const rows = results
        .filter((result) => result.section === section)
        .map((result) => ({ ...shown(result), ...ratioCells(ratios, result.name) }));
      return resultTable(rows, section);
    });
}

/** What is for people: the spreads stand in the JSON. */
function shown(result: Result): Result {
  const kept = Object.entries(result).filter(
    ([key]) => key !== 'section' && key !== 'threads' && !/M(in|ax)$/.test(key),
  );
  return Object.fromEntries(kept) as Result;
}

function ratioCells(ratios: readonly Result[], peer: string): Record<string, string> {
  const cells = ratios
    .filter((ratio) => ratio.peer === peer)
    .map(({ name, ratio, ratioMin, ratioMax }) => {
      const spread = { median: Number(ratio), min: Number(ratioMin), max: Number(ratioMax) };
      return [name, ratioText(spread)];
    });
  return Object.fromEntries(cells) as Record<string, string>;
}
