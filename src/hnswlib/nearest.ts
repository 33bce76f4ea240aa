import { LichenArgumentError, shown } from '../errors.js';
import { Filter, resolveFilter } from '../index/filter.js';
import type { Key } from '../index/types.js';
import type { Metric } from '../vectors/metric.js';
import type { KeyBook } from './key-book.js';
import type { HnswlibFilter } from './options.js';
import { calling, type Graph } from './package.js';

/** Whether a row may be returned. */
export type Admits = (row: number) => boolean;

/** The `filter` option of a search. */
export function resolveAdmits<K extends Key>(
  filter: HnswlibFilter<K> | undefined,
  book: KeyBook,
): Admits | undefined {
  if (typeof filter === 'function') return (row) => Boolean(filter(book.keyOf(row) as K));
  if (filter !== undefined && !(filter instanceof Filter) && !(filter instanceof Uint8Array)) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `filter must be a function, a Filter or a Uint8Array of its bits, got ${shown(filter)}`,
    );
  }
  const bits = resolveFilter(filter);
  return bits === null ? undefined : (row) => (bits[row >>> 3]! & (1 << (row & 7))) !== 0;
}

/** One search of a graph. */
export interface GraphQuery {
  readonly vector: Float32Array;
  readonly k: number;
  readonly ef: number;
  readonly admits: Admits | undefined;
  /** Whether the graph may hold rows that are not in the book yet. */
  readonly isGrowing: boolean;
}

/**
 * Searches a graph and gives each result to `take`, nearest first, as its row and hnswlib's distance.
 * @returns the number of results.
 * @throws what the filter throws.
 */
export function nearest(
  graph: Graph,
  book: KeyBook,
  { vector, k, ef, admits, isGrowing }: GraphQuery,
  take: (at: number, row: number, distance: number) => void,
): number {
  let failure: { readonly error: unknown } | undefined;
  // An exception must not pass through the frames of hnswlib.
  const admitsLabel = (label: number): boolean => {
    if (failure !== undefined) return false;
    try {
      const row = book.rowOfLabel(label);
      return row !== undefined && (admits === undefined || admits(row));
    } catch (error) {
      failure = { error };
      return false;
    }
  };
  const filter = admits === undefined && !isGrowing ? undefined : admitsLabel;
  const { neighbors, distances } = calling('search', () => {
    graph.setEf(ef);
    return graph.searchKnn(Array.from(vector), k, filter);
  });
  if (failure !== undefined) throw failure.error;
  neighbors.forEach((label, at) => take(at, book.rowOfLabel(label)!, distances[at]!));
  return neighbors.length;
}

/** hnswlib's distance as a score. A score of dot or cosine is exact to the rounding of 1 - score to f32. */
export function scoreOf(metric: Metric, distance: number): number {
  return metric === 'l2' ? distance : 1 - distance;
}
