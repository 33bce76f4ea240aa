import type { Gauge, Registry } from 'prom-client';
import type { Recommender, RecommenderStatistics } from '../serving/recommender.js';
import type { RequestEvent } from '../serving/recommender-options.js';
import type { HttpPackages } from './packages.js';

/** From a quarter of a millisecond to five seconds. */
const SECONDS = [
  ...[0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
];

/** Metrics of a service, for Prometheus. */
export interface Metrics {
  readonly registry: Registry;
  /** A response was sent. */
  responded(route: string, status: number): void;
  close(): void;
}

/** Metrics that are counted as requests end, and ones that are read when they are asked for. */
export function serviceMetrics(
  { prometheus }: HttpPackages,
  recommender: Recommender,
  isProcess: boolean,
): Metrics {
  const registry = new prometheus.Registry();
  const registers = [registry];
  if (isProcess) prometheus.collectDefaultMetrics({ register: registry });
  const requests = new prometheus.Counter({
    ...{ name: 'lichen_requests_total', help: 'Requests, by what became of them', registers },
    labelNames: ['kind', 'outcome'],
  });
  const seconds = new prometheus.Histogram({
    ...{ name: 'lichen_request_seconds', help: 'How long answers took', registers },
    ...{ labelNames: ['kind'], buckets: SECONDS },
  });
  const stages = new prometheus.Histogram({
    ...{ name: 'lichen_stage_seconds', help: 'How long steps of requests took', registers },
    ...{ labelNames: ['stage'], buckets: SECONDS },
  });
  const outcomes = new prometheus.Counter({
    ...{ name: 'lichen_stage_outcomes_total', help: 'Steps, by what became of them', registers },
    labelNames: ['stage', 'outcome'],
  });
  const kept = new prometheus.Counter({
    ...{ name: 'lichen_cache_use_total', help: 'Answers, by what of them was kept', registers },
    labelNames: ['cache'],
  });
  const responses = new prometheus.Counter({
    ...{ name: 'lichen_http_responses_total', help: 'Responses, by route and status', registers },
    labelNames: ['route', 'status'],
  });
  addGauges(prometheus, registry, recommender);
  const stop = recommender.observe((event: RequestEvent) => {
    const { kind, outcome, ms, cache, steps } = event;
    requests.inc({ kind, outcome });
    if (outcome === 'ok' || outcome === 'degraded') seconds.observe({ kind }, ms / 1000);
    if (cache !== undefined) kept.inc({ cache });
    for (const { name, outcome: done, ms: took } of steps) {
      outcomes.inc({ stage: name, outcome: done });
      if (done !== 'skipped') stages.observe({ stage: name }, took / 1000);
    }
  });
  return {
    registry,
    responded: (route, status) => responses.inc({ route, status: String(status) }),
    close: () => {
      stop();
      registry.clear();
    },
  };
}

type Row = readonly [value: number, labels?: Readonly<Record<string, string>>];

/** Each: its name, what it is, its labels, its values. */
const GAUGES: readonly (readonly [
  name: string,
  help: string,
  labels: readonly string[],
  rows: (stats: RecommenderStatistics) => readonly Row[],
])[] = [
  ['in_flight', 'Requests at work', [], ({ inFlight }) => [[inFlight]]],
  ['concurrency_limit', 'Requests that may be at work', [], ({ limit }) => [[limit]]],
  [
    'queue_requests',
    'Requests that wait for the user tower',
    [],
    (stats) => encode(stats, 'queued'),
  ],
  [
    ...(['batches', 'Batches of the user tower, by size', ['up_to']] as const),
    ({ deployment }) =>
      (deployment?.encode.batches.batchSizes ?? []).map((count, at) => [
        count,
        { up_to: String(2 ** at) },
      ]),
  ],
  [
    'expired_requests',
    'Requests dropped by the tower’s queue',
    [],
    (stats) => encode(stats, 'expired'),
  ],
  ['index_vectors', 'Vectors of the index', [], ({ deployment }) => [[deployment?.items ?? 0]]],
  ['deployments', 'Deployments so far', [], ({ deployments }) => [[deployments]]],
  [
    ...(['deployment_info', 'What is in service', ['version']] as const),
    ({ deployment }) => (deployment ? [[1, { version: deployment.version }]] : []),
  ],
  [
    ...(['canary_recall', 'Share of the nearest that searches found lately', []] as const),
    ({ canary }) => (Number.isNaN(canary.recall) ? [] : [[canary.recall]]),
  ],
  ['canary_samples', 'Searches answered exactly', [], ({ canary }) => [[canary.samples]]],
  [
    ...(['vector_cache_hits', 'Vectors of users, by the tier that had them', ['tier']] as const),
    ({ deployment }) => {
      const hits = deployment?.encode.cache?.hits;
      if (hits === undefined) return [];
      return (['memory', 'shared'] as const).map((tier) => [hits[tier], { tier }]);
    },
  ],
  [
    ...(['cache_bytes', 'Memory of caches', ['cache']] as const),
    ({ deployment }) => [[deployment?.encode.cache?.memory.bytes ?? 0, { cache: 'vector' }]],
  ],
];

function encode({ deployment }: RecommenderStatistics, what: 'queued' | 'expired'): readonly Row[] {
  return [[deployment?.encode.batches[what] ?? 0]];
}

function addGauges(
  prometheus: HttpPackages['prometheus'],
  registry: Registry,
  recommender: Recommender,
): void {
  // Statistics are taken once for all gauges of a scrape.
  let taken: { readonly stats: RecommenderStatistics; readonly at: number } | undefined;
  const stats = (): RecommenderStatistics => {
    const at = performance.now();
    if (taken === undefined || at - taken.at > 50) taken = { stats: recommender.stats(), at };
    return taken.stats;
  };
  for (const [name, help, labelNames, rows] of GAUGES) {
    new prometheus.Gauge({
      ...{ name: `lichen_${name}`, help, labelNames, registers: [registry] },
      collect(this: Gauge) {
        this.reset();
        for (const [value, labels] of rows(stats())) this.set({ ...labels }, value);
      },
    });
  }
}
