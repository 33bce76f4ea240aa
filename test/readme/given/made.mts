// Small made things that the blocks of the pages speak of.

import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import {
  HnswIndex,
  interactionsFromPairs,
  matrix,
  Random,
  writeMatrix,
  type Interactions,
  type Matrix,
} from 'lichen';

export function madeVectors(rows: number, dim = 64, seed = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: rows * dim }, () => random.gaussian());
}

export function madeMatrix(rows: number, dim = 64, seed = 1): Matrix {
  return matrix(madeVectors(rows, dim, seed), dim);
}

export async function madeIndex(rows = 100, dim = 64): Promise<HnswIndex> {
  const index = new HnswIndex({ dim, metric: 'dot' });
  await index.add(madeVectors(rows, dim), { keys: Array.from({ length: rows }, (_, row) => row) });
  return index;
}

/** A file of vectors. */
export async function writeVectors(path: string, rows: number, dim = 64): Promise<void> {
  await writeMatrix(path, madeMatrix(rows, dim, rows));
}

/** For each user items of a half of them, no one twice; together they are all items where there are enough users. */
function madeLists(users: number, items: number, each: number, shift: number): number[][] {
  const half = Math.floor(items / 2);
  return Array.from({ length: users }, (_, user) =>
    Array.from(
      { length: each },
      (_, at) => 2 * ((user * 13 + at * 29 + shift) % half) + (user % 2),
    ),
  );
}

/** Lines `user item item …`, gzipped if the name says so. */
export function writeLists(
  path: string,
  { users = 160, items = 700, each = 12, shift = 0 } = {},
): void {
  const lines = madeLists(users, items, each, shift).map((own, user) => [user, ...own].join(' '));
  const text = `${lines.join('\n')}\n`;
  writeFileSync(path, path.endsWith('.gz') ? gzipSync(text) : text);
}

/** Interactions of users and items that are called so, with their numbers behind. */
export function madeInteractions(
  { user = 'u', item = 'i' } = {},
  { users = 40, items = 60, each = 8, shift = 0 } = {},
): Interactions {
  const lists = madeLists(users, items, each, shift);
  return interactionsFromPairs(
    lists.flatMap((own, at) => own.map(() => `${user}${at}`)),
    lists.flatMap((own) => own.map((one) => `${item}${one}`)),
  );
}
