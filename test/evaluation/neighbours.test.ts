import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recallAtK, recallAtKByScore, type Neighbours } from '../../src/evaluation/neighbours.js';

const rowsOf = <T>(rows: T[][], width = rows[0]?.length ?? 0): Neighbours<T> => ({
  values: rows.flat(),
  rows: rows.length,
  width,
});

const mean = (values: number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe('recallAtK', () => {
  it('counts what is found of what is true', () => {
    const truth = rowsOf([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    const found = rowsOf([
      [4, 3, 9],
      [5, 6, 7],
    ]);
    expect(recallAtK(found, truth, 3)).toBeCloseTo((1 / 3 + 1) / 2, 12); // 4 is not among the first 3
    expect(recallAtK(found, truth, 1)).toBe(0.5);
    expect(recallAtK(rowsOf([['a', 'b']]), rowsOf([['b', 'c']]), 2)).toBe(0.5);
  });

  it('counts a key found twice once, and leaves empty places out', () => {
    expect(recallAtK(rowsOf([[1, 1, 1]]), rowsOf([[1, 2, 3]]), 3)).toBeCloseTo(1 / 3, 12);
    expect(recallAtK(rowsOf([[1, -1, -1]]), rowsOf([[1, 2, -1]]), 3)).toBe(0.5);
    expect(recallAtK(rowsOf([['b', 'a']]), rowsOf([['a', '']]), 2)).toBe(1);
    expect(recallAtK(rowsOf([[7, -1]]), rowsOf([[-1, -1]]), 2)).toBe(1); // none to find
  });

  it('agrees with sets', () => {
    const row = fc.array(fc.integer({ min: -1, max: 9 }), { minLength: 6, maxLength: 6 });
    const rows = fc.array(fc.tuple(row, row), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 6 }), (pairs, k) => {
        const expected = pairs.map(([found, truth]) => {
          const wanted = [...new Set(truth.slice(0, k))].filter((key) => key !== -1);
          const hits = wanted.filter((key) => found.slice(0, k).includes(key)).length;
          return wanted.length === 0 ? 1 : hits / wanted.length;
        });
        const found = rowsOf(pairs.map(([first]) => first));
        const truth = rowsOf(pairs.map(([, second]) => second));
        expect(recallAtK(found, truth, k)).toBeCloseTo(mean(expected), 12);
      }),
    );
  });
});

