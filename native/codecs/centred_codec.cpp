#include "codecs/centred_codec.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "codecs/numeric.hpp"
#include "kernels/kernels.hpp"
#include "runtime/error.hpp"

namespace lichen {

void CentredCodec::train(const float* vectors, std::size_t count) {
  if (count == 0) throw Error(Code::kArgument, "training needs at least 1 vector, got 0");
  std::vector<double> sums(dim(), 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    const float* vector = vectors + i * dim();
    for (std::size_t d = 0; d < dim(); ++d) sums[d] += vector[d];
  }
  for (std::size_t d = 0; d < dim(); ++d) {
    mean_[d] = to_finite_float(sums[d] / static_cast<double>(count));
  }
  learned_ = mean_;
}

void CentredCodec::restore(std::vector<float> learned) {
  if (!learned.empty() && learned.size() != dim()) {
    throw Error(Code::kFormat, "expected a mean of " + std::to_string(dim()) + " values, got " +
                                   std::to_string(learned.size()));
  }
  if (!std::all_of(learned.begin(), learned.end(), [](float v) { return std::isfinite(v); })) {
    throw Error(Code::kFormat, "the mean has a value that is not finite");
  }
  mean_ = learned.empty() ? std::vector<float>(dim(), 0.0f) : learned;
  learned_ = std::move(learned);
}

float CentredCodec::base(const float* query) const {
  const PrepareKernels& prepare = kernels().prepare;
  return to_finite_float(options_.metric == Metric::kL2
                             ? prepare.centred_square(query, mean_.data(), dim())
                             : -prepare.product(mean_.data(), query, dim()));
}

double CentredCodec::scaled_query(const float* query, float* values) const {
  const float* const mean = options_.metric == Metric::kL2 ? mean_.data() : nullptr;
  return kernels().prepare.scale(query, mean, dim(), values);
}

RotatedCodec::RotatedCodec(const CodecOptions& options, std::size_t slots)
    : CentredCodec(options), slots_(slots), rotation_(slots, options.seed) {
  has_scale_ = true;
  has_square_ = true;
}

double RotatedCodec::rotated_residual(const float* vector, float* rotated) const {
  const double norm = std::sqrt(lane_sum(dim(), [&](std::size_t d) {
    const double r = residual(vector, d);
    return r * r;
  }));
  const double inverse = norm > 0.0 ? 1.0 / norm : 0.0;
  for (std::size_t d = 0; d < dim(); ++d) {
    rotated[d] = static_cast<float>(residual(vector, d) * inverse);
  }
  std::fill(rotated + dim(), rotated + slots_, 0.0f);
  rotation_.forward(rotated);
  return norm;
}

double RotatedCodec::rotated_query(const float* query, float* rotated) const {
  const double most = scaled_query(query, rotated);
  std::fill(rotated + dim(), rotated + slots_, 0.0f);
  rotation_.forward(rotated);
  return most;
}

RowFactors RotatedCodec::unbiased_factors(double norm, double product) {
  RowFactors factors;
  factors.scale = norm > 0.0 ? to_finite_float(norm / product) : 0.0f;
  factors.square = to_finite_float(norm * norm);
  return factors;
}

void RotatedCodec::decode_rotated(float* values, double scale, float* vector) const {
  rotation_.inverse(values);
  for (std::size_t d = 0; d < dim(); ++d) {
    vector[d] = to_finite_float(mean_[d] + scale * values[d]);
  }
}

double RotatedCodec::error_bound(const std::uint8_t* code, const RowFactors& factors,
                                 double query_norm, double deviations) const {
  // x̂ − x is orthogonal to r, so |x̂ − c|² = |r|² + |x̂ − x|²; its direction is as good as uniform
  // among the slots − 1 that are orthogonal to r.
  const double scale = factors.scale;
  const double error = scale * scale * code_square(code) - factors.square;
  return deviations * query_norm *
         std::sqrt(std::max(error, 0.0) / static_cast<double>(slots_ - 1));
}

}  // namespace lichen
