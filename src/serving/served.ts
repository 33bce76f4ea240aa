import { Cascade } from '../cascade/cascade.js';
import type { Candidates, StageReport, StageStatistics } from '../cascade/stage.js';
import { MemoryCache, type MemoryCacheStatistics } from '../cache/memory-cache.js';
import { badArgument } from '../cache/cache-limits.js';
import { LichenAbortError, LichenArgumentError, LichenError, shown } from '../errors.js';
import { toVector } from '../index/arguments.js';
import type { Key, KeysInput, KeysOf } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import type { Where } from '../index/where.js';
import type { Deployment, DeploymentSearch, RankedQuery } from './deployment.js';
import type { UserQuery } from './query.js';
import { UnderWay } from './under-way.js';
import { GroupedSearch } from './grouped-search.js';
import { ItemIds } from './item-ids.js';
import type { CacheUse, ResolvedRecommenderOptions, ResolvedServe } from './recommender-options.js';
import {
  cacheKeyOf,
  isCrowding,
  userKeyOf,
  UserVectorSource,
  type EncodeStatistics,
} from './user-vectors.js';

/** What a deployment answers a request. */
export interface Answer {
  readonly items: readonly (string | number)[];
  readonly scores: Float64Array;
  /** The name of the step that scored each last. */
  readonly scoredBy: readonly string[];
  /** Of each item, if they were asked for; null for what it does not have. */
  readonly attributes: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly isDegraded: boolean;
  /** Whether it is since there were too many requests. */
  readonly isCrowded: boolean;
  readonly cache: CacheUse;
  readonly steps: readonly StageReport[];
}

/** What was searched for, for whoever wants to search again. */
export interface Searched<K extends Key> {
  readonly vector: Float32Array;
  readonly where: Where | undefined;
  readonly exclude: KeysInput<K> | undefined;
  /** Results wanted, and how all searches are done. */
  readonly k: number;
  readonly search: DeploymentSearch | undefined;
  readonly keys: KeysOf<K>;
}

/** A query on its way through the cascade. */
interface Asked<K extends Key> extends RankedQuery {
  readonly where: Where | undefined;
  readonly whereText: string;
  readonly exclude: KeysInput<K> | undefined;
  retrieved?: KeysOf<K>;
  /** Why nothing was. */
  error?: unknown;
}

/** What a deployment has done so far. */
export interface DeploymentStatistics {
  /** Its version. */
  readonly version: string;
  /** Items in its index. */
  readonly items: number;
  /** Names of what is known of each item. */
  readonly attributes: readonly string[];
  /** Of vectors of users. */
  readonly encode: EncodeStatistics;
  /** Of the retrieval and each stage. */
  readonly stages: readonly StageStatistics[];
  /** Of the cache of results; undefined without one. */
  readonly results: MemoryCacheStatistics | undefined;
}

/** Results of a user that differ in what was asked. */
const MOST_VARIANTS = 8;
const USUAL_CANDIDATES = 200;
const WARM_AT_ONCE = 8;
const UNRESTRICTED = { where: undefined, whereText: '', exclude: undefined };

/** A deployment in service: batches, caches and the cascade that belong to it. */
export class Served<K extends Key = Key> {
  readonly index: VectorIndex<K>;
  readonly ids: ItemIds<K>;
  readonly #deployment: Deployment<K>;
  readonly #options: ResolvedRecommenderOptions;
  readonly #vectors: UserVectorSource<K>;
  readonly #search: GroupedSearch<K>;
  readonly #cascade: Cascade<Asked<K>, K>;
  readonly #results: MemoryCache<string, Map<string, Answer>> | undefined;
  readonly #underWay = new UnderWay();
  readonly #usual: Float32Array | undefined;
  /** What is nearest to the usual vector, for when nothing else can be had. */
  #popular: Candidates<K> | undefined;
  /** What the retrieval and the stages take, as a running mean. */
  #rankMs = 1;

