import { InvalidArgumentError } from 'commander';
import {
  FlatIndex,
  matrixRow,
  STORAGE_TYPES,
  type Matrix,
  type Metric,
  type StorageType,
} from '../../src/index.js';
import { alternate } from '../harness/alternate.js';
import { recallJudge, type RecallJudge } from '../harness/recall.js';
import { integerOption, type Result, type Suite, type SuiteContext } from '../harness/suite.js';
import { storedOf, type Stored } from '../harness/stored.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const K = 10;
const DEFAULTS = { rows: 1_000_000, dim: 128, limit: 1000 };
const QUERIES_AT_ONCE = 4;
const OVERSAMPLE = 4;
const MORE = 16; // for types of few bits

/** What a vector costs in each storage type, and what is still found. */
export const storageSuite: Suite = {
  name: 'storage',
  description: 'bytes, recall and speed of each storage type, alone and reranked',
  options: {
    ...vectorOptions(DEFAULTS),
    storage: 'storage[/pca], with commas between (default: every type, of all values)',
    rounds: 'rounds of searching that count (default 3)',
  },
  quick: { rows: '10000', dim: '64', limit: '100', storage: 'f32,i8,i4', rounds: '1' },
  run,
};

interface Given {
  readonly base: Matrix;
  readonly queries: Matrix;
  readonly metric: Metric;
  readonly rounds: number;
  readonly judge: RecallJudge;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const storages = (context.options.get('storage')?.split(',') ?? STORAGE_TYPES).map(storedOf);
  for (const { text, rerank, efConstruction, m } of storages) {
    if ([rerank, efConstruction, m].every((more) => more === undefined)) continue;
    throw new InvalidArgumentError(`--storage is storage[/pca] here, got ${text}`);
  }
  const { base, queries, label, metric } = await vectorsOf(context, DEFAULTS);
  const rounds = integerOption(context, 'rounds', 3);
  context.say(`${label}, ${metric}, ${queries.rows} queries; recall@${K} by exact scores`);
  context.say(
    `reranked: oversample ${OVERSAMPLE}, speed too; recall x${MORE}: of types of few bits`,
  );
  const given = {
    base,
    queries,
    metric,
    rounds,
    judge: await recallJudge(base, queries, metric, K),
  };
  const results: Result[] = [];
  for (const stored of storages) {
    for (const rerank of [undefined, ...reranksOf(stored.storage)]) {
      const result = await measure(given, stored, rerank);
      results.push(result);
      context.say(`${result.name}: ${Number(result.bytes).toFixed(0)} bytes a vector, measured`);
    }
  }
  return results;
}

/** Wider types than the codes. */
function reranksOf(storage: StorageType): StorageType[] {
  if (storage === 'f32') return [];
  return storage === 'f16' || storage === 'bf16' ? ['f32'] : ['f32', 'f16'];
}

async function measure(
  { base, queries, metric, rounds, judge }: Given,
  { text, storage, pca }: Stored,
  rerank: StorageType | undefined,
): Promise<Result> {
  const index = new FlatIndex({ dim: base.dim, metric, storage, pca, rerank });
  const start = performance.now();
  await index.add(base);
  const addSeconds = (performance.now() - start) / 1000;
  const bytes = index.bytes / base.rows;

  const oversample = rerank === undefined ? {} : { oversample: OVERSAMPLE };
  const recallAt = async (options: { oversample?: number }): Promise<number> =>
    judge((await index.searchBatch(queries, { k: K, ...options })).keys);
  const recall = await recallAt(oversample);
  const hasFewBits = storage === 'b1' || storage === 'pq';
  const more =
    rerank !== undefined && hasFewBits
      ? { [`recall x${MORE}`]: await recallAt({ oversample: MORE }) }
      : {};

  const vectors = Array.from({ length: queries.rows }, (_, row) => matrixRow(queries, row));
  let next = 0;
  const one = {
    name: 'one',
    work() {
      for (let i = 0; i < QUERIES_AT_ONCE; i++) {
        index.searchSync(vectors[next]!, { k: K, ...oversample });
        next = (next + 1) % vectors.length;
      }
      return QUERIES_AT_ONCE;
    },
  };
  const batch = {
    name: 'batch',
    async work() {
      await index.searchBatch(queries, { k: K, ...oversample });
      return queries.rows;
    },
  };
  const { rates } = await alternate([one, batch], { rounds });
  index.close();
  const { median: qps, min: qpsMin, max: qpsMax } = rates.get('one')!;
  const { median: batchQps, min: batchQpsMin, max: batchQpsMax } = rates.get('batch')!;
  return {
    name: rerank === undefined ? text : `${text} + ${rerank}`,
    bytes,
    recall,
    ...more,
    qps,
    qpsMin,
    qpsMax,
    // Of what is scanned; what reranking reads is not counted.
    ...(rerank === undefined ? { 'GB/s': (qps * bytes * base.rows) / 1e9 } : {}),
    batchQps,
    batchQpsMin,
    batchQpsMax,
    addSeconds,
  };
}
