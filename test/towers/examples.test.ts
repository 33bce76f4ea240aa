import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdDealer, SequenceDealer, SetDealer, type Examples } from '../../src/towers/examples.js';
import { Random } from '../../src/vectors/random.js';
import { randomUserItems, userItems } from './pairs.js';

const options = { batchSize: 4, inputShare: 0.5, maxHistory: 50, pairsARow: 4 };

/** The rows of a batch: user, items seen, items to find. */
function rowsOf(batch: Examples): { user: number; seen: number[]; pairs: number[] }[] {
  return Array.from(batch.users, (user, row) => {
    const start = batch.sequenceOffsets[batch.rowSequences[row]!]!;
    return {
      user,
      seen: [...batch.sequenceItems.subarray(start, start + batch.rowLengths[row]!)],
      pairs: [...batch.pairItems.subarray(batch.pairOffsets[row], batch.pairOffsets[row + 1])],
    };
  });
}

const sources = fc
  .record({
    users: fc.integer({ min: 1, max: 30 }),
    most: fc.integer({ min: 1, max: 12 }),
    seed: fc.nat(),
  })
  .map(({ users, most, seed }) => randomUserItems(users, 20, most, seed));

function itemsOf(source: { offsets: Uint32Array; items: Uint32Array }, user: number): number[] {
  return [...source.items.subarray(source.offsets[user], source.offsets[user + 1])];
}

/** Users with at least so many items. */
function usersWith(source: { offsets: Uint32Array }, least: number): number[] {
  return Array.from({ length: source.offsets.length - 1 }, (_, user) => user).filter(
    (user) => source.offsets[user + 1]! - source.offsets[user]! >= least,
  );
}

describe('SetDealer', () => {
  it('shows each user once an epoch, by a part of the items, to find all of them', () => {
    fc.assert(
      fc.property(sources, fc.nat(), (source, seed) => {
        const dealer = new SetDealer(source, options, new Random(seed));
        const batches = [...dealer.epoch()];
        expect(batches).toHaveLength(dealer.count);
        const rows = batches.flatMap(rowsOf);
        expect(rows.map(({ user }) => user).sort((a, b) => a - b)).toEqual(usersWith(source, 2));
        for (const { user, seen, pairs } of rows) {
          const items = itemsOf(source, user);
          expect(pairs).toEqual(items);
          expect(seen.length).toBeGreaterThan(0);
          expect(seen).toEqual(items.filter((item) => seen.includes(item)));
        }
        const sizes = batches.map(({ users }) => users.length);
        expect(Math.max(0, ...sizes) - Math.min(...sizes, Infinity)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('shows about the share of the items that is asked for, another part each time', () => {
    const source = userItems([Array.from({ length: 1000 }, (_, item) => item)]);
    const dealer = new SetDealer(source, { ...options, inputShare: 0.3 }, new Random(3));
    const [first, second] = [1, 2].map(() => rowsOf([...dealer.epoch()][0]!)[0]!.seen);
    for (const seen of [first!, second!]) {
      expect(seen.length).toBeGreaterThan(240);
      expect(seen.length).toBeLessThan(360);
    }
    expect(first).not.toEqual(second);
  });
});

describe('SequenceDealer', () => {
  it('shows, for each item but the first, those before it', () => {
    fc.assert(
      fc.property(sources, fc.nat(), fc.integer({ min: 1, max: 6 }), (source, seed, maxHistory) => {
        const dealer = new SequenceDealer(source, { ...options, maxHistory }, new Random(seed));
        const rows = [...dealer.epoch()].flatMap(rowsOf);
        for (const user of usersWith(source, 2)) {
          const items = itemsOf(source, user);
          const first = Math.max(0, items.length - 1 - maxHistory);
          const expected = items
            .slice(first + 1)
            .map((item, at) => ({ user, seen: items.slice(first, first + at + 1), pairs: [item] }));
          expect(rows.filter((row) => row.user === user)).toEqual(expected);
        }
        expect(new Set(rows.map(({ user }) => user)).size).toBe(usersWith(source, 2).length);
      }),
    );
  });
});

describe('IdDealer', () => {
  it('deals every pair once, at most four a row, and shows nothing', () => {
    fc.assert(
      fc.property(sources, fc.nat(), (source, seed) => {
        const dealer = new IdDealer(source, options, new Random(seed));
        for (let epoch = 0; epoch < 2; epoch++) {
          const rows = [...dealer.epoch()].flatMap(rowsOf);
          for (const { seen, pairs } of rows) {
            expect(seen).toEqual([]);
            expect(pairs.length).toBeGreaterThan(0);
            expect(pairs.length).toBeLessThanOrEqual(4);
          }
          const dealt = rows.flatMap(({ user, pairs }) => pairs.map((item) => [user, item]));
          const all = usersWith(source, 1).flatMap((user) =>
            itemsOf(source, user).map((item) => [user, item]),
          );
          expect(dealt.map(String).sort()).toEqual(all.map(String).sort());
        }
      }),
    );
  });
});
