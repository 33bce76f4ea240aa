import { Batcher, type BatcherStatistics } from '../batching/batcher.js';
import { Breaker, type BreakerState } from '../cache/breaker.js';
import { steadyClock } from '../cache/cache-limits.js';
import { TieredCache } from '../cache/tiered-cache.js';
import type { TieredCacheStatistics } from '../cache/tiered-options.js';
import { withinTime } from '../cache/within-time.js';
import { LichenAbortError, LichenArgumentError, LichenError, shown } from '../errors.js';
import { toVector } from '../index/arguments.js';
import type { Key, VectorInput } from '../index/types.js';
import { onAbort } from '../batching/abort-listeners.js';
import type { Deployment, UserVectors } from './deployment.js';
import type { UserQuery } from './query.js';
import { RecentLatency, type LatencyPercentiles } from './recent-latency.js';
import { UnderWay } from './under-way.js';
import type { ResolvedRecommenderOptions, ResolvedServe } from './recommender-options.js';

/** A batch had begun, and took too long: as opposed to a request that waited for others. */
class SlowTowerError extends LichenError {}

/** Whether an error says that there are more requests than the tower can take. */
export function isCrowding(error: unknown): boolean {
  if (!(error instanceof LichenError) || error instanceof SlowTowerError) return false;
  return error.code === 'ERR_LICHEN_DEADLINE' || error.code === 'ERR_LICHEN_QUEUE_FULL';
}

/** What became of the vectors of users. */
export interface EncodeStatistics {
  /** Of the batches that users are put together in. */
  readonly batches: BatcherStatistics;
  /** How long features and the tower took lately, a batch. */
  readonly features: LatencyPercentiles;
  /** How long the tower took lately, a batch. */
  readonly tower: LatencyPercentiles;
  /** Whether the tower is asked now, or left alone after failures. */
  readonly breaker: BreakerState;
  /** Of the cache of vectors; undefined without one. */
  readonly cache: TieredCacheStatistics | undefined;
}

const LATE = new Error('too late');
const MOST_ENCODING_MS = 10_000;
type ToEncode = Pick<ResolvedServe, 'query' | 'priority' | 'tenant' | 'signal'>;

/** Errors that say nothing of whether the tower works. */
const NOT_ITS_FAULT = new Set([
  'ERR_LICHEN_DEADLINE',
  'ERR_LICHEN_QUEUE_FULL',
  'ERR_LICHEN_CLOSED',
]);

/** Vectors of users by the tower of a deployment: kept ones, or new ones in batches. */
export class UserVectorSource<K extends Key> {
  readonly #deployment: Deployment<K>;
  readonly #batcher: Batcher<UserQuery, Float32Array>;
  readonly #breaker = new Breaker(steadyClock);
  readonly #cache: TieredCache<string, Float32Array> | undefined;
  readonly #underWay = new UnderWay();
  readonly #features = new RecentLatency();
  readonly #tower = new RecentLatency();

