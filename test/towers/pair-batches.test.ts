import { describe, expect, it } from 'vitest';
import { PairBatches, type UserItems } from '../../src/towers/pair-batches.js';
import { Random } from '../../src/vectors/random.js';
import { pairsOf, randomUserItems, userItems } from './pairs.js';

function allPairs({ offsets, items }: UserItems): string[] {
  const pairs: string[] = [];
  for (let user = 0; user + 1 < offsets.length; user++) {
    for (const item of items.subarray(offsets[user], offsets[user + 1]))
      pairs.push(`${user} ${item}`);
  }
  return pairs.sort();
}

function deal(source: UserItems, batchSize: number, seed = 7): PairBatches {
  return new PairBatches(source, 100, batchSize, new Random(seed));
}

describe('PairBatches', () => {
  const source = randomUserItems(60, 100, 40);

  it.each([1, 2, 9, 50, 333, 100_000])('deals every pair once an epoch, %i a batch', (size) => {
    const batches = deal(source, size);
    for (let epoch = 0; epoch < 3; epoch++) {
      const dealt = [...batches.epoch()];
      expect(dealt).toHaveLength(batches.count);
      const pairs = dealt.map(pairsOf);
      expect(pairs.every((batch) => batch.length > 0)).toBe(true);
      const names = pairs.flat().map(([user, item]) => `${user} ${item}`);
      expect(names.sort()).toEqual(allPairs(source));
    }
  });

  it('has each item in one column and only full rows', () => {
    for (const batch of deal(source, 50).epoch()) {
      expect(new Set(batch.items).size).toBe(batch.items.length);
      expect(new Set(batch.pairColumns).size).toBe(batch.items.length);
      expect(batch.pairOffsets).toHaveLength(batch.users.length + 1);
      for (let row = 0; row < batch.users.length; row++) {
        expect(batch.pairOffsets[row + 1]!).toBeGreaterThan(batch.pairOffsets[row]!);
      }
    }
  });

  it('makes batches of about the size', () => {
    for (const batch of deal(source, 50).epoch()) {
      expect(Math.abs(batch.pairColumns.length - 50)).toBeLessThan(16);
    }
  });

  it('deals in another order each epoch, and in the same one for the same seed', () => {
    const epochs = (seed: number): string[] => {
      const batches = deal(source, 50, seed);
      return [0, 1].map(() => JSON.stringify([...batches.epoch()].map(pairsOf)));
    };
    const [first, second] = epochs(1);
    expect(first).not.toBe(second);
    expect(epochs(1)).toEqual([first, second]);
    expect(epochs(2)[0]).not.toBe(first);
  });

  it('leaves the source alone and copes with users without items', () => {
    const sparse = userItems([[], [3], [], [2, 1], []]);
    const before = sparse.items.slice();
    const batches = deal(sparse, 1);
    expect(
      [...batches.epoch()]
        .flatMap(pairsOf)
        .map(([user]) => user)
        .sort(),
    ).toEqual([1, 3, 3]);
    expect(sparse.items).toEqual(before);
  });
});
