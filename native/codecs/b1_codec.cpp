// b1: RaBitQ, the sign of each slot.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "codecs/centred_codec.hpp"
#include "codecs/factories.hpp"
#include "codecs/numeric.hpp"
#include "codecs/query_codes.hpp"

namespace lichen {
namespace {

constexpr std::size_t kWordBits = 64;
constexpr std::size_t kPlaneWords = 8;  // at least: shorter rows are repeated to fill a cache line

constexpr std::size_t kClips = 20;
constexpr std::size_t kClipSlots = 256;  // after rotation any slots are a fair sample

// For |steps| < 32. Clamped as an integer, as in i4_codec.cpp.
inline int nearest_step(float steps) {
  int code = static_cast<int>(steps + 32.5f) - 32;
  code = code > -7 ? code : -7;
  return code < 7 ? code : 7;
}

// −7 to 7. Clipping the few largest values makes the steps of all others smaller: of kClips
// clipping points the one with the least squared error is taken.
QueryCodes quantize_query_4(const float* values, std::size_t count, double unit,
                            std::int8_t* bytes) {
  const float most = lane_max(count, 0.0f, [&](std::size_t i) { return std::fabs(values[i]); });
  if (!(most > 0.0f)) {
    std::memset(bytes, 0, count);
    return {0.0, 0.0};
  }
  float steps[kClips];
  float inverses[kClips];
  float errors[kClips] = {};
  for (std::size_t k = 0; k < kClips; ++k) {
    steps[k] = most / 7.0f * (1.0f - 0.03f * static_cast<float>(k));
    inverses[k] = 1.0f / steps[k];
  }
  for (std::size_t i = 0; i < std::min(count, kClipSlots); ++i) {
    const float value = values[i];
    for (std::size_t k = 0; k < kClips; ++k) {
      const float difference =
          static_cast<float>(nearest_step(value * inverses[k])) * steps[k] - value;
      errors[k] += difference * difference;
    }
  }
  const std::size_t best = std::min_element(errors, errors + kClips) - errors;
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::int8_t>(nearest_step(values[i] * inverses[best]));
  }
  const double sum = lane_sum(count, [&](std::size_t i) { return bytes[i]; });
  return {steps[best] * unit, sum};
}

// Bit `bit` of each of 64 bytes.
std::uint64_t gather_bits(const std::int8_t* bytes, std::size_t bit) {
  std::uint64_t word = 0;
  for (std::size_t j = 0; j < 8; ++j) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes + 8 * j, sizeof eight);
    // The product brings the lowest bit of byte k to bit 56 + k, without carries.
    word |= ((eight >> bit & 0x0101010101010101u) * 0x0102040810204080u >> 56) << (8 * j);
  }
  return word;
}

class B1Codec final : public RotatedCodec {
 public:
  explicit B1Codec(const CodecOptions& options)
      : RotatedCodec(options, 8 * padded_row_bytes((options.dim + 7) / 8, 8)) {
    row_bytes_ = slots_ / 8;
  }

  void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const override {
    std::vector<float> rotated(slots_);
    const double norm = rotated_residual(vector, rotated.data());
    for (std::size_t w = 0; w < words(); ++w) {
      std::uint64_t word = 0;
      for (std::size_t b = 0; b < kWordBits; ++b) {
        word |= static_cast<std::uint64_t>(rotated[w * kWordBits + b] >= 0.0f) << b;
      }
      std::memcpy(code + w * sizeof word, &word, sizeof word);
    }
    const double product = lane_sum(slots_, [&](std::size_t i) { return std::fabs(rotated[i]); });
    factors = unbiased_factors(norm, product);
  }

  void decode(const std::uint8_t* code, const RowFactors& factors, float* vector) const override {
    std::vector<float> levels(slots_);
    for (std::size_t i = 0; i < slots_; ++i) {
      levels[i] = (code[i / 8] >> (i % 8) & 1) != 0 ? 1.0f : -1.0f;
    }
    decode_rotated(levels.data(), factors.scale, vector);
  }

  std::size_t prepared_bytes() const override {
    return planes_bytes() + slots_ + slots_ * sizeof(float);
  }

  PreparedQuery prepare(const float* query, void* buffer) const override {
    std::uint64_t* planes = static_cast<std::uint64_t*>(buffer);
    std::int8_t* bytes = static_cast<std::int8_t*>(buffer) + planes_bytes();
    float* rotated = reinterpret_cast<float*>(bytes + slots_);
    const double most = rotated_query(query, rotated);
    const QueryCodes codes = quantize_query_4(rotated, slots_, most, bytes);
    for (std::size_t p = 0; p < kCodePlanes; ++p) {
      std::uint64_t* plane = planes + p * plane_words();
      for (std::size_t w = 0; w < words(); ++w) plane[w] = gather_bits(bytes + w * kWordBits, p);
      for (std::size_t w = words(); w < plane_words(); ++w) plane[w] = plane[w - words()];
    }
    PreparedQuery prepared;
    prepared.code.bytes = bytes;
    prepared.code.planes = planes;
    prepared.code.base = base(query);
    prepared.code.per_sum = to_finite_float(weight() * 2.0 * codes.step);
    prepared.code.per_row = to_finite_float(-weight() * codes.step * codes.sum);
    return prepared;
  }

 protected:
  double code_square(const std::uint8_t*) const override { return static_cast<double>(slots_); }

 private:
  std::size_t words() const { return slots_ / kWordBits; }
  std::size_t plane_words() const { return words() > kPlaneWords ? words() : kPlaneWords; }
  std::size_t planes_bytes() const { return kCodePlanes * plane_words() * sizeof(std::uint64_t); }
};

}  // namespace

std::unique_ptr<Codec> make_b1_codec(const CodecOptions& options) {
  return std::make_unique<B1Codec>(options);
}

}  // namespace lichen
