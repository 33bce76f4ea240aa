import {
  FlatIndex,
  machine,
  matrixRow,
  STORAGE_TYPES,
  type Matrix,
  type Metric,
  type StorageType,
} from '../../src/index.js';
import { alternate, type Comparison, type Side } from '../harness/alternate.js';
import {
  buildKernelsBench,
  COMPILE_OPTION,
  measureLimits,
  type Limits,
} from '../harness/native-bench.js';
import { loadPeer, toInt8 } from '../harness/peers.js';
import { recallJudge, type RecallJudge } from '../harness/recall.js';
import { ratioFields, sectionTables, type SectionResult } from '../harness/report.js';
import {
  integerOption,
  listOption,
  type Result,
  type Suite,
  type SuiteContext,
} from '../harness/suite.js';
import { vectorOptions, vectorsOf } from '../harness/vectors.js';

const K = 10;
const DEFAULTS = { rows: 100_000, dim: 128, limit: 1000 };
const QUERIES_AT_ONCE = 8; // between two looks at the clock, one at a time
const PEER_BATCH = 100; // usearch takes longer: a share of the queries gives the same rate
const FLOATS: readonly StorageType[] = ['f32', 'f16', 'bf16'];

/** FlatIndex of each storage type beside usearch's exact search, both called from JavaScript. */
export const exactSuite: Suite = {
  name: 'exact',
  description: 'exact search of each storage type beside usearch',
  options: {
    ...vectorOptions(DEFAULTS),
    storage: 'storage types, with commas between (default: all)',
    rounds: 'rounds that count (default 5)',
    ...COMPILE_OPTION,
  },
  quick: {
    rows: '10000',
    dim: '64',
    limit: '100',
    storage: 'f32,i8,b1',
    rounds: '1',
    compile: 'no',
  },
  run,
  tables: sectionTables,
};

/** How queries are asked: one at a time, or all in one call. */
interface Mode {
  readonly section: string;
  /** Threads of a batch; undefined: one query at a time. */
  readonly threads: number | undefined;
}

/** A library with a storage type. */
interface Searcher {
  readonly name: string;
  /** What lichen's rate is divided by that of; a peer has none. */
  readonly peer?: string | undefined;
  readonly storage?: StorageType;
  readonly bytesARow: number;
  /** Searches for the queries from `first` on; says how many they were. */
  search(first: number, count: number, mode: Mode): number | Promise<number>;
  /** Queries of a batch. */
  readonly batch: number;
  keys(): ArrayLike<number | bigint> | Promise<ArrayLike<number | bigint>>;
  close?(): void;
}

interface Given {
  readonly base: Matrix;
  readonly queries: Matrix;
  readonly metric: Metric;
}

async function run(context: SuiteContext): Promise<Result[]> {
  const types = listOption(context, 'storage', STORAGE_TYPES);
  const { base, queries, label, metric } = await vectorsOf(context, DEFAULTS);
  const rounds = integerOption(context, 'rounds', 5);
  const given = { base, queries, metric };
  context.say(`${label}, ${metric}, ${queries.rows} queries, k ${K}, no reranking`);
  const canMeasureLimits = buildLimits(context);

  const peers = usearchSearchers(given);
  if (peers.length === 0) context.say('usearch is not installed: nothing to compare with');
  const searchers = [...types.map((storage) => lichen(given, storage, peers)), ...peers];
  const results: Result[] = [];
  const { threads } = machine();
  const modes: Mode[] = [
    { section: 'one query at a time', threads: undefined },
    { section: 'batch, 1 thread', threads: 1 },
    ...(threads > 1 ? [{ section: `batch, ${threads} threads`, threads }] : []),
  ];
  for (const mode of modes) {
    const limits = canMeasureLimits ? measureLimits() : undefined;
    const compared = await alternate(
      searchers.map((searcher) => sideOf(searcher, queries, mode)),
      { rounds },
    );
    for (const searcher of searchers)
      results.push(resultOf(searcher, compared, given, mode, limits));
    context.say(`${mode.section}: done`);
  }
  const judge = await recallJudge(base, queries, metric, K);
  for (const searcher of searchers) results.push(await recallOf(searcher, judge));
  for (const searcher of searchers) searcher.close?.();
  return results;
}

/** Builds what measures the limits; without it the suite goes on, and has no shares of limits. */
function buildLimits(context: SuiteContext): boolean {
  try {
    buildKernelsBench(context);
    return true;
  } catch (error) {
    context.say(`limits are not measured: ${(error as Error).message.split('\n')[0]}`);
    return false;
  }
}

