import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { latencySummary } from '../../src/evaluation/latency.js';

describe('latencySummary', () => {
  it('summarizes 1 … 1000 in any order', () => {
    const micros = Float64Array.from({ length: 1000 }, (_, at) => ((at * 7919) % 1000) + 1);
    const before = micros.slice();
    expect(latencySummary(micros)).toEqual({
      count: 1000,
      meanUs: 500.5,
      minUs: 1,
      p50us: 500,
      p90us: 900,
      p99us: 990,
      maxUs: 1000,
    });
    expect(micros).toEqual(before);
  });

  it('sorts plain arrays as numbers', () => {
    expect(latencySummary([100, 9, 20])).toMatchObject({ minUs: 9, p50us: 20, maxUs: 100 });
    expect(latencySummary([7])).toEqual({
      count: 1,
      meanUs: 7,
      minUs: 7,
      p50us: 7,
      p90us: 7,
      p99us: 7,
      maxUs: 7,
    });
  });

  it('gives the smallest value that enough others do not exceed', () => {
    const latencies = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 250 });
    fc.assert(
      fc.property(latencies, (micros) => {
        const summary = latencySummary(Float64Array.from(micros));
        for (const [percent, got] of [
          [50, summary.p50us],
          [90, summary.p90us],
          [99, summary.p99us],
        ] as const) {
          const enough = micros.filter(
            (bound) =>
              micros.filter((value) => value <= bound).length * 100 >= percent * micros.length,
          );
          expect(got).toBe(Math.min(...enough));
        }
        expect(summary.minUs).toBe(Math.min(...micros));
        expect(summary.maxUs).toBe(Math.max(...micros));
        expect(summary.meanUs).toBeCloseTo(micros.reduce((a, b) => a + b) / micros.length, 9);
      }),
    );
  });

  it.each([
    [[], 'EMPTY', 'micros: no latencies to summarize'],
    [[1, NaN], 'NOT_FINITE', 'micros[1] is NaN, expected a finite value'],
    [[Infinity], 'NOT_FINITE', 'micros[0] is Infinity, expected a finite value'],
    [[3, -1], 'ARGUMENT', 'micros[1] is -1, expected a latency of 0 or more'],
  ])('refuses %j', (micros, code, message) => {
    expect(() => latencySummary(Float64Array.from(micros))).toThrow(
      expect.objectContaining({ code: `ERR_LICHEN_${code}`, message }),
    );
  });
});
