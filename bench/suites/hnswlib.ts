import { createRequire } from 'node:module';
import type { HierarchicalNSW as HierarchicalNSWType } from 'hnswlib-node';
import {
  exactTruth,
  FlatIndex,
  HnswIndex,
  matrixRow,
  recallAtKByScore,
  type Matrix,
  type Metric,
} from '../../src/index.js';
import { exactScores } from '../../src/evaluation/truth.js';
import { alternate, ratioText, type Side } from '../harness/alternate.js';
import { packageMissing } from '../harness/peers.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { vectorsOf, VECTOR_OPTIONS } from '../harness/vectors.js';

const K = 10;
const EFS = [10, 14, 20, 30, 45, 70, 100, 150, 250, 400];
const TARGETS = [0.9, 0.95, 0.99];
const SPACES = { dot: 'ip', cosine: 'cosine', l2: 'l2' } as const;

/** lichen beside hnswlib-node, both called from JavaScript on one thread. */
export const hnswlibSuite: Suite = {
  name: 'hnswlib',
  description: 'HnswIndex beside hnswlib-node: build, search at equal recall',
  options: {
    ...VECTOR_OPTIONS,
    m: 'links a vector (default 16)',
    'ef-construction': 'beam while building (default 200)',
    rounds: 'rounds of searching that count (default 5)',
    'build-rounds': 'rounds of building (default 3)',
    'peer-path': 'folder of another build of hnswlib-node to load',
  },
  quick: { rows: '4000', dim: '32', limit: '200', rounds: '1', 'build-rounds': '1' },
  missing: () => packageMissing('hnswlib-node'),
  run,
};

/** Keys of the k nearest of a query (by its number) at a beam. */
interface Searcher {
  readonly search: (query: number, ef: number) => ArrayLike<number>;
}

interface Peer {
  readonly name: string;
  build(): Searcher;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const { base, queries, label, metric } = await vectorsOf(context);
  const m = integerOption(context, 'm', 16);
  const efConstruction = integerOption(context, 'ef-construction', 200);
  const rounds = integerOption(context, 'rounds', 5);
  context.say(
    `${label}, ${metric}, ${queries.rows} queries, m ${m}, efConstruction ${efConstruction}`,
  );
  const parameters = { base, queries, metric, m, efConstruction };
  const peers = [lichen(parameters), hnswlib(parameters, context.options.get('peer-path'))];

  const results: Result[] = [];
  const built = new Map<string, Searcher>();
  const builds = await alternate(
    peers.map((peer): Side => ({
      name: peer.name,
      work() {
        built.set(peer.name, peer.build());
        return base.rows;
      },
    })),
    { rounds: integerOption(context, 'build-rounds', 3), warmUp: false, secondsASide: 0 },
  );
  for (const { name } of peers) {
    const { median } = builds.rates.get(name)!;
    results.push({ name: `build, ${name}`, seconds: base.rows / median, vectorsPerSecond: median });
  }
  const buildRatio = builds.ratios.get(peers[1]!.name)!;
  results.push({ name: 'build, ratio', ...buildRatio });
  context.say(`build: ${ratioText(buildRatio)} as fast`);

  const recalls = await recallCurves(parameters, built);
  for (const target of TARGETS) {
    const efs = peers.map(
      ({ name }) => recalls.get(name)!.find(({ recall }) => recall >= target)?.ef,
    );
    if (efs.includes(undefined)) {
      context.say(`recall ${target}: not reached by both up to ef ${EFS.at(-1)}`);
      continue;
    }
    const sides = peers.map(({ name }, at): Side => {
      const { search } = built.get(name)!;
      return {
        name,
        work() {
          for (let query = 0; query < queries.rows; query++) search(query, efs[at]!);
          return queries.rows;
        },
      };
    });
    const compared = await alternate(sides, { rounds });
    peers.forEach(({ name }, at) => {
      const rate = compared.rates.get(name)!;
      const recall = recalls.get(name)!.find(({ ef }) => ef === efs[at])!.recall;
      results.push({
        name: `search, recall ≥ ${target}, ${name}`,
        ef: efs[at]!,
        recall,
        qps: rate.median,
        qpsMin: rate.min,
        qpsMax: rate.max,
      });
    });
    const ratio = compared.ratios.get(peers[1]!.name)!;
    results.push({ name: `search, recall ≥ ${target}, ratio`, ...ratio });
    context.say(`recall ≥ ${target}: ${ratioText(ratio)} as many queries a second`);
  }
  return results;
}

interface Parameters {
  readonly base: Matrix;
  readonly queries: Matrix;
  readonly metric: Metric;
  readonly m: number;
  readonly efConstruction: number;
}

function lichen({ base, queries, metric, m, efConstruction }: Parameters): Peer {
  const vectors = rowsOf(queries);
  return {
    name: 'lichen',
    build() {
      const index = new HnswIndex({ dim: base.dim, metric, m, efConstruction });
      index.addSync(base, { threads: 1 });
      return { search: (query, ef) => index.searchSync(vectors[query]!, { k: K, ef }).keys };
    },
  };
}

/** hnswlib-node takes plain arrays only; they are made ahead, so that making them does not count. */
function hnswlib(
  { base, queries, metric, m, efConstruction }: Parameters,
  path: string | undefined,
): Peer {
  const { HierarchicalNSW } = createRequire(__filename)(path ?? 'hnswlib-node') as {
    HierarchicalNSW: typeof HierarchicalNSWType;
  };
  const points = rowsOf(base).map((row) => [...row]);
  const arrays = rowsOf(queries).map((row) => [...row]);
  return {
    name: path === undefined ? 'hnswlib-node' : `hnswlib-node (${path})`,
    build() {
      const index = new HierarchicalNSW(SPACES[metric], base.dim);
      index.initIndex(base.rows, m, efConstruction, 100);
      points.forEach((point, row) => index.addPoint(point, row));
      let beam = 0;
      return {
        search(query, ef) {
          if (ef !== beam) index.setEf((beam = ef));
          return index.searchKnn(arrays[query]!, K).neighbors;
        },
      };
    },
  };
}

function rowsOf(vectors: Matrix): Float32Array[] {
  return Array.from({ length: vectors.rows }, (_, row) => matrixRow(vectors, row));
}

/** Recall of each built index at each beam, judged by exact scores (ties are fair). */
async function recallCurves(
  { base, queries, metric }: Parameters,
  built: ReadonlyMap<string, Searcher>,
): Promise<Map<string, { ef: number; recall: number }[]>> {
  const flat = new FlatIndex({ dim: base.dim, metric });
  await flat.add(base);
  const truth = await exactTruth(flat, queries, K);
  if (truth.by !== 'score') throw new Error('expected scores');
  const scoreOf = exactScores(base, queries, metric);
  return new Map(
    [...built].map(([name, { search }]) => [
      name,
      EFS.map((ef) => {
        const scores = new Float64Array(queries.rows * K).fill(NaN);
        for (let query = 0; query < queries.rows; query++) {
          const keys = search(query, ef);
          for (let at = 0; at < keys.length; at++) {
            scores[query * K + at] = scoreOf(query, keys[at]!);
          }
        }
        const found = { values: scores, rows: queries.rows, width: K };
        return { ef, recall: recallAtKByScore(found, truth.neighbours, { k: K, metric }) };
      }),
    ]),
  );
}
