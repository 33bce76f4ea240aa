/**
 * lichen: an embedding retrieval engine. The package's public surface; see README.md for a first program.
 * @packageDocumentation
 */
export * from './errors.js';
export {
  machine,
  type KeyKind,
  type Machine,
  type SnapshotSection,
  type StorageErrors,
} from './native.js';

export { matrix, matrixRow, type IntMatrix, type Matrix } from './vectors/matrix.js';
export { METRICS, parseMetric, type Metric } from './vectors/metric.js';
export { STORAGE_TYPES, parseStorageType, type StorageType } from './vectors/storage-type.js';
export {
  readIntMatrix,
  readMatrix,
  writeIntMatrix,
  writeMatrix,
  type Integers,
  type ReadMatrixOptions,
  type WriteMatrixOptions,
} from './vectors/files.js';
export type { FileOptions } from './vectors/bytes.js';
export { readParquetKeys, readParquetVectors, type ReadParquetOptions } from './vectors/parquet.js';
export { Random } from './vectors/random.js';

export { Vocabulary, type VocabularyJson } from './interactions/vocabulary.js';
export {
  interactionsFromPairs,
  itemsOf,
  type Interactions,
  type InteractionsReport,
  type PairsOptions,
  type VocabularyOptions,
} from './interactions/interactions.js';
export {
  readInteractions,
  type InteractionsFormat,
  type ReadInteractionsOptions,
} from './interactions/reader.js';
export { holdOutItems, holdOutLast, holdOutShare, type Split } from './interactions/hold-out.js';

export type * from './index/types.js';
export { SearchableIndex } from './index/searchable-index.js';
export { VectorIndex } from './index/vector-index.js';
export type { Durability } from './index/writes.js';
export { cudaDevices, cudaStatus, type CudaDevice, type CudaStatus } from './cuda.js';
export { FlatIndex, type FlatOptions, type NeighborsOptions } from './index/flat.js';
export {
  GpuFlatIndex,
  type DeviceOptions,
  type GpuFlatOptions,
  type GpuFlatState,
} from './index/gpu-flat.js';
export {
  HnswIndex,
  type FromHnswlibOptions,
  type HnswOptions,
  type RecallPoint,
} from './index/hnsw.js';
export { Filter } from './index/filter.js';
export type {
  AttributeKind,
  AttributeSchema,
  AttributesInput,
  AttributesOf,
  AttributeValuesInput,
} from './index/attributes.js';
export type {
  AttributeCondition,
  CategoryCondition,
  NumberCondition,
  TagsCondition,
  Where,
} from './index/where.js';
export {
  EmbeddingStore,
  type EmbeddingStoreOptions,
  type StoreScanOptions,
  type StoreScanResult,
  type StoreScores,
} from './index/embedding-store.js';
export { attachIndex, openIndex } from './index/open.js';
export { IndexShare, type ShareToken } from './index/share.js';
export type {
  OpenIndexOptions,
  OpenOptions,
  SaveOptions,
  SnapshotLabel,
} from './index/file-options.js';
export { LiveIndex, type LiveIndexOptions } from './index/live-index.js';
export {
  publishIndex,
  readPublished,
  type Published,
  type PublishOptions,
} from './index/published.js';
export { inspectSnapshot, type SnapshotReport } from './index/snapshot.js';

export { HnswlibIndex } from './hnswlib/hnswlib-index.js';
export type {
  HnswlibFilter,
  HnswlibOpenOptions,
  HnswlibOptions,
  WithHnswlibFilter,
} from './hnswlib/options.js';

export { BACKENDS, type BackendName, type TowerBackend } from './tensorflow/backends.js';
export {
  BACKEND_CHANNEL,
  loadTensorFlow,
  type BackendChoice,
  type LoadedTensorFlow,
  type LoadTensorFlowOptions,
  type TensorFlow,
} from './tensorflow/tensorflow.js';
export {
  lichenCudaFallbacks,
  lichenFallbacks,
  resetLichenFallbacks,
} from './tensorflow/fallbacks.js';
export { TfScorer, type TfScorerOptions, type TfSearchOptions } from './tensorflow/tf-scorer.js';
export { openLayersModel, saveLayersModel } from './tensorflow/layers-files.js';

