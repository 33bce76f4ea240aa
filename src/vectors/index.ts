/**
 * Vectors as rows of typed arrays: matrices, metrics, value types, and the files that hold them (npy, fvecs, fbin, HDF5, parquet …).
 * @packageDocumentation
 */
export { matrix, matrixRow, type IntMatrix, type Matrix } from './matrix.js';
export { METRICS, parseMetric, type Metric } from './metric.js';
export { STORAGE_TYPES, parseStorageType, type StorageType } from './storage-type.js';
export {
  readIntMatrix,
  readMatrix,
  writeIntMatrix,
  writeMatrix,
  type Integers,
  type ReadMatrixOptions,
  type WriteMatrixOptions,
  type ReadIntMatrixOptions,
} from './files.js';
export type { FileOptions } from './bytes.js';
export { readParquetKeys, readParquetVectors, type ReadParquetOptions } from './parquet.js';
export { Random } from './random.js';
