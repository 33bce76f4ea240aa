/**
 * Ranking in stages under a deadline, with what each stage costs.
 * @packageDocumentation
 */
export { Cascade, type CascadeResult } from './cascade.js';
export type { CascadeOptions, RankOptions } from './cascade-options.js';
export type {
  Candidates,
  Retrieval,
  Stage,
  StageContext,
  StageCost,
  StageOutcome,
  StageReport,
  StageStatistics,
} from './stage.js';
export {
  indexRetrieval,
  layersStage,
  storeStage,
  type CascadeSearch,
  type IndexRetrievalOptions,
  type LayersStageOptions,
  type StoreStageOptions,
} from './stages.js';
export {
  tuneCascade,
  type CascadeTuning,
  type TuneCascadeOptions,
  type TuningPoint,
  type TuningRequest,
} from './tune.js';
