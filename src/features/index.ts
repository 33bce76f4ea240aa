/**
 * Features: definitions, stores, materialization, events, serving them and joining them to the past.
 * @packageDocumentation
 */
export {
  feature,
  type ColumnOf,
  type ColumnsOf,
  type FeatureType,
  type ListColumn,
  type RowOf,
  type Schema,
  type ValueOf,
  type BoolFeature,
  type NumberFeature,
  type TextFeature,
  type ListFeature,
  type VectorFeature,
} from './feature-types.js';
export {
  aggregate,
  type Aggregation,
  type LastAggregation,
  type DecayedAggregation,
  type WindowAggregation,
} from './aggregations.js';
export {
  batchView,
  entity,
  featureService,
  onDemandView,
  pick,
  streamView,
  type BatchView,
  type Entity,
  type FeatureCost,
  type FeatureService,
  type FeatureTier,
  type FeatureView,
  type OnDemandRow,
  type OnDemandView,
  type Picked,
  type StreamView,
  type KeyType,
} from './definitions.js';
export type { FeatureKey } from './keys.js';
export type {
  Checkpoint,
  OnlineStore,
  ReadRequest,
  RecordEntry,
  RecordVisitor,
  WriteBatch,
} from './store.js';
export { openLmdbStore, type LmdbStoreOptions } from './lmdb-store.js';
export { openRedisStore, type RedisStoreOptions } from './redis-store.js';
export { openPostgresStore, type PostgresStoreOptions } from './postgres-store.js';
export { openFeatureStore } from './open-store.js';
export type { BatchSource, ReadSourceOptions, SourceBatch, SourceRow } from './source.js';
export {
  csvSource,
  parquetSource,
  rowsSource,
  type CsvSourceOptions,
  type ParquetSourceOptions,
} from './row-sources.js';
export { postgresSource, type PostgresSourceOptions } from './postgres-source.js';
export { materialize, type MaterializeOptions, type MaterializeReport } from './materialize.js';
export {
  StreamWriter,
  type FeatureEvent,
  type IngestReport,
  type StreamWriterOptions,
} from './stream.js';
export {
  FEATURE_STATUS,
  type FeatureFrame,
  type FeatureStatus,
  type FrameKeys,
  type FrameRequest,
} from './frame.js';
export {
  OnlineFeatures,
  type OnlineFeaturesOptions,
  type OnlineStatistics,
  type ViewStatistics,
} from './online.js';
export { trainingFrame, type PastEvent, type TrainingOptions } from './training.js';
export { storeStatistics, type ViewReport } from './store-report.js';
