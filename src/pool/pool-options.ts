import type { ResourceLimits } from 'node:worker_threads';
import { LichenArgumentError, shown } from '../errors.js';
import { machine } from '../native.js';
import { requireInteger, requireOptions } from '../index/arguments.js';
import { SEARCH_BATCH_SYNC_OPTIONS } from '../index/search-options.js';
import type { Key, SearchBatchSyncOptions } from '../index/types.js';
import { VectorIndex } from '../index/vector-index.js';
import type { KnownItems } from '../interactions/known-items.js';
import type { Vocabulary } from '../interactions/vocabulary.js';
import { resolveDeadline } from '../batching/deadline.js';
import type { UserTower } from './user-tower.js';

/** What users have already, as `Interactions` have it. */
export interface KnownItemsOptions extends KnownItems {
  /** The items' ids; needed unless the keys of the index are row numbers, of which row i is item i. */
  readonly items?: Vocabulary | undefined;
}

/** Options of {@link RetrievalPool.create}. */
export interface RetrievalPoolOptions<K extends Key> {
  /** What is searched. The pool keeps it in memory, once for all workers, also if it is closed meanwhile. */
  readonly index: VectorIndex<K>;
  /** How the workers get from users to vectors. */
  readonly tower: UserTower;
  /** Items that users have already; a request may leave them out, see `excludeKnown`. Default: nothing is known. */
  readonly known?: KnownItemsOptions | undefined;
  /** Threads, 1 to 1,024. Default: every processor. */
  readonly workers?: number | undefined;
  /** Requests that may wait for a worker; one more is refused with ERR_LICHEN_QUEUE_FULL. Default 1,024. */
  readonly maxQueue?: number | undefined;
  /** How often the work of a thread that ended is given to another, 0 to 100. Default 1. */
  readonly retries?: number | undefined;
  /** Limits of JavaScript memory in a worker, as of `worker_threads`. The index is not part of it. */
  readonly resourceLimits?: ResourceLimits | undefined;
}

/** Options of {@link RetrievalPool.retrieve}. */
export interface RetrieveOptions extends Omit<SearchBatchSyncOptions, 'into'> {
  /**
   * Whether items that the users have already are left out, of a pool that was told of them: by `users` of the batch.
   * Default true.
   */
  readonly excludeKnown?: boolean | undefined;
  /** Gives up at once with ERR_LICHEN_ABORTED; a worker that is at it stops after at most 64 users. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds from now, or a time, by which all of the request must have been begun: what waits longer is dropped
   * with ERR_LICHEN_DEADLINE.
   */
  readonly deadline?: number | Date | undefined;
}

const POOL_OPTIONS = [
  'index',
  'tower',
  'known',
  'workers',
  'maxQueue',
  'retries',
  'resourceLimits',
] as const;
const RETRIEVE_OPTIONS = [
  ...SEARCH_BATCH_SYNC_OPTIONS.filter((name) => name !== 'into'),
  ...(['excludeKnown', 'signal', 'deadline'] as const),
];

/** Sets the options that are not given. @throws ERR_LICHEN_ARGUMENT */
export function resolvePoolOptions<K extends Key>(options: RetrievalPoolOptions<K>) {
  const given = requireOptions(options, POOL_OPTIONS);
  const { index, tower, known, resourceLimits } = given;
  const { workers = machine().threads, maxQueue = 1024, retries = 1 } = given;
  if (!(index instanceof VectorIndex)) {
    throw bad(`index must be a FlatIndex or an HnswIndex, got ${shown(index)}`);
  }
  if (
    resourceLimits !== undefined &&
    (resourceLimits === null || typeof resourceLimits !== 'object')
  ) {
    throw bad(`resourceLimits must be an object, got ${shown(resourceLimits)}`);
  }
  return {
    index,
    tower,
    known,
    resourceLimits,
    workers: requireInteger('workers', workers, 1, 1024),
    maxQueue: requireInteger('maxQueue', maxQueue, 0, Number.MAX_SAFE_INTEGER),
    retries: requireInteger('retries', retries, 0, 100),
  };
}

/** Checks what is not the search's own: `until` is a time as of `performance.now`. @throws ERR_LICHEN_ARGUMENT */
export function resolveRetrieveOptions(options: RetrieveOptions | undefined) {
  const given = requireOptions(options, RETRIEVE_OPTIONS);
  const { signal, deadline, excludeKnown = true, exclude, ...search } = given;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw bad(`signal must be an AbortSignal, got ${shown(signal)}`);
  }
  if (typeof excludeKnown !== 'boolean') {
    throw bad(`excludeKnown must be true or false, got ${shown(excludeKnown)}`);
  }
  return { signal, until: resolveDeadline(deadline), excludeKnown, exclude, search };
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
