import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { HierarchicalNSW as HierarchicalNSWType } from 'hnswlib-node';
import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import { HNSWLIB_SPACES } from '../../src/evaluation/sweep-peers.js';
import { HnswIndex, latencySummary, type Matrix, type Metric } from '../../src/index.js';
import { loadPeer } from './peers.js';
import type { Stored } from './stored.js';

/** What every side is built from and asked. */
export interface AnnTask {
  readonly base: Matrix;
  readonly queries: Matrix;
  readonly metric: Metric;
  readonly m: number;
  readonly efConstruction: number;
  readonly k: number;
  /** How long a side works in a round. */
  readonly seconds: number;
  /** For files, gone at the end. */
  readonly folder: string;
}

/** Latency of one query at a time, one thread, in microseconds. */
export interface Latency {
  readonly p50us: number;
  readonly p99us: number;
}

/** A built index of one library. */
export interface AnnSide {
  readonly name: string;
  /** One thread. */
  readonly buildSeconds: number;
  readonly bytesAVector: number;
  /** How the bytes were counted. */
  readonly bytesBy: string;
  /** Sets the beam of all searches from now on; its time does not count. */
  aim(ef: number): void | Promise<void>;
  /** Searches on one thread for some queries; says how many. */
  work(): number | Promise<number>;
  latency(): Latency | Promise<Latency>;
  /** The row numbers found, k a query, -1 where there is none. */
  keys(): ArrayLike<number | bigint> | Promise<ArrayLike<number | bigint>>;
  /** Searches for all queries in one call; undefined where there is no such call. */
  readonly batch?: (threads: number) => unknown;
  close?(): void | Promise<void>;
}

/** How long a side works in a round, unless options say otherwise. */
export const SECONDS_A_SIDE = 0.2;

const QUERIES_AT_ONCE = 16; // between two looks at the clock

/** What one-at-a-time searches from JavaScript give a side. */
export function searching(
  { queries, k }: Pick<AnnTask, 'queries' | 'k'>,
  search: (query: number) => ArrayLike<number | bigint>,
): { work: () => number; latency: () => Latency; keys: () => Float64Array } {
  let next = 0;
  return {
    work() {
      for (let i = 0; i < QUERIES_AT_ONCE; i++) {
        search(next);
        next = (next + 1) % queries.rows;
      }
      return QUERIES_AT_ONCE;
    },
    latency() {
      const micros = new Float64Array(queries.rows);
      for (let query = 0; query < queries.rows; query++) {
        const start = performance.now();
        search(query);
        micros[query] = (performance.now() - start) * 1000;
      }
      const { p50us, p99us } = latencySummary(micros);
      return { p50us, p99us };
    },
    keys() {
      const keys = new Float64Array(queries.rows * k).fill(-1);
      for (let query = 0; query < queries.rows; query++) {
        const found = search(query);
        for (let at = 0; at < found.length; at++) keys[query * k + at] = Number(found[at]);
      }
      return keys;
    },
  };
}

/** lichen from JavaScript. */
export function lichenSide(task: AnnTask, stored: Stored, oversample: number | undefined): AnnSide {
  const { base, queries, metric, k } = task;
  const { storage, pca, rerank, efConstruction = task.efConstruction, m = task.m } = stored;
  const index = new HnswIndex({ dim: base.dim, metric, m, efConstruction, storage, pca, rerank });
  const start = performance.now();
  index.addSync(base, { threads: 1 });
  const buildSeconds = secondsSince(start);
  const vectors = rowsOf(queries);
  const more = rerank === undefined || oversample === undefined ? {} : { oversample };
  let options = { k, ef: k, ...more };
  return {
    name: `lichen ${stored.text}`,
    buildSeconds,
    bytesAVector: index.bytes / base.rows,
    bytesBy: 'its own count',
    aim: (ef) => void (options = { ...options, ef }),
    ...searching(task, (query) => index.searchSync(vectors[query]!, options).keys),
    batch: (threads) => index.searchBatch(queries, { ...options, threads }),
    close: () => index.close(),
  };
}

/** hnswlib-node, which takes plain arrays only: they are made ahead and do not count. Undefined if not installed. */
export function hnswlibNodeSides(task: AnnTask): AnnSide[] | undefined {
  const { base, queries, metric, m, efConstruction, k, folder } = task;
  const hnswlib = loadPeer<{ HierarchicalNSW: typeof HierarchicalNSWType }>('hnswlib-node');
  if (hnswlib === undefined) return undefined;
  const index = new hnswlib.HierarchicalNSW(HNSWLIB_SPACES[metric], base.dim);
  const points = rowsOf(base).map((row) => [...row]);
  const start = performance.now();
  index.initIndex(base.rows, m, efConstruction, 100);
  points.forEach((point, row) => index.addPoint(point, row));
  const buildSeconds = secondsSince(start);
  const file = join(folder, 'hnswlib-node');
  index.writeIndexSync(file);
  const vectors = rowsOf(queries).map((row) => [...row]);
  const side: AnnSide = {
    name: 'hnswlib-node',
    buildSeconds,
    bytesAVector: statSync(file).size / base.rows,
    bytesBy: 'size of its file',
    aim: (ef) => index.setEf(ef),
    ...searching(task, (query) => index.searchKnn(vectors[query]!, k).neighbors),
  };
  return [side];
}

export function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
