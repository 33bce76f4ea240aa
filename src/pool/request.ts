import { onAbort } from '../batching/abort-listeners.js';
import { LichenAbortError, LichenError } from '../errors.js';
import { BYTES_A_PLACE } from '../index/result-arrays.js';
import type { SearchPlan } from '../index/searchable-index.js';
import type { Key, SearchBatchResult } from '../index/types.js';
import { withinMemory } from '../vectors/memory.js';
import type { Arena } from './arena.js';
import type { WorkerOutcome, WorkerTask } from './worker-task.js';

/** Fewer users are not worth a task of their own. */
const LEAST_USERS = 8;
/** A worker that is done earlier than the others takes the next so many. */
const MOST_USERS = 128;

/** Users [first, last) of a request, which one worker does. */
export interface Slice {
  readonly first: number;
  readonly last: number;
  /** How often a thread ended while it was at it. */
  crashes: number;
}

/** What a request is made of. */
export interface RequestParts {
  readonly rows: number;
  readonly plan: SearchPlan;
  readonly arena: Arena;
  readonly batchDim: number;
  /** Strings to exclude; of numbers the arena knows. */
  readonly exclude: { readonly keys: readonly string[]; readonly ends: Uint32Array } | undefined;
  /** As of `performance.now`: when all of it must have been begun. */
  readonly until: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** One call of `retrieve`: slices that wait, slices at work, and a promise that is settled once. */
export class Request {
  readonly promise: Promise<SearchBatchResult<Key>>;
  readonly #parts: RequestParts;
  readonly #strings: string[] | undefined;
  /** The next one last. */
  readonly #waiting: Slice[];
  readonly #settled: (request: Request, hasFailed: boolean) => void;
  #timer: NodeJS.Timeout | undefined;
  readonly #stopListening: (() => void) | undefined;
  #resolve!: (result: SearchBatchResult<Key>) => void;
  #reject!: (error: unknown) => void;
  #atWork = 0;
  #isBegun = false;
  #isSettled = false;
  #isArenaTaken = false;

  /** @param settled is called when the promise is */
  constructor(
    parts: RequestParts,
    workers: number,
    settled: (request: Request, hasFailed: boolean) => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#parts = parts;
    this.#settled = settled;
    this.#waiting = slicesOf(parts.rows, workers).reverse();
    const { rows, plan, until, signal } = parts;
    if (plan.keyKind === 'string') this.#strings = new Array<string>(rows * plan.k).fill('');
    this.#stopListening = signal && onAbort(signal, () => this.fail(aborted(signal)));
    if (until !== undefined) this.#watch(until);
  }

  /** The arena, once: whoever takes it may give it to another request. */
  takeArena(): Arena | undefined {
    if (this.#isArenaTaken) return undefined;
    this.#isArenaTaken = true;
    return this.#parts.arena;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Whether there are slices that nobody has begun. */
  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether no worker uses the arena. */
  get isLeft(): boolean {
    return this.#atWork === 0;
  }

  /** Fails if the deadline is over and not all is begun; says whether it does. */
  expire(): boolean {
    const { until } = this.#parts;
    if (this.#isSettled || until === undefined || !this.waits || performance.now() < until) {
      return false;
    }
    const message = 'the request was dropped: its deadline passed before all of it was begun';
    this.fail(new LichenError('ERR_LICHEN_DEADLINE', message));
    return true;
  }

  /** The next slice that waits, which is at work from now on. */
  begin(): Slice {
    this.#isBegun = true;
    this.#atWork++;
    return this.#waiting.pop()!;
  }

  /** What a worker is told of a slice. */
  taskOf({ first, last }: Slice): WorkerTask {
    const { arena, batchDim, plan, exclude } = this.#parts;
    const endOf = (user: number): number => (user < 0 ? 0 : exclude!.ends[user]!);
    return {
      memory: arena.memory,
      first,
      last,
      batchDim,
      plan,
      exclude: exclude?.keys.slice(endOf(first - 1), endOf(last - 1)),
    };
  }

  /** A worker has done a slice. */
  done({ first }: Slice, { keys }: WorkerOutcome): void {
    this.#atWork--;
    const place = first * this.#parts.plan.k;
    keys?.forEach((key, at) => (this.#strings![place + at] = key));
    if (this.#isSettled || this.#atWork > 0 || this.waits) return;
    let result: SearchBatchResult<Key>;
    try {
      result = this.#result();
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#settle(false);
    this.#resolve(result);
  }

  /** A slice at work was not done: it waits again, or has failed for good. */
  leave(slice: Slice, error: unknown): void {
    this.#atWork--;
    if (error === undefined) this.#waiting.push(slice);
    else this.fail(error);
  }

  /** Rejects the promise, at once, unless it is settled. */
  fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#parts.arena.stop();
    this.#waiting.length = 0;
    this.#settle(true);
    this.#reject(error);
  }

  #watch(until: number): void {
    const expire = (): void => {
      // A timer counts from when the event loop last looked at the clock, and so may be early.
      if (performance.now() < until) this.#watch(until);
      else this.expire();
    };
    this.#timer = setTimeout(expire, until - performance.now()).unref();
  }

  #settle(hasFailed: boolean): void {
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#stopListening?.();
    this.#settled(this, hasFailed);
  }

  /** Copies of what stands in the arena, which another request gets. */
  #result(): SearchBatchResult<Key> {
    const { rows, plan, arena } = this.#parts;
    const { k } = plan;
    const { keys, scores, counts } = arena.views;
    return withinMemory(rows * k * BYTES_A_PLACE, () => ({
      keys: this.#strings ?? keys!.slice(),
      scores: scores!.slice(),
      counts: counts!.slice(),
      rows,
      k,
    }));
  }
}

/** Slices of almost equal size, as many as keep all workers busy. */
function slicesOf(rows: number, workers: number): Slice[] {
  const least = Math.min(workers, Math.ceil(rows / LEAST_USERS));
  const rounds = Math.ceil(rows / (least * MOST_USERS));
  const count = least * rounds;
  const at = (slice: number): number => Math.floor((slice * rows) / count);
  return Array.from({ length: count }, (_, slice) => ({
    first: at(slice),
    last: at(slice + 1),
    crashes: 0,
  }));
}

export function aborted(signal: AbortSignal | undefined): LichenAbortError {
  return new LichenAbortError('the retrieval was aborted', { cause: signal?.reason });
}
