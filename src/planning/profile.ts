import { ENTRY_COST } from '../cache/byte-cache.js';
import { latencySummary, type LatencySummary } from '../evaluation/latency.js';
import { describeMachine, type MachineDescription } from '../evaluation/machine.js';
import { throwIfAborted, LichenArgumentError } from '../errors.js';
import { requireInteger } from '../index/arguments.js';
import { HnswIndex } from '../index/hnsw.js';
import { openIndex } from '../index/open.js';
import { inspectSnapshot } from '../index/snapshot.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { TwoTowerModel } from '../towers/two-tower-model.js';
import { matrixRow, type Matrix } from '../vectors/matrix.js';
import { Random } from '../vectors/random.js';
import { cacheability, type Cacheability, type CacheabilityOptions } from './cacheability.js';
import { fanOut, networkBytes, type FanOut, type NetworkBytes } from './fan-out.js';
import {
  indexFootprint,
  modelFootprint,
  type IndexFootprint,
  type ModelFootprint,
} from './footprint.js';
import { measureCost, type Cost } from './measure.js';
import { serializationCosts, type SerializationCost } from './serialization.js';
import type { Trace } from './trace.js';

/** Options of {@link profileInfrastructure}. */
export interface ProfileOptions {
  /** A snapshot file. */
  readonly index: string;
  /** The model that its vectors are of. */
  readonly model?: TwoTowerModel | undefined;
  /** Vectors to search for. Default: those of the model's users, else vectors of the index itself. */
  readonly queries?: Matrix | undefined;
  /** Results a search. Default 10. */
  readonly k?: number | undefined;
  /** Beam of searches in a graph. Default: that of the index. */
  readonly ef?: number | undefined;
  /** Requests by user, to tell how well vectors and results can be cached. */
  readonly trace?: Trace | undefined;
  /** What caches are looked at, given a trace. */
  readonly caches?: Omit<CacheabilityOptions, 'entryBytes'> | undefined;
  /** Bytes of memory that a machine may have for its shard. Default 1, 4 and 16 GiB. */
  readonly memoryLimits?: readonly number[] | undefined;
  /** Default 1, 2, 4, 8, 16 and 32. */
  readonly shards?: readonly number[] | undefined;
  /** Decides which vectors are searched for. Default 42. */
  readonly seed?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** What a request costs the processor in one step. */
export interface StageProfile extends Cost {
  /** What is done, in words. */
  readonly stage: string;
}

/** A fleet of shards, each like this index. */
export interface Coordination extends FanOut {
  /** Bytes on the network of a request. */
  readonly network: NetworkBytes;
  /** By how many times p99 grows. */
  readonly tailGrowth: number;
}

/** What {@link profileInfrastructure} tells of a model and an index. */
export interface InfrastructureProfile {
  /** Where it was measured. */
  readonly machine: MachineDescription;
  /** Memory. */
  readonly footprint: {
    /** Of the index. */
    readonly index: IndexFootprint;
    /** Of the model, if one was given. */
    readonly model?: ModelFootprint;
  };
  /** What it costs to send requests, vectors and responses. */
  readonly serialization: readonly SerializationCost[];
  /** Of one search at a time, without any waiting. */
  readonly search: LatencySummary;
  /** What a request costs the processor, by step. */
  readonly stages: readonly StageProfile[];
  /** Shards that are needed where machines have so much memory for them. */
  readonly shardsByMemory: readonly {
    /** Bytes that a machine has for its shard. */
    readonly memoryBytes: number;
    /** Shards that are needed. */
    readonly shards: number;
  }[];
  /** What waiting for several shards costs, by their number. */
  readonly coordination: readonly Coordination[];
  /** How well vectors of users, and results, can be cached; undefined without a trace. */
  readonly cacheability?: {
    /** Of vectors of users. */
    readonly userVectors: Cacheability;
    /** Of results. */
    readonly results: Cacheability;
  };
}

const QUERIES = 1000;
const PASSES = 5;
const GIB = 2 ** 30;
const SHARDS = [1, 2, 4, 8, 16, 32];
const HISTORY = 20;

/**
 * Profiles a model and an index as infrastructure sees them: memory, serialization, what coordinating shards costs, how well
 * requests can be cached, and where the processor's time goes (The Infrastructure-Model Symbiosis, 2025).
 * @throws as `openIndex`; ERR_LICHEN_DIMENSION for queries or a model of another dim, ERR_LICHEN_EMPTY for an empty index,
 * ERR_LICHEN_ARGUMENT, ERR_LICHEN_ABORTED.
 *
 * @example
 * const { footprint, search, coordination } = await profileInfrastructure({ index: 'items.lichen', model });
 */
export async function profileInfrastructure(
  options: ProfileOptions,
): Promise<InfrastructureProfile> {
  const { model, trace, ef, seed = 42, signal } = options;
  const report = await inspectSnapshot(options.index);
  using index = await openIndex<Key>(options.index);
  const { size, dim } = index;
  if (size === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', `${options.index} is empty`);
  const k = requireInteger('k', options.k ?? Math.min(10, size), 1, size);
  const vectors = queriesOf(index, options, new Random(seed));
  const search = { k, ...(ef !== undefined && index instanceof HnswIndex && { ef }) };
  const latencies = await latenciesOf(index, vectors, search, signal);
  const found = index.searchSync(vectors[0]!, search);
  const { keys, scores } = found;
  const user = model?.users.idAt(0) ?? 1;
  const serialization = await serializationCosts({
    ...{ user, vector: vectors[0]!, keys: Array.from<Key>(keys), scores },
  });
  throwIfAborted(signal, 'profiling');
  const keyBytes = index.keyKind === 'string' ? meanLength(Array.from<Key>(keys)) : 8;
  const limits = options.memoryLimits ?? [1, 4, 16].map((gib) => gib * GIB);
  for (const limit of limits) {
    if (limit > 0 && limit < Infinity) continue;
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `memoryLimits must be bytes above 0, got ${String(limit)}`,
    );
  }
  const alone = fanOut(latencies, 1);
  return {
    machine: describeMachine(),
    footprint: {
      index: indexFootprint(index, report),
      ...(model && { model: modelFootprint(model) }),
    },
    serialization,
    search: latencySummary(latencies),
    stages: await stagesOf(index, vectors, search, serialization, options),
    shardsByMemory: limits.map((memoryBytes) => ({
      ...{ memoryBytes, shards: Math.ceil(index.bytes / memoryBytes) },
    })),
    coordination: (options.shards ?? SHARDS).map((shards) => {
      const predicted = fanOut(latencies, shards);
      const network = networkBytes(shards, { dim, k, keyBytes });
      return { ...predicted, network, tailGrowth: predicted.p99us / alone.p99us };
    }),
    ...(trace && {
      cacheability: {
        userVectors: cacheability(trace, { ...options.caches, entryBytes: 4 * dim + ENTRY_COST }),
        results: cacheability(trace, {
          ...{ ...options.caches, entryBytes: k * (keyBytes + 8) + ENTRY_COST },
        }),
      },
    }),
  };
}

function queriesOf(
  index: VectorIndex<Key>,
  { queries, model }: ProfileOptions,
  random: Random,
): Float32Array[] {
  const { dim } = index;
  if (model !== undefined && model.dim !== dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `model: dim is ${dim}, got ${model.dim} values`,
    );
  }
  const given = queries ?? model?.userVectors;
  if (given !== undefined) {
    if (given.dim !== dim) {
      throw new LichenArgumentError(
        'ERR_LICHEN_DIMENSION',
        `queries: dim is ${dim}, got ${given.dim} values`,
      );
    }
    if (given.rows === 0) throw new LichenArgumentError('ERR_LICHEN_EMPTY', 'queries: none');
    const order = random.shuffle(Uint32Array.from({ length: given.rows }, (_, row) => row));
    return Array.from(order.subarray(0, QUERIES), (row) => matrixRow(given, row));
  }
  const keys = index.keys();
  const count = Math.min(QUERIES, keys.length);
  return Array.from({ length: count }, () => index.get(keys[random.below(keys.length)]!)!);
}

