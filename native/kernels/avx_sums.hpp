// Sums of 256-bit vectors: AVX2's own, and what AVX-512 folds in half. Included inside an unnamed
// namespace.

inline float sum_one(__m256 v) {
  const __m128 pairs = _mm_hadd_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 halves = _mm_add_ps(pairs, _mm_movehdup_ps(pairs));  // low, _, high, _
  return _mm_cvtss_f32(_mm_add_ss(halves, _mm_movehl_ps(halves, halves)));
}

// Adds in the order of sum_one: pairwise adds fold eight vectors into one that holds, for each, the
// sums of its two halves.
inline void sum_eight(const __m256* v, float* out) {
  const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  const __m256 low = _mm256_permute2f128_ps(a, b, 0x20);
  const __m256 high = _mm256_permute2f128_ps(a, b, 0x31);
  _mm256_storeu_ps(out, _mm256_add_ps(low, high));
}

inline std::int32_t int_sum_one(__m256i v) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1)));
}

// Of eight vectors whose neighbours are added in pairs already.
inline void int_sum_pairs(__m256i ab, __m256i cd, __m256i ef, __m256i gh, std::int32_t* out) {
  const __m256i a = _mm256_hadd_epi32(ab, cd);
  const __m256i b = _mm256_hadd_epi32(ef, gh);
  const __m256i low = _mm256_permute2x128_si256(a, b, 0x20);
  const __m256i high = _mm256_permute2x128_si256(a, b, 0x31);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_add_epi32(low, high));
}
