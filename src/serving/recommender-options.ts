import type { BatcherOptions } from '../batching/batcher-options.js';
import { resolveDeadline } from '../batching/deadline.js';
import { badArgument } from '../cache/cache-limits.js';
import type { SharedTier } from '../cache/shared-tier.js';
import type { StageReport } from '../cascade/stage.js';
import { shown } from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions, requirePositive } from '../index/arguments.js';
import type { Where } from '../index/where.js';
import type { UserQuery } from './deployment.js';
import type { OpenTelemetry } from './tracing.js';

/** Options of {@link Recommender}. */
export interface RecommenderOptions {
  /** Milliseconds within which requests shall be answered; what they have without a deadline. Default 50. */
  readonly slo?: number | undefined;
  /** Results, unless a request says otherwise. Default 20. */
  readonly k?: number | undefined;
  /** How users are put into batches for the tower. */
  readonly batching?: Omit<BatcherOptions, 'slo'> | undefined;
  /** Requests at once: to begin with (64), at least (4), at most (4,096). */
  readonly limit?:
    | {
        readonly initial?: number | undefined;
        readonly least?: number | undefined;
        readonly most?: number | undefined;
      }
    | undefined;
  /** Keeps vectors of users who are named and have no history or context with them. Default: none are kept. */
  readonly vectorCache?:
    | {
        readonly maxBytes: number;
        readonly ttlMs: number;
        /** A tier that processes share, and what it is waited for. */
        readonly shared?: SharedTier | undefined;
        readonly sharedTimeoutMs?: number | undefined;
      }
    | undefined;
  /** Keeps results of such users, unless items are excluded by the request. Default: none are kept. */
  readonly resultCache?: { readonly maxUsers: number; readonly ttlMs: number } | undefined;
  /** Share of the searches that are answered again exactly, to measure recall. Default 0. */
  readonly canaryShare?: number | undefined;
  /** Requests that a deployment is warmed up with. Default 64. */
  readonly warmUp?: number | undefined;
  /** The package `@opentelemetry/api`, if there shall be spans. */
  readonly openTelemetry?: OpenTelemetry | undefined;
  /** Told of each request when it has ended. */
  readonly onRequest?: ((event: RequestEvent) => void) | undefined;
}

/** Options of every request to a {@link Recommender}. */
export interface RequestOptions {
  /** Milliseconds from now, or a time, by which the answer is needed. Default: the SLO. */
  readonly deadline?: number | Date | undefined;
  /** Requests of a lower one are refused first when there are too many. −100 to 100, default 0. */
  readonly priority?: number | undefined;
  /** On whose behalf. */
  readonly tenant?: string | undefined;
  /** Gives the request up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link Recommender.recommend}. */
export interface ServeOptions extends RequestOptions {
  readonly k?: number | undefined;
  /** A condition on attributes of items. */
  readonly where?: Where | undefined;
  /** Ids of items that are not wanted. */
  readonly exclude?: readonly (string | number)[] | undefined;
  /** Names of attributes that are wanted of each item. Default: none. */
  readonly attributes?: readonly string[] | undefined;
}

/**
 * What became of a request: `ok`; `degraded`: answered, with less than there should be; `shed`: refused at once;
 * `deadline`: not answered in time; `aborted`; `invalid`: the caller's mistake; `failed`.
 */
export type RequestOutcome =
  'ok' | 'degraded' | 'shed' | 'deadline' | 'aborted' | 'invalid' | 'failed';

/** What was kept of a request's answer: the whole, the user's vector, nothing. */
export type CacheUse = 'result' | 'vector' | 'none';

/** A request that has ended. */
export interface RequestEvent {
  /** `recommend`, or what the caller of {@link Recommender.run} calls it. */
  readonly kind: string;
  readonly outcome: RequestOutcome;
  readonly ms: number;
  /** Of `recommend`. */
  readonly cache: CacheUse | undefined;
  readonly steps: readonly StageReport[];
  readonly tenant: string;
}

const OPTIONS = [
  ...(['slo', 'k', 'batching', 'limit', 'vectorCache', 'resultCache', 'canaryShare'] as const),
  ...(['warmUp', 'openTelemetry', 'onRequest'] as const),
];
const LIMITS = ['initial', 'least', 'most'] as const;
const VECTORS = ['maxBytes', 'ttlMs', 'shared', 'sharedTimeoutMs'] as const;
const RESULTS = ['maxUsers', 'ttlMs'] as const;
const MOST_AT_ONCE = 1_000_000;
const MOST_WARM_UP = 10_000;

/** Sets the options that are not given. @throws ERR_LICHEN_ARGUMENT */
export function resolveRecommenderOptions(options: RecommenderOptions | undefined) {
  const given = requireOptions(options, OPTIONS);
  const { slo = 50, k = 20, batching = {}, canaryShare = 0, warmUp = 64 } = given;
  const { openTelemetry, onRequest, vectorCache, resultCache } = given;
  const { initial = 64, least = 4, most = 4096 } = requireOptions(given.limit, LIMITS);
  requireInteger('limit.most', most, 1, MOST_AT_ONCE);
  requireInteger('limit.least', least, 1, most);
  if (vectorCache !== undefined) requireOptions(vectorCache, VECTORS);
  if (resultCache !== undefined) {
    const { maxUsers, ttlMs } = requireOptions(resultCache, RESULTS);
    requireInteger('resultCache.maxUsers', maxUsers, 1, 2 ** 24);
    requirePositive('resultCache.ttlMs', ttlMs);
  }
  if (typeof canaryShare !== 'number' || !(canaryShare >= 0 && canaryShare <= 1)) {
    throw badArgument(`canaryShare must be a number from 0 to 1, got ${shown(canaryShare)}`);
  }
  if (onRequest !== undefined && typeof onRequest !== 'function') {
    throw badArgument(`onRequest must be a function, got ${shown(onRequest)}`);
  }
  return {
    sloMs: requirePositive('slo', slo),
    k: requireInteger('k', k, 1, MAX_ROWS),
    batching,
    limit: { initial: requireInteger('limit.initial', initial, least, most), least, most },
    vectorCache,
    resultCache,
    canaryShare,
    warmUp: requireInteger('warmUp', warmUp, 0, MOST_WARM_UP),
    openTelemetry,
    onRequest,
  };
}

export type ResolvedRecommenderOptions = ReturnType<typeof resolveRecommenderOptions>;

const REQUEST_OPTIONS = ['deadline', 'priority', 'tenant', 'signal'] as const;
const SERVE_OPTIONS = [...REQUEST_OPTIONS, 'k', 'where', 'exclude', 'attributes'] as const;
const QUERY = ['user', 'history', 'context'] as const;
const MOST_PRIORITY = 100;

/** Options of a request, checked; `until` is a time as of `performance.now`. */
export interface ResolvedRequest {
  readonly until: number;
  readonly priority: number;
  readonly tenant: string;
  readonly signal: AbortSignal | undefined;
}

/** @throws ERR_LICHEN_ARGUMENT */
export function resolveRequest(options: RequestOptions | undefined, sloMs: number) {
  return requestOf(requireOptions(options, REQUEST_OPTIONS), sloMs);
}

function requestOf(options: RequestOptions, sloMs: number): ResolvedRequest {
  const { deadline = sloMs, priority = 0, tenant = '', signal } = options;
  requireInteger('priority', priority, -MOST_PRIORITY, MOST_PRIORITY);
  if (typeof tenant !== 'string')
    throw badArgument(`tenant must be a string, got ${shown(tenant)}`);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badArgument(`signal must be an AbortSignal, got ${shown(signal)}`);
  }
  return { until: resolveDeadline(deadline)!, priority, tenant, signal };
}

