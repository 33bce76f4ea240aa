import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import {
  FlatIndex,
  HnswIndex,
  machine,
  type Matrix,
  type Metric,
  type NeighborLists,
} from '../../src/index.js';
import { alternate } from '../harness/alternate.js';
import { searching, secondsSince } from '../harness/ann-sides.js';
import { beamLadder, leastBeam, type RecallPoint } from '../harness/curves.js';
import { recallJudge, type RecallJudge } from '../harness/recall.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import {
  integerOption,
  integersOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { storedOf } from '../harness/stored.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const DEFAULTS = { rows: 100_000, dim: 64, limit: 1000 };
const RESULTS = 10;
const LADDER_END = 320;
const MOST_BEAM = 2048;
const TARGETS = [0.9, 0.95, 0.99];
const SECONDS_A_SIDE = 0.3;

/** A graph that is started from lists of neighbors beside one that searches for them: time to build, recall, speed. */
export const knnBuildSuite: Suite = {
  name: 'knn-build',
  description: 'HnswIndex from lists of exact neighbors beside a normal build',
  options: {
    ...vectorOptions(DEFAULTS),
    neighbors: 'neighbors a vector, commas between (default 16,32,64)',
    storage: 'storage[+rerank][@efConstruction][:m] (default f32)',
    threads: 'threads of the builds (default 1)',
    rounds: 'rounds of building and of searching, in turns (default 3)',
  },
  quick: { rows: '4000', dim: '32', limit: '200', neighbors: '16', rounds: '1' },
  run,
  tables: sectionTables,
};

/** One way to build, and the index that it built last. */
interface Way {
  readonly name: string;
  readonly neighbors: NeighborLists | undefined;
  index?: HnswIndex;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const { base, queries, label, metric } = await vectorsOf(context, DEFAULTS);
  const stored = storedOf(context.options.get('storage') ?? 'f32');
  const threads = integerOption(context, 'threads', 1);
  const rounds = integerOption(context, 'rounds', 3);
  const lengths = integersOption(context, 'neighbors', [16, 32, 64]);
  context.say(`${label}, ${metric}, ${stored.text}, builds on ${threads} threads, recall@10`);

  const start = performance.now();
  const longest = await exactNeighbors(base, metric, Math.max(...lengths));
  const seconds = secondsSince(start).toFixed(1);
  context.say(`neighbors by FlatIndex on ${machine().threads} threads: ${seconds} s, not counted`);

  const ways: Way[] = [
    { name: 'searched', neighbors: undefined },
    ...lengths.map((k) => ({ name: `from ${k} neighbors`, neighbors: shortened(longest, k) })),
  ];
  const { storage, pca, rerank, efConstruction, m } = stored;
  const builders = ways.map((way) => ({
    name: way.name,
    work: async () => {
      way.index?.close();
      way.index = new HnswIndex({
        ...{ dim: base.dim, metric, storage, pca, rerank, efConstruction, m },
      });
      await way.index.add(base, { threads, neighbors: way.neighbors });
      return base.rows;
    },
  }));
  const built = await alternate(builders, { rounds, warmUp: false, secondsASide: 0 });
  const results = builders.map(({ name }): SectionResult => {
    const { median, min, max } = built.rates.get(name)!;
    const times = { median: base.rows / median, min: base.rows / max, max: base.rows / min };
    const ratio = name === 'searched' ? {} : ratioFields(built.ratio(name, 'searched'));
    return { name, section: 'build', ...times, unit: 's', ...ratio };
  });
  context.say('built');

  const judge = await recallJudge(base, queries, metric, RESULTS);
  const sides = ways.map(({ name, index }) => sideOf(name, index!, queries, judge));
  for (const ef of beamLadder(RESULTS, LADDER_END, 2)) {
    results.push(
      ...(await compared(
        `ef ${ef}`,
        sides,
        sides.map((side) => side.at(ef)),
        rounds,
      )),
    );
  }
  for (const target of TARGETS) {
    const points: (RecallPoint | undefined)[] = [];
    for (const side of sides) {
      const recallAt = (ef: number): number => side.at(ef).recall;
      points.push(await leastBeam(target, [], recallAt, { least: RESULTS, most: MOST_BEAM }));
    }
    results.push(...(await compared(`recall ≥ ${target}`, sides, points, rounds)));
  }
  for (const { index } of ways) index!.close();
  return results;
}

/** Rows of the nearest others of each row, and mostly the row itself. */
async function exactNeighbors(base: Matrix, metric: Metric, k: number): Promise<NeighborLists> {
  using flat = new FlatIndex({ dim: base.dim, metric });
  await flat.add(base);
  const { keys } = await flat.searchBatch(base, { k: Math.min(k + 1, base.rows) });
  return { rows: Uint32Array.from(keys), k: keys.length / base.rows };
}

/** The first `k` of each list, and the row itself. */
function shortened({ rows, k: given }: NeighborLists, k: number): NeighborLists {
  const kept = Math.min(k + 1, given);
  return { rows: rows.filter((_, at) => at % given < kept), k: kept };
}

type MeasuredSide = ReturnType<typeof sideOf>;

/** An index that is searched by one query at a time on one thread. */
function sideOf(name: string, index: HnswIndex, queries: Matrix, judge: RecallJudge) {
  const vectors = rowsOf(queries);
  let ef = RESULTS;
  const { work, keys } = searching(
    { queries, k: RESULTS },
    (query) => index.searchSync(vectors[query]!, { k: RESULTS, ef }).keys,
  );
  const at = (beam: number): RecallPoint => {
    ef = beam;
    return { ef, recall: judge(keys()) };
  };
  return { name, work, at, aim: (beam: number): void => void (ef = beam) };
}

/** Queries a second of sides at a beam each, beside the first one's. */
async function compared(
  section: string,
  sides: readonly MeasuredSide[],
  points: readonly (RecallPoint | undefined)[],
  rounds: number,
): Promise<SectionResult[]> {
  const reaching = sides.filter((side, at) => {
    const point = points[at];
    if (point !== undefined) side.aim(point.ef);
    return point !== undefined;
  });
  if (reaching.length === 0) return [];
  const rates = await alternate(reaching, { rounds, secondsASide: SECONDS_A_SIDE });
  return sides.map(({ name }, at): SectionResult => {
    const point = points[at];
    if (point === undefined) return { name, section, note: `not reached up to ef ${MOST_BEAM}` };
    const beside =
      points[0] === undefined || at === 0 ? {} : ratioFields(rates.ratio(name, sides[0]!.name));
    const note = `recall ${point.recall.toFixed(4)} at ef ${point.ef}`;
    return { name, section, ...rates.rates.get(name)!, unit: 'queries/s', ...beside, note };
  });
}
