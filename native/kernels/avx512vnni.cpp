// AVX-512 as of Ice Lake and Zen 4: dot products of bytes (VNNI) and a population count of
// bytes (BITALG).

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

#define LICHEN_VNNI
#define LICHEN_WIDE_POPCOUNT
#include "kernels/avx512_simd.hpp"

// The weight of a plane, in each byte: plane 3 is the sign of a two's complement.
inline __m512i weight(std::size_t plane) {
  return _mm512_set1_epi8(static_cast<char>(plane == 3 ? -8 : 1 << plane));
}

// Adds the set bits of row and plane, byte by byte, times the plane's weight.
inline __m512i add_count(__m512i sum, __m512i row, const std::uint64_t* plane, std::size_t p) {
  const __m512i both = _mm512_and_si512(row, _mm512_loadu_si512(plane));
  return _mm512_dpbusd_epi32(sum, _mm512_popcnt_epi8(both), weight(p));
}

inline __m512i count_vector(__m512i row, const std::uint64_t* planes, std::size_t step) {
  // Two sums: one chain of four would wait for itself.
  __m512i a = add_count(_mm512_setzero_si512(), row, planes, 0);
  __m512i b = add_count(_mm512_setzero_si512(), row, planes + step, 1);
  a = add_count(a, row, planes + 2 * step, 2);
  b = add_count(b, row, planes + 3 * step, 3);
  return _mm512_add_epi32(a, b);
}

inline __m512i count_row(const std::uint64_t* planes, const std::uint8_t* row, std::size_t words) {
  __m512i a = _mm512_setzero_si512();
  __m512i b = a;
  for (std::size_t w = 0; w < words; w += 8) {
    const __m512i x = Simd::int_load_here(row + 8 * w);
    a = add_count(a, x, planes + w, 0);
    b = add_count(b, x, planes + words + w, 1);
    a = add_count(a, x, planes + 2 * words + w, 2);
    b = add_count(b, x, planes + 3 * words + w, 3);
  }
  return _mm512_add_epi32(a, b);
}

// Eight rows of 1, 2, 4 or 8 words, one after the other: 8 / words rows fill a vector, and the
// planes repeat.
template <std::size_t words>
inline void popcount_short(const std::uint64_t* planes, const std::uint8_t* rows,
                           std::int32_t* sums) {
  if constexpr (words == 1) {
    const __m512i pairs = count_vector(_mm512_loadu_si512(rows), planes, 8);
    const __m512i total = _mm512_add_epi32(pairs, _mm512_srli_epi64(pairs, 32));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), _mm512_cvtepi64_epi32(total));
  } else {
    Simd::Ints counts[8];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < words; ++v) {
      counts[v] = count_vector(Simd::int_load_here(rows + 64 * v), planes, 8);
    }
    Simd::int_sum8_short(counts, 8 * words, sums);
  }
}

inline void popcount_eight(const std::uint64_t* planes, const std::uint8_t* const* row,
                           std::size_t words, std::int32_t* sums) {
  if (words < 8) {
    alignas(64) std::uint8_t rows[8 * 8 * 4];
    for (std::size_t r = 0; r < 8; ++r) {
      for (std::size_t w = 0; w < words; ++w) {
        __builtin_memcpy(rows + 8 * (r * words + w), row[r] + 8 * w, 8);
      }
    }
    return words == 1   ? popcount_short<1>(planes, rows, sums)
           : words == 2 ? popcount_short<2>(planes, rows, sums)
                        : popcount_short<4>(planes, rows, sums);
  }
  Simd::Ints counts[8];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < 8; ++r) counts[r] = count_row(planes, row[r], words);
  Simd::int_sum8(counts, sums);
}

#include "kernels/generic/codes.hpp"

}  // namespace

const CodeTable kAvx512VnniCodes = make_code_table("avx512vnni");

}  // namespace lichen
