// NEON: four floats, or 16 bytes, at a time. Included inside an unnamed namespace; with
// LICHEN_DOTPROD also the dot products of bytes that ARMv8.2 added.

struct Simd {
  using Vector = float32x4_t;
  using Ints = int32x4_t;
  using Table = uint8x16_t;
  static constexpr std::size_t kWidth = 4;
  static constexpr std::size_t kTileQueries = 6;
  static constexpr std::size_t kTileVectors = 4;
  static constexpr std::size_t kProductRows = 8;
  static constexpr std::size_t kProductVectors = 2;
  static constexpr std::size_t kRowsSideBySide = 4;
  static constexpr bool kHasShortRows = false;

  static Vector zero() { return vdupq_n_f32(0.0f); }
  static Vector set(float x) { return vdupq_n_f32(x); }
  static Vector load(const float* p) { return vld1q_f32(p); }
  static Vector load_first(const float* p, std::size_t n) {
    float values[4] = {};
    for (std::size_t i = 0; i < n; ++i) values[i] = p[i];
    return load(values);
  }
  static uint16x4_t load_first_halves(const std::uint16_t* p, std::size_t n) {
    std::uint16_t values[4] = {};
    for (std::size_t i = 0; i < n; ++i) values[i] = p[i];
    return vld1_u16(values);
  }
  static Vector widen_f16(uint16x4_t v) { return vcvt_f32_f16(vreinterpret_f16_u16(v)); }
  static Vector widen_bf16(uint16x4_t v) { return vreinterpretq_f32_u32(vshll_n_u16(v, 16)); }
  static Vector load_f16(const std::uint16_t* p) { return widen_f16(vld1_u16(p)); }
  static Vector load_f16_first(const std::uint16_t* p, std::size_t n) {
    return widen_f16(load_first_halves(p, n));
  }
  static Vector load_bf16(const std::uint16_t* p) { return widen_bf16(vld1_u16(p)); }
  static Vector load_bf16_first(const std::uint16_t* p, std::size_t n) {
    return widen_bf16(load_first_halves(p, n));
  }
  static Vector add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static Vector subtract(Vector a, Vector b) { return vsubq_f32(a, b); }
  static Vector multiply(Vector a, Vector b) { return vmulq_f32(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return vfmaq_f32(c, a, b); }
  static void store(float* p, Vector v) { vst1q_f32(p, v); }
  static float sum1(Vector v) { return vaddvq_f32(v); }
  static void sum8(const Vector* v, float* out) {
    store(out, vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])));
    store(out + 4, vpaddq_f32(vpaddq_f32(v[4], v[5]), vpaddq_f32(v[6], v[7])));
  }
  static unsigned not_above(Vector v, float limit) {
    const std::uint32_t bits[4] = {1, 2, 4, 8};
    const uint32x4_t below = vmvnq_u32(vcgtq_f32(v, vdupq_n_f32(limit)));
    return vaddvq_u32(vandq_u32(below, vld1q_u32(bits)));
  }

  static Ints int_zero() { return vdupq_n_s32(0); }
  static Ints int_set(std::int32_t x) { return vdupq_n_s32(x); }
  static Ints int_load(const void* p) {
    return vreinterpretq_s32_u8(vld1q_u8(static_cast<const std::uint8_t*>(p)));
  }
  // No row is shorter than a vector.
  static Ints int_load_part(const void* p, std::size_t) { return int_load(p); }
  static void int_store(void* p, Ints v) {
    vst1q_u8(static_cast<std::uint8_t*>(p), vreinterpretq_u8_s32(v));
  }
  static Ints int_add(Ints a, Ints b) { return vaddq_s32(a, b); }
  static Ints low_nibbles(Ints v) {
    return vreinterpretq_s32_u8(vandq_u8(vreinterpretq_u8_s32(v), vdupq_n_u8(0x0F)));
  }
  static Ints high_nibbles(Ints v) {
    return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(v), 4));
  }
  static Ints nibbles_part(const void* p, std::size_t) { return int_load(p); }  // no row is short
