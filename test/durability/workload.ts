import type { HnswIndex } from '../../src/index/hnsw.js';
import type { Random } from '../../src/vectors/random.js';
import { clustered } from '../index/data.js';

/** What torture does to an index: random changes of few keys, so that they meet again and again. */

export const DIM = 8;
const KEYS = 60;
const POOL = 2000;
const pool = clustered(77, POOL, DIM);
const rowByFirst = new Map(Array.from({ length: POOL }, (_, row) => [pool[row * DIM]!, row]));

/** One change. Vectors are rows of the pool from `row` on. */
export interface Change {
  readonly do: 'upsert' | 'remove';
  readonly keys: readonly number[];
  readonly row: number;
}

/** Key to row of the pool. */
export type State = ReadonlyMap<number, number>;

/** A change that fits a state. */
export function drawChange(random: Random, state: State): Change {
  const count = 1 + random.below(6);
  const keys = new Set<number>();
  const known = [...state.keys()];
  const removes = known.length > 20 && random.below(4) === 0;
  while (keys.size < count) {
    keys.add(removes ? known[random.below(known.length)]! : random.below(KEYS));
  }
  return {
    do: removes ? 'remove' : 'upsert',
    keys: [...keys],
    row: random.below(POOL - count),
  };
}

export function afterChange(state: State, change: Change): State {
  const next = new Map(state);
  change.keys.forEach((key, at) => {
    if (change.do === 'remove') next.delete(key);
    else next.set(key, change.row + at);
  });
  return next;
}

export async function doChange(index: HnswIndex, { do: what, keys, row }: Change): Promise<void> {
  if (what === 'remove') return index.remove(keys);
  return index.upsert(pool.subarray(row * DIM, (row + keys.length) * DIM), { keys });
}

/** What an index holds. Throws if a vector is none of the pool. */
export function stateOf(index: HnswIndex): State {
  const state = new Map<number, number>();
  for (const key of index.keys()) {
    const vector = index.get(key)!;
    const row = rowByFirst.get(vector[0]!);
    const isWhole = row !== undefined && vector.every((value, d) => value === pool[row * DIM + d]);
    if (!isWhole) throw new Error(`key ${key} has a vector that was never given`);
    state.set(key, row);
  }
  if (state.size !== index.size) throw new Error('keys and size disagree');
  return state;
}

export function isSame(a: State, b: State): boolean {
  return a.size === b.size && [...a].every(([key, row]) => b.get(key) === row);
}
