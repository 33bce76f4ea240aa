import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { descending } from '../../src/cascade/order.js';
import { planCounts, type PlannedStage } from '../../src/cascade/planner.js';
import { Ranking } from '../../src/cascade/ranking.js';

/** Places by score, by the sort of plain arrays, which is stable. */
function sorted(scores: readonly number[]): number[] {
  return scores
    .map((score, at) => ({ score, at }))
    .filter(({ score }) => score !== -Infinity)
    .sort((a, b) => (a.score === b.score ? 0 : b.score > a.score ? 1 : -1))
    .map(({ at }) => at);
}

describe('descending', () => {
  const values = fc.oneof(
    fc.float({ noNaN: true }),
    fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, 1e-45, -1e-45, 3.4e38),
  );

  it('is the order of a stable sort, of floats of either kind', () => {
    fc.assert(
      fc.property(fc.array(values, { maxLength: 200 }), (drawn) => {
        const floats = Float32Array.from(drawn);
        expect([...descending(floats)!]).toEqual(sorted([...floats]));
        expect([...descending(drawn)!]).toEqual(sorted(drawn));
        expect([...descending(Float64Array.from(drawn))!]).toEqual(sorted(drawn));
      }),
    );
  });

  it('tells doubles apart that are one float', () => {
    expect([...descending([1, 1 + 1e-12])!]).toEqual([1, 0]);
  });

  it.each([[[1, NaN]], [Float32Array.of(NaN)], [[1, 'a']], [[undefined]], [[1, , 2]]])(
    'is nothing where a score is no number: %j',
    (scores) => {
      expect(descending(scores as number[])).toBeUndefined();
    },
  );
});

describe('planCounts', () => {
  const stage = (most: number, least: number, fixed: number, each: number): PlannedStage => ({
    ...{ most, least },
    expected: (count) => fixed + each * count,
  });
  const costOf = (stages: readonly PlannedStage[], counts: readonly number[]): number =>
    stages.reduce((sum, stage, at) => sum + (counts[at]! > 0 ? stage.expected(counts[at]!) : 0), 0);

  it('gives all stages all that they want when there is time', () => {
    const stages = [stage(1000, 20, 1, 0.001), stage(200, 20, 1, 0.01)];
    expect(planCounts(stages, Infinity)).toEqual([1000, 200]);
    expect(planCounts(stages, 5)).toEqual([1000, 200]);
  });

  it('takes fewer candidates first, then leaves out the last stages', () => {
    const stages = [stage(1000, 20, 1, 0.001), stage(200, 20, 1, 0.01), stage(100, 20, 2, 0.1)];
    // The dearest first: 17 ms are needed for all, of which it takes 12.
    expect(planCounts(stages, 17)).toEqual([1000, 200, 100]);
    expect(planCounts(stages, 13)).toEqual([1000, 200, 60]);
    const [first, second, third] = planCounts(stages, 7.5) as [number, number, number];
    // In a third of a millisecond and more for each, beyond the least.
    expect(first).toBeGreaterThan(400);
    expect(first).toBeLessThan(500);
    expect(second).toBeLessThan(70);
    expect(third).toBeLessThan(30);
    expect(third).toBeGreaterThanOrEqual(20);
    expect(planCounts(stages, 5)[2]).toBe(0);
    expect(planCounts(stages, 2.1).slice(1)).toEqual([0, 0]);
    expect(planCounts(stages, 0.5)).toEqual([0, 0, 0]);
  });

  it('fits the time, never rises from stage to stage, and leaves no time that would have done', () => {
    const drawn = fc.record({
      most: fc.integer({ min: 1, max: 5000 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      fixed: fc.double({ min: 0, max: 5, noNaN: true }),
      each: fc.double({ min: 0, max: 0.1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(drawn, { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 300, noNaN: true }),
        (shapes, left) => {
          const stages = shapes.map(({ most, share, fixed, each }) =>
            stage(most, Math.max(1, Math.floor(most * share)), fixed, each),
          );
          const counts = planCounts(stages, left);
          expect(costOf(stages, counts)).toBeLessThanOrEqual(left + 1e-9);
          const kept = counts.filter((count) => count > 0).length;
          expect(counts.slice(kept).every((count) => count === 0)).toBe(true);
          for (let at = 1; at < kept; at++)
            expect(counts[at]!).toBeLessThanOrEqual(counts[at - 1]!);
          for (const [at, count] of counts.entries())
            expect(count).toBeLessThanOrEqual(stages[at]!.most);
        },
      ),
    );
  });
});

describe('Ranking', () => {
  it('puts the first in another order and the rest behind them', () => {
    const ranking = Ranking.of<number>({
      keys: Float64Array.of(5, 6, 7, 8),
      scores: [4, 3, 2, 1],
    })!;
    const after = ranking.reordered(Uint32Array.of(2, 0), 3, [10, -Infinity, 20], 1);
    expect([...after.keys]).toEqual([7, 5, 8]);
    expect([...after.scores]).toEqual([20, 10, 1]);
    expect([...after.scoredBy]).toEqual([1, 1, 0]);
    expect([...after.first(2).keys]).toEqual([7, 5]);
  });

  it('takes texts and plain numbers', () => {
    expect(Ranking.of<string>({ keys: ['a', 'b'], scores: [1, 0] })!.keys).toEqual(['a', 'b']);
    const plain = { keys: [3, 4] as unknown as Float64Array, scores: [1, 0] };
    expect(Ranking.of<number>(plain)!.keys).toEqual(Float64Array.of(3, 4));
    expect(Ranking.of<number>({ keys: new Float64Array(0), scores: [] })!.size).toBe(0);
  });

  it.each([
    undefined,
    null,
    {},
    { keys: [1] },
    { keys: [1, 2], scores: [1] },
    { keys: 'ab', scores: [1, 2] },
  ])('is not made of %j', (given) => {
    expect(Ranking.of(given as never)).toBeUndefined();
  });
});
