import { HnswIndex, parseStorageType, Random, type Matrix } from '../../src/index.js';
import { alternate, type Side } from '../harness/alternate.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const DEFAULTS = { rows: 100_000, dim: 64, limit: 500 };
const SHARES = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1];
const K = 10;
const EXCLUDED = 1000;

/** What conditions, groups and excluded keys do to the time and the recall of a graph search. */
export const filterSuite: Suite = {
  name: 'filter',
  description: 'graph search under conditions of every selectivity, in groups, without seen items',
  options: {
    ...vectorOptions(DEFAULTS),
    storage: 'storage of the vectors (default i8); rerank is f16',
    recall: 'recall that searches ask for (default 0.97)',
    rounds: 'rounds that count (default 3)',
  },
  run,
};

async function run(context: SuiteContext): Promise<Result[]> {
  const { base, queries, label, metric } = await vectorsOf(context, DEFAULTS);
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
  return [
    ...results,
    { name: 'at most 1 of each of 1000 groups', where: others.groups! },
    { name: `${EXCLUDED} keys excluded`, where: others.exclude! },
  ];
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
  queries: Matrix,
  rounds: number,
  works: Record<string, (query: Float32Array) => unknown>,
): Promise<Record<string, number>> {
  const { rows, dim } = queries;
  const sides = Object.entries(works).map(([name, search]): Side => ({
    name,
    work: () => {
      for (let q = 0; q < rows; q++) search(queries.data.subarray(q * dim, (q + 1) * dim));
      return rows;
    },
  }));
  const { rates } = await alternate(sides, { rounds, secondsASide: 0.1 });
  return Object.fromEntries([...rates].map(([name, { median }]) => [name, 1e6 / median]));
}

function meanRecall(
  { data, rows, dim }: Matrix,
  search: (query: Float32Array) => Float64Array,
  exact: (query: Float32Array) => Float64Array,
): number {
  let right = 0;
  let wanted = 0;
  for (let q = 0; q < rows; q++) {
    const query = data.subarray(q * dim, (q + 1) * dim);
    const truth = new Set(exact(query));
    wanted += truth.size;
    for (const key of search(query)) right += Number(truth.has(key));
  }
  return right / wanted;
}
