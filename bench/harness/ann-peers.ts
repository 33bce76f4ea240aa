import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Index as UsearchIndex, MetricKind, ScalarKind } from 'usearch';
import { collectGarbage, USEARCH_METRICS } from '../../src/evaluation/sweep-peers.js';
import type { Matrix } from '../../src/index.js';
import { rowsOf } from '../../src/evaluation/sweep-sides.js';
import { searching, secondsSince, type AnnSide, type AnnTask } from './ann-sides.js';
import { loadPeer } from './peers.js';

/** usearch of several scalar kinds; undefined if it is not installed. */
export function usearchSides(task: AnnTask, say: (line: string) => void): AnnSide[] | undefined {
  const usearch = loadPeer<{ Index: typeof UsearchIndex }>('usearch');
  if (usearch === undefined) return undefined;
  const kinds = ['f32', 'bf16', 'i8'].filter((kind) => {
    // Its conversion to i8 divides each vector by its length, which changes what l2 and dot mean.
    if (kind !== 'i8' || task.metric === 'cosine' || hasUnitRows(task.base)) return true;
    say('usearch i8 is left out: it normalizes vectors, and these have other lengths');
    return false;
  });
  return kinds.map((kind) => usearchSide(task, usearch.Index, kind));
}

function usearchSide(task: AnnTask, Index: typeof UsearchIndex, kind: string): AnnSide {
  const { base, queries, metric, m, efConstruction, k, folder } = task;
  const make = (ef: number): UsearchIndex =>
    new Index({
      dimensions: base.dim,
      metric: USEARCH_METRICS[metric] as MetricKind,
      quantization: kind as ScalarKind,
      connectivity: m,
      expansion_add: efConstruction,
      expansion_search: ef,
      multi: false,
    });
  let beam = 0;
  let index = make(k);
  const keys = BigUint64Array.from({ length: base.rows }, (_, row) => BigInt(row));
  const start = performance.now();
  index.add(keys, base.data, 1);
  const buildSeconds = secondsSince(start);
  const file = join(folder, `usearch-${kind}`);
  index.save(file);
  const vectors = rowsOf(queries);
  return {
    name: `usearch ${kind}`,
    buildSeconds,
    bytesAVector: statSync(file).size / base.rows,
    bytesBy: 'size of its file',
    // The beam of an index is fixed when it is made, so another is made and loaded; one that was built on one thread
    // would refuse to search on more.
    aim(ef) {
      if (ef === beam) return;
      index = make((beam = ef));
      collectGarbage();
      index.load(file);
    },
    ...searching(task, (query) => index.search(vectors[query]!, k, 1).keys),
    batch: (threads) => index.search(queries.data, k, threads),
  };
}

function hasUnitRows(vectors: Matrix): boolean {
  return rowsOf(vectors).every((row) => {
    const square = row.reduce((sum, value) => sum + value * value, 0);
    return Math.abs(square - 1) < 1e-3;
  });
}
