import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  holdOutItems,
  holdOutLast,
  holdOutShare,
  type Split,
} from '../../src/interactions/hold-out.js';
import {
  interactionsFromPairs,
  itemsOf,
  type Interactions,
} from '../../src/interactions/interactions.js';

const pairs = fc.array(fc.tuple(fc.nat(9), fc.nat(19)), { minLength: 1, maxLength: 80 });

function interactions(list: readonly (readonly [number, number])[]): Interactions {
  return interactionsFromPairs(
    list.map(([user]) => user),
    list.map(([, item]) => item),
    { ratings: list.map((_, at) => at), timestamps: list.map((_, at) => 2 * at) },
  );
}

/** Checks that both parts together are the whole, in its order, and gives each user's items of both. */
function usersOf(
  whole: Interactions,
  { train, test }: Split,
): { kept: number[]; held: number[] }[] {
  expect(train.itemIndices.length + test.itemIndices.length).toBe(whole.itemIndices.length);
  expect([train.report.kept, test.report.kept]).toEqual([
    train.itemIndices.length,
    test.itemIndices.length,
  ]);
  return Array.from({ length: whole.users.size }, (_, user) => {
    const kept = [...itemsOf(train, user)];
    const held = [...itemsOf(test, user)];
    const all = [...itemsOf(whole, user)];
    expect(all.filter((item) => kept.includes(item))).toEqual(kept);
    expect(all.filter((item) => held.includes(item))).toEqual(held);
    for (const part of [train, test]) {
      for (let at = part.offsets[user]!; at < part.offsets[user + 1]!; at++) {
        // What belongs to an interaction goes along.
        const was = whole.offsets[user]! + all.indexOf(part.itemIndices[at]!);
        expect(part.ratings![at]).toBe(whole.ratings![was]);
        expect(part.timestamps![at]).toBe(whole.timestamps![was]);
      }
    }
    return { kept, held };
  });
}

describe('holding out', () => {
  it('takes the last of each user with three', () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const whole = interactions(list);
        usersOf(whole, holdOutLast(whole)).forEach(({ held }, user) => {
          const all = [...itemsOf(whole, user)];
          expect(held).toEqual(all.length >= 3 ? [all.at(-1)] : []);
        });
      }),
    );
  });

  it('takes a share by chance and leaves every user one', () => {
    fc.assert(
      fc.property(
        pairs,
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.nat(),
        (list, share, seed) => {
          const whole = interactions(list);
          const split = holdOutShare(whole, share, seed);
          for (const { kept } of usersOf(whole, split)) expect(kept.length).toBeGreaterThan(0);
          expect(holdOutShare(whole, share, seed)).toEqual(split);
        },
      ),
    );
    const many = interactions(Array.from({ length: 5000 }, (_, at) => [at % 10, at]));
    expect(holdOutShare(many, 0.2, 1).test.itemIndices.length / 5000).toBeCloseTo(0.2, 1);
  });

  it('takes all of some items', () => {
    fc.assert(
      fc.property(pairs, fc.nat(), (list, seed) => {
        const whole = interactions(list);
        const split = holdOutItems(whole, 0.3, seed);
        expect(split.heldItems).toHaveLength(Math.round(0.3 * whole.items.size));
        for (const { kept, held } of usersOf(whole, split)) {
          for (const item of held) expect(split.heldItems).toContain(item);
          for (const item of kept) expect(split.heldItems).not.toContain(item);
        }
      }),
    );
  });
});
