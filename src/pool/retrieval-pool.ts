import { errorOfCode, LichenArgumentError, LichenError, throwIfAborted } from '../errors.js';
import { attachIndex } from '../index/open.js';
import { planSearch } from '../index/searchable-index.js';
import type { IndexShare } from '../index/share.js';
import type { Key, SearchBatchResult } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { layoutOfFilter, resolveFilter } from '../index/filter.js';
import { ArenaStore } from './arena.js';
import { bothExclusions, exclusionOf, isStrings, KnownKeys, type Exclusion } from './exclusion.js';
import {
  resolvePoolOptions,
  resolveRetrieveOptions,
  type RetrievalPoolOptions,
  type RetrieveOptions,
} from './pool-options.js';
import { Request, type Slice } from './request.js';
import {
  checkBatch,
  lengthsOf,
  writeBatch,
  type CheckedBatch,
  type UserBatch,
} from './user-batch.js';
import { resolveTower, type UserTower } from './user-tower.js';
import type { WorkerThreads } from './worker-threads.js';

/** What a pool does and has done, in calls of `retrieve`. */
export interface RetrievalPoolStatistics {
  /** Of which nothing is begun. */
  readonly queued: number;
  /** Begun and not settled. */
  readonly running: number;
  /** With results. */
  readonly completed: number;
  /** Rejected after they were taken: by errors, aborts, deadlines. */
  readonly failed: number;
  /** Threads that are there; one that ended is replaced. */
  readonly workers: number;
}

/** A pool's own parts. */
interface Parts<K extends Key> {
  readonly index: VectorIndex<K>;
  readonly tower: UserTower;
  readonly known: KnownKeys | undefined;
  readonly share: IndexShare;
  readonly threads: WorkerThreads;
  readonly workers: number;
  readonly maxQueue: number;
  readonly retries: number;
}

/**
 * Threads that evaluate a user tower and search an index, which all of them share without a copy. Each searches on its
 * own thread, so that as many processors are used as there are workers, and the thread that asks does neither. Worth its
 * while for batches; for one small search `searchSync` is quicker than any way to another thread.
 *
 * A request waits in a bounded queue, in order of calls. The users of a batch are shared out among the workers. A thread
 * that ends (it crashed, or ran out of memory) is replaced, and what it was at is done again by another: see `retries`.
 *
 * @example
 * await using pool = await RetrievalPool.create({ index, tower: { kind: 'bag', vectors: itemVectors } });
 * const { keys, scores } = await pool.retrieve({ history: { offsets, rows } }, { k: 20 });
 */
