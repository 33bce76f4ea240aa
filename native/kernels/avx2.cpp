// AVX2 + FMA: eight floats at a time.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

struct Simd {
  using Vector = __m256;
  static constexpr std::size_t kWidth = 8;
  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  static Vector load_first(const float* p, std::size_t n) {
    // Sliding a window over eight -1 and eight 0 gives the mask for any n.
    alignas(32) static const std::int32_t kMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                        0,  0,  0,  0,  0,  0,  0,  0};
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + 8 - n));
    return _mm256_maskload_ps(p, mask);
  }
  static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
  static float sum(Vector v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_movehdup_ps(half));
    return _mm_cvtss_f32(half);
  }
  static void sum8(const Vector* v, float* out) {
    // Pairwise adds fold eight vectors into one that holds, for each, the sums of its two halves.
    const Vector a = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    const Vector b = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
    const Vector low = _mm256_permute2f128_ps(a, b, 0x20);
    const Vector high = _mm256_permute2f128_ps(a, b, 0x31);
    _mm256_storeu_ps(out, _mm256_add_ps(low, high));
  }
  static void prefetch(const float* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }
};

#include "kernels/generic.hpp"

}  // namespace

const Kernels kAvx2Kernels = {"avx2", score_rows<Dot>, score_gather<Dot>, score_rows<SquaredL2>,
                              score_gather<SquaredL2>};

}  // namespace lichen
