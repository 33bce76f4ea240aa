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
export { FlatIndex, type FlatOptions } from './index/flat.js';
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
export { lichenFallbacks, resetLichenFallbacks } from './tensorflow/fallbacks.js';
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
export { OnnxTower, type OnnxEncodeOptions, type OnnxTowerOptions } from './towers/onnx-tower.js';
export type { OnnxInput, OnnxInputSchema } from './towers/onnx-runtime.js';

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

export {
  NO_ITEM,
  recommendBatch,
  type RecommendOptions,
  type RecommendRequest,
} from './ranking/recommend.js';

export { latencySummary, type LatencySummary } from './evaluation/latency.js';
export {
  recallAtK,
  recallAtKByScore,
  type Neighbours,
  type ScoreRecallOptions,
} from './evaluation/neighbours.js';
export { rankingMetrics, type RankingMetrics } from './ranking/ranking-metrics.js';
export { exactTruth, exactTruthAmong, type Truth } from './evaluation/truth.js';
export {
  measureSearch,
  type MeasureOptions,
  type SearchPoint,
} from './evaluation/search-points.js';

export {
  makeCatalogue,
  type Catalogue,
  type CatalogueOptions,
  type Listener,
  type Track,
} from './catalogue/catalogue.js';
