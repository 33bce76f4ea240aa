import { Batcher, type BatcherStatistics } from '../batching/batcher.js';
import { Breaker, type BreakerState } from '../cache/breaker.js';
import { steadyClock } from '../cache/cache-limits.js';
import { TieredCache } from '../cache/tiered-cache.js';
import type { TieredCacheStatistics } from '../cache/tiered-options.js';
import { withinTime } from '../cache/within-time.js';
import { LichenAbortError, LichenArgumentError, LichenError, refusal } from '../errors.js';
import { toVector } from '../index/arguments.js';
import type { Key } from '../index/types.js';
import type { Deployment, UserQuery, UserVectors } from './deployment.js';
import { RecentLatency, type LatencyPercentiles } from './recent-latency.js';
import type { ResolvedRecommenderOptions, ResolvedServe } from './recommender-options.js';

/** What became of the vectors of users. */
export interface EncodeStatistics {
  readonly batches: BatcherStatistics;
  /** How long features and the tower took lately, a batch. */
  readonly features: LatencyPercentiles;
  readonly tower: LatencyPercentiles;
  readonly breaker: BreakerState;
  readonly cache: TieredCacheStatistics | undefined;
}

const MOST_ENCODING_MS = 10_000;
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
  async of(
    { query, priority, tenant, signal }: ResolvedServe,
    until: number,
  ): Promise<{ vector: Float32Array; isKept: boolean }> {
    const key = this.#cache && cacheKeyOf(query);
    if (key !== undefined) {
      const kept = await this.#cache!.get(key, { ...(signal && { signal }) });
      if (kept !== undefined) return { vector: kept, isKept: true };
    }
    if (!this.#breaker.tryPass()) {
      throw new LichenError('ERR_LICHEN_IO', 'the user tower is left alone after failures');
    }
    const deadline = Math.max(0, until - performance.now());
    let vector: Float32Array;
    try {
      // A batch that has begun may take too long.
      vector = await withinTime(
        this.#batcher.submit(query, { deadline, priority, tenant, signal }),
        deadline,
        () => refusal('ERR_LICHEN_DEADLINE', 'the user tower did not answer in time'),
      );
      this.#breaker.succeeded();
    } catch (error) {
      this.#tellBreaker(error);
      throw error;
    }
    if (key !== undefined) this.#cache!.set(key, vector).catch(() => undefined);
    return { vector, isKept: false };
  }

  /** Of users one after the other, for trying: nothing is kept. */
  async tryOf(query: UserQuery): Promise<Float32Array> {
    return this.#batcher.submit(query);
  }

  async forget(user: string | number): Promise<void> {
    await this.#cache?.invalidate(userKeyOf(user));
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
    const isNoFailure =
      error instanceof LichenArgumentError ||
      error instanceof LichenAbortError ||
      (error instanceof LichenError && NOT_ITS_FAULT.has(error.code));
    if (!isNoFailure || this.#breaker.state !== 'closed') this.#breaker.failed();
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

/** @throws ERR_LICHEN_DIMENSION, ERR_LICHEN_ARGUMENT for what are no vectors of so many users. */
function rowsOf(vectors: UserVectors, count: number, dim: number): (Float32Array | Error)[] {
  if (vectors instanceof Float32Array) {
    if (vectors.length === count * dim) {
      return Array.from({ length: count }, (_, at) => vectors.subarray(at * dim, (at + 1) * dim));
    }
    const got = `${count} vectors of dim ${dim} have ${count * dim} values, got ${vectors.length}`;
    throw new LichenError('ERR_LICHEN_WORKER', `the user tower gave no vectors: ${got}`);
  }
  const list: unknown = vectors;
  if (!Array.isArray(list) || list.length !== count) {
    throw new LichenError('ERR_LICHEN_WORKER', `the user tower must give ${count} vectors`);
  }
  return list.map((vector: unknown) =>
    vector instanceof Error ? vector : toVector('a vector of the user tower', vector as [], dim),
  );
}