#ifdef LICHEN_DOTPROD
  static Ints dot_u8(Ints sum, Ints u, Ints s) {
    // Both factors must be signed: u − 128 is, and what is missing is the sum of s times 128.
    const int8x16_t codes =
        vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_s32(u), vdupq_n_u8(0x80)));
    const int8x16_t values = vreinterpretq_s8_s32(s);
    const Ints missing = vdotq_s32(int_zero(), vdupq_n_s8(-128), values);
    return vsubq_s32(vdotq_s32(sum, codes, values), missing);
  }
  static Ints dot_u4(Ints sum, Ints u, Ints s) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(u), vreinterpretq_s8_s32(s));
  }
#else
  static Ints dot_u8(Ints sum, Ints u, Ints s) {
    // A product of an unsigned and a signed byte fits 16 bits, as long as the signed is not -128.
    const uint8x16_t codes = vreinterpretq_u8_s32(u);
    const int8x16_t values = vreinterpretq_s8_s32(s);
    const int16x8_t low = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes))),
                                    vmovl_s8(vget_low_s8(values)));
    const int16x8_t high =
        vmulq_s16(vreinterpretq_s16_u16(vmovl_high_u8(codes)), vmovl_high_s8(values));
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
  }
  static Ints dot_u4(Ints sum, Ints u, Ints s) { return dot_u8(sum, u, s); }
#endif
  static Vector to_float(Ints v) { return vcvtq_f32_s32(v); }
  static std::int32_t int_sum1(Ints v) { return vaddvq_s32(v); }
  static void int_sum8(const Ints* v, std::int32_t* out) {
    vst1q_s32(out, vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3])));
    vst1q_s32(out + 4, vpaddq_s32(vpaddq_s32(v[4], v[5]), vpaddq_s32(v[6], v[7])));
  }
  static Table table16(const std::uint8_t* p) { return vld1q_u8(p); }
  static Ints lookup(Table table, Ints v) {
    return vreinterpretq_s32_u8(vqtbl1q_u8(table, vreinterpretq_u8_s32(v)));
  }
  static Ints add16(Ints a, Ints b) {
    return vreinterpretq_s32_u16(vaddq_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)));
  }
  static Ints subtract16(Ints a, Ints b) {
    return vreinterpretq_s32_u16(vsubq_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)));
  }
  static Ints odd_bytes(Ints v) {
    return vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(v), 8));
  }
  static Ints shift_up_byte(Ints v) {
    return vreinterpretq_s32_u16(vshlq_n_u16(vreinterpretq_u16_s32(v), 8));
  }
  static Ints to_bits(Vector v) { return vreinterpretq_s32_f32(v); }
  template <class Load>
  static void transpose(Load&& load, std::uint32_t* out, std::size_t out_stride) {
    uint32x4_t row[4];
    for (std::size_t i = 0; i < 4; ++i) row[i] = vreinterpretq_u32_s32(load(i));
    const uint64x2_t even01 = vreinterpretq_u64_u32(vtrn1q_u32(row[0], row[1]));
    const uint64x2_t odd01 = vreinterpretq_u64_u32(vtrn2q_u32(row[0], row[1]));
    const uint64x2_t even23 = vreinterpretq_u64_u32(vtrn1q_u32(row[2], row[3]));
    const uint64x2_t odd23 = vreinterpretq_u64_u32(vtrn2q_u32(row[2], row[3]));
    vst1q_u32(out, vreinterpretq_u32_u64(vtrn1q_u64(even01, even23)));
    vst1q_u32(out + out_stride, vreinterpretq_u32_u64(vtrn1q_u64(odd01, odd23)));
    vst1q_u32(out + 2 * out_stride, vreinterpretq_u32_u64(vtrn2q_u64(even01, even23)));
    vst1q_u32(out + 3 * out_stride, vreinterpretq_u32_u64(vtrn2q_u64(odd01, odd23)));
  }
  static void prefetch(const void* p) { __builtin_prefetch(p); }
};
