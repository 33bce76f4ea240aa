import { vi } from 'vitest';
import { outcome } from '../batching/helpers.js';
import { FlatIndex } from '../../src/index/flat.js';
import type { AttributeSchema, AttributesInput } from '../../src/index/attributes.js';
import type {
  Key,
  KeysInput,
  SearchBatchOptions,
  SearchBatchResult,
  SearchOptions,
  SearchResult,
  VectorsInput,
} from '../../src/index/types.js';
import type { VectorIndex } from '../../src/index/vector-index.js';
import type { Metric } from '../../src/vectors/metric.js';
import { Random } from '../../src/vectors/random.js';
import type { Deployment, UserQuery } from '../../src/index.js';

export const DIM = 6;
/** So much time that none of it matters how fast the machine is. */
export const AMPLE = 600_000;

const realTimeout = setTimeout;
const MOST_TURNS = 2000;

/** Time that stands still until a test lets it pass; turns of the event loop, promises and threads go on. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
}

/** Lets the event loop turn, and threads work, for a moment of which the test's clock knows nothing. */
export async function breathe(): Promise<void> {
  await new Promise((resolve) => realTimeout(resolve, 1));
}

/** What a promise comes to when threads may take as long as they want and the time of the test stands still. */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const note = (): void => void (isSettled = true);
  promise.then(note, note);
  while (!isSettled) await breathe();
  return promise;
}

/** Lets what can happen without time happen, until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await breathe();
}

/** A promise that the test fulfils. */
export function gate<T = void>() {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  promise.catch(() => undefined);
  return { promise, open, fail };
}

export function randomVectors(rows: number, seed: number, dim = DIM): Float32Array[] {
  const random = new Random(seed);
  return Array.from({ length: rows }, () =>
    Float32Array.from({ length: dim }, () => random.gaussian()),
  );
}

/** The vector that the tests' towers give a user. */
export function vectorOf(user: string | number | undefined, dim = DIM): Float32Array {
  let seed = typeof user === 'number' ? 1 : 2;
  for (const letter of String(user)) seed = (seed * 31 + letter.charCodeAt(0)) % 1_000_003;
  return randomVectors(1, seed, dim)[0]!;
}

/** By the definition, in double precision; the higher the better. */
export function scoreOf(metric: Metric, one: ArrayLike<number>, other: ArrayLike<number>): number {
  let [dot, ones, others, squares] = [0, 0, 0, 0];
  for (let at = 0; at < one.length; at++) {
    const [a, b] = [one[at]!, other[at]!];
    dot += a * b;
    ones += a * a;
    others += b * b;
    squares += (a - b) ** 2;
  }
  if (metric === 'l2') return -squares;
  return metric === 'dot' ? dot : dot / Math.sqrt(ones * others);
}

/** Rows and scores of the best for a vector, found by looking at all of them. */
export function bestOf(
  items: readonly ArrayLike<number>[],
  vector: ArrayLike<number>,
  {
    metric = 'dot',
    k = 10,
    without = [],
  }: { metric?: Metric; k?: number; without?: Iterable<number> } = {},
): { row: number; score: number }[] {
  const left = new Set(without);
  return items
    .map((item, row) => ({ row, score: scoreOf(metric, item, vector) }))
    .filter(({ row }) => !left.has(row))
    .sort((a, b) => b.score - a.score)
    .slice(0, k);
}

export function rowsOf(best: readonly { row: number }[]): number[] {
  return best.map(({ row }) => row);
}

interface IndexOf<K extends Key> {
  metric?: Metric;
  keys?: KeysInput<K>;
  schema?: AttributeSchema;
  attributes?: AttributesInput;
}

export async function flatOf<K extends Key = number>(
  items: readonly Float32Array[],
  { metric = 'dot', keys, schema, attributes }: IndexOf<K> = {},
): Promise<FlatIndex<K>> {
  const index = new FlatIndex<K>({ dim: items[0]!.length, metric, attributes: schema });
  await index.add([...items], { ...(keys && { keys }), ...(attributes && { attributes }) });
  return index;
}

/** Without what a search on this thread does not take. */
function synchronous<O extends object>(options: O): Omit<O, 'signal' | 'threads' | 'onProgress'> {
  const given: O & { signal?: unknown; threads?: unknown; onProgress?: unknown } = { ...options };
  delete given.signal;
  delete given.threads;
  delete given.onProgress;
  return given;
}

/** An index whose searches the test has in its hand: they take no time and no thread. */
export class HeldIndex extends FlatIndex {
  searches = 0;
  before: (options: SearchBatchOptions | SearchOptions) => Promise<void> | void = () => undefined;

  override async search(
    query: ArrayLike<number>,
    options: SearchOptions = {},
  ): Promise<SearchResult<number>> {
    await this.#begin(options);
    return this.searchSync(query, synchronous(options));
  }

  override async searchBatch(
    queries: VectorsInput,
    options: SearchBatchOptions = {},
  ): Promise<SearchBatchResult<number>> {
    await this.#begin(options);
    return this.searchBatchSync(queries, synchronous(options));
  }

  async #begin(options: SearchBatchOptions | SearchOptions): Promise<void> {
    this.searches++;
    options.signal?.throwIfAborted();
    await this.before(options);
  }
}

export async function heldOf(
  items: readonly Float32Array[],
  metric: Metric = 'dot',
): Promise<HeldIndex> {
  const index = new HeldIndex({ dim: items[0]!.length, metric });
  await index.add([...items]);
  return index;
}

/** A deployment with a tower that knows everybody at once, and what it was asked. */
export function deploymentOf<K extends Key = number>(
  index: VectorIndex<K>,
  changes: Partial<Deployment<K>> = {},
) {
  const asked: UserQuery[][] = [];
  const deployment: Deployment<K> = {
    version: 'v1',
    index,
    encode: (users) => {
      asked.push([...users]);
      return users.map(({ user }) => vectorOf(user, index.dim));
    },
    ...changes,
  };
  return { deployment, asked };
}

export const wait = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

export function isClosed(index: VectorIndex<Key>): boolean {
  try {
    return index.size < 0;
  } catch {
    return true;
  }
}

/** What a promise has come to when so much time has passed, as `outcome` tells it; `pending` if to nothing. */
export async function after(ms: number, promise: Promise<unknown>): Promise<unknown> {
  let came: { readonly value: unknown } | undefined;
  void outcome(promise).then((value) => (came = { value }));
  await breathe();
  await vi.advanceTimersByTimeAsync(ms);
  // Threads may take their time, but no more of the test's passes.
  for (let turn = 0; turn < MOST_TURNS && came === undefined; turn++) await breathe();
  return came === undefined ? 'pending' : came.value;
}
