#pragma once
// Sums and maxima in a fixed order over eight lanes, so that plain loops vectorize without
// -ffast-math and give the same result on every machine.

#include <cstddef>

namespace lichen {

// Σ term(i) for i < count.
template <class Term>
double lane_sum(std::size_t count, Term term) {
  double lanes[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) lanes[j] += term(i + j);
  }
  for (std::size_t j = 0; i + j < count; ++j) lanes[j] += term(i + j);
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
         ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

// The largest term(i) for i < count, and at least `least`.
template <class Value, class Term>
Value lane_max(std::size_t count, Value least, Term term) {
  Value lanes[8];
  for (Value& lane : lanes) lane = least;
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) {
      const Value value = term(i + j);
      lanes[j] = value > lanes[j] ? value : lanes[j];
    }
  }
  for (; i < count; ++i) {
    const Value value = term(i);
    lanes[0] = value > lanes[0] ? value : lanes[0];
  }
  for (std::size_t j = 1; j < 8; ++j) lanes[0] = lanes[j] > lanes[0] ? lanes[j] : lanes[0];
  return lanes[0];
}

}  // namespace lichen
