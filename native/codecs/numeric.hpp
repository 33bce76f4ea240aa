#pragma once
// Arithmetic that codecs share.

#include <limits>

#include "kernels/lanes.hpp"

namespace lichen {

// Factors of extreme vectors may lie beyond float; an infinite one would make NaN distances.
inline float to_finite_float(double value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(value > kMost ? kMost : value < -kMost ? -kMost : value);
}

}  // namespace lichen
