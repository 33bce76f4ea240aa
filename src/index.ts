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
export { openIndex } from './index/open.js';
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

export { TWO_TOWER_DEFAULTS, type TwoTowerOptions } from './towers/options.js';
export { TwoTowerModel } from './towers/two-tower-model.js';

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
