#pragma once
// Queries as small signed integers: value ≈ step × integer.

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.hpp"

namespace lichen {

struct QueryCodes {
  double step;
  double sum;  // Σ integers
};

// −127 to 127, up to the largest magnitude. The values count `unit` each.
inline QueryCodes quantize_query_8(const float* values, std::size_t count, double unit,
                                   std::int8_t* bytes) {
  float most = 0.0f;
  const double sum = kernels().prepare.quantize(values, count, bytes, &most);
  return {static_cast<double>(most) / 127.0 * unit, sum};
}

}  // namespace lichen
