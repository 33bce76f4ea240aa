import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interactionsFromPairs, itemsOf } from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';
import { awkwardIds, integerIds, naive, pairsOf, plain, plainIds } from './naive.js';

describe('interactionsFromPairs', () => {
  it('groups by user, in order of arrival, the first of duplicates', () => {
    const got = interactionsFromPairs([5, 3, 5, 5, 3], ['b', 'a', 'c', 'b', 'b'], {
      ratings: [1, 2, 3, 4, 0.1],
      timestamps: [10, 20, 30, 40, 2 ** 40 + 0.5],
    });
    expect([got.users.keys(), got.items.keys()]).toEqual([Float64Array.of(3, 5), ['b', 'a', 'c']]);
    expect(got.offsets).toEqual(Uint32Array.of(0, 2, 4));
    expect(got.itemIndices).toEqual(Uint32Array.of(1, 0, 0, 2));
    expect(got.ratings).toEqual(Float32Array.of(2, 0.1, 1, 3));
    expect(got.timestamps).toEqual(Float64Array.of(20, 2 ** 40 + 0.5, 10, 30));
    expect(got.unknownItems).toEqual(Uint32Array.of(0, 0));
    expect(got.report).toEqual({
      pairs: 5,
      kept: 4,
      duplicates: 1,
      unknownUsers: 0,
      unknownUserPairs: 0,
      unknownItemPairs: 0,
    });
  });

  it('keeps to given vocabularies and counts what is outside', () => {
    const users = Vocabulary.from(['u', 'v', 'w']);
    const items = Vocabulary.identity(2);
    const got = interactionsFromPairs(
      ['v', 'x', 'v', 'v', 'v', 'u', 'x', 'y', 'v'],
      [1, 0, 7, 7, 8, 9, 3, 1, 1],
      { users, items },
    );
    expect(got.users).toBe(users);
    expect(got.items).toBe(items);
    expect(got.offsets).toEqual(Uint32Array.of(0, 0, 1, 1));
    expect(got.itemIndices).toEqual(Uint32Array.of(1));
    expect(got.unknownItems).toEqual(Uint32Array.of(1, 2, 0));
    expect(got.report).toEqual({
      pairs: 9,
      kept: 1,
      duplicates: 2,
      unknownUsers: 2,
      unknownUserPairs: 3,
      unknownItemPairs: 3,
    });
    expect('ratings' in got || 'timestamps' in got).toBe(false);
  });

  it.each([
    ['integers', integerIds],
    ['texts', plainIds],
    ['awkward texts', awkwardIds],
  ])('agrees with sets and objects: %s', (_, ids) => {
    const given = fc.option(fc.uniqueArray(ids, { maxLength: 8 }), { nil: undefined });
    fc.assert(
      fc.property(pairsOf(ids, 4), given, given, (pairs, users, items) => {
        const vocabularies = {
          ...(users && { users: Vocabulary.ordered(users) }),
          ...(items && { items: Vocabulary.ordered(items) }),
        };
        const got = interactionsFromPairs(
          pairs.map((pair) => pair.user),
          pairs.map((pair) => pair.item),
          {
            ...vocabularies,
            ratings: pairs.map((pair) => pair.rating!),
            timestamps: pairs.map((pair) => pair.timestamp!),
          },
        );
        expect(plain(got)).toEqual(
          naive(pairs, { ...(users && { users }), ...(items && { items }) }),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('takes numbers and their texts for the same', () => {
    const typed = interactionsFromPairs(Uint32Array.of(7, 30), Float64Array.of(2 ** 52, 0));
    const mixed = interactionsFromPairs([7, '30'] as number[], ['4503599627370496', '0']);
    expect(plain(typed)).toEqual(plain(mixed));
    expect(interactionsFromPairs([-0], [0]).users.identity).toBe(true);
  });

  it('makes nothing of nothing', () => {
    const got = interactionsFromPairs([], [], { ratings: [] });
    expect([got.users.size, got.items.size, got.offsets, got.report.pairs]).toEqual([
      0,
      0,
      Uint32Array.of(0),
      0,
    ]);
  });

  it('grows beyond the first columns', () => {
    const users = Array.from({ length: 5000 }, (_, at) => at % 50);
    const items = users.map((_, at) => at % 997);
    const got = interactionsFromPairs(users, items);
    expect(got.report).toMatchObject({ pairs: 5000, kept: 5000 });
    expect([...itemsOf(got, 3)]).toEqual(items.filter((_, at) => users[at] === 3));
  });

  it.each([
    [[[1, 2], [1]], 'ARGUMENT', 'items must have as many entries as users, 2, got 1'],
    [
      [[1], [1], { ratings: [] }],
      'ARGUMENT',
      'ratings must have as many entries as users, 1, got 0',
    ],
    [
      [[1], [1], { timestamps: [1, 2] }],
      'ARGUMENT',
      'timestamps must have as many entries as users, 1, got 2',
    ],
    [
      [[1.5], [1]],
      'ARGUMENT',
      'users[0] must be a non-negative integer or a string that is not empty, got 1.5',
    ],
    [[[1], [-1]], 'ARGUMENT', /^items\[0\] must be .* got -1$/],
    [[[1], ['']], 'ARGUMENT', /^items\[0\] must be .* got ""$/],
    [[[1], [2 ** 53]], 'ARGUMENT', /got 9007199254740992$/],
    [[[NaN], [1]], 'ARGUMENT', /got NaN$/],
    [[[7n], [1]], 'ARGUMENT', /^users\[0\] must be .* got 7n$/],
    [
      [
        [1, undefined],
        [1, 2],
      ],
      'ARGUMENT',
      /^users\[1\] must be .* got undefined$/,
    ],
    [['abc', [1, 2, 3]], 'ARGUMENT', 'users must be an array, got "abc"'],
    [[undefined, []], 'ARGUMENT', 'users must be an array, got undefined'],
    [[[1], null], 'ARGUMENT', 'items must be an array, got null'],
    [
      [[1], [1], { ratings: [undefined] }],
      'ARGUMENT',
      'ratings[0] must be a number, got undefined',
    ],
    [[[1], [1], { ratings: ['5'] }], 'ARGUMENT', 'ratings[0] must be a number, got "5"'],
    [[[1], [1], { ratings: [NaN] }], 'NOT_FINITE', 'ratings[0] is NaN, expected a finite value'],
    [[[1], [1], { ratings: [1e39] }], 'NOT_FINITE', 'ratings[0] is 1e+39, expected a finite value'],
    [
      [[1, 1], [1, 1], { timestamps: [1e39, -Infinity] }],
      'NOT_FINITE',
      'timestamps[1] is -Infinity, expected a finite value',
    ],
    [[[1], [1], { users: ['1'] }], 'ARGUMENT', 'users must be a Vocabulary, got an array'],
    [[[1], [1], { items: null }], 'ARGUMENT', 'items must be a Vocabulary, got null'],
  ] as [unknown[], string, string | RegExp][])(
    'refuses bad arguments (%#)',
    (args, code, message) => {
      const call = interactionsFromPairs as (...all: unknown[]) => unknown;
      expect(() => call(...args)).toThrow(message);
      expect(() => call(...args)).toThrow(expect.objectContaining({ code: `ERR_LICHEN_${code}` }));
    },
  );
});

describe('itemsOf', () => {
  const two = interactionsFromPairs([0, 1, 1], [4, 5, 4]);

  it('is a view', () => {
    expect([...itemsOf(two, 0)]).toEqual([0]);
    expect([...itemsOf(two, 1)]).toEqual([1, 0]);
    expect(itemsOf(two, 1).buffer).toBe(two.itemIndices.buffer);
  });

  it.each([2, -1, 0.5, NaN, 1e9])('refuses user %d', (user) => {
    expect(() => itemsOf(two, user)).toThrow(`user must be in 0..1, got ${user}`);
    expect(() => itemsOf(two, user)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});
