import type { FlatOptions } from '../../src/index/flat.js';
import type { SearchResult } from '../../src/index/types.js';
import { METRICS, type Metric } from '../../src/vectors/metric.js';
import { STORAGE_TYPES, type StorageType } from '../../src/vectors/storage-type.js';

/** Every storage type under every metric. */
export const STORED: [StorageType, Metric][] = STORAGE_TYPES.flatMap((storage) =>
  METRICS.map((metric): [StorageType, Metric] => [storage, metric]),
);

/** Ways to keep vectors, coarse ones also with a finer one beside them. */
export type Way = Pick<FlatOptions, 'storage' | 'rerank' | 'pca'>;
export const WAYS: Way[] = [
  ...STORAGE_TYPES.map((storage) => ({ storage })),
  { storage: 'f16', rerank: 'f32' },
  { storage: 'i8', rerank: 'f16' },
  { storage: 'i4', rerank: 'i8' },
  { storage: 'b1', rerank: 'bf16' },
  { storage: 'pq', rerank: 'f32' },
  { storage: 'i8', pca: 12 },
  { storage: 'i4', pca: 20, rerank: 'i4' },
  { storage: 'b1', pca: 1, rerank: 'f16' },
];

/** As a text for a test's name. */
export function wayName({ storage, rerank, pca }: Way): string {
  const codes = pca === undefined ? storage! : `${storage}/${pca}`;
  return rerank === undefined ? codes : `${codes} + ${rerank}`;
}

/** The vector of length 1; the zero vector stays what it is. */
export function unit(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return norm === 0 ? vector : vector.map((value) => value / norm);
}

/**
 * How far a score may be from {@link expectedScore}, in shares of |query| · |decoded|: what rounding makes of it (floats)
 * or that the query is quantized, too (8 bits for i8 and i4, 4 for b1, tables of 8 bits for pq).
 */
export const SLACK: Record<StorageType, number> = {
  f32: 2e-6,
  f16: 2e-6,
  bf16: 2e-6,
  i8: 0.02,
  i4: 0.02,
  b1: 0.25,
  pq: 0.06,
};

/**
 * The score, in float64, that a storage type gives a query and a row that decodes to `decoded`: that of the decoded vector;
 * but for l2, i8, i4 and b1 estimate the distance to the given vector, off by 2⟨decoded − given, given − query⟩.
 */
export function expectedScore(
  storage: StorageType,
  metric: Metric,
  query: Float32Array,
  given: Float32Array,
  decoded: Float32Array,
): { score: number; slack: number } {
  const [q, x] = metric === 'cosine' ? [unit(query), unit(given)] : [query, given];
  const estimates = storage === 'i8' || storage === 'i4' || storage === 'b1';
  let dot = 0;
  let distance = 0;
  let estimate = 0;
  let squares = 0;
  let decodedSquares = 0;
  for (let d = 0; d < q.length; d++) {
    dot += q[d]! * decoded[d]!;
    distance += (q[d]! - decoded[d]!) ** 2;
    estimate += (q[d]! - x[d]!) ** 2 + 2 * (decoded[d]! - x[d]!) * (x[d]! - q[d]!);
    squares += q[d]! ** 2;
    decodedSquares += decoded[d]! ** 2;
  }
  const score = metric !== 'l2' ? dot : estimates ? estimate : distance;
  return { score, slack: SLACK[storage] * (1e-6 + Math.sqrt(squares * decodedSquares)) };
}

/** A result as plain numbers, which compare bit for bit. */
export function plain({ keys, scores }: SearchResult<number>): {
  keys: number[];
  scores: number[];
} {
  return { keys: [...keys], scores: [...scores] };
}