  /** @throws ERR_LICHEN_ARGUMENT, ERR_LICHEN_DIMENSION */
  constructor(deployment: Deployment<K>, options: ResolvedRecommenderOptions) {
    const { index, items, usualVector, stages = [], candidates } = deployment;
    this.index = index;
    this.#deployment = deployment;
    this.#options = options;
    this.ids = new ItemIds(index, items);
    this.#usual = usualVector && Float32Array.from(toVector('usualVector', usualVector, index.dim));
    const retrieved = candidates ?? stages[0]?.candidates ?? options.k;
    this.#search = new GroupedSearch(index, deployment.search);
    this.#cascade = new Cascade<Asked<K>, K>({
      retrieval: {
        name: 'retrieval',
        candidates: retrieved,
        // A search for fewer takes hardly less; what it seems to take, in a crowd, is waiting.
        leastCandidates: retrieved,
        retrieve: async (asked, count) => {
          try {
            const { vector, where, whereText, exclude } = asked;
            const wanted = { vector, count, where, whereText, exclude };
            const found = await this.#search.find(wanted);
            asked.retrieved = found.keys;
            return found;
          } catch (error) {
            asked.error = error;
            throw error;
          }
        },
        fallback: (asked, count) => this.#fallback(asked, count),
      },
      stages,
      k: options.k,
    });
    this.#vectors = new UserVectorSource(deployment, options);
    const { resultCache } = options;
    this.#results =
      resultCache &&
      new MemoryCache({ maxEntries: resultCache.maxUsers, ttlMs: resultCache.ttlMs });
  }

  get version(): string {
    return this.#deployment.version;
  }

  /**
   * Recommends.
   * @param onSearched told of what was searched for, if a search was.
   * @throws as `Recommender.recommend`.
   */
  async answer(
    asked: ResolvedServe,
    onSearched?: (searched: Searched<K>) => void,
  ): Promise<Answer> {
    const key = this.#results && resultKeyOf(asked);
    if (key === undefined) return this.#compute(asked, onSearched);
    const user = userKeyOf(asked.query.user!);
    const kept = this.#results!.get(user)?.get(key);
    if (kept !== undefined) return { ...copyOf(kept), cache: 'result', steps: [] };
    return this.#underWay.run(
      user,
      () => this.#compute(asked, onSearched),
      (answer) => {
        if (!answer.isDegraded) this.#keep(user, key, copyOf(answer));
      },
    );
  }

  async #compute(
    asked: ResolvedServe,
    onSearched: ((searched: Searched<K>) => void) | undefined,
  ): Promise<Answer> {
    const steps: StageReport[] = [];
    const { vector, isKept, isCrowded } = await this.#vectorOf(asked, steps);
    const { where, whereText, k, attributes } = asked;
    const ranked: Asked<K> = {
      ...asked.query,
      ...{ vector, where, whereText, exclude: this.#exclusion(asked) },
    };
    const left = Math.max(0, asked.until - performance.now());
    const options = { k, deadline: left, signal: asked.signal };
    const { keys, scores, scoredBy, isDegraded, ms, stages } = await this.#cascade.rank(
      ranked,
      options,
    );
    this.#rankMs += (ms - this.#rankMs) / 16;
    if (ranked.retrieved !== undefined) {
      const { search } = this.#deployment;
      onSearched?.({ ...ranked, k, search, keys: ranked.retrieved.slice(0, k) as KeysOf<K> });
    }
    return {
      items: Array.from(keys as Iterable<K>, (found) => this.ids.idOf(found)),
      scores,
      scoredBy: Array.from(scoredBy, (at) => stages[at]!.name),
      attributes: attributes && this.#attributesOf(Array.from(keys as Iterable<K>), attributes),
      isDegraded: isDegraded || steps.some(({ outcome }) => outcome !== 'full'),
      isCrowded,
      cache: isKept ? 'vector' : 'none',
      steps: [...steps, ...stages],
    };
  }

  /**
   * Makes what a first request would make: pages in memory, compiled code, measured costs.
   * @throws what encoding or searching throws, if no query could be answered.
   */
  async warmUp(recent: readonly UserQuery[]): Promise<void> {
    const { samples = [] } = this.#deployment;
    if (this.#usual !== undefined && this.index.size > 0) {
      const { candidates = USUAL_CANDIDATES } = this.#deployment;
      const k = Math.min(this.index.size, Math.max(candidates, this.#options.k));
      const wanted = { vector: this.#usual, count: k, ...UNRESTRICTED };
      this.#popular = await this.#search.find(wanted);
    }
    const queries = [...recent, ...samples].slice(0, this.#options.warmUp);
    let answered = 0;
    let failure: unknown;
    const lane = async (from: number): Promise<void> => {
      for (let at = from; at < queries.length; at += WARM_AT_ONCE) {
        const query = queries[at]!;
        try {
          const vector = await this.#vectors.tryOf(query);
          await this.#cascade.rank({ ...query, vector, ...UNRESTRICTED });
          answered++;
        } catch (error) {
          // That one user is unknown to the new model is nothing against it.
          failure = error;
        }
      }
    };
    await Promise.all(Array.from({ length: WARM_AT_ONCE }, (_, from) => lane(from)));
    if (answered === 0 && queries.length > 0) throw failure;
  }

  /** Results of all users, since items have changed. */
  forgetResults(): void {
    this.#underWay.forgetAll();
    this.#results?.clear();
  }

  async forgetUser(user: string | number): Promise<void> {
    const key = userKeyOf(user);
    this.#underWay.forget(key);
    this.#results?.delete(key);
    await this.#vectors.forget(user);
  }

  stats(): DeploymentStatistics {
    return {
      version: this.version,
      items: this.index.size,
      attributes: Object.keys(this.index.attributes),
      encode: this.#vectors.stats(),
      stages: this.#cascade.stats(),
      results: this.#results?.stats(),
    };
  }

  /** Ends batches and caches; the index is left open. */
  async release(): Promise<void> {
    await this.#vectors.close();
  }

  /** Ends all that belongs to the deployment; the index too, unless another one has it as well. */
  async close(isLastOfIndex: boolean): Promise<void> {
    await this.release();
    if (isLastOfIndex) this.index.close();
    await this.#deployment.close?.();
  }

  /** The user's vector, else the usual one, if there is one. */
  async #vectorOf(asked: ResolvedServe, steps: StageReport[]) {
    const started = performance.now();
    const left = asked.until - started;
    // What comes afterwards needs time as well.
    const reserved = Math.min(left / 2, 2 * this.#rankMs + 1);
    const step = { name: 'encode', wanted: 1 };
    try {
      const { vector, isKept } = await this.#vectors.of(asked, asked.until - reserved);
      const ms = performance.now() - started;
      steps.push({ ...step, outcome: 'full', candidates: 1, ms });
      return { vector, isKept, isCrowded: false };
    } catch (error) {
      const isCallers = error instanceof LichenArgumentError || error instanceof LichenAbortError;
      if (isCallers || this.#usual === undefined) throw error;
      const { code } = error as { code?: unknown };
      const reason = `${error instanceof Error ? error.message : String(error)}; the usual vector`;
      const ms = performance.now() - started;
      const outcome = code === 'ERR_LICHEN_DEADLINE' ? 'late' : 'failed';
      steps.push({ ...step, outcome, candidates: 0, ms, reason });
      return { vector: this.#usual, isKept: false, isCrowded: isCrowding(error) };
    }
  }

  #exclusion({ query, exclude }: ResolvedServe): KeysInput<K> | undefined {
    const { ids } = this;
    return ids.exclusion(
      this.#deployment.seen?.(query),
      query.history && (ids.keysOf(query.history) as unknown as KeysInput<K>),
      exclude && (ids.keysOf(exclude) as unknown as KeysInput<K>),
    );
  }

  /** What is popular, without what must not come. @throws if that cannot be told, or the request was wrong. */
  #fallback({ where, exclude, error }: Asked<K>, count: number): Candidates<K> {
    if (error instanceof LichenArgumentError) throw error;
    if (this.#popular === undefined || where !== undefined) {
      throw (
        (error as Error | undefined) ??
        new LichenError('ERR_LICHEN_DEADLINE', 'there were no candidates in time')
      );
    }
    const keys = Array.from(this.#popular.keys as Iterable<K>);
    const banned = new Set(Array.from((exclude ?? []) as ArrayLike<K>));
    const kept = keys.map((_, at) => at).filter((at) => !banned.has(keys[at]!));
    const best = kept.slice(0, count);
    return {
      keys: best.map((at) => keys[at]!) as unknown as KeysOf<K>,
      scores: best.map((at) => this.#popular!.scores[at]!),
    };
  }

  /** @throws ERR_LICHEN_ARGUMENT for a name that is none of an attribute. */
  #attributesOf(keys: readonly K[], names: readonly string[]): Record<string, unknown>[] {
    const { index } = this;
    const known = index.attributes;
    const unknown = names.find((name) => !Object.hasOwn(known, name));
    if (unknown !== undefined) {
      const all = Object.keys(known).join(', ') || 'none';
      throw badArgument(`attributes has ${shown(unknown)}, and the index has ${all}`);
    }
    return keys.map((key) => {
      // An item may have been removed since it was found.
      if (!index.has(key)) return Object.fromEntries(names.map((name) => [name, null]));
      const values = index.attributesOf([key] as unknown as KeysInput<K>);
      return Object.fromEntries(names.map((name) => [name, presentable(values[name]![0])]));
    });
  }

  #keep(user: string, key: string, answer: Answer): void {
    const variants = this.#results!.peek(user);
    if (variants === undefined) this.#results!.set(user, new Map([[key, answer]]));
    else if (variants.size < MOST_VARIANTS) variants.set(key, answer);
  }
}

/** Whoever has an answer may change it. */
function copyOf(answer: Answer): Answer {
  return {
    ...answer,
    items: [...answer.items],
    scores: answer.scores.slice(),
    scoredBy: [...answer.scoredBy],
    attributes: answer.attributes?.map((values) => structuredClone(values)),
  };
}

/** NaN is how numbers are absent. */
function presentable(value: unknown): unknown {
  return typeof value === 'number' && Number.isNaN(value) ? null : value;
}

/** What results of a user are kept by; undefined if they are for this request alone. */
function resultKeyOf(asked: ResolvedServe): string | undefined {
  const { query, k, whereText, exclude, attributes } = asked;
  if (exclude !== undefined || cacheKeyOf(query) === undefined) return undefined;
  if (whereText === '' && attributes === undefined) return String(k);
  return JSON.stringify([k, whereText, attributes ?? null]);
}
