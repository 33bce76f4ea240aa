/**
 * The interface of `HnswIndex` over the optional package hnswlib-node, to move from it or to compare with it.
 * @packageDocumentation
 */
export { HnswlibIndex } from './hnswlib-index.js';
export type {
  HnswlibFilter,
  HnswlibOpenOptions,
  HnswlibOptions,
  WithHnswlibFilter,
} from './options.js';