async function latenciesOf(
  index: VectorIndex<Key>,
  vectors: readonly Float32Array[],
  search: { k: number; ef?: number },
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const latencies = new Float64Array(PASSES * vectors.length);
  // The first pass warms up.
  for (let pass = -1; pass < PASSES; pass++) {
    throwIfAborted(signal, 'profiling');
    for (const [at, vector] of vectors.entries()) {
      const started = performance.now();
      index.searchSync(vector, search);
      if (pass >= 0) latencies[pass * vectors.length + at] = (performance.now() - started) * 1000;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return latencies;
}

async function stagesOf(
  index: VectorIndex<Key>,
  vectors: readonly Float32Array[],
  search: { k: number; ef?: number },
  serialization: readonly SerializationCost[],
  { model, seed = 42 }: ProfileOptions,
): Promise<StageProfile[]> {
  const stages: StageProfile[] = [];
  const sent = (what: SerializationCost['what']) =>
    serialization.find((one) => one.what === what && one.format === 'json')!;
  stages.push({ stage: 'decode the request', ...sent('request by user').decode });
  if (model !== undefined) {
    const random = new Random(seed);
    const { users, items } = model;
    const known = Array.from({ length: 256 }, () => users.idAt(random.below(users.size)));
    const lookUp = await measureCost((call) => model.encodeUsers([known[call % known.length]!]));
    stages.push({ stage: 'vector of a known user', ...lookUp });
    const histories = Array.from({ length: 256 }, () =>
      Array.from({ length: HISTORY }, () => items.idAt(random.below(items.size))),
    );
    const encode = await measureCost((call) =>
      model.encodeNewUsers([{ history: histories[call % histories.length]! }]),
    );
    stages.push({ stage: `vector of a new user, ${HISTORY} items`, ...encode });
  }
  const find = await measureCost((call) =>
    index.searchSync(vectors[call % vectors.length]!, search),
  );
  stages.push({ stage: 'search', ...find });
  stages.push({ stage: 'encode the response', ...sent('response').encode });
  return stages;
}

function meanLength(keys: readonly Key[]): number {
  const bytes = keys.reduce<number>((sum, key) => sum + Buffer.byteLength(String(key)), 0);
  return bytes / Math.max(1, keys.length);
}
