// i8: 255 steps over a vector's own range.

#include <cmath>
#include <cstring>
#include <limits>

#include "codecs/centred_codec.hpp"
#include "codecs/factories.hpp"
#include "codecs/numeric.hpp"
#include "codecs/query_codes.hpp"

namespace lichen {
namespace {

constexpr double kMiddleOf8 = 127.5;  // of the codes

class I8Codec final : public CentredCodec {
 public:
  explicit I8Codec(const CodecOptions& options) : CentredCodec(options) {
    row_bytes_ = padded_row_bytes(options.dim, 16);
    has_scale_ = true;
    has_offset_ = true;
    has_square_ = options.metric == Metric::kL2;
  }

  void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const override {
    constexpr double kLowest = std::numeric_limits<double>::lowest();
    const double most =
        lane_max(dim(), kLowest, [&](std::size_t d) { return residual(vector, d); });
    const double least =
        -lane_max(dim(), kLowest, [&](std::size_t d) { return -residual(vector, d); });
    factors = RowFactors{};
    factors.offset = to_finite_float(least);
    factors.scale = 0.0f;
    if (most > least) {
      // The offset rounded down and the step rounded up: no value lies outside the 255 steps.
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      if (factors.offset > least) factors.offset = std::nextafter(factors.offset, -kInfinity);
      factors.offset = to_finite_float(factors.offset);
      const double range = most - factors.offset;
      factors.scale = to_finite_float(range / 255.0);
      if (factors.scale * 255.0 < range) factors.scale = std::nextafter(factors.scale, kInfinity);
    }
    const double offset = factors.offset;
    const double inverse = factors.scale > 0.0f ? 1.0 / factors.scale : 0.0;
    for (std::size_t d = 0; d < dim(); ++d) {
      // Out of range only where the offset would have been beyond float.
      int steps = static_cast<int>((residual(vector, d) - offset) * inverse + 0.5);
      steps = steps > 0 ? steps : 0;
      code[d] = static_cast<std::uint8_t>(steps < 255 ? steps : 255);
    }
    std::memset(code + dim(), 0, row_bytes_ - dim());
    if (!has_square_) return;
    factors.square = to_finite_float(lane_sum(dim(), [&](std::size_t d) {
      const double r = residual(vector, d);
      return r * (2.0 * value(code, factors, d) - r);
    }));
  }

  void decode(const std::uint8_t* code, const RowFactors& factors, float* vector) const override {
    for (std::size_t d = 0; d < dim(); ++d) {
      vector[d] = to_finite_float(mean_[d] + value(code, factors, d));
    }
  }

  double error_bound(const std::uint8_t* code, const RowFactors& factors, double query_norm,
                     double) const override {
    const double error = 0.5 * factors.scale * std::sqrt(static_cast<double>(dim()));
    if (options_.metric != Metric::kL2) return error * query_norm;
    // The squared distance is off by 2⟨x̂ − x, x − q⟩, and |x − q| ≤ |r| + |q − c|.
    const double norm = std::sqrt(lane_sum(dim(), [&](std::size_t d) {
      const double r = value(code, factors, d);
      return r * r;
    }));
    return error * (query_norm + norm + error);
  }

  std::size_t prepared_bytes() const override { return row_bytes_ + dim() * sizeof(float); }

  PreparedQuery prepare(const float* query, void* buffer) const override {
    std::int8_t* bytes = static_cast<std::int8_t*>(buffer);
    float* values = reinterpret_cast<float*>(bytes + row_bytes_);
    const double most = scaled_query(query, values);
    const double total = kernels().prepare.sum(values, dim());
    const QueryCodes codes = quantize_query_8(values, dim(), most, bytes);
    std::memset(bytes + dim(), 0, row_bytes_ - dim());
    PreparedQuery prepared;
    prepared.code.bytes = bytes;
    prepared.code.base = base(query);
    prepared.code.per_sum = to_finite_float(weight() * codes.step);
    // The codes' middle meets the exact query: the query's rounding then matters only as far as
    // codes differ from the middle.
    prepared.code.per_row =
        to_finite_float(weight() * kMiddleOf8 * (most * total - codes.step * codes.sum));
    prepared.code.per_offset = to_finite_float(weight() * most * total);
    return prepared;
  }

 private:
  static double value(const std::uint8_t* code, const RowFactors& factors, std::size_t d) {
    return factors.offset + static_cast<double>(factors.scale) * code[d];
  }
};

}  // namespace

std::unique_ptr<Codec> make_i8_codec(const CodecOptions& options) {
  return std::make_unique<I8Codec>(options);
}

}  // namespace lichen
