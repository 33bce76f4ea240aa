// AVX-512 (F, BW, DQ, VL): sixteen floats, or 64 bytes, at a time, tails by mask. Included inside
// an unnamed namespace; with LICHEN_VNNI also what Ice Lake and Zen 4 added.

#include "kernels/avx_sums.hpp"

struct Simd {
  using Vector = __m512;
  using Ints = __m512i;
  using Table = __m512i;
  static constexpr std::size_t kWidth = 16;
  static constexpr std::size_t kTileQueries = 6;
  static constexpr std::size_t kTileVectors = 4;
  static constexpr std::size_t kProductRows = 8;
  static constexpr std::size_t kProductVectors = 2;
  static constexpr std::size_t kRowsSideBySide = 4;
  static constexpr bool kHasShortRows = true;

  static __mmask16 first_lanes(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector set(float x) { return _mm512_set1_ps(x); }
  static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  static Vector load_first(const float* p, std::size_t n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
  }
  static __m256i load_halves(const std::uint16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static __m256i load_first_halves(const std::uint16_t* p, std::size_t n) {
    return _mm256_maskz_loadu_epi16(first_lanes(n), p);
  }
  static Vector widen_bf16(__m256i v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
  }
  static Vector load_f16(const std::uint16_t* p) { return _mm512_cvtph_ps(load_halves(p)); }
  static Vector load_f16_first(const std::uint16_t* p, std::size_t n) {
    return _mm512_cvtph_ps(load_first_halves(p, n));
  }
  static Vector load_bf16(const std::uint16_t* p) { return widen_bf16(load_halves(p)); }
  static Vector load_bf16_first(const std::uint16_t* p, std::size_t n) {
    return widen_bf16(load_first_halves(p, n));
  }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  static __m256 fold(Vector v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  }
  static float sum1(Vector v) { return sum_one(fold(v)); }
  static void sum8(const Vector* v, float* out) {
    __m256 halves[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i) halves[i] = fold(v[i]);
    sum_eight(halves, out);
  }
  static unsigned not_above(Vector v, float limit) {
    return _mm512_cmp_ps_mask(v, _mm512_set1_ps(limit), _CMP_NGT_UQ);
  }

  static Ints int_zero() { return _mm512_setzero_si512(); }
  static Ints int_set(std::int32_t x) { return _mm512_set1_epi32(x); }
  static Ints int_load(const void* p) { return _mm512_loadu_si512(p); }
  static Ints int_load_part(const void* p, std::size_t bytes) {
    return _mm512_maskz_loadu_epi32(first_lanes(bytes / 4), p);
  }
  // A load that stays where it stands in the program. Prefetchers follow the order of loads, and
  // the compiler would mix those of several rows.
  static Ints int_load_here(const void* p) {
    Ints v = int_load(p);
    asm volatile("" : "+v"(v) : : "memory");
    return v;
  }
  // 16, 32 or 64 bytes, again and again.
  static Ints int_repeat(const void* p, std::size_t bytes) {
    if (bytes == 64) return int_load(p);
    if (bytes == 32) {
      return _mm512_broadcast_i64x4(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    }
    return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static void int_store(void* p, Ints v) { _mm512_storeu_si512(p, v); }
  static Ints int_add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints low_nibbles(Ints v) { return _mm512_and_si512(v, _mm512_set1_epi8(0x0F)); }
  static Ints high_nibbles(Ints v) { return low_nibbles(_mm512_srli_epi16(v, 4)); }
  static Ints nibbles_part(const void* p, std::size_t bytes) {
    if (bytes == 32) {
      const __m256i codes = _mm256_loadu_si256(static_cast<const __m256i*>(p));
      const __m256i ones = _mm256_set1_epi8(0x0F);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), ones);
      return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_and_si256(codes, ones)), high, 1);
    }
    const __m128i codes = _mm_loadu_si128(static_cast<const __m128i*>(p));
    const __m128i ones = _mm_set1_epi8(0x0F);
    return _mm512_zextsi256_si512(_mm256_set_m128i(_mm_and_si128(_mm_srli_epi16(codes, 4), ones),
                                                   _mm_and_si128(codes, ones)));
  }
#ifdef LICHEN_VNNI
  static Ints dot_u8(Ints sum, Ints u, Ints s) { return _mm512_dpbusd_epi32(sum, u, s); }
  static Ints dot_u4(Ints sum, Ints u, Ints s) { return _mm512_dpbusd_epi32(sum, u, s); }
#else
  static Ints dot_u8(Ints sum, Ints u, Ints s) {
    // Products of a byte each, added in pairs, would saturate 16 bits: widened first.
    const Ints even = _mm512_madd_epi16(_mm512_and_si512(u, _mm512_set1_epi16(0xFF)),
                                        _mm512_srai_epi16(_mm512_slli_epi16(s, 8), 8));
    const Ints odd = _mm512_madd_epi16(_mm512_srli_epi16(u, 8), _mm512_srai_epi16(s, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
  }
  static Ints dot_u4(Ints sum, Ints u, Ints s) {
    const Ints pairs = _mm512_maddubs_epi16(u, s);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
#endif
  static Vector to_float(Ints v) { return _mm512_cvtepi32_ps(v); }
  static __m256i int_fold(Ints v) {
    return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti32x8_epi32(v, 1));
  }
  static std::int32_t int_sum1(Ints v) { return int_sum_one(int_fold(v)); }
  static void int_sum8(const Ints* v, std::int32_t* out) {
    int_sum_pairs(_mm256_hadd_epi32(int_fold(v[0]), int_fold(v[1])),
                  _mm256_hadd_epi32(int_fold(v[2]), int_fold(v[3])),
                  _mm256_hadd_epi32(int_fold(v[4]), int_fold(v[5])),
                  _mm256_hadd_epi32(int_fold(v[6]), int_fold(v[7])), out);
  }
  // Sums of 8 rows that lie in quarters, halves or the whole of vectors.
  static void int_sum8_short(const Ints* v, std::size_t bytes, std::int32_t* out) {
    if (bytes == 64) return int_sum8(v, out);
    const auto low = [&](std::size_t i) { return _mm512_castsi512_si256(v[i]); };
    const auto high = [&](std::size_t i) { return _mm512_extracti32x8_epi32(v[i], 1); };
    if (bytes == 16) {
      const __m256i a = _mm256_hadd_epi32(low(0), high(0));  // rows 0 2 | 1 3, two parts each
      const __m256i b = _mm256_hadd_epi32(low(1), high(1));
      const __m256i c = _mm256_hadd_epi32(a, b);  // rows 0 2 4 6 | 1 3 5 7
      const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutevar8x32_epi32(c, order));
      return;
    }
    int_sum_pairs(_mm256_hadd_epi32(low(0), high(0)), _mm256_hadd_epi32(low(1), high(1)),
                  _mm256_hadd_epi32(low(2), high(2)), _mm256_hadd_epi32(low(3), high(3)), out);
  }
  static Table table16(const std::uint8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Ints lookup(Table table, Ints v) { return _mm512_shuffle_epi8(table, v); }
  static Ints add16(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
  static Ints subtract16(Ints a, Ints b) { return _mm512_sub_epi16(a, b); }
  static Ints odd_bytes(Ints v) { return _mm512_srli_epi16(v, 8); }
  static Ints shift_up_byte(Ints v) { return _mm512_slli_epi16(v, 8); }
  static Ints to_bits(Vector v) { return _mm512_castps_si512(v); }
  template <class Load>
  static void transpose(Load&& load, std::uint32_t* out, std::size_t out_stride) {
    Ints a[16];
    Ints b[16];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) a[i] = load(i);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; i += 2) {
      b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; i += 4) {
      a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
      a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
      a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
      a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    // a[4g + j], lane l: rows 4g to 4g + 3 of column 4l + j.
#pragma GCC unroll 16
    for (std::size_t j = 0; j < 4; ++j) {
      const Ints low01 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88);
      const Ints high01 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xDD);
      const Ints low23 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
      const Ints high23 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xDD);
      int_store(out + j * out_stride, _mm512_shuffle_i32x4(low01, low23, 0x88));
      int_store(out + (4 + j) * out_stride, _mm512_shuffle_i32x4(high01, high23, 0x88));
      int_store(out + (8 + j) * out_stride, _mm512_shuffle_i32x4(low01, low23, 0xDD));
      int_store(out + (12 + j) * out_stride, _mm512_shuffle_i32x4(high01, high23, 0xDD));
    }
  }
  static void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
};

#define LICHEN_BITS_TO_BYTES
// 64 bits as bytes of 0 or 1.
inline __m512i bits_to_bytes(std::uint64_t bits) {
  return _mm512_maskz_mov_epi8(bits, _mm512_set1_epi8(1));
}
