// AVX-512 (F, BW, DQ, VL): sixteen floats at a time, tails by mask.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

struct Simd {
  using Vector = __m512;
  static constexpr std::size_t kWidth = 16;
  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static Vector load_first(const float* p, std::size_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
  }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
  static __m256 fold(Vector v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  }
  static float sum(Vector v) {
    const __m256 eight = fold(v);
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_movehdup_ps(half));
    return _mm_cvtss_f32(half);
  }
  static void sum8(const Vector* v, float* out) {
    const __m256 ab = _mm256_hadd_ps(fold(v[0]), fold(v[1]));
    const __m256 cd = _mm256_hadd_ps(fold(v[2]), fold(v[3]));
    const __m256 ef = _mm256_hadd_ps(fold(v[4]), fold(v[5]));
    const __m256 gh = _mm256_hadd_ps(fold(v[6]), fold(v[7]));
    const __m256 abcd = _mm256_hadd_ps(ab, cd);
    const __m256 efgh = _mm256_hadd_ps(ef, gh);
    const __m256 low = _mm256_permute2f128_ps(abcd, efgh, 0x20);
    const __m256 high = _mm256_permute2f128_ps(abcd, efgh, 0x31);
    _mm256_storeu_ps(out, _mm256_add_ps(low, high));
  }
  static void prefetch(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

#include "kernels/generic.hpp"

}  // namespace

const Kernels kAvx512Kernels = {"avx512", score_rows<Dot>, score_gather<Dot>, score_rows<SquaredL2>,
                                score_gather<SquaredL2>};

}  // namespace lichen
