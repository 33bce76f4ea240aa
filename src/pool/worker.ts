// What a worker of a retrieval pool runs: evaluates the user tower and searches, on its own thread.

import { workerData } from 'node:worker_threads';
import { LichenError } from '../errors.js';
import type { NativeRestrictions } from '../native.js';
import { attachIndex } from '../index/open.js';
import { searchPlanned } from '../index/searchable-index.js';
import type { Key } from '../index/types.js';
import type { VectorIndex } from '../index/vector-index.js';
import { arenaViews, isStopped, type ArenaViews } from './arena.js';
import { towerFunction } from './tower-functions.js';
import { batchPart } from './user-batch.js';
import type { TowerFunction } from './user-tower.js';
import type { WorkerOutcome, WorkerSetup, WorkerTask } from './worker-task.js';

/** Users between two looks at whether the request is still wanted. */
const PART = 64;

interface Retriever {
  readonly index: VectorIndex<Key>;
  readonly tower: TowerFunction;
}

let retriever: Promise<Retriever> | undefined;

/** Does a task; without one, makes ready for tasks. */
export async function work(task: WorkerTask | null): Promise<WorkerOutcome> {
  try {
    retriever ??= start(workerData as WorkerSetup);
    const ready = await retriever.catch((error: unknown) => {
      retriever = undefined;
      throw error;
    });
    return task === null ? {} : await retrieve(ready, task);
  } catch (error) {
    return { error: toldAs(error) };
  }
}

async function start({ share, tower }: WorkerSetup): Promise<Retriever> {
  const made = await towerFunction(tower, PART);
  return { tower: made, index: attachIndex<Key>(share) };
}

async function retrieve({ index, tower }: Retriever, task: WorkerTask): Promise<WorkerOutcome> {
  const { memory, first, last, batchDim, plan } = task;
  const { k, keyKind } = plan;
  const views = arenaViews(memory);
  const found: string[] | undefined = keyKind === 'string' ? [] : undefined;
  for (let from = first; from < last; from += PART) {
    if (isStopped(memory)) return {};
    const to = Math.min(last, from + PART);
    const given = tower(batchPart(views, from, to, batchDim));
    const vectors = given instanceof Float32Array ? given : await given;
    requireVectors(vectors, to - from, index.dim);
    const strings = searchPlanned(
      index,
      vectors,
      { ...plan, restrictions: restrictionsOf(task, views, from, to) },
      {
        slots: found === undefined ? views.keys!.subarray(from * k, to * k) : null,
        scores: views.scores!.subarray(from * k, to * k),
      },
      views.counts!.subarray(from, to),
    );
    strings?.forEach((key) => found!.push(key));
  }
  return { keys: found };
}

function requireVectors(vectors: unknown, rows: number, dim: number): void {
  if (vectors instanceof Float32Array && vectors.length === rows * dim) return;
  const got = vectors instanceof Float32Array ? `${vectors.length} values` : typeof vectors;
  throw new LichenError(
    'ERR_LICHEN_DIMENSION',
    `the user tower must give a Float32Array of ${rows} vectors of ${dim} values, got ${got}`,
  );
}

/** What narrows the search for users [from, to). */
function restrictionsOf(
  { plan, first, exclude }: WorkerTask,
  { filter, exclude: numbers, ends }: ArenaViews,
  from: number,
  to: number,
): NativeRestrictions | undefined {
  if (filter === undefined && ends === undefined) return plan.restrictions;
  const narrowed: { -readonly [name in keyof NativeRestrictions]: NativeRestrictions[name] } = {
    ...plan.restrictions,
  };
  if (filter !== undefined) narrowed.filter = filter;
  if (ends !== undefined) {
    const endOf = (user: number): number => (user < 0 ? 0 : ends[user]!);
    const begin = endOf(from - 1);
    // Strings come with the task, those of its first user first.
    const skipped = exclude === undefined ? 0 : endOf(first - 1);
    narrowed.exclude = (exclude ?? numbers!).slice(begin - skipped, endOf(to - 1) - skipped);
    narrowed.ends = ends.slice(from, to).map((end) => end - begin);
  }
  return narrowed;
}

function toldAs(error: unknown): WorkerOutcome['error'] {
  if (error instanceof LichenError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'ERR_LICHEN_INTERNAL', message };
}
