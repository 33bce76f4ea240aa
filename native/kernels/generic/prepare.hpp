// Preparing queries: plain loops, which the compiler vectorizes for each instruction set. They give
// the same bits on every one.

// As integers magnitudes compare as the numbers do, and without a thought of NaN.
inline float greatest_magnitude(const float* values, std::size_t count) {
  std::int32_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t bits;
    __builtin_memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  float value;
  __builtin_memcpy(&value, &most, sizeof value);
  return value;
}

double scale_query(const float* query, const float* mean, std::size_t count, float* values) {
  if (mean == nullptr) {
    __builtin_memcpy(values, query, count * sizeof(float));
  } else {
    for (std::size_t d = 0; d < count; ++d) values[d] = query[d] - mean[d];
  }
  double most = greatest_magnitude(values, count);
  // A difference may lie beyond the range of floats.
  const bool beyond = !std::isfinite(most);
  if (beyond) {
    most = lane_max(count, 0.0, [&](std::size_t d) {
      return std::fabs(static_cast<double>(query[d]) - mean[d]);
    });
  }
  const double inverse = most > 0.0 ? 1.0 / most : 0.0;
  for (std::size_t d = 0; d < count; ++d) {
    const double value = beyond ? static_cast<double>(query[d]) - mean[d] : values[d];
    values[d] = static_cast<float>(value * inverse);
  }
  return most;
}

double sum_values(const float* values, std::size_t count) {
  return lane_sum(count, [&](std::size_t d) { return values[d]; });
}

double centred_square(const float* query, const float* mean, std::size_t count) {
  return lane_sum(count, [&](std::size_t d) {
    const double difference = static_cast<double>(query[d]) - mean[d];
    return difference * difference;
  });
}

double product(const float* a, const float* b, std::size_t count) {
  return lane_sum(count, [&](std::size_t d) { return static_cast<double>(a[d]) * b[d]; });
}

double quantize_query(const float* values, std::size_t count, std::int8_t* bytes, float* most) {
  *most = greatest_magnitude(values, count);
  const float inverse = *most > 0.0f ? 127.0f / *most : 0.0f;
  for (std::size_t i = 0; i < count; ++i) {
    // To the nearest integer; unlike std::round it vectorizes everywhere.
    bytes[i] = static_cast<std::int8_t>(static_cast<int>(values[i] * inverse + 128.5f) - 128);
  }
  return lane_sum(count, [&](std::size_t i) { return bytes[i]; });
}

inline void butterfly(float* __restrict low, float* __restrict high, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float a = low[i];
    const float b = high[i];
    low[i] = a + b;
    high[i] = a - b;
  }
}

// The same, normalized.
inline void mix(float* __restrict low, float* __restrict high, std::size_t count) {
  constexpr float kRootOfHalf = 0.70710678f;
  for (std::size_t i = 0; i < count; ++i) {
    const float a = low[i];
    const float b = high[i];
    low[i] = (a + b) * kRootOfHalf;
    high[i] = (a - b) * kRootOfHalf;
  }
}

// Two stages at once, h and 2h: half the trips through memory.
inline void butterfly4(float* __restrict p0, float* __restrict p1, float* __restrict p2,
                       float* __restrict p3, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float a = p0[i] + p1[i];
    const float b = p0[i] - p1[i];
    const float c = p2[i] + p3[i];
    const float d = p2[i] - p3[i];
    p0[i] = a + c;
    p1[i] = b + d;
    p2[i] = a - c;
    p3[i] = b - d;
  }
}

inline void transform8(float* x) {
  const float a0 = x[0] + x[4], a1 = x[1] + x[5], a2 = x[2] + x[6], a3 = x[3] + x[7];
  const float a4 = x[0] - x[4], a5 = x[1] - x[5], a6 = x[2] - x[6], a7 = x[3] - x[7];
  const float b0 = a0 + a2, b1 = a1 + a3, b2 = a0 - a2, b3 = a1 - a3;
  const float b4 = a4 + a6, b5 = a5 + a7, b6 = a4 - a6, b7 = a5 - a7;
  x[0] = b0 + b1, x[1] = b0 - b1, x[2] = b2 + b3, x[3] = b2 - b3;
  x[4] = b4 + b5, x[5] = b4 - b5, x[6] = b6 + b7, x[7] = b6 - b7;
}

// The unnormalized Walsh-Hadamard transform of `size` values, a power of two from 8 on.
inline void transform(float* x, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 8) transform8(x + i);
  std::size_t h = 8;
  for (; h * 4 <= size; h *= 4) {
    for (std::size_t i = 0; i < size; i += 4 * h) {
      butterfly4(x + i, x + i + h, x + i + 2 * h, x + i + 3 * h, h);
    }
  }
  if (h < size) butterfly(x, x + h, h);
}

inline void change_signs(float* __restrict x, const float* __restrict signs, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] *= signs[i];
}

void rotate(const RotationRounds& rounds, float* vector) {
  const std::size_t outside = rounds.values - rounds.block;
  for (std::size_t r = 0; r < rounds.count; ++r) {
    change_signs(vector, rounds.signs + r * rounds.values, rounds.values);
    transform(r % 2 == 0 ? vector : vector + outside, rounds.block);
    if (r > 0) mix(vector, vector + rounds.block, outside);
  }
}

void rotate_back(const RotationRounds& rounds, float* vector) {
  const std::size_t outside = rounds.values - rounds.block;
  for (std::size_t r = rounds.count; r-- > 0;) {
    if (r > 0) mix(vector, vector + rounds.block, outside);
    transform(r % 2 == 0 ? vector : vector + outside, rounds.block);
    change_signs(vector, rounds.signs + r * rounds.values, rounds.values);
  }
}
