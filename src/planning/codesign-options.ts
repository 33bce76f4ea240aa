import { LichenArgumentError } from '../errors.js';
import { requireInteger, requireRange } from '../index/arguments.js';
import type { Matrix } from '../vectors/matrix.js';
import { parseMetric, type Metric } from '../vectors/metric.js';
import { requireSeed } from '../vectors/random.js';
import type { DesignItemAttributes, DesignRanker, DesignRequest } from './design-bench.js';
import type { DesignSpace } from './design.js';
import { requireDemand, type Demand } from './fleet.js';
import { DEFAULT_PRICES, type PriceTable } from './prices.js';
import type { Trace } from './trace.js';

/** Options of {@link codesign}. */
export interface CodesignOptions {
  /** Vectors of items; a search finds their rows. */
  readonly items: Matrix;
  /** Vectors of users. */
  readonly users: Matrix;
  /** What scores are. */
  readonly metric: Metric;
  /** Results a request. Default 20. */
  readonly k?: number | undefined;
  /** By which designs are chosen. */
  readonly requests: readonly DesignRequest[];
  /** By which the chosen one is judged once more; none of them should be among `requests`. Default: none. */
  readonly reportRequests?: readonly DesignRequest[] | undefined;
  /** Scores what a search found; without it the order of the search stands. */
  readonly ranker?: DesignRanker | undefined;
  /** What conditions of requests are on. */
  readonly attributes?: DesignItemAttributes | undefined;
  /** Memory of the ranker on each machine, in bytes. Default 0. */
  readonly rankerBytes?: number | undefined;
  /** Computes the vectors of so many users, as the service would; only its time counts. */
  readonly encoder?: ((users: number) => unknown) | undefined;
  /** Requests by user, for caches of results. */
  readonly trace?: Trace | undefined;
  /** What designs there are. Default: see {@link DesignSpace}. */
  readonly space?: DesignSpace | undefined;
  /** What the service has to bear. */
  readonly demand: Demand;
  /** What machines cost. Default {@link DEFAULT_PRICES}. */
  readonly prices?: PriceTable | undefined;
  /** The least share of the best nDCG. Default 0.99. */
  readonly minQuality?: number | undefined;
  /** The most that machines may cost, in US dollars a month. Default: whatever it takes. */
  readonly budgetUsdPerMonth?: number | undefined;
  /** Memory that a machine may need, in bytes. */
  readonly memoryBytes?: number | undefined;
  /** What a request costs beside search, ranker and encoder, in microseconds of the processor. Default 250. */
  readonly overheadUs?: number | undefined;
  /** Designs that are tried, drawn from the space. Default 300. */
  readonly maxDesigns?: number | undefined;
  /** A design that has served so long serves no more requests; it is judged by those it has. Default 60. */
  readonly maxSecondsADesign?: number | undefined;
  /** Requests that all designs serve. Default 48. */
  readonly firstRung?: number | undefined;
  /** By which each rung has more requests, and fewer designs. Default 4. */
  readonly factor?: number | undefined;
  /** Decides what is random: the designs drawn, the order of turns, intervals. Default 42. */
  readonly seed?: number | undefined;
  /** Gives up with ERR_LICHEN_ABORTED. */
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done, and how much of it. */
  readonly onProgress?: ((what: string, done: number, total: number) => void) | undefined;
}

const BASE_BYTES = 512 * 2 ** 20;
const LEAST_SURVIVORS = 12;
const TURNS = 3;

/** Checks the options of a search for a design. @throws as `codesign`. */
export function resolveCodesign(options: CodesignOptions) {
  const { items, users, k = 20, requests, reportRequests = [], ranker, encoder, trace } = options;
  const { space = {}, demand, prices = DEFAULT_PRICES, minQuality = 0.99, seed = 42 } = options;
  const {
    maxDesigns = 300,
    firstRung = 48,
    factor = 4,
    overheadUs = 250,
    rankerBytes = 0,
  } = options;
  const { attributes, maxSecondsADesign = 60, signal, onProgress } = options;
  if (items.rows === 0 || users.rows === 0 || requests.length === 0) {
    const message = 'items, users and requests must not be empty';
    throw new LichenArgumentError('ERR_LICHEN_EMPTY', message);
  }
  if (users.dim !== items.dim) {
    throw new LichenArgumentError(
      'ERR_LICHEN_DIMENSION',
      `users: dim is ${items.dim}, got ${users.dim} values`,
    );
  }
  requireInteger('k', k, 1, items.rows);
  requireInteger('maxDesigns', maxDesigns, 1, 1_000_000);
  requireInteger('firstRung', firstRung, 1, 1_000_000);
  requireInteger('factor', factor, 2, 100);
  requireSeed(seed);
  requireRange('minQuality', minQuality, 0, 1);
  requireRange('maxSecondsADesign', maxSecondsADesign, Number.MIN_VALUE, 1e9);
  requireRange('overheadUs', overheadUs, 0, 1e9);
  requireRange('rankerBytes', rankerBytes, 0, 1e15);
  requireDemand(demand);
  requireRange('budgetUsdPerMonth', options.budgetUsdPerMonth ?? 0, 0, Infinity);
  requireRange('memoryBytes', options.memoryBytes ?? 0, 0, Infinity);
  const checked = (list: readonly DesignRequest[]) =>
    list.map((request) => {
      const { user, where, relevant } = request;
      requireInteger('user of a request', user, 0, users.rows - 1);
      if (where !== undefined && attributes === undefined) {
        throw new LichenArgumentError(
          'ERR_LICHEN_ARGUMENT',
          'a request has a condition, but the items have no attributes',
        );
      }
      // Once: some can be walked through only once.
      const wanted = new Set(relevant);
      for (const row of wanted) requireInteger('relevant item', row, 0, items.rows - 1);
      return { ...request, relevant: wanted };
    });
  return {
    parts: { items, users, metric: parseMetric(options.metric), k, ranker, attributes },
    scope: {
      ...{ dim: items.dim, k, items: items.rows },
      ...{ hasRanker: ranker !== undefined, hasEncoder: encoder !== undefined },
      traceKeys: trace?.keyCount ?? 0,
    },
    ...{ space, demand, prices, minQuality, seed, maxDesigns, firstRung, factor, overheadUs },
    ...{
      requests: checked(requests),
      reportRequests: checked(reportRequests),
      encoder,
      trace,
      signal,
      onProgress,
      maxSecondsADesign,
    },
    budgetUsdPerMonth: options.budgetUsdPerMonth ?? Infinity,
    memoryBytes: options.memoryBytes ?? Infinity,
    fixedBytes: BASE_BYTES + rankerBytes,
    ...{ leastSurvivors: LEAST_SURVIVORS, turns: TURNS },
  };
}

/** Options, checked. */
export type ResolvedCodesign = ReturnType<typeof resolveCodesign>;
