import { LichenArgumentError, LichenError } from '../errors.js';
import { resolveEf, resolveK, resolveOversample } from '../index/arguments.js';
import type { Key, SearchSyncOptions } from '../index/types.js';
import { EXACT } from '../native.js';
import type { WithHnswlibFilter } from './options.js';
import { resolveAdmits, type Admits } from './nearest.js';
import type { KeyBook } from './key-book.js';

const DEFAULT_EF = 64;

/** The values of vectors of `dim`, or ERR_LICHEN_NOT_FINITE. */
export function requireFinite(name: string, values: Float32Array, dim: number): Float32Array {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  const value = Number.isNaN(values[at]) ? 'NaN' : 'Infinity';
  const where = values.length > dim ? ` of row ${Math.floor(at / dim)}` : '';
  throw new LichenArgumentError(
    'ERR_LICHEN_NOT_FINITE',
    `${name} has the value ${value} at position ${at % dim}${where}; every value must be finite`,
  );
}

/** What a search is told beside its query. */
export interface SearchPlan {
  readonly k: number;
  readonly ef: number;
  readonly admits: Admits | undefined;
}

/** Checks the options of a search as those of {@link HnswIndex} are checked. */
export function resolveSearch<K extends Key>(
  options: WithHnswlibFilter<SearchSyncOptions, K>,
  book: KeyBook,
): SearchPlan {
  const { filter, ...others } = options;
  const { size } = book;
  const k = resolveK(others, () => Infinity);
  const ef = resolveEf(others);
  resolveOversample(others);
  const admits = resolveAdmits(filter, book);
  if (k > size) {
    throw new LichenArgumentError(
      'ERR_LICHEN_ARGUMENT',
      `k must be an integer from 1 to the size of the index (${size}), got ${k}`,
    );
  }
  if (ef === EXACT) {
    throw new LichenError('ERR_LICHEN_UNSUPPORTED', 'hnswlib-node has no exact search');
  }
  return { k, ef: ef === 0 ? DEFAULT_EF : ef, admits };
}