describe('recallAtKByScore', () => {
  it('takes any of equal rows', () => {
    const truth = rowsOf([[0.9, 0.5, 0.5, 0.5]]);
    expect(recallAtKByScore(rowsOf([[0.5, 0.5]]), truth, { k: 2, metric: 'dot' })).toBe(1);
    expect(recallAtKByScore(rowsOf([[0.9, 0.4]]), truth, { k: 2, metric: 'cosine' })).toBe(0.5);
    const near = rowsOf([[0.1, 0.2, 0.3]]);
    expect(recallAtKByScore(rowsOf([[0.2, 0.3]]), near, { k: 2, metric: 'l2' })).toBe(0.5);
    expect(recallAtKByScore(rowsOf([[0, 0]]), rowsOf([[0, 0]]), { k: 2, metric: 'l2' })).toBe(1);
  });

  it('forgives as much as it is told, relative to the score', () => {
    const of = (found: number, truth: number, metric: 'dot' | 'l2', tolerance?: number): number =>
      recallAtKByScore(rowsOf([[found]]), rowsOf([[truth]]), {
        k: 1,
        metric,
        ...(tolerance !== undefined && { tolerance }),
      });
    expect([of(99_999.5, 1e5, 'dot'), of(99_998, 1e5, 'dot'), of(90, 100, 'dot', 0.1)]).toEqual([
      1, 0, 1,
    ]);
    expect([of(-1e5 - 0.5, -1e5, 'dot'), of(-1e5 - 2, -1e5, 'dot')]).toEqual([1, 0]);
    expect([of(1.000005, 1, 'l2'), of(1.00002, 1, 'l2'), of(1.000005, 1, 'l2', 0)]).toEqual([
      1, 0, 0,
    ]);
  });

  it('agrees with a count by hand, empty places included', () => {
    const scores = fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 5 });
    const padded = (values: number[]): number[] =>
      [...values, ...Array<number>(5).fill(NaN)].slice(0, 5);
    const queries = fc.array(fc.tuple(scores, scores), { minLength: 1, maxLength: 4 });
    const metrics = fc.constantFrom('dot', 'cosine', 'l2');
    fc.assert(
      fc.property(queries, fc.integer({ min: 1, max: 5 }), metrics, (pairs, k, metric) => {
        const better = (a: number, b: number): boolean => (metric === 'l2' ? a <= b : a >= b);
        const order = (values: number[]): number[] =>
          [...values].sort((a, b) => (metric === 'l2' ? a - b : b - a));
        const expected = pairs.map(([found, truth]) => {
          const wanted = order(truth).slice(0, k);
          if (wanted.length === 0) return 1;
          const hits = found
            .slice(0, k)
            .filter((score) => better(score, wanted[wanted.length - 1]!));
          return Math.min(1, hits.length / wanted.length);
        });
        const found = rowsOf(pairs.map(([first]) => padded(first)));
        const truth = rowsOf(pairs.map(([, second]) => padded(order(second))));
        expect(recallAtKByScore(found, truth, { k, metric, tolerance: 0 })).toBeCloseTo(
          mean(expected),
          12,
        );
      }),
    );
  });

  it.each([
    [{ tolerance: -1 }, 'tolerance must be a finite number of at least 0, got -1'],
    [{ tolerance: NaN }, 'tolerance must be a finite number of at least 0, got NaN'],
    [{ metric: 'euclid' as never }, 'metric is one of dot, cosine, l2, got "euclid"'],
  ])('refuses %j', (bad, message) => {
    const one = rowsOf([[1]]);
    const call = (): number => recallAtKByScore(one, one, { k: 1, metric: 'dot', ...bad });
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }));
  });
});

describe.each([
  ['recallAtK', recallAtK<number>],
  [
    'recallAtKByScore',
    (found: Neighbours<number>, truth: Neighbours<number>, k: number) =>
      recallAtKByScore(found, truth, { k, metric: 'dot' }),
  ],
])('%s', (_, recall) => {
  const two = rowsOf([
    [1, 2],
    [3, 4],
  ]);
  it.each([
    [two, two, 0, 'ARGUMENT', 'k must be a positive integer, got 0'],
    [two, two, -1, 'ARGUMENT', 'k must be a positive integer, got -1'],
    [two, two, 1.5, 'ARGUMENT', 'k must be a positive integer, got 1.5'],
    [two, two, NaN, 'ARGUMENT', 'k must be a positive integer, got NaN'],
    [two, rowsOf([[1, 2]]), 1, 'DIMENSION', 'truth must have one row a query, 2, got 1'],
    [two, two, 3, 'DIMENSION', 'found must have at least k = 3 neighbours a query, got 2'],
    [
      rowsOf([[1, 2, 3]]),
      rowsOf([[1, 2]]),
      3,
      'DIMENSION',
      'truth must have at least k = 3 neighbours a query, got 2',
    ],
    [{ ...two, values: [1, 2, 3] }, two, 1, 'DIMENSION', 'found must hold 2 x 2 values, got 3'],
    [
      two,
      { ...two, values: [1, 2, 3, 4, 5] },
      1,
      'DIMENSION',
      'truth must hold 2 x 2 values, got 5',
    ],
    [rowsOf<number>([], 2), rowsOf<number>([], 2), 1, 'EMPTY', 'found: no queries'],
  ])('refuses what does not fit (%#)', (found, truth, k, code, message) => {
    expect(() => recall(found, truth, k)).toThrow(message);
    expect(() => recall(found, truth, k)).toThrow(
      expect.objectContaining({ code: `ERR_LICHEN_${code}` }),
    );
  });
});
