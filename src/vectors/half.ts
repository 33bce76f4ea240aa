/**
 * Whole arrays of 16-bit floats: IEEE half (f16: 5 exponent bits, 10 fraction bits) and bfloat16 (the upper half of
 * an f32), kept as bit patterns in Uint16Array. Widening is exact; narrowing rounds to nearest, ties to even.
 */

let halfTable: Float32Array | undefined;

/** The f32 value of every f16 bit pattern; built at first use (256 KiB). */
function halfValues(): Float32Array {
  if (halfTable !== undefined) return halfTable;
  const bits = new Uint32Array(65536);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const fraction = half & 0x3ff;
    let rest: number;
    if (exponent === 31) rest = 0x7f800000 | (fraction << 13);
    else if (exponent !== 0) rest = ((exponent + 112) << 23) | (fraction << 13);
    else if (fraction === 0) rest = 0;
    else {
      // A subnormal half is a normal float: move its leading bit out to the implicit place.
      const shift = Math.clz32(fraction) - 21;
      rest = ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
    }
    bits[half] = sign | rest;
  }
  halfTable = new Float32Array(bits.buffer);
  return halfTable;
}

/** The f32 values of f16 bit patterns, into `into` (as long as `halfs`, by default a new array). */
export function halfToFloat(
  halfs: Uint16Array,
  into: Float32Array = new Float32Array(halfs.length),
): Float32Array {
  const values = halfValues();
  for (let at = 0; at < halfs.length; at++) into[at] = values[halfs[at]!]!;
  return into;
}

/** The f16 bit patterns nearest to f32 values: ties to even, too large becomes infinite, NaN stays NaN. */
export function floatToHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halfs = new Uint16Array(values.length);
  for (let at = 0; at < bits.length; at++) halfs[at] = nearestHalf(bits[at]!);
  return halfs;
}

function nearestHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff); // NaN, made quiet
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and more round to infinity
  if (magnitude >= 0x38800000) {
    // Normal: rebias the exponent, then round away 13 bits. A carry runs into the exponent, as it should.
    const odd = (magnitude >>> 13) & 1;
    return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign; // 2^-25 and less: nearest is zero (the tie is even)
  // Subnormal: the significand with its implicit bit, in units of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const odd = (significand >>> shift) & 1;
  return sign | ((significand + (2 ** (shift - 1) - 1) + odd) >>> shift);
}

/** The f32 values of bf16 bit patterns, into `into` (as long as `patterns`, by default a new array). */
export function bfloat16ToFloat(
  patterns: Uint16Array,
  into: Float32Array = new Float32Array(patterns.length),
): Float32Array {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let at = 0; at < patterns.length; at++) bits[at] = patterns[at]! << 16;
  return into;
}

/** The bf16 bit patterns nearest to f32 values: ties to even, too large becomes infinite, NaN stays NaN. */
export function floatToBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const patterns = new Uint16Array(values.length);
  for (let at = 0; at < bits.length; at++) {
    const float = bits[at]!;
    const isNaN = (float & 0x7fffffff) > 0x7f800000;
    patterns[at] = isNaN ? (float >>> 16) | 0x40 : (float + 0x7fff + ((float >>> 16) & 1)) >>> 16;
  }
  return patterns;
}