  constructor(deployment: Deployment<K>, options: ResolvedRecommenderOptions) {
    this.#deployment = deployment;
    this.#batcher = new Batcher((users, { signal }) => this.#encode(users, signal), {
      ...options.batching,
      slo: options.sloMs,
    });
    const { version, index } = deployment;
    const { dim } = index;
    if (options.vectorCache === undefined) return;
    const { maxBytes, ttlMs, shared, sharedTimeoutMs } = options.vectorCache;
    this.#cache = new TieredCache<string, Float32Array>({
      // Of its own for each version: no vector can come from another.
      name: `lichen-users-${version}`,
      isValid: (vector) => vector instanceof Float32Array && vector.length === dim,
      ...{ maxBytes, ttlMs, ...(shared && { shared }) },
      ...(sharedTimeoutMs !== undefined && { sharedTimeoutMs }),
    });
  }

  /**
   * A user's vector, and whether it was kept.
   * @param until as of `performance.now`: what cannot be there by then is not begun.
   * @throws ERR_LICHEN_DEADLINE, ERR_LICHEN_QUEUE_FULL, ERR_LICHEN_ABORTED, ERR_LICHEN_IO while the tower is left alone
   * after failures, and what features or the tower throw.
   */
  async of(asked: ToEncode, until: number): Promise<{ vector: Float32Array; isKept: boolean }> {
    const key = this.#cache && cacheKeyOf(asked.query);
    if (key === undefined) return { vector: await this.#encoded(asked, until), isKept: false };
    const kept = await this.#kept(key, until, asked.signal);
    if (kept !== undefined) return { vector: kept, isKept: true };
    const vector = await this.#underWay.run(
      key,
      () => this.#encoded(asked, until),
      (made) => void this.#cache!.set(key, made).catch(() => undefined),
    );
    return { vector, isKept: false };
  }

  /** For trying: nothing is kept. */
  async tryOf(query: UserQuery): Promise<Float32Array> {
    return this.#batcher.submit(query);
  }

  async forget(user: string | number): Promise<void> {
    const key = userKeyOf(user);
    this.#underWay.forget(key);
    await this.#cache?.invalidate(key);
  }

  stats(): EncodeStatistics {
    return {
      batches: this.#batcher.stats(),
      features: this.#features.percentiles(),
      tower: this.#tower.percentiles(),
      breaker: this.#breaker.state,
      cache: this.#cache?.stats(),
    };
  }

  async close(): Promise<void> {
    await this.#batcher.close();
    await this.#cache?.close();
  }

  /** What caches have. A shared tier that is slow leaves the tower its time. */
  async #kept(
    key: string,
    until: number,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array | undefined> {
    const left = Math.max(0, until - performance.now());
    const kept = this.#cache!.get(key, { ...(signal && { signal }) });
    try {
      return await withinTime(kept, left / 2, () => LATE);
    } catch (error) {
      if (error === LATE) return undefined;
      throw error;
    }
  }

  async #encoded(
    { query, priority, tenant, signal }: ToEncode,
    until: number,
  ): Promise<Float32Array> {
    if (!this.#breaker.tryPass()) {
      throw new LichenError('ERR_LICHEN_IO', 'the user tower is left alone after failures');
    }
    const deadline = Math.max(0, until - performance.now());
    // Tells the batch when nobody waits any more.
    const giving = new AbortController();
    const stopListening = signal && onAbort(signal, () => giving.abort(signal.reason));
    try {
      // A batch that has begun may take too long.
      const vector = await withinTime(
        this.#batcher.submit(query, { deadline, priority, tenant, signal: giving.signal }),
        deadline,
        () => new SlowTowerError('ERR_LICHEN_DEADLINE', 'the user tower did not answer in time'),
      );
      this.#breaker.succeeded();
      return vector;
    } catch (error) {
      giving.abort(error);
      this.#tellBreaker(error);
      throw error;
    } finally {
      stopListening?.();
    }
  }

  async #encode(
    users: readonly UserQuery[],
    signal: AbortSignal,
  ): Promise<(Float32Array | Error)[]> {
    const { features, encode, index } = this.#deployment;
    const work = async (): Promise<(Float32Array | Error)[]> => {
      const started = performance.now();
      const known = await features?.(users, { signal });
      const between = performance.now();
      if (features !== undefined) this.#features.add(between - started);
      const vectors = await encode(users, { features: known, signal });
      this.#tower.add(performance.now() - between);
      return rowsOf(vectors, users.length, index.dim);
    };
    // One that never answers must not keep the others waiting for ever.
    return withinTime(work(), MOST_ENCODING_MS, () => {
      const message = `features and the user tower took more than ${MOST_ENCODING_MS} ms`;
      return new LichenError('ERR_LICHEN_WORKER', message);
    });
  }

  /** A try of the breaker has to end one way or the other. */
  #tellBreaker(error: unknown): void {
    const isSlow = error instanceof SlowTowerError;
    const isNoFailure =
      error instanceof LichenArgumentError ||
      error instanceof LichenAbortError ||
      (error instanceof LichenError && NOT_ITS_FAULT.has(error.code));
    // That a request had little time does not speak against a tower that works.
    if (isNoFailure && !(isSlow && this.#breaker.state !== 'closed')) this.#breaker.undecided();
    else this.#breaker.failed();
  }
}

/** What a user's vector and results are kept by; undefined if there is more to the request than the user. */
export function cacheKeyOf({ user, history, context }: UserQuery): string | undefined {
  const isPlain = user !== undefined && history === undefined && context === undefined;
  return isPlain ? userKeyOf(user) : undefined;
}

/** 7 and '7' may be two users. */
export function userKeyOf(user: string | number): string {
  return typeof user === 'number' ? `#${user}` : user.startsWith('#') ? `##${user}` : user;
}

/** A vector, or why there is none, for each user. @throws ERR_LICHEN_WORKER for what are no vectors of so many users. */
function rowsOf(vectors: UserVectors, count: number, dim: number): (Float32Array | Error)[] {
  if (vectors instanceof Float32Array) {
    if (vectors.length === count * dim) {
      return Array.from({ length: count }, (_, at) =>
        soundVector(vectors.subarray(at * dim, (at + 1) * dim), dim),
      );
    }
    const expected = `${count} vectors of dim ${dim} have ${count * dim} values`;
    throw noVectors(`${expected}, got ${vectors.length}`);
  }
  const list: unknown = vectors;
  if (!Array.isArray(list) || list.length !== count) {
    const got = Array.isArray(list) ? list.length : shown(list);
    throw noVectors(`it must give ${count} vectors, got ${got}`);
  }
  return list.map((vector: unknown) =>
    vector instanceof Error ? vector : soundVector(vector as VectorInput, dim),
  );
}

/** It is the tower's fault, and not of whoever asked. */
function soundVector(given: VectorInput, dim: number): Float32Array | Error {
  let vector: Float32Array;
  try {
    vector = toVector('a vector', given, dim);
  } catch (error) {
    return noVectors((error as Error).message);
  }
  for (let at = 0; at < dim; at++) {
    if (!Number.isFinite(vector[at])) return noVectors(`a value is ${vector[at]}`);
  }
  return vector;
}

function noVectors(why: string): LichenError {
  return new LichenError('ERR_LICHEN_WORKER', `the user tower gave no vectors: ${why}`);
}
