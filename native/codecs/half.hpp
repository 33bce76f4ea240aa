#pragma once
// IEEE half and bfloat16 to float and back, rounding to nearest even. Plain bit manipulation: it
// runs everywhere and gives the same bits everywhere.

#include <bit>
#include <cstdint>

namespace lichen {

inline constexpr float kHalfLimit = 65520.0f;  // magnitudes from here on round to infinity
inline constexpr std::uint16_t kBfloatMax = 0x7F7F;

inline std::uint16_t half_from_float(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  std::uint32_t half;
  if (magnitude > 0x7F800000u) {
    half = 0x7E00u | (magnitude >> 13 & 0x1FFu);  // a quiet NaN, with what fits of its payload
  } else if (magnitude >= std::bit_cast<std::uint32_t>(kHalfLimit)) {
    half = 0x7C00u;
  } else if (magnitude >= 0x38800000u) {
    // The exponent's bias falls from 127 to 15; a carry out of the significand raises it rightly.
    half = (magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
  } else {
    // Subnormal: a unit is 2^-24, which is what the last bit of a float from 0.5 to 1 stands for.
    const float sum = std::bit_cast<float>(magnitude) + 0.5f;
    half = std::bit_cast<std::uint32_t>(sum) - 0x3F000000u;
  }
  return static_cast<std::uint16_t>(sign | half);
}

inline float float_from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7FFFu;
  std::uint32_t bits;
  if (magnitude >= 0x7C00u) {
    bits = magnitude << 13 | 0x7F800000u;
  } else if (magnitude >= 0x400u) {
    bits = (magnitude << 13) + 0x38000000u;
  } else {
    bits = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f);
  }
  return std::bit_cast<float>(sign | bits);
}

inline std::uint16_t bfloat_from_float(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

inline float float_from_bfloat(std::uint16_t bfloat) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat) << 16);
}

}  // namespace lichen