function sideOf(searcher: Searcher, queries: Matrix, mode: Mode): Side {
  let first = 0;
  return {
    name: searcher.name,
    work() {
      const most = mode.threads === undefined ? QUERIES_AT_ONCE : searcher.batch;
      if (first >= queries.rows) first = 0;
      const count = Math.min(most, queries.rows - first);
      first += count;
      return searcher.search(first - count, count, mode);
    },
  };
}

function resultOf(
  { name, peer, storage, bytesARow }: Searcher,
  compared: Comparison,
  { base }: Given,
  { section, threads }: Mode,
  limits: Limits | undefined,
): SectionResult {
  const rate = compared.rates.get(name)!;
  const result: SectionResult = { section, name, ...rate, unit: 'queries/s' };
  if (peer !== undefined) Object.assign(result, ratioFields(compared.ratio(name, peer)));
  if (threads === undefined) {
    const gigabytes = (rate.median * base.rows * bytesARow) / 1e9;
    const limitShare = limits === undefined ? {} : { limitShare: gigabytes / limits.read };
    return { ...result, ...limitShare, gigabytes, note: `${gigabytes.toFixed(1)} GB/s` };
  }
  // Table look-ups are no multiplications.
  if (storage === 'pq') return result;
  const gigaOperations = (rate.median * base.rows * base.dim * 2) / 1e9;
  const isFloat = storage === undefined ? !name.includes('i8') : FLOATS.includes(storage);
  const limit = isFloat ? limits?.multiplyAdd : limits?.byteProducts;
  const limitShare = limit === undefined ? {} : { limitShare: gigaOperations / (limit * threads) };
  const unit = isFloat ? 'GFLOP/s' : 'GOP/s';
  return { ...result, ...limitShare, gigaOperations, note: `${gigaOperations.toFixed(0)} ${unit}` };
}

async function recallOf(searcher: Searcher, judge: RecallJudge): Promise<SectionResult> {
  const recall = judge(await searcher.keys());
  return { section: `recall@${K}, codes alone`, name: searcher.name, median: recall };
}

function lichen(
  { base, queries, metric }: Given,
  storage: StorageType,
  peers: readonly Searcher[],
): Searcher {
  const index = new FlatIndex({ dim: base.dim, metric, storage });
  index.addSync(base);
  const vectors = Array.from({ length: queries.rows }, (_, row) => matrixRow(queries, row));
  // Each beside what usearch does with the same type, or with f32.
  const peer = peers.find(({ name }) => name === `usearch ${storage}`) ?? peers[0];
  return {
    name: storage,
    peer: peer?.name,
    storage,
    bytesARow: index.bytes / base.rows,
    batch: queries.rows,
    async search(first, count, { threads }) {
      if (threads === undefined) {
        for (let query = first; query < first + count; query++) {
          index.searchSync(vectors[query]!, { k: K });
        }
      } else {
        await index.searchBatch(slice(queries, first, count), { k: K, threads });
      }
      return count;
    },
    keys: async () => (await index.searchBatch(queries, { k: K })).keys,
    close: () => index.close(),
  };
}

/** What this suite calls of usearch. */
interface Usearch {
  exactSearch<T extends Float32Array | Int8Array>(
    dataset: T,
    queries: T,
    dimensions: number,
    count: number,
    metric: string,
    threads: number,
  ): { readonly keys: BigUint64Array };
}

const USEARCH_METRICS = { dot: 'ip', cosine: 'cos', l2: 'l2sq' } as const;

/** usearch's exact search knows f32 and i8 (of those lichen has); for i8 it is given bytes, made ahead. */
function usearchSearchers({ base, queries, metric }: Given): Searcher[] {
  const usearch = loadPeer<Usearch>('usearch');
  if (usearch === undefined) return [];
  const searcher = <T extends Float32Array | Int8Array>(
    type: string,
    dataset: T,
    asked: T,
  ): Searcher => {
    const search = (first: number, count: number, threads: number): BigUint64Array => {
      const some = asked.slice(first * base.dim, (first + count) * base.dim) as T;
      return usearch.exactSearch(dataset, some, base.dim, K, USEARCH_METRICS[metric], threads).keys;
    };
    return {
      name: `usearch ${type}`,
      bytesARow: dataset.BYTES_PER_ELEMENT * base.dim,
      batch: Math.min(PEER_BATCH, queries.rows),
      search(first, count, { threads }) {
        if (threads === undefined) {
          for (let query = first; query < first + count; query++) search(query, 1, 1);
        } else {
          search(first, count, threads);
        }
        return count;
      },
      keys: () => search(0, queries.rows, machine().threads),
    };
  };
  return [
    searcher('f32', base.data, queries.data),
    searcher('i8', toInt8(base.data), toInt8(queries.data)),
  ];
}

function slice({ data, dim }: Matrix, first: number, rows: number): Matrix {
  return { data: data.subarray(first * dim, (first + rows) * dim), rows, dim };
}
