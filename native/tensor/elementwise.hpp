#pragma once
// Elementwise operations on whole arrays, with broadcasting. Views 0 and 1 are the operands; the
// result follows the axes in order, without gaps, and may be an operand of the same shape.

#include <cstddef>
#include <cstdint>

#include "kernels/tensor_kernels.hpp"
#include "tensor/strided.hpp"

namespace lichen {

// Steps along the last axis must be 0 or 1.
void apply_binary(Binary operation, const Axes<2>& axes, const float* a, const float* b,
                  float* out);
void apply_comparison(Comparison operation, const Axes<2>& axes, const float* a, const float* b,
                      std::uint8_t* out);

// Of int32 the operations from add to squaredDifference, floorDivide and modulo, in 32 bits as
// JavaScript's; what is divided by 0 is 0. Throws Error(kUnsupported) for others.
void apply_binary(Binary operation, const Axes<2>& axes, const std::int32_t* a,
                  const std::int32_t* b, std::int32_t* out);
void apply_comparison(Comparison operation, const Axes<2>& axes, const std::int32_t* a,
                      const std::int32_t* b, std::uint8_t* out);

enum class Logical : std::size_t { kAnd, kOr, kExclusiveOr, kCount };
inline constexpr const char* kLogicalNames[] = {"and", "or", "exclusiveOr"};
void apply_logical(Logical operation, const Axes<2>& axes, const std::uint8_t* a,
                   const std::uint8_t* b, std::uint8_t* out);

void apply_unary(Unary operation, const float* x, std::size_t count, float p, float q, float* out);

// out[i] = condition[i] ? a[i] : b[i]; a_step and b_step are 0 or 1.
void apply_select(const std::uint8_t* condition, const float* a, std::size_t a_step, const float* b,
                  std::size_t b_step, std::size_t count, float* out);

// Conversions as JavaScript's: to int32 without the fraction, modulo 2^32, NaN as 0; to bool NaN is
// true.
void cast_values(const float* x, std::size_t count, std::int32_t* out);
void cast_values(const std::int32_t* x, std::size_t count, float* out);
void cast_values(const std::uint8_t* x, std::size_t count, float* out);
void cast_values(const std::uint8_t* x, std::size_t count, std::int32_t* out);
void cast_values(const float* x, std::size_t count, std::uint8_t* out);
void cast_values(const std::int32_t* x, std::size_t count, std::uint8_t* out);

}  // namespace lichen