export {
  TOWER_DEFAULTS,
  TWO_TOWER_DEFAULTS,
  type ResolvedTwoTowerOptions,
  type TwoTowerOptions,
  type TwoTowerProgress,
} from './towers/options.js';
export { TwoTowerModel, type TwoTowerSource } from './towers/two-tower-model.js';
export type { TwoTowerInfo, TwoTowerMetric } from './towers/model-files.js';
export type { NewUser, TowerWeights } from './towers/new-vectors.js';
export type { FeatureColumn, FeatureColumns, FeatureValues } from './towers/features.js';
export {
  readFeatures,
  type ReadFeatures,
  type ReadFeaturesOptions,
} from './towers/feature-files.js';
export { DualEncoder, type EncodeOptions } from './towers/dual-encoder.js';
export type { DualEncoderOptions } from './towers/dual-encoder-options.js';
export type { DualEncoderInfo, OpenDualEncoderOptions } from './towers/dual-encoder-files.js';
export type { EncoderFunction, EncoderInputs, EncoderSpec } from './towers/encoder.js';
export {
  trainRanker,
  type RankerEpoch,
  type RankerOptions,
  type RankingGroup,
  type TrainedRanker,
} from './towers/ranker.js';
export {
  InteractionRanker,
  type InteractionRankerOptions,
  type InteractionRankerSource,
} from './towers/interaction-ranker.js';
export { RANKING_FEATURES, RankingFeatures, type RankedUser } from './towers/ranking-features.js';
export { OnnxTower, type OnnxEncodeOptions, type OnnxTowerOptions } from './towers/onnx-tower.js';
export type { OnnxInput, OnnxInputSchema } from './towers/onnx-runtime.js';

export type { CacheKey } from './cache/key-hash.js';
export {
  MemoryCache,
  type MemoryCacheOptions,
  type MemoryCacheStatistics,
} from './cache/memory-cache.js';
export { ByteCache, type ByteCacheOptions, type ByteCacheStatistics } from './cache/byte-cache.js';
export { TieredCache, type CacheGetOptions, type CacheSetOptions } from './cache/tiered-cache.js';
export type {
  LoadMany,
  SharedStatistics,
  TieredCacheOptions,
  TieredCacheStatistics,
} from './cache/tiered-options.js';
export type { GuardStatistics } from './cache/guarded.js';
export type { BreakerState } from './cache/breaker.js';
export type { SharedEntry, SharedTier } from './cache/shared-tier.js';
export { openRedisTier, RedisTier, type RedisTierOptions } from './cache/redis-tier.js';
export type { ValueArray } from './cache/value-bytes.js';

export {
  feature,
  type ColumnOf,
  type ColumnsOf,
  type FeatureType,
  type ListColumn,
  type RowOf,
  type Schema,
  type ValueOf,
} from './features/feature-types.js';
export { aggregate, type Aggregation } from './features/aggregations.js';
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
} from './features/definitions.js';
export type { FeatureKey } from './features/keys.js';
export type * from './features/store.js';
export { openLmdbStore, type LmdbStoreOptions } from './features/lmdb-store.js';
export { openRedisStore, type RedisStoreOptions } from './features/redis-store.js';
export { openPostgresStore, type PostgresStoreOptions } from './features/postgres-store.js';
export { openFeatureStore } from './features/open-store.js';
export type { BatchSource, ReadSourceOptions, SourceBatch, SourceRow } from './features/source.js';
export {
  csvSource,
  parquetSource,
  rowsSource,
  type CsvSourceOptions,
  type ParquetSourceOptions,
} from './features/row-sources.js';
export { postgresSource, type PostgresSourceOptions } from './features/postgres-source.js';
export {
  materialize,
  type MaterializeOptions,
  type MaterializeReport,
} from './features/materialize.js';
export {
  StreamWriter,
  type FeatureEvent,
  type IngestReport,
  type StreamWriterOptions,
} from './features/stream.js';
export {
  FEATURE_STATUS,
  type FeatureFrame,
  type FeatureStatus,
  type FrameKeys,
  type FrameRequest,
} from './features/frame.js';
export {
  OnlineFeatures,
  type OnlineFeaturesOptions,
  type OnlineStatistics,
  type ViewStatistics,
} from './features/online.js';
export { trainingFrame, type PastEvent, type TrainingOptions } from './features/training.js';
export { storeStatistics, type ViewReport } from './features/store-report.js';

