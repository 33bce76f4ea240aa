// Plain C++: the reference path, and what runs where no wider one does. Four bytes are a vector of
// one.

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

inline float float_of_bits(std::uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7FFFu;
  if (magnitude >= 0x7C00u) return float_of_bits(sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
  // Exponent and fraction in the places of an f32 are the value times 2^-112, subnormal or not.
  const float scaled = float_of_bits(magnitude << 13) * 0x1p112f;
  return sign != 0 ? -scaled : scaled;
}

struct Simd {
  using Vector = float;
  using Ints = std::uint32_t;
  using Table = const std::uint8_t*;
  static constexpr std::size_t kWidth = 1;
  static constexpr std::size_t kTileQueries = 2;
  static constexpr std::size_t kTileVectors = 8;
  static constexpr std::size_t kProductRows = 2;
  static constexpr std::size_t kProductVectors = 8;
  static constexpr std::size_t kRowsSideBySide = 1;
  static constexpr bool kHasShortRows = false;

  static Vector zero() { return 0.0f; }
  static Vector set(float x) { return x; }
  static Vector load(const float* p) { return *p; }
  static Vector load_first(const float*, std::size_t) { return 0.0f; }
  static Vector load_f16(const std::uint16_t* p) { return float_of_half(*p); }
  static Vector load_f16_first(const std::uint16_t*, std::size_t) { return 0.0f; }
  static Vector load_bf16(const std::uint16_t* p) {
    return float_of_bits(static_cast<std::uint32_t>(*p) << 16);
  }
  static Vector load_bf16_first(const std::uint16_t*, std::size_t) { return 0.0f; }
  static Vector add(Vector a, Vector b) { return a + b; }
  static Vector subtract(Vector a, Vector b) { return a - b; }
  static Vector multiply(Vector a, Vector b) { return a * b; }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }
  static void store(float* p, Vector v) { *p = v; }
  static float sum1(Vector v) { return v; }
  static void sum8(const Vector* v, float* out) {
    for (std::size_t i = 0; i < 8; ++i) out[i] = v[i];
  }
  static unsigned not_above(Vector v, float limit) { return v > limit ? 0u : 1u; }

  static Ints int_zero() { return 0; }
  static Ints int_set(std::int32_t x) { return static_cast<Ints>(x); }
  static Ints int_load(const void* p) {
    Ints v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static Ints int_load_part(const void* p, std::size_t) { return int_load(p); }
  static void int_store(void* p, Ints v) { __builtin_memcpy(p, &v, sizeof v); }
  static Ints int_add(Ints a, Ints b) { return a + b; }
  static Ints low_nibbles(Ints v) { return v & 0x0F0F0F0Fu; }
  static Ints high_nibbles(Ints v) { return v >> 4 & 0x0F0F0F0Fu; }
  static Ints nibbles_part(const void* p, std::size_t) { return int_load(p); }  // no row is short
  static Ints dot_u8(Ints sum, Ints u, Ints s) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
      const auto code = static_cast<std::int32_t>(u >> shift & 0xFFu);
      const auto value = static_cast<std::int8_t>(s >> shift & 0xFFu);
      sum += static_cast<Ints>(code * value);
    }
    return sum;
  }
  static Ints dot_u4(Ints sum, Ints u, Ints s) { return dot_u8(sum, u, s); }
  static Vector to_float(Ints v) { return static_cast<float>(static_cast<std::int32_t>(v)); }
  static std::int32_t int_sum1(Ints v) { return static_cast<std::int32_t>(v); }
  static void int_sum8(const Ints* v, std::int32_t* out) {
    for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::int32_t>(v[i]);
  }
  static Table table16(const std::uint8_t* p) { return p; }
  static Ints lookup(Table table, Ints v) {
    Ints out = 0;
    for (unsigned shift = 0; shift < 32; shift += 8) {
      out |= static_cast<Ints>(table[v >> shift & 0x0Fu]) << shift;
    }
    return out;
  }
  static Ints add16(Ints a, Ints b) {
    return ((a + b) & 0xFFFFu) | ((a & 0xFFFF0000u) + (b & 0xFFFF0000u));
  }
  static Ints subtract16(Ints a, Ints b) {
    return ((a - b) & 0xFFFFu) | ((a & 0xFFFF0000u) - (b & 0xFFFF0000u));
  }
  static Ints odd_bytes(Ints v) { return v >> 8 & 0x00FF00FFu; }
  static Ints shift_up_byte(Ints v) { return (v & 0x00FF00FFu) << 8; }
  template <class Load>
  static void transpose(Load&& load, std::uint32_t* out, std::size_t) {
    *out = load(0);
  }
  static Ints to_bits(Vector v) {
    Ints bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits;
  }
  static void prefetch(const void* p) { __builtin_prefetch(p); }
};

#include "kernels/generic/all.hpp"

}  // namespace

const Kernels kScalarKernels = make_table("scalar");

}  // namespace lichen
