import type { LichenErrorCode } from '../errors.js';
import type { SearchPlan } from '../index/searchable-index.js';
import type { ShareToken } from '../index/share.js';
import type { UserTower } from './user-tower.js';

/** What a worker is given when it starts. */
export interface WorkerSetup {
  readonly share: ShareToken;
  readonly tower: UserTower;
}

/** Users [first, last) of a request. */
export interface WorkerTask {
  /** Of the request's arena. */
  readonly memory: SharedArrayBuffer;
  readonly first: number;
  readonly last: number;
  /** Values a vector of the batch. */
  readonly batchDim: number;
  /** What is long stands in the arena: bits of the filter, keys that are numbers to exclude, and the ends of their lists. */
  readonly plan: SearchPlan;
  /** Strings to exclude for the users of the task. */
  readonly exclude: readonly string[] | undefined;
}

/** What a worker answers: an error has to be told as data, since a message would keep its text alone. */
export interface WorkerOutcome {
  /** Keys found, where they are strings; what else is found stands in the arena. */
  readonly keys?: string[] | undefined;
  readonly error?: { readonly code: LichenErrorCode; readonly message: string } | undefined;
}

/** The name of the worker's function for piscina. */
export const WORK = 'work';