export {
  Batcher,
  type BatchContext,
  type BatcherStatistics,
  type BatchFunction,
} from './batching/batcher.js';
export type {
  BatcherOptions,
  BatchPolicyName,
  Slo,
  SubmitOptions,
} from './batching/batcher-options.js';
export type {
  BatchLatency,
  BatchPlan,
  BatchPolicy,
  BatchReport,
  QueueView,
} from './batching/policy.js';

export { Cascade, type CascadeResult } from './cascade/cascade.js';
export type { CascadeOptions, RankOptions } from './cascade/cascade-options.js';
export type {
  Candidates,
  Retrieval,
  Stage,
  StageContext,
  StageCost,
  StageOutcome,
  StageReport,
  StageStatistics,
} from './cascade/stage.js';
export {
  indexRetrieval,
  layersStage,
  storeStage,
  type CascadeSearch,
  type IndexRetrievalOptions,
  type LayersStageOptions,
  type StoreStageOptions,
} from './cascade/stages.js';
export {
  tuneCascade,
  type CascadeTuning,
  type TuneCascadeOptions,
  type TuningPoint,
  type TuningRequest,
} from './cascade/tune.js';

export { RetrievalPool, type RetrievalPoolStatistics } from './pool/retrieval-pool.js';
export type {
  KnownItemsOptions,
  RetrievalPoolOptions,
  RetrieveOptions,
} from './pool/pool-options.js';
export type { UserBatch } from './pool/user-batch.js';
export {
  sharedMatrix,
  type BagTower,
  type ModuleTower,
  type TableTower,
  type TowerBatch,
  type TowerFunction,
  type UserHistories,
  type UserTower,
  type VectorsTower,
} from './pool/user-tower.js';

export { Recommender } from './serving/recommender.js';
export type {
  Explanation,
  InService,
  Recommendation,
  RecommenderStatistics,
} from './serving/recommender.js';
export type {
  CacheUse,
  RecommenderOptions,
  RequestEvent,
  RequestOptions,
  RequestOutcome,
  ServeOptions,
  WorkOptions,
} from './serving/recommender-options.js';
export type {
  Deployment,
  DeploymentSearch,
  EncodeContext,
  RankedQuery,
  UserVectors,
} from './serving/deployment.js';
export type { UserQuery } from './serving/query.js';
export { modelDeployment, type ModelDeploymentOptions } from './serving/model-deployment.js';
export { followPublished, type Following, type FollowOptions } from './serving/follow.js';
export type { AdmissionStatistics } from './serving/admission.js';
export type { CanaryStatistics } from './serving/canary.js';
export type { DeploymentStatistics } from './serving/served.js';
export type { EncodeStatistics } from './serving/user-vectors.js';
export type { LatencyPercentiles } from './serving/recent-latency.js';
export type { OpenTelemetry } from './serving/tracing.js';

export {
  NO_ITEM,
  recommendBatch,
  type RecommendOptions,
  type RecommendRequest,
} from './ranking/recommend.js';

export { rankingMetrics, type RankingMetrics } from './ranking/ranking-metrics.js';
export * from './cluster/index.js';
export * from './evaluation/index.js';
export * from './planning/index.js';

export {
  makeCatalogue,
  type Catalogue,
  type CatalogueOptions,
  type Listener,
  type Track,
} from './catalogue/catalogue.js';
