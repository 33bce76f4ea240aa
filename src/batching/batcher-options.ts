import { LichenArgumentError, shown } from '../errors.js';
import { requireInteger, requireOptions } from '../index/arguments.js';
import { ModelPolicy } from './model-policy.js';
import type { BatchPolicy, PolicySettings } from './policy.js';
import { AimdPolicy, FixedPolicy, NoBatching } from './simple-policies.js';

/** How batches are made: see {@link BatcherOptions.policy}. */
export type BatchPolicyName = 'none' | 'fixed' | 'aimd' | 'model';

/** A latency percentile with its bound. */
export interface Slo {
  /** Milliseconds from the call to the result. */
  readonly ms: number;
  /** Share of the requests that keep to it, in percent, above 0 and below 100. Default 99. */
  readonly percentile?: number | undefined;
}

/** Options of {@link Batcher}. Times are in milliseconds. */
export interface BatcherOptions {
  /**
   * `none`: one request a batch. `fixed`: `maxBatch` requests, or fewer after `maxDelayMs`. `aimd`: the size grows by one
   * while requests meet the SLO and shrinks by a tenth when they do not. `model`: from a latency model that is fitted to
   * what batches took, the arrival rate and the SLO. Or one of your own. Default `model`.
   */
  readonly policy?: BatchPolicyName | BatchPolicy | undefined;
  /** Most requests of a batch, 1 to 65,536. Default 64. */
  readonly maxBatch?: number | undefined;
  /** Of `fixed`: how long a request waits for a full batch. Default 2. */
  readonly maxDelayMs?: number | undefined;
  /** What `aimd` and `model` keep to; a number stands for its `ms`. Default 50 ms of 99%. */
  readonly slo?: Slo | number | undefined;
  /**
   * Of `model`: which share of the time that the SLO leaves a request waits for others that are likely to come, 0 to 1;
   * fewer batches cost less processor time. Default 0: nothing waits while an executor is free.
   */
  readonly patience?: number | undefined;
  /** Batches at once, 1 to 1,024: as many as the function can really do side by side. Default 1. */
  readonly concurrency?: number | undefined;
  /** Requests that may wait; see {@link Batcher.submit} for one more. Default 1,024. */
  readonly maxQueue?: number | undefined;
  /**
   * Whether a batch that failed is tried again in halves, until the requests that are at fault have failed alone.
   * Default true. False: all requests of a batch fail with it.
   */
  readonly splitsFailed?: boolean | undefined;
}

/** Options of {@link Batcher.submit}. */
export interface SubmitOptions {
  /**
   * Milliseconds from now, or a time, by which the result is needed. A request that is not begun by then, or would not
   * be done while others would, is dropped with ERR_LICHEN_DEADLINE. One that has begun is not given up.
   */
  readonly deadline?: number | Date | undefined;
  /** Those with a higher one go first: an integer from −100 to 100. Default 0. */
  readonly priority?: number | undefined;
  /** On whose behalf: tenants of a priority take turns. Default: all have one tenant. */
  readonly tenant?: string | undefined;
  /** Gives the request up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

const BATCHER_OPTIONS = [
  ...(['policy', 'maxBatch', 'maxDelayMs', 'slo', 'patience', 'concurrency', 'maxQueue'] as const),
  'splitsFailed',
] as const;
const POLICIES = { none: NoBatching, fixed: FixedPolicy, aimd: AimdPolicy, model: ModelPolicy };
const MOST_BATCH = 65_536;
/** Of the requests of batches that are slower than allowed for, about one in so many is late: the others came later. */
const LATE_OF_SLOWER = 5;
/** What a timer can wait. */
const MOST_MS = 2 ** 31 - 1;

/** Sets the options that are not given. @throws ERR_LICHEN_ARGUMENT */
export function resolveBatcherOptions(options: BatcherOptions | undefined) {
  const given = requireOptions(options, BATCHER_OPTIONS);
  const { policy = 'model', maxBatch = 64, maxDelayMs = 2, slo = 50, patience = 0 } = given;
  const { concurrency = 1, maxQueue = 1024, splitsFailed = true } = given;
  if (typeof splitsFailed !== 'boolean') {
    throw bad(`splitsFailed must be true or false, got ${shown(splitsFailed)}`);
  }
  const { ms, percentile = 99 } = typeof slo === 'number' ? { ms: slo } : sloOf(slo);
  const settings: PolicySettings = {
    maxBatch: requireInteger('maxBatch', maxBatch, 1, MOST_BATCH),
    concurrency: requireInteger('concurrency', concurrency, 1, 1024),
    maxDelayMs: requireNumber('maxDelayMs', maxDelayMs, 0, MOST_MS),
    sloMs: requireNumber('slo', ms, Number.MIN_VALUE, MOST_MS),
    patience: requireNumber('patience', patience, 0, 1),
  };
  requireNumber('slo.percentile', percentile, Number.MIN_VALUE, 99.999_999);
  return {
    policy: policyOf(policy, settings),
    slowerShare: LATE_OF_SLOWER * (1 - percentile / 100),
    maxBatch: settings.maxBatch,
    concurrency: settings.concurrency,
    maxQueue: requireInteger('maxQueue', maxQueue, 1, Number.MAX_SAFE_INTEGER),
    splitsFailed,
  };
}

function policyOf(policy: unknown, settings: PolicySettings): BatchPolicy {
  if (typeof policy === 'string' && Object.hasOwn(POLICIES, policy)) {
    return new POLICIES[policy as BatchPolicyName](settings);
  }
  const own = policy as Partial<BatchPolicy> | null | undefined;
  if (typeof own?.plan === 'function' && typeof own.observe === 'function') {
    return own as BatchPolicy;
  }
  const names = Object.keys(POLICIES).join(', ');
  throw bad(`policy must be one of ${names} or have plan and observe, got ${shown(policy)}`);
}

function sloOf(slo: unknown): Slo {
  const { ms, percentile, ...rest } = (slo ?? {}) as Partial<Slo>;
  if (slo !== null && typeof slo === 'object' && ms !== undefined && !Object.keys(rest).length) {
    return { ms, percentile };
  }
  throw bad(`slo must be milliseconds or { ms, percentile }, got ${shown(slo)}`);
}

function requireNumber(name: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && value >= low && value <= high) return value;
  const least = low === Number.MIN_VALUE ? 'above 0 and at most' : `from ${low} to`;
  throw bad(`${name} must be a number ${least} ${high}, got ${shown(value)}`);
}

const SUBMIT_OPTIONS = ['deadline', 'priority', 'tenant', 'signal'] as const;
const MOST_PRIORITY = 100;

/** Sets the options that are not given. @throws ERR_LICHEN_ARGUMENT */
export function resolveSubmitOptions(options: SubmitOptions | undefined) {
  const { deadline, priority = 0, tenant = '', signal } = requireOptions(options, SUBMIT_OPTIONS);
  requireInteger('priority', priority, -MOST_PRIORITY, MOST_PRIORITY);
  if (typeof tenant !== 'string') throw bad(`tenant must be a string, got ${shown(tenant)}`);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw bad(`signal must be an AbortSignal, got ${shown(signal)}`);
  }
  return { deadline, priority, tenant, signal };
}

function bad(message: string): LichenArgumentError {
  return new LichenArgumentError('ERR_LICHEN_ARGUMENT', message);
}
