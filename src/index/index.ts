/**
 * Indexes: exact and by a graph, filters and attributes, snapshots and journals, an index that swaps its files.
 * @packageDocumentation
 */
export type * from './types.js';
export { SearchableIndex } from './searchable-index.js';
export { VectorIndex } from './vector-index.js';
export type { Durability } from './writes.js';
export { FlatIndex, type FlatOptions, type NeighborsOptions } from './flat.js';
export {
  GpuFlatIndex,
  type DeviceOptions,
  type GpuFlatOptions,
  type GpuFlatState,
} from './gpu-flat.js';
export { HnswIndex, type FromHnswlibOptions, type HnswOptions, type RecallPoint } from './hnsw.js';
export { Filter } from './filter.js';
export type {
  AttributeKind,
  AttributeSchema,
  AttributesInput,
  AttributesOf,
  AttributeValuesInput,
} from './attributes.js';
export type {
  AttributeCondition,
  CategoryCondition,
  NumberCondition,
  TagsCondition,
  Where,
} from './where.js';
export {
  EmbeddingStore,
  type EmbeddingStoreOptions,
  type StoreScanOptions,
  type StoreScanResult,
  type StoreScores,
} from './embedding-store.js';
export { attachIndex, openIndex } from './open.js';
export { IndexShare, type ShareToken } from './share.js';
export type { OpenIndexOptions, OpenOptions, SaveOptions, SnapshotLabel } from './file-options.js';
export { LiveIndex, type LiveIndexOptions } from './live-index.js';
export { publishIndex, readPublished, type Published, type PublishOptions } from './published.js';
export { inspectSnapshot, type SnapshotReport } from './snapshot.js';
