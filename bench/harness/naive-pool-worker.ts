// A worker of the naive pool (see naive-pool.ts): an index and a table of its own, one search after another.

import { workerData } from 'node:worker_threads';
import { HnswIndex } from '../../src/index.js';

/** What a worker is given when it starts: all of it is copied for each. */
export interface NaiveSetup {
  readonly path: string;
  readonly table: Float32Array;
  readonly dim: number;
}

/** Histories of some users, an array each. */
export interface NaiveTask {
  readonly histories: readonly (readonly number[])[];
  readonly k: number;
  readonly ef: number;
}

export interface NaiveResult {
  readonly keys: number[];
  readonly scores: number[];
}

let opened: Promise<HnswIndex> | undefined;

/** Without a task, opens the index. */
export async function recommend(task: NaiveTask | null): Promise<NaiveResult[]> {
  const { path, table, dim } = workerData as NaiveSetup;
  const index = await (opened ??= HnswIndex.open(path));
  if (task === null) return [];
  const { histories, k, ef } = task;
  return histories.map((history) => {
    const vector = new Float32Array(dim);
    for (const item of history) {
      for (let d = 0; d < dim; d++) vector[d]! += table[item * dim + d]!;
    }
    const length = Math.hypot(...vector);
    for (let d = 0; d < dim; d++) vector[d]! /= length;
    const { keys, scores } = index.searchSync(vector, { k, ef });
    return { keys: [...keys], scores: [...scores] };
  });
}
