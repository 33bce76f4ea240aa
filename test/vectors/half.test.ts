import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bfloat16ToFloat,
  floatToBfloat16,
  floatToHalf,
  halfToFloat,
} from '../../src/vectors/half.js';

const EVERY = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** The value of a pattern by the definition of the format, in doubles. */
function valueOf(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >> 15 === 1 ? -1 : 1;
  const top = 2 ** exponentBits - 1;
  const exponent = (bits >> fractionBits) & top;
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === top) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** The nearest pattern by comparing distances with both neighbours; ties go to the even pattern. */
function nearestPattern(value: number, exponentBits: number, fractionBits: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  const infinity = (2 ** exponentBits - 1) << fractionBits;
  // Beyond the largest finite value the next step would be twice its exponent; that stands for infinity.
  const at = (pattern: number): number =>
    pattern === infinity
      ? 2 ** (2 ** (exponentBits - 1))
      : valueOf(pattern, exponentBits, fractionBits);
  let low = 0;
  let high = infinity;
  if (magnitude >= at(infinity)) return sign | infinity;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at(middle) <= magnitude) low = middle;
    else high = middle;
  }
  const below = magnitude - at(low);
  const above = at(high) - magnitude;
  const even = low % 2 === 0 ? low : high;
  return sign | (below < above ? low : above < below ? high : even);
}

const FORMATS = [
  { name: 'f16', exponentBits: 5, fractionBits: 10, widen: halfToFloat, narrow: floatToHalf },
  {
    name: 'bf16',
    exponentBits: 8,
    fractionBits: 7,
    widen: bfloat16ToFloat,
    narrow: floatToBfloat16,
  },
];

describe.each(FORMATS)('$name', ({ exponentBits, fractionBits, widen, narrow }) => {
  it('widens every pattern exactly', () => {
    const values = widen(EVERY);
    const wrong = [...EVERY].filter(
      (bits) => !Object.is(values[bits], valueOf(bits, exponentBits, fractionBits)),
    );
    expect(wrong).toEqual([]);
  });

  it('narrows every pattern back to itself, NaN to NaN', () => {
    const values = widen(EVERY);
    const back = narrow(values);
    const wrong = [...EVERY].filter((bits) =>
      Number.isNaN(values[bits])
        ? !Number.isNaN(widen(back.subarray(bits, bits + 1))[0])
        : back[bits] !== bits,
    );
    expect(wrong).toEqual([]);
  });

  it('rounds the middle between neighbours to even, and what is beside it to the nearer', () => {
    const values = widen(EVERY);
    const floats = new Float32Array(1);
    const bits = new Int32Array(floats.buffer);
    const infinity = (2 ** exponentBits - 1) << fractionBits;
    const probes: number[] = [];
    for (let pattern = 0; pattern < infinity - 1; pattern++) {
      floats[0] = (values[pattern]! + values[pattern + 1]!) / 2;
      for (const step of [-1, 0, 1]) {
        const middle = bits[0]!;
        bits[0] = middle + step;
        probes.push(floats[0], -floats[0]);
        bits[0] = middle;
      }
    }
    const narrowed = narrow(Float32Array.from(probes));
    const wrong = probes.filter(
      (value, at) => narrowed[at] !== nearestPattern(value, exponentBits, fractionBits),
    );
    expect(wrong).toEqual([]);
  });

  it('rounds any float to the nearest', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        expect(narrow(Float32Array.of(value))[0]).toBe(
          nearestPattern(value, exponentBits, fractionBits),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps every NaN a NaN', () => {
    const bits = Uint32Array.of(0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000, 0x7f801fff);
    const narrowed = narrow(new Float32Array(bits.buffer));
    expect([...widen(narrowed)].every(Number.isNaN)).toBe(true);
  });
});
