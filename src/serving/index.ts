/**
 * A `Recommender` in service: deployments and their swap, admission, batches, caches of results, statistics.
 * @packageDocumentation
 */
export { Recommender } from './recommender.js';
export type {
  Explanation,
  InService,
  Recommendation,
  RecommenderStatistics,
} from './recommender.js';
export type {
  CacheUse,
  RecommenderOptions,
  RequestEvent,
  RequestOptions,
  RequestOutcome,
  ServeOptions,
  WorkOptions,
} from './recommender-options.js';
export type {
  Deployment,
  DeploymentSearch,
  EncodeContext,
  RankedQuery,
  UserVectors,
} from './deployment.js';
export type { UserQuery } from './query.js';
export { modelDeployment, type ModelDeploymentOptions } from './model-deployment.js';
export { followPublished, type Following, type FollowOptions } from './follow.js';
export type { AdmissionStatistics } from './admission.js';
export type { CanaryStatistics } from './canary.js';
export type { DeploymentStatistics } from './served.js';
export type { EncodeStatistics } from './user-vectors.js';
export type { LatencyPercentiles } from './recent-latency.js';
export type { OpenTelemetry } from './tracing.js';
