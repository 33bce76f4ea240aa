import { createRequire } from 'node:module';
import type { HierarchicalNSW } from 'hnswlib-node';
import { LichenError, type LichenErrorCode } from '../errors.js';
import type { Metric } from '../vectors/metric.js';

/** An index of hnswlib-node. */
export type Graph = HierarchicalNSW;

const SPACES = { dot: 'ip', cosine: 'cosine', l2: 'l2' } as const;

/**
 * An index of hnswlib-node that holds nothing and must be initialized or read from a file. The package is an optional
 * peer and loaded on first use.
 * @throws ERR_LICHEN_MISSING_PACKAGE if it is not installed or cannot be loaded.
 */
export function newGraph(metric: Metric, dim: number): Graph {
  let hnswlib: typeof import('hnswlib-node');
  try {
    hnswlib = createRequire(__filename)('hnswlib-node') as typeof hnswlib;
  } catch (cause) {
    throw new LichenError(
      'ERR_LICHEN_MISSING_PACKAGE',
      'HnswlibIndex needs the package hnswlib-node: npm install hnswlib-node@3',
      { cause },
    );
  }
  return new hnswlib.HierarchicalNSW(SPACES[metric], dim);
}

/** A label, its place in hnswlib's table, a lock, a level, a pointer to the upper links, a mark of a visit. */
const BYTES_A_ROW = 8 + 48 + 40 + 4 + 8 + 2;
/** hnswlib's locks on labels, whatever the size. */
const BYTES_A_GRAPH = 65536 * 40;

/** Bytes of memory that a graph with room for `rows` takes, about. */
export function graphBytes(rows: number, dim: number, m: number): number {
  const base = 4 + 4 * 2 * m + 4 * dim;
  // Of m rows one reaches the next level.
  const upper = (4 + 4 * m) / (m - 1);
  return BYTES_A_GRAPH + Math.ceil(rows * (BYTES_A_ROW + base + upper));
}

/** Runs a call of hnswlib-node; what it throws becomes a LichenError, by default ERR_LICHEN_INTERNAL. */
export function calling<T>(what: string, run: () => T, code?: LichenErrorCode): T {
  try {
    return run();
  } catch (cause) {
    throw hnswlibError(what, cause, code);
  }
}

/** A LichenError for an error of hnswlib-node, which has no codes. */
export function hnswlibError(
  what: string,
  cause: unknown,
  code: LichenErrorCode = 'ERR_LICHEN_INTERNAL',
): LichenError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const isMemory = /not enough memory|bad_alloc/i.test(reason);
  return new LichenError(isMemory ? 'ERR_LICHEN_MEMORY' : code, `${what}: ${reason}`, { cause });
}
