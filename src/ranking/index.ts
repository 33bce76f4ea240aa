/**
 * Recommendations by search, without what a user has already; recall and nDCG of them.
 * @packageDocumentation
 */
export {
  NO_ITEM,
  recommendBatch,
  type RecommendOptions,
  type RecommendRequest,
} from './recommend.js';
export { rankingMetrics, type RankingMetrics } from './ranking-metrics.js';
