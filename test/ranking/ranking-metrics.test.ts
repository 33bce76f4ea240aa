import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rankingMetrics } from '../../src/ranking/ranking-metrics.js';
import { interactionsFromPairs, type Interactions } from '../../src/interactions/interactions.js';
import { Vocabulary } from '../../src/interactions/vocabulary.js';

function testSet(
  users: number,
  items: number,
  pairs: readonly (readonly [number, number])[],
): Interactions {
  return interactionsFromPairs(
    pairs.map(([user]) => user),
    pairs.map(([, item]) => item),
    { users: Vocabulary.identity(users), items: Vocabulary.identity(items) },
  );
}

/** Recall and nDCG of one user by the definitions, from the list of what is relevant. */
function naiveUser(ranking: number[], relevant: Set<number>, k: number): [number, number] {
  let hits = 0;
  let gain = 0;
  const seen = new Set<number>();
  ranking.slice(0, k).forEach((item, rank) => {
    if (!relevant.has(item) || seen.has(item)) return;
    seen.add(item);
    hits += 1;
    gain += Math.LN2 / Math.log(rank + 2);
  });
  let best = 0;
  for (let rank = 0; rank < Math.min(k, relevant.size); rank++)
    best += Math.LN2 / Math.log(rank + 2);
  return [hits / relevant.size, gain / best];
}

describe('rankingMetrics', () => {
  it('agrees with numbers worked out by hand', () => {
    // User 0 wants 1 and 3; user 1 nothing; user 2 wants 0, and 9, which no ranking can hold.
    const test = testSet(3, 5, [
      [0, 1],
      [0, 3],
      [2, 0],
      [2, 9],
    ]);
    const ranked = Int32Array.of(3, 0, 1, /**/ 0, 1, 2, /**/ 4, 0, -1);
    const { users, values } = rankingMetrics(ranked, test, [1, 2, 3]);
    expect(users).toBe(2);
    const ideal = 1 + 1 / Math.log2(3); // of two relevant items
    expect(values['recall@1']).toBeCloseTo((1 / 2 + 0) / 2, 12);
    expect(values['recall@2']).toBeCloseTo((1 / 2 + 1 / 2) / 2, 12);
    expect(values['recall@3']).toBeCloseTo((1 + 1 / 2) / 2, 12);
    expect(values['ndcg@1']).toBeCloseTo((1 + 0) / 2, 12);
    expect(values['ndcg@2']).toBeCloseTo((1 / ideal + 1 / Math.log2(3) / ideal) / 2, 12);
    expect(values['ndcg@3']).toBeCloseTo(((1 + 0.5) / ideal + 1 / Math.log2(3) / ideal) / 2, 12);
    expect(Object.keys(values)).toHaveLength(6);
  });

  it('agrees with a plain implementation', () => {
    const cases = fc.record({
      pairs: fc.array(fc.tuple(fc.nat(4), fc.nat(9)), { minLength: 1, maxLength: 25 }),
      // 8 items are known, 8 and 9 are not; 0xffffffff and 8 … stand for empty places.
      ranked: fc.array(fc.oneof(fc.nat(9), fc.constant(0xffffffff)), {
        minLength: 30,
        maxLength: 30,
      }),
      ks: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      signed: fc.boolean(),
    });
    fc.assert(
      fc.property(cases, ({ pairs, ranked, ks, signed }) => {
        const got = rankingMetrics(
          (signed ? Int32Array : Uint32Array).from(ranked),
          testSet(5, 8, pairs),
          ks,
        );
        const wanted = new Map<number, Set<number>>();
        for (const [user, item] of pairs)
          wanted.set(user, (wanted.get(user) ?? new Set()).add(item));
        expect(got.users).toBe(wanted.size);
        for (const k of ks) {
          let [recall, ndcg] = [0, 0];
          for (const [user, relevant] of wanted) {
            const ranking = ranked
              .slice(user * 6, user * 6 + 6)
              .map((item) => (item < 8 ? item : -1));
            const [one, two] = naiveUser(ranking, relevant, k);
            recall += one / wanted.size;
            ndcg += two / wanted.size;
          }
          expect(got.values[`recall@${k}`]).toBeCloseTo(recall, 10);
          expect(got.values[`ndcg@${k}`]).toBeCloseTo(ndcg, 10);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('counts an item that stands twice once', () => {
    const test = testSet(1, 3, [
      [0, 1],
      [0, 2],
    ]);
    const { values } = rankingMetrics(Int32Array.of(1, 1, 1), test, [3]);
    expect(values['recall@3']).toBe(0.5);
    expect(values['ndcg@3']).toBeCloseTo(1 / (1 + 1 / Math.log2(3)), 12);
  });

  it('leaves what it is given alone', () => {
    const test = testSet(2, 3, [[0, 1]]);
    const ranked = Int32Array.of(1, 0, 2, 1);
    rankingMetrics(ranked, test, [2]);
    expect([ranked, test.itemIndices]).toEqual([Int32Array.of(1, 0, 2, 1), Uint32Array.of(1)]);
  });

  const one = testSet(2, 3, [[0, 1]]);
  const cutOffs = (got: number): string =>
    `ks must be integers in 1..2, the length of a ranking, got ${got}`;
  it.each([
    [Int32Array.of(0, 1, 2), one, [1], 'DIMENSION', /^ranked must hold 2 rows .*, got 3 values$/],
    [new Int32Array(0), one, [1], 'DIMENSION', /^ranked must hold 2 rows .*, got 0 values$/],
    [new Int32Array(4), one, [3], 'ARGUMENT', cutOffs(3)],
    [new Int32Array(4), one, [1, 0], 'ARGUMENT', cutOffs(0)],
    [new Int32Array(4), one, [1.5], 'ARGUMENT', cutOffs(1.5)],
    [new Int32Array(4), one, [NaN], 'ARGUMENT', cutOffs(NaN)],
    [new Int32Array(4), one, [], 'ARGUMENT', 'ks must hold at least one cut-off'],
    [new Int32Array(4), testSet(2, 3, []), [1], 'EMPTY', 'test: no user has a test item'],
    [new Int32Array(0), testSet(0, 3, []), [1], 'EMPTY', 'test: no user has a test item'],
  ])('refuses what does not fit (%#)', (ranked, test, ks, code, message) => {
    expect(() => rankingMetrics(ranked, test, ks)).toThrow(message);
    expect(() => rankingMetrics(ranked, test, ks)).toThrow(
      expect.objectContaining({ code: `ERR_LICHEN_${code}` }),
    );
  });
});
