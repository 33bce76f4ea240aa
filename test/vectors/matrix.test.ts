import { describe, expect, it } from 'vitest';
import { matrix, matrixRow, requireFinite } from '../../src/vectors/matrix.js';
import { METRICS, higherIsBetter, parseMetric } from '../../src/vectors/metric.js';

describe('matrix', () => {
  it('views rows without copying', () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const view = matrix(data, 3);
    expect(view).toEqual({ data, rows: 2, dim: 3 });
    expect(view.data).toBe(data);
    expect([...matrixRow(view, 1)]).toEqual([4, 5, 6]);
    expect(matrix(new Float32Array(0), 3).rows).toBe(0);
  });

  it('refuses bad arguments', () => {
    const data = new Float32Array(6);
    expect(() => matrix([1, 2] as never, 2)).toThrow(/Float32Array, got an array/);
    expect(() => matrix(data, 0)).toThrow(/dim must be a positive integer, got 0/);
    expect(() => matrix(data, 1.5)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
    expect(() => matrix(data, 4)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_DIMENSION' }),
    );
    expect(() => matrixRow(matrix(data, 3), 2)).toThrow(/row must be in 0\.\.1, got 2/);
  });

  it.each([NaN, Infinity, -Infinity])('names the place of %s', (bad) => {
    const data = Float32Array.of(1, 2, 3, 4, bad, NaN);
    expect(() => requireFinite(matrix(data, 3), 'vectors')).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_NOT_FINITE',
        message: `vectors: row 1, column 1 is ${bad}, expected a finite value`,
      }),
    );
  });

  it('lets the largest finite values pass', () => {
    requireFinite(matrix(Float32Array.of(3.4028234e38, -3.4028234e38, 1e-45, -0), 2), 'vectors');
  });
});

describe('metric', () => {
  it('knows the names', () => {
    expect(METRICS.map(parseMetric)).toEqual(['dot', 'cosine', 'l2']);
    expect(METRICS.map(higherIsBetter)).toEqual([true, true, false]);
  });

  it('refuses others', () => {
    expect(() => parseMetric('euclid')).toThrow('metric is one of dot, cosine, l2, got "euclid"');
    expect(() => parseMetric(undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_ARGUMENT' }),
    );
  });
});
