// i4: extended RaBitQ with 16 levels a slot.

#include <cmath>
#include <vector>

#include "codecs/centred_codec.hpp"
#include "codecs/factories.hpp"
#include "codecs/numeric.hpp"
#include "codecs/query_codes.hpp"

namespace lichen {
namespace {

constexpr double kMiddleOf4 = 7.5;  // of the codes
constexpr std::size_t kCandidates = 20;
constexpr float kLeastReach = 5.0f;  // where the largest value may lie among levels −7.5 to 7.5
constexpr float kMostReach = 16.0f;

// For |value| ≤ 2 kMostReach. Clamped as an integer: unlike comparisons of floats, which may trap,
// those of integers never keep a loop from vectorizing.
inline int nearest_code(float value) {
  int code = static_cast<int>(value + 8.0f);
  code = code > 0 ? code : 0;
  return code < 15 ? code : 15;
}

struct Fit {
  float multiple;
  double cosine_square;  // of y to its code, for y of norm 1
};

// The best of kCandidates multiples first, first × ratio, … of y. A lane a candidate.
Fit best_of_series(const float* y, std::size_t count, float first, float ratio) {
  float multiples[kCandidates];
  float products[kCandidates] = {};  // ⟨code, y⟩
  float squares[kCandidates] = {};   // |code|²
  for (std::size_t k = 0; k < kCandidates; ++k) {
    multiples[k] = k == 0 ? first : multiples[k - 1] * ratio;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const float value = y[i];
    for (std::size_t k = 0; k < kCandidates; ++k) {
      const float level = static_cast<float>(nearest_code(value * multiples[k])) - 7.5f;
      products[k] += level * value;
      squares[k] += level * level;
    }
  }
  Fit best{first, 0.0};
  for (std::size_t k = 0; k < kCandidates; ++k) {
    const double cosine_square = static_cast<double>(products[k]) * products[k] / squares[k];
    if (cosine_square > best.cosine_square) best = {multiples[k], cosine_square};
  }
  return best;
}

// The multiple of y whose rounding is nearest to y in direction, near enough: from a coarse
// series, then from a fine one around the coarse one's best.
float best_multiple(const float* y, std::size_t count) {
  const float most = lane_max(count, 0.0f, [&](std::size_t i) { return std::fabs(y[i]); });
  const float coarse = std::pow(kMostReach / kLeastReach, 1.0f / (kCandidates - 1));
  const Fit near = best_of_series(y, count, kLeastReach / most, coarse);
  const float fine = std::pow(coarse, 2.0f / (kCandidates + 1));
  const Fit best = best_of_series(y, count, near.multiple / coarse * fine, fine);
  return best.cosine_square > near.cosine_square ? best.multiple : near.multiple;
}

class I4Codec final : public RotatedCodec {
 public:
  explicit I4Codec(const CodecOptions& options)
      : RotatedCodec(options, 2 * padded_row_bytes((options.dim + 1) / 2, 16)) {
    row_bytes_ = slots_ / 2;
  }

  void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const override {
    std::vector<float> rotated(slots_);
    const double norm = rotated_residual(vector, rotated.data());
    const float t = norm > 0.0 ? best_multiple(rotated.data(), slots_) : 0.0f;
    for (std::size_t j = 0; j < row_bytes_; ++j) {
      code[j] = static_cast<std::uint8_t>(nearest_code(rotated[2 * j] * t) |
                                          nearest_code(rotated[2 * j + 1] * t) << 4);
    }
    const double product = lane_sum(slots_, [&](std::size_t i) {
      return (nearest_code(rotated[i] * t) - kMiddleOf4) * static_cast<double>(rotated[i]);
    });
    factors = unbiased_factors(norm, product);
  }

  void decode(const std::uint8_t* code, const RowFactors& factors, float* vector) const override {
    std::vector<float> levels(slots_);
    for (std::size_t j = 0; j < row_bytes_; ++j) {
      levels[2 * j] = static_cast<float>((code[j] & 15) - kMiddleOf4);
      levels[2 * j + 1] = static_cast<float>((code[j] >> 4) - kMiddleOf4);
    }
    decode_rotated(levels.data(), factors.scale, vector);
  }

  std::size_t prepared_bytes() const override { return slots_ + 2 * slots_ * sizeof(float); }

  PreparedQuery prepare(const float* query, void* buffer) const override {
    std::int8_t* bytes = static_cast<std::int8_t*>(buffer);
    float* rotated = reinterpret_cast<float*>(bytes + slots_);
    const double most = rotated_query(query, rotated);
    // A plane for each half of a row's bytes.
    float* planes = rotated + slots_;
    for (std::size_t j = 0; j < row_bytes_; ++j) {
      planes[j] = rotated[2 * j];
      planes[row_bytes_ + j] = rotated[2 * j + 1];
    }
    const QueryCodes codes = quantize_query_8(planes, slots_, most, bytes);
    PreparedQuery prepared;
    prepared.code.bytes = bytes;
    prepared.code.base = base(query);
    prepared.code.per_sum = to_finite_float(weight() * codes.step);
    prepared.code.per_row = to_finite_float(-weight() * kMiddleOf4 * codes.step * codes.sum);
    return prepared;
  }

 protected:
  double code_square(const std::uint8_t* code) const override {
    return lane_sum(row_bytes_, [&](std::size_t j) {
      const double low = (code[j] & 15) - kMiddleOf4;
      const double high = (code[j] >> 4) - kMiddleOf4;
      return low * low + high * high;
    });
  }
};

}  // namespace

std::unique_ptr<Codec> make_i4_codec(const CodecOptions& options) {
  return std::make_unique<I4Codec>(options);
}

}  // namespace lichen
