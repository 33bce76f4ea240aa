import { LateError, withinRequest } from '../cascade/within.js';
import { LichenError, refusal, shown, throwIfAborted } from '../errors.js';
import { badArgument } from '../cache/cache-limits.js';
import { withinTime } from '../cache/within-time.js';
import { RecentLatency, type LatencyPercentiles } from './recent-latency.js';
import type { StageReport } from '../cascade/stage.js';
import { Lease } from '../index/lease.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { Admission, type AdmissionStatistics } from './admission.js';
import { RecallCanary, type CanaryStatistics } from './canary.js';
import { requireDeployment, type Deployment } from './deployment.js';
import type { UserQuery } from './query.js';
import {
  resolveRecommenderOptions,
  resolveRequest,
  resolveServe,
  type CacheUse,
  type RecommenderOptions,
  type RequestEvent,
  type RequestOptions,
  type RequestOutcome,
  type ResolvedRequest,
  type ServeOptions,
  type WorkOptions,
} from './recommender-options.js';
import { Served, type Answer, type DeploymentStatistics } from './served.js';
import { Tracing } from './tracing.js';

/** What is recommended, and how it came about. */
export interface Recommendation {
  /** Ids, best first. */
  readonly items: readonly (string | number)[];
  /** One an item, of the stage that scored it last; the higher the better (l2: negative squared distances). */
  readonly scores: Float64Array;
  /** Of each item, if they were asked for; null for what it does not have. */
  readonly attributes: readonly Readonly<Record<string, unknown>>[] | undefined;
  /** How it came about. */
  readonly explanation: Explanation;
}

/** How recommendations came about. */
export interface Explanation {
  /** Of the model and the index. */
  readonly version: string;
  /** Whether the whole result was kept, or the user's vector. */
  readonly cache: CacheUse;
  /** Whether less was done than should be. */
  readonly isDegraded: boolean;
  /** The user's vector (`encode`), the retrieval, each stage; none for a result that was kept. */
  readonly steps: readonly StageReport[];
  /** The name of the step that scored each item last. */
  readonly scoredBy: readonly string[];
  /** Milliseconds from the call to the result. */
  readonly ms: number;
}

/** What a service does and has done. */
export interface RecommenderStatistics extends AdmissionStatistics {
  /** Whether there is a model, and requests are taken. */
  readonly isReady: boolean;
  /** Requests that have ended, by what became of them. */
  readonly outcomes: Readonly<Record<RequestOutcome, number>>;
  /** Of answers of the last seconds. */
  readonly latency: LatencyPercentiles;
  /** Times that a deployment took the place of another, or of none. */
  readonly deployments: number;
  /** Of the one in service; undefined before the first. */
  readonly deployment: DeploymentStatistics | undefined;
  /** What looking at recall has found. */
  readonly canary: CanaryStatistics;
}

/** What requests may use: the index in service, and ids of its items. */
export type InService = Pick<Served, 'version' | 'ids'> & {
  /** What is searched. */
  readonly index: VectorIndex<Key>;
};

const MOST_RECENT = 64;
const CLOSING_MS = 10_000;
const WARMING_MS = 60_000;
/** A canary runs while no more than this share of the limit is at work. */
const IDLE_LOAD = 0.3;

/**
 * Recommends to users, as a service: their vector by the user tower (in batches), the nearest items, ranking stages;
 * each within the request's deadline, and with less than that rather than not at all. Takes no more than can be answered in time, and says so at once.
 * A model and its index are put in service together, once they are warm, and replaced together while requests go on.
 *
 * @example
 * const recommender = new Recommender({ slo: 50 });
 * await recommender.deploy(await modelDeployment({ model, index }));
 * const { items, explanation } = await recommender.recommend({ user: 'u1' }, { k: 20 });
 */
