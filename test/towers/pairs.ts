import { expect } from 'vitest';
import type { PairBatch, UserItems } from '../../src/towers/pair-batches.js';
import { Random } from '../../src/vectors/random.js';

/** The lists of items, user by user, as training takes them. */
export function userItems(lists: readonly (readonly number[])[]): UserItems {
  const offsets = new Uint32Array(lists.length + 1);
  lists.forEach((list, user) => (offsets[user + 1] = offsets[user]! + list.length));
  return { offsets, items: Uint32Array.from(lists.flat()) };
}

/** Random lists of distinct items, some of them empty. */
export function randomUserItems(users: number, items: number, most: number, seed = 1): UserItems {
  const random = new Random(seed);
  const catalogue = Array.from({ length: items }, (_, item) => item);
  return userItems(
    Array.from({ length: users }, () =>
      random.shuffle(catalogue.slice()).slice(0, random.below(most + 1)),
    ),
  );
}

/** The pairs of a batch as [user, item], table rows. */
export function pairsOf(batch: PairBatch): [number, number][] {
  return Array.from(batch.users).flatMap((user, row) =>
    Array.from(
      batch.pairColumns.subarray(batch.pairOffsets[row], batch.pairOffsets[row + 1]),
      (column): [number, number] => [user, batch.items[column]!],
    ),
  );
}

/** Uniform values in -1..1. */
export function randomValues(length: number, seed: number): Float32Array {
  const random = new Random(seed);
  return new Float32Array(length).map(() => random.uniform() * 2 - 1);
}

/** Each value within `tolerance` of the expected one, relative to it where that is above 1. */
export function expectNear(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  expect(actual.length).toBe(expected.length);
  for (let at = 0; at < expected.length; at++) {
    const slack = tolerance * Math.max(1, Math.abs(expected[at]!));
    // Not one assertion a value, of which there are many.
    if (!(Math.abs(actual[at]! - expected[at]!) <= slack)) {
      expect(actual[at], `value ${at}`).toBeCloseTo(expected[at]!, 12);
    }
  }
}
