#pragma once
// Reductions along an axis: x is outer × length × inner, the result outer × inner. Sums and
// products are in f64, in a fixed order, and rounded once.

#include <cstddef>
#include <cstdint>

namespace lichen {

enum class Reduction : std::size_t { kSum, kMean, kProduct, kMaximum, kMinimum, kCount };
inline constexpr const char* kReductionNames[] = {"sum", "mean", "product", "maximum", "minimum"};

struct ReducedAxis {
  std::size_t outer;
  std::size_t length;  // extremes and the mean need at least 1
  std::size_t inner;
};

// The greatest and the least are NaN where there is one.
void reduce(Reduction reduction, const ReducedAxis& axis, const float* x, float* out);
// Of int32 all but the mean, modulo 2^32.
void reduce(Reduction reduction, const ReducedAxis& axis, const std::int32_t* x, std::int32_t* out);

// The place of the greatest value, or of the least, the first of several; 0 where the first value
// is NaN, other NaN are passed over.
void find_extreme(bool greatest, const ReducedAxis& axis, const float* x, std::int32_t* out);

// Over the last axis, of at least one value. Rows whose greatest value is infinite are NaN.
void softmax(const float* x, std::size_t rows, std::size_t columns, float* out);

// The k greatest values of each row, greatest first, and their places; of equal ones the first.
void top_k(const float* x, std::size_t rows, std::size_t columns, std::size_t k, float* values,
           std::int32_t* places);

}  // namespace lichen
