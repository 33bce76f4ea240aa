import {
  resolveBatcherOptions,
  resolveSubmitOptions,
  type BatcherOptions,
} from '../batching/batcher-options.js';
import { resolveDeadline } from '../batching/deadline.js';
import { badArgument } from '../cache/cache-limits.js';
import type { SharedTier } from '../cache/shared-tier.js';
import { resolveTiered } from '../cache/tiered-options.js';
import type { StageReport } from '../cascade/stage.js';
import { shown } from '../errors.js';
import { MAX_ROWS, requireInteger, requireOptions, requirePositive } from '../index/arguments.js';
import type { Where } from '../index/where.js';
import { idsOf, queryOf, whereOf, type GivenWhere, type UserQuery } from './query.js';
import type { OpenTelemetry } from './tracing.js';

/** Options of {@link Recommender}. */
export interface RecommenderOptions {
  /** Milliseconds within which requests shall be answered; what they have without a deadline. Default 50. */
  readonly slo?: number | undefined;
  /** Results, unless a request says otherwise. Default 20. */
  readonly k?: number | undefined;
  /** How users are put into batches for the tower. */
  readonly batching?: Omit<BatcherOptions, 'slo'> | undefined;
  /** Requests at once. */
  readonly limit?:
    | {
        /** To begin with. Default 64. */
        readonly initial?: number | undefined;
        /** At least. Default 4. */
        readonly least?: number | undefined;
        /** At most. Default 4,096. */
        readonly most?: number | undefined;
      }
    | undefined;
  /** Keeps vectors of users who are named and have no history or context with them. Default: none are kept. */
  readonly vectorCache?:
    | {
        /** Most memory, in bytes. */
        readonly maxBytes: number;
        /** Milliseconds for which a vector is kept. */
        readonly ttlMs: number;
        /** A tier that processes share. */
        readonly shared?: SharedTier | undefined;
        /** Milliseconds that a request may wait for it. Default 50. */
        readonly sharedTimeoutMs?: number | undefined;
      }
    | undefined;
  /** Keeps results of such users, unless items are excluded by the request. Default: none are kept. */
  readonly resultCache?:
    | {
        /** Users whose results are kept. */
        readonly maxUsers: number;
        /** Milliseconds for which a result is kept. */
        readonly ttlMs: number;
      }
    | undefined;
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

/** Options of {@link Recommender.run}. */
export interface WorkOptions extends RequestOptions {
  /** Whether how long it takes says what the service can do. Default true. */
  readonly isTelling?: boolean | undefined;
}

/** Options of {@link Recommender.recommend}. */
export interface ServeOptions extends RequestOptions {
  /** Items wanted. Default: that of the recommender. */
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
  /** What became of it. */
  readonly outcome: RequestOutcome;
  /** Milliseconds that it took. */
  readonly ms: number;
  /** Of `recommend`. */
  readonly cache: CacheUse | undefined;
  /** What its steps did; none for a result that was kept. */
  readonly steps: readonly StageReport[];
  /** Whose it was. */
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
  requireTelemetry(openTelemetry);
  resolveBatcherOptions({ ...batching, slo });
  if (vectorCache !== undefined) {
    const { shared, sharedTimeoutMs, ...limits } = requireOptions(vectorCache, VECTORS);
    resolveTiered({
      ...{ name: 'vectors', ...limits, ...(shared && { shared }) },
      ...(sharedTimeoutMs !== undefined && { sharedTimeoutMs }),
    });
  }
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
const WORK_OPTIONS = [...REQUEST_OPTIONS, 'isTelling'] as const;
const SERVE_OPTIONS = [...REQUEST_OPTIONS, 'k', 'where', 'exclude', 'attributes'] as const;

/** Options of a request, checked; `until` is a time as of `performance.now`. */
export interface ResolvedRequest {
  readonly until: number;
  readonly priority: number;
  readonly tenant: string;
  readonly signal: AbortSignal | undefined;
}

/** @throws ERR_LICHEN_ARGUMENT */
export function resolveRequest(options: WorkOptions | undefined, sloMs: number) {
  const given = requireOptions(options, WORK_OPTIONS);
  return { ...requestOf(given, sloMs), isTelling: given.isTelling !== false };
}

function requestOf(options: RequestOptions, sloMs: number): ResolvedRequest {
  const { deadline = sloMs } = options;
  const { priority, tenant, signal } = options;
  const resolved = resolveSubmitOptions({ deadline, priority, tenant, signal });
  return {
    until: resolveDeadline(deadline)!,
    priority: resolved.priority,
    tenant: resolved.tenant,
    signal: resolved.signal,
  };
}

/** A request for recommendations, checked. */
export interface ResolvedServe extends ResolvedRequest, GivenWhere {
  readonly query: UserQuery;
  readonly k: number;
  readonly exclude: readonly (string | number)[] | undefined;
  readonly attributes: readonly string[] | undefined;
}

/** A copy of what was given, which may change meanwhile. @throws ERR_LICHEN_ARGUMENT */
export function resolveServe(
  query: UserQuery,
  options: ServeOptions | undefined,
  { sloMs, k: usualK }: ResolvedRecommenderOptions,
): ResolvedServe {
  const given = requireOptions(options, SERVE_OPTIONS);
  const { k = usualK, exclude, attributes } = given;
  const { until, priority, tenant, signal } = requestOf(given, sloMs);
  const { where, whereText } = whereOf(given.where);
  return {
    ...{ until, priority, tenant, signal, where, whereText },
    query: queryOf(query),
    k: requireInteger('k', k, 1, MAX_ROWS),
    exclude: exclude === undefined ? undefined : idsOf('exclude', exclude),
    attributes: attributes === undefined ? undefined : namesOf(attributes),
  };
}

function namesOf(attributes: unknown): string[] {
  const names = idsOf('attributes', attributes);
  const other = names.find((name) => typeof name !== 'string');
  if (other === undefined) return names as string[];
  throw badArgument(`attributes must be names, got ${shown(other)}`);
}

function requireTelemetry(api: OpenTelemetry | undefined): void {
  if (api === undefined) return;
  const { trace, context } = (api ?? {}) as Partial<OpenTelemetry>;
  const has = (owner: object | undefined, name: string): boolean =>
    typeof (owner as Record<string, unknown> | undefined)?.[name] === 'function';
  if (has(trace, 'getTracer') && has(trace, 'setSpan') && has(context, 'active')) return;
  throw badArgument(`openTelemetry must be the package @opentelemetry/api, got ${shown(api)}`);
}
