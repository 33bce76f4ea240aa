import type { Deployment } from '../../src/index.js';
import { Recommender } from '../../src/serving/recommender.js';
import type { RecommenderOptions } from '../../src/serving/recommender-options.js';
import type { Metric } from '../../src/vectors/metric.js';
import {
  AMPLE,
  bestOf,
  deploymentOf,
  heldOf,
  randomVectors,
  rowsOf,
  settled,
  vectorOf,
} from './helpers.js';

// Services as several files want them.

/** Of 50 milliseconds, over these vectors; for a clock that stands still. */
export const HASTY_ITEMS = randomVectors(100, 5);
export const usualVector = vectorOf('the usual one');

export async function hasty(changes: Partial<Deployment> = {}, metric: Metric = 'dot') {
  const index = await heldOf(HASTY_ITEMS, metric);
  const { deployment, asked } = deploymentOf(index, changes);
  const service = new Recommender({ slo: 50, k: 5, warmUp: 0 });
  await settled(service.deploy(deployment));
  return { service, asked, index };
}

/** What those get of whom nothing is known in time. */
export const usualItems = (k = 5, without: number[] = []): number[] =>
  rowsOf(bestOf(HASTY_ITEMS, usualVector, { k, without }));

export const never = (): Promise<never> => new Promise(() => undefined);

/** With time for everything, and caches. */
export const KEPT_ITEMS = randomVectors(100, 3);

export async function keeping(options: RecommenderOptions, changes: Partial<Deployment> = {}) {
  const index = await heldOf(KEPT_ITEMS);
  const { deployment, asked } = deploymentOf(index, changes);
  const service = new Recommender({ slo: AMPLE, warmUp: 0, ...options });
  await service.deploy(deployment);
  index.searches = 0;
  return { service, asked, index, deployment };
}

/** What of the answer was kept. */
export const cacheOf = async (
  service: Recommender,
  ...given: Parameters<Recommender['recommend']>
) => (await service.recommend(...given)).explanation.cache;

/** Where all requests that come in one turn are one batch. */
export async function batching(...given: Parameters<typeof deploymentOf<number>>) {
  const { deployment, asked } = deploymentOf(...given);
  const service = new Recommender({
    slo: AMPLE,
    batching: { policy: 'fixed', maxDelayMs: 0 },
  });
  await service.deploy(deployment);
  asked.length = 0;
  return { service, asked };
}

/** Without a model yet. */
export const quiet = (options: RecommenderOptions = {}) =>
  new Recommender({ slo: AMPLE, k: 5, ...options });
