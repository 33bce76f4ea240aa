import type { Filter } from '../index/filter.js';
import type { IndexOptions, Key, KeyCondition } from '../index/types.js';
import type { Metric } from '../vectors/metric.js';

/** Options of {@link HnswlibIndex}. */
export interface HnswlibOptions extends Omit<IndexOptions, 'attributes'> {
  /** Links a vector on the upper levels, twice as many on the lowest; 2 to 512. Default 16. */
  m?: number | undefined;
  /** Beam of the searches that find a new vector's links, 1 to 65,536; hnswlib raises it to `m`. Default 200. */
  efConstruction?: number | undefined;
  /** Decides the levels of the vectors; a whole number, of which hnswlib-node takes the low 32 bits. Default 42. */
  seed?: number | undefined;
  /** Vectors to take memory for at once; it grows by half, at least, when there are more. Default 1024. */
  capacity?: number | undefined;
}

/** What {@link HnswlibIndex.open} cannot learn from a file that `save` did not write. */
export interface HnswlibOpenOptions {
  /** Values a vector. */
  dim?: number | undefined;
  /** What scores are. */
  metric?: Metric | undefined;
}

/** Which vectors a search of {@link HnswlibIndex} may return. */
export type HnswlibFilter<K extends Key> = Filter | Uint8Array | KeyCondition<K>;

/** Options of a search whose `filter` may also be a condition on keys; only vectors that the search meets are asked. */
export type WithHnswlibFilter<O, K extends Key> = Omit<
  O,
  'filter' | 'where' | 'exclude' | 'groupBy' | 'groupSize' | 'recall' | 'into'
> & {
  /** Which vectors may be found. */
  filter?: HnswlibFilter<K> | undefined;
};