export class Recommender {
  readonly #options: ReturnType<typeof resolveRecommenderOptions>;
  readonly #admission: Admission;
  readonly #canary: RecallCanary<Key>;
  readonly #tracing: Tracing | undefined;
  readonly #latency = new RecentLatency();
  readonly #recent: UserQuery[] = [];
  readonly #listeners = new Set<(event: RequestEvent) => void>();
  readonly #outcomes: Record<RequestOutcome, number> = {
    ...{ ok: 0, degraded: 0, shed: 0, deadline: 0, aborted: 0, invalid: 0, failed: 0 },
  };
  #lease: Lease<Served> | undefined;
  /** How many deployments that are open have each index. */
  readonly #indexes = new Map<VectorIndex<Key>, number>();
  /** What was left and is not closed yet. */
  readonly #ending = new Set<Promise<void>>();
  #deploying: Promise<unknown> = Promise.resolve();
  /** Fires when the service is closed. */
  readonly #stopping = new AbortController();
  #deployments = 0;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  /** @throws ERR_LICHEN_ARGUMENT */
  constructor(options?: RecommenderOptions) {
    this.#options = resolveRecommenderOptions(options);
    const { limit, sloMs, canaryShare, openTelemetry, onRequest } = this.#options;
    if (onRequest !== undefined) this.#listeners.add(onRequest);
    this.#admission = new Admission({ ...limit, sloMs });
    this.#canary = new RecallCanary(canaryShare, () => this.#admission.load <= IDLE_LOAD);
    this.#tracing = openTelemetry && new Tracing(openTelemetry);
  }

  /** Whether there is a model, and requests are taken. */
  get isReady(): boolean {
    return this.#lease !== undefined && this.#closing === undefined;
  }

  /** Of the deployment in service. */
  get version(): string | undefined {
    return this.#lease?.value.version;
  }

  /**
   * Puts a model with its index in service: warms it up by requests of late, or its samples, then lets it take the place
   * of the one before, whose requests end with what they began with; after that it is closed. One at a time.
   * @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION, ERR_LICHEN_CLOSED; what warming up throws if no request could be
   * answered. What is in service stays so, and what was to take its place is left to the caller.
   */
  async deploy<K extends Key, F>(deployment: Deployment<K, F>): Promise<void> {
    requireDeployment(deployment);
    const deployed = this.#deploying.then(() => this.#deploy(deployment as never));
    this.#deploying = deployed.catch(() => undefined);
    return deployed;
  }

  /**
   * Recommends items to a user.
   * @throws ERR_LICHEN_OVERLOADED at once, when there are too many requests; ERR_LICHEN_DEADLINE, ERR_LICHEN_ABORTED,
   * ERR_LICHEN_NOT_READY, ERR_LICHEN_CLOSED, ERR_LICHEN_ARGUMENT; what features or the tower throw, if there is no usual
   * vector to take instead.
   */
  async recommend(query: UserQuery, options?: ServeOptions): Promise<Recommendation> {
    const asked = this.#checked('recommend', () => resolveServe(query, options, this.#options));
    const started = performance.now();
    const { lease, answer } = await this.#perform('recommend', asked, async (current) => {
      const onSearched = this.#canary.wants()
        ? (searched: object) => this.#canary.offer({ lease: current, ...searched } as never)
        : undefined;
      const given = await current.value.answer(asked, onSearched);
      return { lease: current, answer: given };
    });
    this.#remember(asked.query);
    const { items, scores, attributes, cache, isDegraded, steps } = answer;
    const explanation = {
      ...{ version: lease.value.version, cache, isDegraded, steps },
      scoredBy: answer.scoredBy,
      ms: performance.now() - started,
    };
    return { items, scores, attributes, explanation };
  }

  /**
   * Other work with what is in service, such as a search for a vector: admitted, counted and kept from the end of the
   * deployment as {@link recommend} is.
   * @param kind what it is called in statistics and spans.
   * @param options `isTelling`: whether how long it takes says what the service can do (default true).
   * @throws as {@link recommend}, and what the work throws.
   */
  async run<T>(
    kind: string,
    work: (current: InService, request: ResolvedRequest) => PromiseLike<T> | T,
    options?: WorkOptions,
  ): Promise<T> {
    if (typeof kind !== 'string' || kind === '') {
      throw badArgument(`kind must be a string that is not empty, got ${shown(kind)}`);
    }
    const request = this.#checked(kind, () => {
      if (typeof work === 'function') return resolveRequest(options, this.#options.sloMs);
      throw badArgument(`work must be a function, got ${shown(work)}`);
    });
    const { until, signal } = request;
    const { result } = await this.#perform(kind, request, async ({ value }) => {
      const left = Math.max(0, until - performance.now());
      const made = (): PromiseLike<T> | T => work(value, request);
      try {
        return { result: await withinRequest(made, left, signal) };
      } catch (error) {
        if (!(error instanceof LateError)) throw error;
        throw refusal('ERR_LICHEN_DEADLINE', `the ${kind} was not done by the deadline`);
      }
    });
    return result;
  }

  /**
   * Whether a request would be refused now; it counts as refused then. For servers that want to know before they read the
   * rest of it.
   */
  sheds(kind: string, { priority = 0, tenant = '' }: RequestOptions = {}): boolean {
    if (this.isReady && !this.#admission.refuses(priority, tenant)) return false;
    this.#outcomes.shed++;
    this.#tell({ kind, outcome: 'shed', ms: 0, cache: undefined, steps: [], tenant });
    return true;
  }

  /** Calls `listener` for each request that has ended, until what is returned is called. */
  observe(listener: (event: RequestEvent) => void): () => void {
    if (typeof listener !== 'function') {
      throw badArgument(`listener must be a function, got ${shown(listener)}`);
    }
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Forgets results that were kept, since items have changed. */
  forgetResults(): void {
    this.#lease?.value.forgetResults();
  }

  /** Forgets what was kept of a user, since something has happened to change it. */
  async forgetUser(user: string | number): Promise<void> {
    await this.#lease?.value.forgetUser(user);
  }

  /** What it does and has done. */
  stats(): RecommenderStatistics {
    return {
      ...this.#admission.stats(),
      isReady: this.isReady,
      outcomes: { ...this.#outcomes },
      latency: this.#latency.percentiles(),
      deployments: this.#deployments,
      deployment: this.#lease?.value.stats(),
      canary: this.#canary.stats(),
    };
  }

  /** Takes no more requests, waits until those at work have ended, and closes what is in service. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stopping.abort();
    const drained = new Promise<void>((resolve) => (this.#drained = resolve));
    if (this.#admission.inFlight > 0)
      await withinTime(drained, CLOSING_MS, () => new Error()).catch(() => {});
    await this.#deploying;
    await this.#canary.close();
    this.#lease?.leave();
    this.#lease = undefined;
    await Promise.all(this.#ending);
  }

  async #deploy(deployment: Deployment<Key>): Promise<void> {
    this.#requireOpen();
    const served = new Served<Key>(deployment, this.#options);
    try {
      await withinRequest(() => served.warmUp(this.#recent), WARMING_MS, this.#stopping.signal);
    } catch (error) {
      await served.release();
      this.#requireOpen();
      if (!(error instanceof LateError)) throw error;
      const message = `the deployment was not warm after ${WARMING_MS} ms`;
      throw new LichenError('ERR_LICHEN_DEADLINE', message, { cause: error });
    }
    const before = this.#lease;
    const { index } = served;
    this.#indexes.set(index, (this.#indexes.get(index) ?? 0) + 1);
    this.#lease = new Lease(served, (ended) => this.#end(ended));
    this.#deployments++;
    before?.leave();
  }

  #end(served: Served): void {
    const { index } = served;
    const others = this.#indexes.get(index)! - 1;
    if (others > 0) this.#indexes.set(index, others);
    else this.#indexes.delete(index);
    const closed = served.close(others === 0).catch((error: unknown) => {
      process.emitWarning(`a deployment could not be closed: ${String(error)}`);
    });
    this.#ending.add(closed);
    void closed.finally(() => this.#ending.delete(closed));
  }

  /** What arguments come to; a mistake in them counts as a request. */
  #checked<T>(kind: string, resolve: () => T): T {
    try {
      return resolve();
    } catch (error) {
      this.#outcomes.invalid++;
      this.#tell({ kind, outcome: 'invalid', ms: 0, cache: undefined, steps: [], tenant: '' });
      throw error;
    }
  }

  async #perform<T extends object>(
    kind: string,
    request: ResolvedRequest & { readonly isTelling?: boolean },
    work: (lease: Lease<Served>) => Promise<T & { readonly answer?: Answer }>,
  ): Promise<T> {
    const { tenant, signal, priority } = request;
    const started = performance.now();
    const parent = this.#tracing?.active();
    let outcome: RequestOutcome = 'ok';
    let answer: Answer | undefined;
    let failure: unknown;
    let isIn = false;
    try {
      this.#requireOpen();
      throwIfAborted(signal, 'the request');
      const lease = this.#lease;
      if (lease === undefined) {
        throw new LichenError('ERR_LICHEN_NOT_READY', 'there is no model in service yet');
      }
      this.#admission.enter(priority, tenant);
      isIn = true;
      const result = await lease.use(() => work(lease));
      ({ answer } = result);
      if (answer?.isDegraded === true) outcome = 'degraded';
      return result;
    } catch (error) {
      outcome = outcomeOf(error);
      failure = error;
      throw error;
    } finally {
      const ended = performance.now();
      const ms = ended - started;
      const isAnswered = outcome === 'ok' || outcome === 'degraded';
      if (isIn) {
        const isWork = (isAnswered && answer?.cache !== 'result') || outcome === 'deadline';
        const isTelling = isWork && request.isTelling !== false;
        // An answer that was quick since it left out the user's part is no sign of room for more.
        const counted = answer?.isCrowded === true ? Math.max(ms, this.#options.sloMs) : ms;
        this.#admission.leave(tenant, isTelling ? counted : undefined);
        if (this.#admission.inFlight === 0) this.#drained?.();
      }
      this.#outcomes[outcome]++;
      if (isAnswered) this.#latency.add(ms);
      const { cache, steps = [] } = answer ?? {};
      this.#tell({ kind, outcome, ms, cache, steps, tenant });
      this.#tracing?.record(
        {
          ...{ kind, outcome, steps, startedAt: started, endedAt: ended },
          attributes: { 'lichen.tenant': tenant, ...(cache && { 'lichen.cache': cache }) },
          ...(failure !== undefined && { error: failure }),
        },
        parent,
      );
    }
  }

  #tell(event: RequestEvent): void {
    for (const listener of this.#listeners) {
      try {
        const told: unknown = listener(event);
        if (told instanceof Promise) told.catch(listenerFailed);
      } catch (error) {
        listenerFailed(error);
      }
    }
  }

  /** For the warm-up of what comes next. */
  #remember(query: UserQuery): void {
    if (this.#recent.length < MOST_RECENT) this.#recent.push(query);
    else this.#recent[this.#outcomes.ok % MOST_RECENT] = query;
  }

  #requireOpen(): void {
    if (this.#closing === undefined) return;
    throw new LichenError('ERR_LICHEN_CLOSED', 'the service is closed');
  }
}

function listenerFailed(error: unknown): void {
  process.emitWarning(`a listener of requests failed: ${String(error)}`);
}

const OUTCOMES: Readonly<Record<string, RequestOutcome>> = {
  ERR_LICHEN_OVERLOADED: 'shed',
  ERR_LICHEN_QUEUE_FULL: 'shed',
  ERR_LICHEN_NOT_READY: 'shed',
  ERR_LICHEN_CLOSED: 'shed',
  ERR_LICHEN_DEADLINE: 'deadline',
  ERR_LICHEN_ABORTED: 'aborted',
  ERR_LICHEN_ARGUMENT: 'invalid',
  ERR_LICHEN_DIMENSION: 'invalid',
  ERR_LICHEN_NOT_FINITE: 'invalid',
  ERR_LICHEN_EMPTY: 'invalid',
  ERR_LICHEN_UNKNOWN_KEY: 'invalid',
  ERR_LICHEN_DUPLICATE_KEY: 'invalid',
  ERR_LICHEN_UNSUPPORTED: 'invalid',
};

function outcomeOf(error: unknown): RequestOutcome {
  return OUTCOMES[String((error as { code?: unknown } | undefined)?.code)] ?? 'failed';
}
