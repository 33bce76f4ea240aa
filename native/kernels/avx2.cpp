// AVX2, FMA and F16C: eight floats, or 32 bytes, at a time.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

#include "kernels/avx_sums.hpp"

struct Simd {
  using Vector = __m256;
  using Ints = __m256i;
  using Table = __m256i;
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kTileQueries = 6;
  static constexpr std::size_t kTileVectors = 2;
  static constexpr std::size_t kProductRows = 6;
  static constexpr std::size_t kProductVectors = 2;
  static constexpr std::size_t kRowsSideBySide = 2;
  static constexpr bool kHasShortRows = false;

  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector set(float x) { return _mm256_set1_ps(x); }
  static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  static Vector load_first(const float* p, std::size_t n) {
    // Sliding a window over eight -1 and eight 0 gives the mask for any n.
    alignas(32) static const std::int32_t kMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                        0,  0,  0,  0,  0,  0,  0,  0};
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + 8 - n));
    return _mm256_maskload_ps(p, mask);
  }
  static __m128i load_halves(const std::uint16_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static __m128i load_first_halves(const std::uint16_t* p, std::size_t n) {
    alignas(16) std::uint16_t values[8] = {};
    for (std::size_t i = 0; i < n; ++i) values[i] = p[i];
    return load_halves(values);
  }
  static Vector widen_bf16(__m128i v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
  }
  static Vector load_f16(const std::uint16_t* p) { return _mm256_cvtph_ps(load_halves(p)); }
  static Vector load_f16_first(const std::uint16_t* p, std::size_t n) {
    return _mm256_cvtph_ps(load_first_halves(p, n));
  }
  static Vector load_bf16(const std::uint16_t* p) { return widen_bf16(load_halves(p)); }
  static Vector load_bf16_first(const std::uint16_t* p, std::size_t n) {
    return widen_bf16(load_first_halves(p, n));
  }
  static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static Vector multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static void store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  static float sum1(Vector v) { return sum_one(v); }
  static void sum8(const Vector* v, float* out) { sum_eight(v, out); }
  static unsigned not_above(Vector v, float limit) {
    return static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_set1_ps(limit), _CMP_NGT_UQ)));
  }

  static Ints int_zero() { return _mm256_setzero_si256(); }
  static Ints int_set(std::int32_t x) { return _mm256_set1_epi32(x); }
  static Ints int_load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Ints int_load_part(const void* p, std::size_t) {  // 16 bytes
    return _mm256_zextsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static void int_store(void* p, Ints v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
  static Ints int_add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints low_nibbles(Ints v) { return _mm256_and_si256(v, _mm256_set1_epi8(0x0F)); }
  static Ints high_nibbles(Ints v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }
  static Ints nibbles_part(const void* p, std::size_t) {  // 16 bytes
    const __m128i codes = _mm_loadu_si128(static_cast<const __m128i*>(p));
    const __m128i ones = _mm_set1_epi8(0x0F);
    return _mm256_set_m128i(_mm_and_si128(_mm_srli_epi16(codes, 4), ones),
                            _mm_and_si128(codes, ones));
  }
  static Ints dot_u8(Ints sum, Ints u, Ints s) {
    // Products of a byte each, added in pairs, would saturate 16 bits: widened first.
    const Ints even = _mm256_madd_epi16(_mm256_and_si256(u, _mm256_set1_epi16(0xFF)),
                                        _mm256_srai_epi16(_mm256_slli_epi16(s, 8), 8));
    const Ints odd = _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(s, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
  static Ints dot_u4(Ints sum, Ints u, Ints s) {
    const Ints pairs = _mm256_maddubs_epi16(u, s);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static Vector to_float(Ints v) { return _mm256_cvtepi32_ps(v); }
  static std::int32_t int_sum1(Ints v) { return int_sum_one(v); }
  static void int_sum8(const Ints* v, std::int32_t* out) {
    int_sum_pairs(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]),
                  _mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]), out);
  }
  static Table table16(const std::uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Ints lookup(Table table, Ints v) { return _mm256_shuffle_epi8(table, v); }
  static Ints add16(Ints a, Ints b) { return _mm256_add_epi16(a, b); }
  static Ints subtract16(Ints a, Ints b) { return _mm256_sub_epi16(a, b); }
  static Ints odd_bytes(Ints v) { return _mm256_srli_epi16(v, 8); }
  static Ints shift_up_byte(Ints v) { return _mm256_slli_epi16(v, 8); }
  static Ints to_bits(Vector v) { return _mm256_castps_si256(v); }
  template <class Load>
  static void transpose(Load&& load, std::uint32_t* out, std::size_t out_stride) {
    __m256 row[8];
    __m256 pair[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i) row[i] = _mm256_castsi256_ps(load(i));
    for (std::size_t i = 0; i < 8; i += 2) {
      pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
      pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
    }
    for (std::size_t i = 0; i < 8; i += 4) {
      row[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
      row[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xEE);
      row[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
      row[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xEE);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      store_words(out + i * out_stride, _mm256_permute2f128_ps(row[i], row[i + 4], 0x20));
      store_words(out + (i + 4) * out_stride, _mm256_permute2f128_ps(row[i], row[i + 4], 0x31));
    }
  }
  static void store_words(std::uint32_t* p, __m256 v) { int_store(p, _mm256_castps_si256(v)); }
  static void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
};

#include "kernels/generic/all.hpp"

}  // namespace

const Kernels kAvx2Kernels = make_table("avx2");

}  // namespace lichen
