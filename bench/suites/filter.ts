import { HnswIndex, parseStorageType, Random } from '../../src/index.js';
import { alternate, type Side } from '../harness/alternate.js';
import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const DEFAULTS = { rows: 100_000, dim: 64, limit: 500 };
const SHARES = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1];
const K = 10;
const EXCLUDED = 1000;
const NEAREST = [10, 100, 1000];

/** What conditions, groups and excluded keys do to the time and the recall of a graph search. */
export const filterSuite: Suite = {
  name: 'filter',
  description: 'graph search under conditions, in groups, within a score',
  options: {
    ...vectorOptions(DEFAULTS),
    storage: 'storage of the vectors (default i8); rerank is f16',
    recall: 'recall that searches ask for (default 0.97)',
    rounds: 'rounds that count (default 3)',
  },
  quick: { rows: '5000', dim: '32', limit: '50', rounds: '1' },
  run,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const { base, queries: matrix, label, metric } = await vectorsOf(context, DEFAULTS);
  const queries = rowsOf(matrix);
  const storage = parseStorageType(context.options.get('storage') ?? 'i8');
  const recall = Number(context.options.get('recall') ?? 0.97);
  const rounds = integerOption(context, 'rounds', 3);
  const { rows, dim } = base;
  const index = new HnswIndex({
    ...{ dim, metric, storage, rerank: 'f16', efConstruction: 100 },
    attributes: { rank: 'number', group: 'number' },
  });
  const ranks = shuffled(rows);
  await index.add(base, {
    attributes: { rank: ranks, group: ranks.map((rank) => rank % 1000) },
  });
  context.say(`${label}, ${metric}, ${storage} and f16, recall ${recall} asked for, k ${K}`);
  context.say(
    'microseconds a query on one thread; plain: without a condition; scan: exact search of what is ' +
      'admitted; once: a condition that was never asked before; bound: over the larger of plain and scan',
  );

  const plain = { k: K, recall };
  const results: Result[] = [];
  for (const share of SHARES) {
    const where = { rank: { lt: Math.ceil(share * rows) } };
    let asked = 0;
    const times = await microseconds(queries, rounds, {
      where: (query) => index.searchSync(query, { ...plain, where }),
      once: (query) => {
        asked++;
        const limit = Math.ceil(share * rows) - 1 + asked / (asked + 1);
        return index.searchSync(query, { ...plain, where: { rank: { lte: limit } } });
      },
      scan: (query) => index.searchSync(query, { k: K, exact: true, where }),
      plain: (query) => index.searchSync(query, plain),
    });
    results.push({
      name: `${100 * share}%`,
      recall: meanRecall(
        queries,
        (query) => index.searchSync(query, { ...plain, where }).keys,
        (query) => index.searchSync(query, { k: K, exact: true, where }).keys,
      ),
      ...times,
      bound: times.where! / Math.max(times.plain!, times.scan!),
    });
  }
  const random = new Random(7);
  const seen = Array.from({ length: EXCLUDED }, () => random.below(rows));
  const grouped = { ...plain, groupBy: 'group', groupSize: 1 };
  const others = await microseconds(queries, rounds, {
    groups: (query) => index.searchSync(query, grouped),
    exclude: (query) => index.searchSync(query, { ...plain, exclude: seen }),
  });
  for (const count of NEAREST) results.push(await within(index, queries, rounds, count));
  return [
    ...results,
    { name: 'at most 1 of each of 1000 groups', where: others.groups! },
    { name: `${EXCLUDED} keys excluded`, where: others.exclude! },
  ];
}

/** All that scores as much as the nearest one of a rank, found by the graph and by a scan. */
async function within(
  index: HnswIndex,
  vectors: readonly Float32Array[],
  rounds: number,
  count: number,
): Promise<Result> {
  const limits = new Map<Float32Array, number>();
  for (const query of vectors) {
    limits.set(query, index.searchSync(query, { k: count, exact: true }).scores[count - 1]!);
  }
  const graph = (query: Float32Array) =>
    index.searchWithinSync(query, { score: limits.get(query)! }).keys;
  const scan = (query: Float32Array) =>
    index.searchWithinSync(query, { score: limits.get(query)!, exact: true }).keys;
  const recall = meanRecall(vectors, graph, scan);
  const times = await microseconds(vectors, rounds, { where: graph, scan });
  return { name: `within the score of the nearest ${count}`, recall, ...times };
}

/** The numbers below `count`, in an order that has nothing to do with the vectors. */
function shuffled(count: number): Float64Array {
  const random = new Random(5);
  const numbers = Float64Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [numbers[at], numbers[other]] = [numbers[other]!, numbers[at]!];
  }
  return numbers;
}

async function microseconds(
  queries: readonly Float32Array[],
  rounds: number,
  works: Record<string, (query: Float32Array) => unknown>,
): Promise<Record<string, number>> {
  const sides = Object.entries(works).map(([name, search]): Side => ({
    name,
    work: () => {
      for (const query of queries) search(query);
      return queries.length;
    },
  }));
  const { rates } = await alternate(sides, { rounds, secondsASide: 0.1 });
  return Object.fromEntries([...rates].map(([name, { median }]) => [name, 1e6 / median]));
}

function meanRecall(
  queries: readonly Float32Array[],
  search: (query: Float32Array) => Float64Array,
  exact: (query: Float32Array) => Float64Array,
): number {
  let right = 0;
  let wanted = 0;
  for (const query of queries) {
    const truth = new Set(exact(query));
    wanted += truth.size;
    for (const key of search(query)) right += Number(truth.has(key));
  }
  return right / wanted;
}
