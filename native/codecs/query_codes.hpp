#pragma once
// Queries as small signed integers: value ≈ step × integer.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "codecs/numeric.hpp"

namespace lichen {

struct QueryCodes {
  double step;
  double sum;  // Σ integers
};

// To the nearest integer, for values above −128; unlike std::round it vectorizes everywhere.
inline int nearest(float value) { return static_cast<int>(value + 128.5f) - 128; }

// −127 to 127, up to the largest magnitude. The values count `unit` each.
inline QueryCodes quantize_query_8(const float* values, std::size_t count, double unit,
                                   std::int8_t* bytes) {
  const float most = lane_max(count, 0.0f, [&](std::size_t i) { return std::fabs(values[i]); });
  const float inverse = most > 0.0f ? 127.0f / most : 0.0f;
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::int8_t>(nearest(values[i] * inverse));
  }
  const double sum = lane_sum(count, [&](std::size_t i) { return bytes[i]; });
  return {static_cast<double>(most) / 127.0 * unit, sum};
}

}  // namespace lichen