export class RetrievalPool<K extends Key = number> {
  readonly #parts: Parts<K>;
  readonly #arenas = new ArenaStore();
  /** With slices that nobody has begun, the first one next. */
  readonly #waiting: Request[] = [];
  #active = 0;
  #busy = 0;
  #completed = 0;
  #failed = 0;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  private constructor(parts: Parts<K>) {
    this.#parts = parts;
  }

  /**
   * Starts the threads; they are ready when the promise is fulfilled.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION for a table of another dimension than the index has or items that
   * do not go with it, ERR_LICHEN_CLOSED for an index that is closed, ERR_LICHEN_WORKER if a module cannot make its
   * tower or threads cannot start, ERR_LICHEN_MEMORY.
   */
  static async create<K extends Key = number>(
    options: RetrievalPoolOptions<K>,
  ): Promise<RetrievalPool<K>> {
    const { index, known, ...resolved } = resolvePoolOptions(options);
    const tower = resolveTower(resolved.tower, index.dim);
    const knownKeys = known && new KnownKeys(known, index);
    const { WorkerThreads } = await import('./worker-threads.js');
    const share = index.share();
    let threads: WorkerThreads | undefined;
    try {
      const started = (threads = new WorkerThreads(
        { share: { token: share.token }, tower },
        resolved,
      ));
      const ready = Array.from({ length: resolved.workers }, () => started.run(null));
      for (const { error } of await Promise.all(ready)) {
        if (error !== undefined) throw errorOfCode(error.code, error.message);
      }
      // Of its own, since the caller may close his.
      const own = attachIndex<K>(share);
      return new RetrievalPool({
        ...resolved,
        index: own,
        tower,
        known: knownKeys,
        share,
        threads,
      });
    } catch (error) {
      await threads?.end();
      share.close();
      throw error;
    }
  }

  /**
   * The `k` best of the index for each user; results as of `searchBatch`. The batch is copied before this returns.
   * @throws ERR_LICHEN_CLOSED, ERR_LICHEN_QUEUE_FULL, ERR_LICHEN_DEADLINE, ERR_LICHEN_ABORTED, ERR_LICHEN_WORKER;
   * ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION, ERR_LICHEN_EMPTY, ERR_LICHEN_UNKNOWN_KEY, ERR_LICHEN_NOT_FINITE for a
   * batch or options that do not suit; ERR_LICHEN_MEMORY.
   */
  async retrieve(batch: UserBatch, options?: RetrieveOptions): Promise<SearchBatchResult<K>> {
    if (this.#closing !== undefined) throw closed();
    const { tower, index, workers, maxQueue } = this.#parts;
    const given = resolveRetrieveOptions(options);
    throwIfAborted(given.signal, 'the retrieval');
    const checked = checkBatch(batch, tower, index.dim);
    const { filter, ...search } = given.search;
    const planned = planSearch(index, search, checked.rows);
    const bits = resolveFilter(filter);
    const plan =
      bits === null
        ? planned
        : { ...planned, restrictions: { ...planned.restrictions, layout: layoutOfFilter(filter) } };
    const exclusion = this.#exclusion(checked, given);
    if (this.#busy >= workers && this.statistics.queued >= maxQueue) {
      const message = `the pool is busy, and as many requests wait as may, ${maxQueue}`;
      throw new LichenError('ERR_LICHEN_QUEUE_FULL', message);
    }
    const { keys, ends } = exclusion ?? {};
    const places = checked.rows * plan.k;
    const arena = this.#arenas.take({
      ...lengthsOf(checked),
      keys: plan.keyKind === 'string' ? undefined : places,
      scores: places,
      counts: checked.rows,
      exclude: keys instanceof Float64Array ? keys.length : undefined,
      ends: ends?.length,
      filter: bits?.length,
    });
    writeBatch(checked, arena.views);
    if (keys instanceof Float64Array) arena.views.exclude!.set(keys);
    if (ends !== undefined) arena.views.ends!.set(ends);
    if (bits !== null) arena.views.filter!.set(bits);
    const request = new Request(
      {
        rows: checked.rows,
        plan,
        arena,
        batchDim: checked.vectors?.dim ?? 0,
        exclude: isStrings(keys) ? { keys, ends: ends! } : undefined,
        until: given.until,
        signal: given.signal,
      },
      workers,
      (settled, hasFailed) => this.#settled(settled, hasFailed),
    );
    this.#active++;
    this.#waiting.push(request);
    this.#pump();
    return request.promise;
  }

  /** What it does and has done. */
  get statistics(): RetrievalPoolStatistics {
    const queued = this.#waiting.reduce((sum, { isBegun }) => sum + (isBegun ? 0 : 1), 0);
    return {
      queued,
      running: this.#active - queued,
      completed: this.#completed,
      failed: this.#failed,
      workers: this.#parts.threads.count,
    };
  }

  /**
   * Takes no more requests, waits until all that were taken are settled, ends the threads and lets go of the index. A
   * user tower that never ends keeps it waiting: abort its request. Closing twice is closing once.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    if (this.#active > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    const { threads, share, index } = this.#parts;
    await threads.end();
    share.close();
    index.close();
  }

  #exclusion(
    { users, rows }: CheckedBatch,
    { exclude, excludeKnown }: ReturnType<typeof resolveRetrieveOptions>,
  ): Exclusion | undefined {
    const { known } = this.#parts;
    const given = exclusionOf(exclude, rows);
    if (known === undefined || !excludeKnown) return given;
    if (users === undefined) {
      const message = 'batch.users must be given: the pool leaves out what users have already';
      throw new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
    }
    const had = known.of(Int32Array.from(users));
    return given === undefined ? had : bothExclusions(had, given);
  }

  /** Gives workers that have nothing to do what waits. */
  #pump(): void {
    while (this.#busy < this.#parts.workers && this.#waiting.length > 0) {
      const request = this.#waiting[0]!;
      if (request.expire()) continue;
      const slice = request.begin();
      if (!request.waits) this.#waiting.shift();
      void this.#work(request, slice);
    }
  }

  async #work(request: Request, slice: Slice): Promise<void> {
    this.#busy++;
    try {
      const outcome = await this.#parts.threads.run(request.taskOf(slice));
      const { error } = outcome;
      if (error === undefined) request.done(slice, outcome);
      else request.leave(slice, errorOfCode(error.code, error.message));
    } catch (error) {
      this.#crashed(request, slice, error);
    }
    this.#busy--;
    this.#release(request);
    this.#pump();
  }

  /** The thread has ended: another does the slice, if that may be tried. */
  #crashed(request: Request, slice: Slice, error: unknown): void {
    const isTriedAgain = !request.isSettled && ++slice.crashes <= this.#parts.retries;
    request.leave(slice, isTriedAgain ? undefined : error);
    if (isTriedAgain && !this.#waiting.includes(request)) this.#waiting.unshift(request);
  }

  /** Its arena is another's once its promise is settled and no worker uses it. */
  #release(request: Request): void {
    if (!request.isSettled || !request.isLeft) return;
    const arena = request.takeArena();
    if (arena !== undefined) this.#arenas.giveBack(arena);
  }

  #settled(request: Request, hasFailed: boolean): void {
    if (hasFailed) this.#failed++;
    else this.#completed++;
    const at = this.#waiting.indexOf(request);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (hasFailed) this.#release(request);
    if (--this.#active === 0) this.#drained?.();
  }
}

function closed(): LichenError {
  return new LichenError('ERR_LICHEN_CLOSED', 'the retrieval pool is closed');
}
