// The codecs of the float types: values one by one, rounded to nearest even.

#include <cmath>
#include <cstring>
#include <sstream>

#include "codecs/codec.hpp"
#include "codecs/factories.hpp"
#include "codecs/half.hpp"
#include "codecs/numeric.hpp"
#include "runtime/aligned.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

struct F32 {
  using Stored = float;
  static constexpr double kRoundoff = 0.0;
  static constexpr double kHalfStep = 0.0;
  static Stored store(float value) { return value; }
  static float load(Stored stored) { return stored; }
  static void require_range(const float*, std::size_t) {}
};

struct F16 {
  using Stored = std::uint16_t;
  static constexpr double kRoundoff = 0x1p-11;  // half a unit in the last of 11 bits
  static constexpr double kHalfStep = 0x1p-25;  // of subnormals
  static Stored store(float value) { return half_from_float(value); }
  static float load(Stored stored) { return float_from_half(stored); }
  static void require_range(const float* vector, std::size_t dim) {
    const float most = lane_max(dim, 0.0f, [&](std::size_t d) { return std::fabs(vector[d]); });
    if (most < kHalfLimit) return;
    for (std::size_t d = 0; d < dim; ++d) {
      if (std::fabs(vector[d]) < kHalfLimit) continue;
      std::ostringstream message;
      message << "the value " << vector[d] << " at position " << d
              << " is beyond the range of f16 (-65504 to 65504); bf16 has the range of f32";
      throw Error(Code::kArgument, message.str());
    }
  }
};

struct Bf16 {
  using Stored = std::uint16_t;
  // Half a unit in the last of 8 bits is 2^-8 of a value; relative to the largest finite bfloat16,
  // which stands for larger values too, an error may be 1 / 255.
  static constexpr double kRoundoff = 1.0 / 255.0;
  static constexpr double kHalfStep = 0x1p-134;
  static Stored store(float value) {
    const std::uint16_t stored = bfloat_from_float(value);
    return (stored & 0x7FFFu) > kBfloatMax ? (stored & 0x8000u) | kBfloatMax : stored;
  }
  static float load(Stored stored) { return float_from_bfloat(stored); }
  static void require_range(const float*, std::size_t) {}
};

template <class Format>
class FloatCodec final : public Codec {
  using Stored = typename Format::Stored;

 public:
  explicit FloatCodec(const CodecOptions& options) : Codec(options) {
    const std::size_t bytes = options.dim * sizeof(Stored);
    row_bytes_ = round_up(bytes, kCacheLine);
  }

  void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const override {
    Format::require_range(vector, dim());
    for (std::size_t d = 0; d < dim(); ++d) {
      const Stored stored = Format::store(vector[d]);
      std::memcpy(code + d * sizeof stored, &stored, sizeof stored);
    }
    std::memset(code + dim() * sizeof(Stored), 0, row_bytes_ - dim() * sizeof(Stored));
    factors = RowFactors{};
  }

  void decode(const std::uint8_t* code, const RowFactors&, float* vector) const override {
    for (std::size_t d = 0; d < dim(); ++d) vector[d] = value(code, d);
  }

  double error_bound(const std::uint8_t* code, const RowFactors&, double query_norm,
                     double) const override {
    if (Format::kRoundoff == 0.0) return 0.0;
    const double norm = std::sqrt(lane_sum(dim(), [&](std::size_t d) {
      const double decoded = value(code, d);
      return decoded * decoded;
    }));
    const double error =
        Format::kRoundoff * norm + Format::kHalfStep * std::sqrt(static_cast<double>(dim()));
    // The squared distance is off by ⟨x̂ − x, x + x̂ − 2q⟩.
    return error * (options_.metric == Metric::kL2 ? query_norm + norm + error : query_norm);
  }

  std::size_t prepared_bytes() const override {
    return row_bytes_ / sizeof(Stored) * sizeof(float);
  }

  PreparedQuery prepare(const float* query, void* buffer) const override {
    std::memcpy(buffer, query, dim() * sizeof(float));
    std::memset(static_cast<float*>(buffer) + dim(), 0, prepared_bytes() - dim() * sizeof(float));
    PreparedQuery prepared;
    prepared.values = static_cast<const float*>(buffer);
    return prepared;
  }

 private:
  static float value(const std::uint8_t* code, std::size_t d) {
    Stored stored;
    std::memcpy(&stored, code + d * sizeof stored, sizeof stored);
    return Format::load(stored);
  }
};

}  // namespace

std::unique_ptr<Codec> make_float_codec(const CodecOptions& options) {
  if (options.type == StorageType::kF16) return std::make_unique<FloatCodec<F16>>(options);
  if (options.type == StorageType::kBf16) return std::make_unique<FloatCodec<Bf16>>(options);
  return std::make_unique<FloatCodec<F32>>(options);
}

}  // namespace lichen
