/**
 * lichen: an embedding retrieval engine. The package's public surface; see README.md for a first program. Each room is an
 * entry of its own as well: `lichen/index` is what `src/index/index.ts` exports. `lichen/http` is only that, since its packages
 * are optional.
 * @packageDocumentation
 */
export {
  LichenAbortError,
  LichenArgumentError,
  LichenError,
  LichenFileError,
  type LichenErrorCode,
} from './errors.js';
export {
  machine,
  type KeyKind,
  type Machine,
  type SnapshotSection,
  type StorageErrors,
} from './native.js';
export { cudaDevices, cudaStatus, type CudaDevice, type CudaStatus } from './cuda.js';

export * from './vectors/index.js';
export * from './interactions/index.js';
export * from './index/index.js';
export * from './hnswlib/index.js';
export * from './ranking/index.js';
export * from './tensorflow/index.js';
export * from './towers/index.js';
export * from './cache/index.js';
export * from './features/index.js';
export * from './batching/index.js';
export * from './cascade/index.js';
export * from './pool/index.js';
export * from './serving/index.js';
export * from './cluster/index.js';
export * from './evaluation/index.js';
export * from './planning/index.js';
export * from './catalogue/index.js';
