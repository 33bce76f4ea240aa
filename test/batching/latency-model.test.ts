import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArrivalRate } from '../../src/batching/arrival-rate.js';
import { LatencyModel } from '../../src/batching/latency-model.js';
import { Random } from '../../src/vectors/random.js';

function fitted(sizes: readonly number[], ms: (size: number) => number): LatencyModel {
  const model = new LatencyModel();
  for (const size of sizes) model.observe(size, ms(size));
  return model;
}

describe('LatencyModel', () => {
  it('finds the line that batches lie on', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 50, noNaN: true }),
        fc.double({ min: 0.001, max: 5, noNaN: true }),
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 100, maxLength: 300 }),
        (alpha, beta, drawn) => {
          // Buckets are means of near sizes, which lie on the line as well.
          const sizes = [...drawn, 1, 1000, 30];
          const model = fitted(sizes, (size) => alpha + beta * size);
          for (const size of [1, 10, 300, 1000]) {
            const expected = alpha + beta * size;
            expect(Math.abs(model.expected(size) - expected)).toBeLessThan(
              0.2 * expected + 0.02 * (alpha + beta * 1000),
            );
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is exact where sizes are few', () => {
    const model = fitted([1, 8, 64, 8, 1], (size) => 3 + 0.5 * size);
    expect(model.alpha).toBeCloseTo(3, 6);
    expect(model.beta).toBeCloseTo(0.5, 6);
    expect(model.largest).toBe(64);
    expect(model.slack).toBeGreaterThanOrEqual(1);
  });

  it('of one size thinks that half of the time is each request’s', () => {
    const model = fitted([10, 10, 10], () => 4);
    expect(model.expected(10)).toBeCloseTo(4, 9);
    expect(model.alpha).toBeCloseTo(2, 9);
  });

  it('keeps what small batches told for long after the last of them', () => {
    const model = fitted([1, 2, 4, ...new Array<number>(1000).fill(100)], (size) => 5 + 0.1 * size);
    expect(model.alpha).toBeCloseTo(5, 3);
    expect(model.beta).toBeCloseTo(0.1, 3);
  });

  it('is not led astray by a pause, and follows when all takes longer', () => {
    const sizes = Array.from({ length: 100 }, (_, at) => 1 + (at % 50));
    const model = fitted(sizes, (size) => 5 + 0.1 * size);
    model.observe(20, 5000);
    expect(model.expected(20)).toBeLessThan(10);
    for (let round = 0; round < 40; round++)
      for (const size of [5, 25, 50]) model.observe(size, 80 + size);
    expect(model.expected(25)).toBeGreaterThan(90);
    expect(model.expected(25)).toBeLessThan(120);
  });

  it('tells by how much the slower batches are slower', () => {
    const random = new Random(5);
    const slack = (share: number): number =>
      fitted(new Array<number>(3000).fill(10), () => (random.uniform() < share ? 20 : 10)).slack;
    expect(slack(0)).toBeLessThan(1.1);
    expect(slack(0.01)).toBeLessThan(1.1);
    expect(slack(0.2)).toBeGreaterThan(1.6);
    expect(slack(0.2)).toBeLessThan(2.2);
  });

  it('keeps no slack for a share of the slowest that it is told', () => {
    const random = new Random(5);
    const model = new LatencyModel(0.3);
    for (let n = 0; n < 3000; n++) model.observe(10, random.uniform() < 0.2 ? 20 : 10);
    expect(model.slack).toBeLessThan(1.1);
  });

  it('never expects less than nothing, nor anything that is no number', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 1, max: 65_536 }),
            fc.double({ min: 0, max: 1e7, noNaN: true }),
          ),
          { minLength: 1, maxLength: 100 },
        ),
        (batches) => {
          const model = new LatencyModel();
          for (const [size, ms] of batches) {
            model.observe(size, ms);
            expect(model.alpha).toBeGreaterThanOrEqual(-1e-6);
            expect(model.beta).toBeGreaterThanOrEqual(0);
            expect(model.slack).toBeGreaterThanOrEqual(1);
            expect(Number.isFinite(model.expected(65_536) * model.slack)).toBe(true);
          }
        },
      ),
    );
  });
});

describe('ArrivalRate', () => {
  it('is near the rate of what comes, from the start and after a change', () => {
    const random = new Random(3);
    const rate = new ArrivalRate();
    expect(rate.rate(0)).toBe(0);
    let now = 0;
    const come = (perMs: number, ms: number): void => {
      const end = now + ms;
      for (;;) {
        const next = now - Math.log(1 - random.uniform()) / perMs;
        if (next > end) break;
        now = next;
        rate.arrived(now);
      }
      now = end;
    };
    come(5, 60);
    expect(rate.rate(now) / 5).toBeGreaterThan(0.7);
    expect(rate.rate(now) / 5).toBeLessThan(1.3);
    come(5, 1000);
    expect(Math.abs(rate.rate(now) / 5 - 1)).toBeLessThan(0.15);
    come(50, 1000);
    expect(Math.abs(rate.rate(now) / 50 - 1)).toBeLessThan(0.1);
    expect(rate.rate(now + 5000)).toBeLessThan(1e-6);
  });
});