/** A request for recommendations, checked. */
export interface ResolvedServe extends ResolvedRequest {
  readonly query: UserQuery;
  readonly k: number;
  readonly where: Where | undefined;
  /** Conditions of the same text are the same; '' for none. */
  readonly whereText: string;
  readonly exclude: readonly (string | number)[] | undefined;
  readonly attributes: readonly string[] | undefined;
}

/** @throws ERR_LICHEN_ARGUMENT */
export function resolveServe(
  query: UserQuery,
  options: ServeOptions | undefined,
  { sloMs, k: usualK }: ResolvedRecommenderOptions,
): ResolvedServe {
  const given = requireOptions(options, SERVE_OPTIONS);
  const { k = usualK, where, exclude, attributes } = given;
  const request = requestOf(given, sloMs);
  if (query === null || query === undefined) {
    throw badArgument(`query must be { user, history, context }, got ${shown(query)}`);
  }
  const { user, history, context } = requireOptions(query, QUERY);
  if (user !== undefined && typeof user !== 'string' && !Number.isSafeInteger(user)) {
    throw badArgument(`query.user must be a string or an integer, got ${shown(user)}`);
  }
  if (history !== undefined) requireList('query.history', history);
  if (exclude !== undefined) requireList('exclude', exclude);
  if (context !== undefined && (context === null || typeof context !== 'object')) {
    throw badArgument(`query.context must be an object, got ${shown(context)}`);
  }
  if (attributes !== undefined) requireList('attributes', attributes);
  requireInteger('k', k, 1, MAX_ROWS);
  const { until, priority, tenant, signal } = request;
  const whereText = where === undefined ? '' : textOf(where);
  return { until, priority, tenant, signal, query, k, where, whereText, exclude, attributes };
}

/** @throws ERR_LICHEN_ARGUMENT for what has no text: it is nested without end, say. */
function textOf(where: Where): string {
  try {
    return JSON.stringify(where) ?? '';
  } catch (cause) {
    throw badArgument('where must be a condition that can be written as JSON', cause);
  }
}

function requireList(name: string, ids: unknown): void {
  if (!Array.isArray(ids)) throw badArgument(`${name} must be an array, got ${shown(ids)}`);
  const at = ids.findIndex((id) => typeof id !== 'string' && !Number.isSafeInteger(id));
  if (at < 0) return;
  throw badArgument(`${name}[${at}] must be a string or an integer, got ${shown(ids[at])}`);
}
