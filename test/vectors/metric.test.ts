import { describe, expect, it } from 'vitest';
import { higherIsBetter, METRICS, parseMetric } from '../../src/vectors/metric.js';

describe('metric', () => {
  it('has three names, which nobody can change', () => {
    expect(METRICS).toEqual(['dot', 'cosine', 'l2']);
    expect(() => (METRICS as unknown as string[]).push('other')).toThrow(TypeError);
  });

  it.each([
    ['dot', true],
    ['cosine', true],
    ['l2', false],
  ] as const)('knows %s', (name, higher) => {
    expect(parseMetric(name)).toBe(name);
    expect(higherIsBetter(name)).toBe(higher);
  });

  it.each([
    ['L2', '"L2"'],
    ['', '""'],
    ['euclid', '"euclid"'],
    [undefined, 'undefined'],
    [null, 'null'],
    [0, '0'],
    [['dot'], 'an array'],
  ])('refuses %j', (text, shown) => {
    expect(() => parseMetric(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_LICHEN_ARGUMENT',
        message: `metric is one of dot, cosine, l2, got ${shown}`,
      }),
    );
  });
});
