/**
 * Requests that come one by one, worked on in batches that keep an SLO.
 * @packageDocumentation
 */
export {
  Batcher,
  type BatchContext,
  type BatcherStatistics,
  type BatchFunction,
} from './batcher.js';
export type { BatcherOptions, BatchPolicyName, Slo, SubmitOptions } from './batcher-options.js';
export type { BatchLatency, BatchPlan, BatchPolicy, BatchReport, QueueView } from './policy.js';
