// What i8, i4 and b1 keep of vectors that are projected to fewer values first: a codec of those.
// Tepper, Bhati, Aguerrebere, Hildebrand and Willke, "LeanVec: searching vectors faster by making
// them fit", TMLR 2024 (for queries like the rows).

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "codecs/factories.hpp"
#include "codecs/half.hpp"
#include "codecs/numeric.hpp"
#include "codecs/principal.hpp"
#include "runtime/aligned.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

constexpr std::size_t kLeastSamples = 4096;
constexpr std::size_t kSamplesADirection = 8;
// How far the norm of a direction that a file holds may be from 1.
constexpr double kNormSlack = 0.01;

CodecOptions of_components(CodecOptions options) {
  options.dim = options.components;
  options.components = 0;
  // What is left of a vector of length 1 is shorter.
  if (options.metric == Metric::kCosine) options.metric = Metric::kDot;
  return options;
}

class ProjectedCodec final : public Codec {
 public:
  explicit ProjectedCodec(const CodecOptions& options)
      : Codec(options), inner_(Codec::make(of_components(options))) {
    row_bytes_ = inner_->row_bytes();
    has_scale_ = inner_->has_scale();
    has_offset_ = inner_->has_offset();
    has_square_ = inner_->has_square();
  }

  bool must_train() const override { return true; }
  bool trained() const override { return !learned_.empty(); }

  void train(const float* vectors, std::size_t count) override {
    if (count < components()) {
      throw Error(Code::kArgument, "pca of " + std::to_string(components()) +
                                       " components needs at least as many vectors to learn from, "
                                       "got " +
                                       std::to_string(count));
    }
    const std::size_t wanted = std::max(kLeastSamples, kSamplesADirection * components());
    const std::size_t samples = std::min(count, wanted);
    std::vector<float> sample(samples * dim());
    for (std::size_t i = 0; i < samples; ++i) {
      const float* vector = vectors + i * count / samples * dim();
      std::copy(vector, vector + dim(), sample.data() + i * dim());
    }
    take_directions(
        principal_directions(sample.data(), samples, dim(), components(), options_.seed));
    std::vector<float> projected(samples * components());
    for (std::size_t i = 0; i < samples; ++i) {
      project(sample.data() + i * dim(), projected.data() + i * components());
    }
    inner_->train(projected.data(), samples);
    learn();
  }

  // Directions, then what the inner codec learned; no values: not trained.
  void restore(std::vector<float> learned) override {
    if (learned.empty()) {
      learned_.clear();
      return;
    }
    const std::size_t values = components() * dim();
    if (learned.size() != values && learned.size() != values + components()) {
      throw Error(Code::kFormat, "expected " + std::to_string(values) + " values of directions, " +
                                     "and a mean or none, got " + std::to_string(learned.size()));
    }
    const auto end = learned.begin() + static_cast<std::ptrdiff_t>(values);
    for (std::size_t j = 0; j < components(); ++j) {
      const double square = lane_sum(dim(), [&](std::size_t d) {
        return static_cast<double>(learned[j * dim() + d]) * learned[j * dim() + d];
      });
      if (!(std::fabs(std::sqrt(square) - 1.0) <= kNormSlack)) {
        throw Error(Code::kFormat, "a direction's length is not 1");
      }
    }
    inner_->restore(std::vector<float>(end, learned.end()));
    learned.erase(end, learned.end());
    take_directions(learned);
    learn();
  }

  void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const override {
    require_trained();
    std::vector<float> projected(components());
    project(vector, projected.data());
    inner_->encode(projected.data(), code, factors);
  }

  void decode(const std::uint8_t* code, const RowFactors& factors, float* vector) const override {
    require_trained();
    std::vector<float> projected(components());
    inner_->decode(code, factors, projected.data());
    std::vector<double> sums(dim(), 0.0);
    for (std::size_t j = 0; j < components(); ++j) {
      const float* const direction = learned_.data() + j * dim();
      const double along = projected[j];
      for (std::size_t d = 0; d < dim(); ++d) sums[d] += along * direction[d];
    }
    std::transform(sums.begin(), sums.end(), vector, to_finite_float);
  }

  double error_bound(const std::uint8_t*, const RowFactors&, double, double) const override {
    return std::numeric_limits<double>::quiet_NaN();
  }

  std::size_t prepared_bytes() const override {
    return round_up(inner_->prepared_bytes(), kCacheLine) + components() * sizeof(float);
  }

  PreparedQuery prepare(const float* query, void* buffer) const override {
    require_trained();
    float* const projected = projected_of(buffer);
    project(query, projected);
    return inner_->prepare(projected, buffer);
  }

  PreparedQuery prepare_code(const std::uint8_t* code, const RowFactors& factors, float*,
                             void* buffer) const override {
    require_trained();
    float* const projected = projected_of(buffer);
    inner_->decode(code, factors, projected);
    return inner_->prepare(projected, buffer);
  }

 private:
  std::size_t components() const { return options_.components; }

  float* projected_of(void* buffer) const {
    return reinterpret_cast<float*>(static_cast<std::uint8_t*>(buffer) +
                                    round_up(inner_->prepared_bytes(), kCacheLine));
  }

  void require_trained() const {
    if (trained()) return;
    throw Error(Code::kArgument,
                "pca must be trained before it encodes vectors or prepares queries");
  }

  // Halves, since a projection takes as long as reading them; rows and queries meet the same ones.
  void take_directions(const std::vector<float>& directions) {
    halves_.resize(directions.size(), 0);
    std::transform(directions.begin(), directions.end(), halves_.data(), half_from_float);
  }

  void learn() {
    std::vector<float> learned(halves_.size());
    std::transform(halves_.data(), halves_.data() + halves_.size(), learned.begin(),
                   float_from_half);
    learned.insert(learned.end(), inner_->learned().begin(), inner_->learned().end());
    learned_ = std::move(learned);
  }

  void project(const float* vector, float* out) const {
    kernels().f16.dot_rows(vector, halves_.data(), dim() * sizeof(std::uint16_t), components(),
                           dim(), out);
    for (std::size_t j = 0; j < components(); ++j) {
      out[j] = -out[j];
      if (std::isfinite(out[j])) continue;
      // Values near the largest float: a sum went beyond it.
      const std::uint16_t* const direction = halves_.data() + j * dim();
      out[j] = to_finite_float(lane_sum(dim(), [&](std::size_t d) {
        return static_cast<double>(float_from_half(direction[d])) * vector[d];
      }));
    }
  }

  std::unique_ptr<Codec> inner_;
  AlignedBuffer<std::uint16_t> halves_;
};

}  // namespace

std::unique_ptr<Codec> make_projected_codec(const CodecOptions& options) {
  return std::make_unique<ProjectedCodec>(options);
}

}  // namespace lichen
