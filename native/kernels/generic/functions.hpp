// Functions of one f32 as plain arithmetic without jumps, so that loops over them vectorize. Errors
// against f64 are at most 3 units of the last place, of erf 4. NaN gives NaN, subnormal numbers
// count.

inline std::uint32_t bits_of_float(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_from_bits(std::uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

LICHEN_INLINE float magnitude_of(float x) {
  return float_from_bits(bits_of_float(x) & 0x7FFFFFFFu);
}

// The compiler would jump over arithmetic whose result is not wanted, and then not vectorize.
LICHEN_INLINE float choose(bool first, float a, float b) {
  const std::uint32_t mask = first ? 0xFFFFFFFFu : 0u;
  return float_from_bits((bits_of_float(a) & mask) | (bits_of_float(b) & ~mask));
}

// Adding it leaves no room for a fraction: the sum's last bits are the nearest integer.
constexpr float kRoundingShift = 12582912.0f;

// 2^n for −126 <= n <= 127, n in two's complement.
LICHEN_INLINE float power_of_two(std::uint32_t n) { return float_from_bits((n + 127u) << 23); }

LICHEN_INLINE float exp_of(float x) {
  constexpr float kMost = 89.0f;     // e^89 is above all floats
  constexpr float kLeast = -104.0f;  // e^-104 is nearer to 0 than to the least of them
  x = choose(x > kMost, kMost, x);
  x = choose(x < kLeast, kLeast, x);
  const float shifted = x * 1.44269504f + kRoundingShift;
  const float n = shifted - kRoundingShift;
  // ln 2 in two parts, the first so short that n times it is exact.
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  const float y = p * (r * r) + r + 1.0f;
  // In two steps: 2^n itself may lie beyond the range of normal floats.
  const std::uint32_t exponent = bits_of_float(shifted) - bits_of_float(kRoundingShift);
  const auto half = static_cast<std::uint32_t>(static_cast<std::int32_t>(exponent) >> 1);
  return y * power_of_two(half) * power_of_two(exponent - half);
}

LICHEN_INLINE float expm1_of(float x) {
  // Near 0 by the series, where e^x − 1 would lose its last places; below it loses fewer than the
  // series, whose terms have two signs.
  float p = x * (1.0f / 39916800.0f) + 1.0f / 3628800.0f;
  p = p * x + 1.0f / 362880.0f;
  p = p * x + 1.0f / 40320.0f;
  p = p * x + 1.0f / 5040.0f;
  p = p * x + 1.0f / 720.0f;
  p = p * x + 1.0f / 120.0f;
  p = p * x + 1.0f / 24.0f;
  p = p * x + 1.0f / 6.0f;
  p = p * x + 0.5f;
  const float near = p * (x * x) + x;
  const float far = exp_of(x) - 1.0f;
  return choose((x < 1.0f) & (x > -0.5f), near, far);
}

LICHEN_INLINE float log_of(float x) {
  const float infinity = __builtin_inff();
  // 2^23 times as much, and 23 less at the end, where x may be subnormal.
  const float more = choose(x < 1.17549435e-38f, 23.0f, 0.0f);
  const float scaled = x * choose(x < 1.17549435e-38f, 8388608.0f, 1.0f);
  // x = m × 2^n with √½ <= m < √2: the bits of √½ are taken off, and their exponent is left.
  const std::uint32_t offset = bits_of_float(scaled) - 0x3F3504F3u;
  const auto exponent = static_cast<std::int32_t>(offset) >> 23;
  const float n = static_cast<float>(exponent) - more;
  const float m = float_from_bits((offset & 0x007FFFFFu) + 0x3F3504F3u);
  // ln m = 2 artanh s for s = (m − 1) / (m + 1), |s| < 0.172; f − f²/2 is kept apart, being most of
  // it, as in ln(1 + f) = f − f²/2 + s (f²/2 + R).
  const float f = m - 1.0f;
  const float s = f / (2.0f + f);
  const float z = s * s;
  float p = z * (2.0f / 11.0f) + 2.0f / 9.0f;
  p = p * z + 2.0f / 7.0f;
  p = p * z + 2.0f / 5.0f;
  p = p * z + 2.0f / 3.0f;
  const float half_square = 0.5f * f * f;
  const float rest = s * (half_square + p * z) - n * 2.12194440e-4f;
  float y = (n * 0.693359375f) + (f - (half_square - rest));
  y = choose(x == 0.0f, -infinity, y);
  y = choose(x < 0.0f, __builtin_nanf(""), y);
  // Infinity and NaN are their own logarithms.
  return choose(x < infinity, y, x);
}

LICHEN_INLINE float log1p_of(float x) {
  // What is lost in 1 + x is made good by the ratio of x to what is there of it.
  const float u = 1.0f + x;
  const float y = log_of(u) * (x / (u - 1.0f));
  const float whole = choose(u == __builtin_inff(), u, y);
  return choose(u == 1.0f, x, whole);
}

LICHEN_INLINE float sigmoid_of(float x) {
  const float e = exp_of(-magnitude_of(x));
  const float numerator = x < 0.0f ? e : 1.0f;
  const float y = numerator / (1.0f + e);
  return choose(x != x, x, y);
}

LICHEN_INLINE float tanh_of(float x) {
  const float m = magnitude_of(x);
  const float t = expm1_of(-2.0f * m);
  const float y = -t / (2.0f + t);
  return x < 0.0f ? -y : y;
}

LICHEN_INLINE float softplus_of(float x) {
  return choose(x > 0.0f, x, 0.0f) + log1p_of(exp_of(-magnitude_of(x)));
}

LICHEN_INLINE float erf_of(float x) {
  const float m = magnitude_of(x);
  // Below 1 by the series, 2/√π Σ (−1)^n x^(2n+1) / (n! (2n + 1)).
  const float z = x * x;
  float p = z * (-1.0f / 918086400.0f) + 1.0f / 76204800.0f;
  p = p * z - 1.0f / 6894720.0f;
  p = p * z + 1.0f / 685440.0f;
  p = p * z - 1.0f / 75600.0f;
  p = p * z + 1.0f / 9360.0f;
  p = p * z - 1.0f / 1320.0f;
  p = p * z + 1.0f / 216.0f;
  p = p * z - 1.0f / 42.0f;
  p = p * z + 1.0f / 10.0f;
  p = p * z - 1.0f / 3.0f;
  const float near = 1.12837917f * (p * z * x + x);
  // Beyond by Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26.
  const float t = 1.0f / (1.0f + 0.3275911f * m);
  float q = t * 1.061405429f - 1.453152027f;
  q = q * t + 1.421413741f;
  q = q * t - 0.284496736f;
  q = q * t + 0.254829592f;
  const float y = 1.0f - q * t * exp_of(-(m * m));
  const float far = x < 0.0f ? -y : y;
  return choose(m < 1.0f, near, far);
}
