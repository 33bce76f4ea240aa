// What i8, i4 and b1 keep of vectors that are projected to fewer values first: a codec of those.
// Tepper, Bhati, Aguerrebere, Hildebrand and Willke, "LeanVec: searching vectors faster by making
// them fit", TMLR 2024 (for queries like the rows).
//
// A projection takes as long as reading the directions. So their values are multiples, −127 to 127,
// of a step each, which halves hold exactly, for rows, and bytes, for queries: these are rounded to
// 8 bits, as queries of i8 are.

#include <algorithm>
#include <array>
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
// How far the norm of a direction that a file holds may be from 1: rounding takes 1 in 100 or so.
constexpr double kNormSlack = 0.1;
// Of the square of what a code stands for, the vector's own: cos² of the angle between them, which
// is 2 / π of the angles of b1.
constexpr std::array<double, kStorageTypeNames.size()> kShareOfCode = {1, 1, 1, 1, 0.99, 0.637, 1};
constexpr int kMostSteps = 127;
// Of a step's significant bits: with the 7 of a multiple there are as many as a half has.
constexpr int kStepBits = 4;

// The least step that reaches `most`.
float step_for(float most) {
  int exponent;
  const double share = std::frexp(static_cast<double>(most) / kMostSteps, &exponent);
  const double units = std::ceil(std::ldexp(share, kStepBits));
  return static_cast<float>(std::ldexp(units, exponent - kStepBits));
}

// Of the values of a query as rounded.
CodecOptions of_queries(const CodecOptions& options) {
  CodecOptions of_i8;
  of_i8.type = StorageType::kI8;
  of_i8.dim = options.dim;
  of_i8.metric = Metric::kDot;
  return of_i8;
}

CodecOptions of_components(CodecOptions options) {
  options.dim = options.components;
  options.components = 0;
  if (options.metric == Metric::kCosine) options.metric = Metric::kL2;
  return options;
}

class ProjectedCodec final : public Codec {
 public:
  explicit ProjectedCodec(const CodecOptions& options)
      : Codec(options),
        inner_(Codec::make(of_components(options))),
        rounded_(Codec::make(of_queries(options))) {
    row_bytes_ = inner_->row_bytes();
    has_scale_ = inner_->has_scale();
    has_offset_ = inner_->has_offset();
    has_square_ = inner_->has_square() || adds_square();
  }

  bool adds_square() const override { return options_.metric != Metric::kDot; }

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
    if (!adds_square()) return;
    const double less = cosine() ? square(vector, dim()) : 0.0;
    factors.square =
        to_finite_float(share() * (factors.square + outside(vector, projected.data()) - less));
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
    return before_rounded() + rounded_->prepared_bytes();
  }

  PreparedQuery prepare(const float* query, void* buffer) const override {
    require_trained();
    float* const projected = projected_of(buffer);
    void* const rest = static_cast<std::uint8_t*>(buffer) + before_rounded();
    const PreparedQuery rounded = rounded_->prepare(query, rest);
    CodeRows rows;
    rows.codes = bytes_.data();
    rows.row_bytes = rounded_->row_bytes();
    rows.scales = steps_.data();
    rows.offsets = offsets_.data();
    kernels().i8.rows(rounded.code, rows, 0, components(), projected);
    bool finite = true;
    for (std::size_t j = 0; j < components(); ++j) {
      projected[j] = -projected[j];
      finite = finite && std::isfinite(projected[j]);
    }
    if (!finite) project(query, projected);
    return finished(inner_->prepare(projected, buffer), outside(query, projected),
                    cosine() ? square(query, dim()) : 0.0);
  }

  PreparedQuery prepare_code(const std::uint8_t* code, const RowFactors& factors, float*,
                             void* buffer) const override {
    require_trained();
    float* const projected = projected_of(buffer);
    inner_->decode(code, factors, projected);
    return finished(inner_->prepare(projected, buffer), outside_of_code(projected, factors),
                    cosine() ? 1.0 : 0.0);
  }

 private:
  std::size_t components() const { return options_.components; }

  bool cosine() const { return options_.metric == Metric::kCosine; }
  // −⟨x, q⟩ = (|x − q|² − |x|² − |q|²) / 2
  double share() const { return cosine() ? 0.5 : 1.0; }
  static double square(const float* values, std::size_t count) {
    return kernels().prepare.product(values, values, count);
  }

  // What a squared distance has of what lies outside of the subspace: half of its square.
  double outside(const float* vector, const float* projected) const {
    if (!adds_square()) return 0.0;
    const double left = square(vector, dim()) - square(projected, components());
    return left > 0.0 ? 0.5 * left : 0.0;
  }
  // The same of a row, nearly: its factor holds that of the code as well.
  double outside_of_code(const float* projected, const RowFactors& factors) const {
    if (!adds_square()) return 0.0;
    const double whole = factors.square / share() + (cosine() ? 1.0 : 0.0);
    const std::vector<float>& mean = inner_->learned();
    const double length = lane_sum(components(), [&](std::size_t j) {
      const double r = static_cast<double>(projected[j]) - (mean.empty() ? 0.0f : mean[j]);
      return r * r;
    });
    return std::max(0.0, whole - kShareOfCode[static_cast<std::size_t>(type())] * length);
  }
  PreparedQuery finished(PreparedQuery prepared, double outside, double less) const {
    CodeQuery& code = prepared.code;
    code.base = to_finite_float(share() * (code.base + outside - less));
    if (!cosine()) return prepared;
    for (float* const factor : {&code.per_sum, &code.per_row, &code.per_offset}) *factor *= 0.5f;
    return prepared;
  }

  // A prepared query: what the inner codec makes of the projection, the projection, what it took.
  std::size_t before_rounded() const {
    const std::size_t projection = components() * sizeof(float);
    return round_up(inner_->prepared_bytes(), kCacheLine) + round_up(projection, kCacheLine);
  }

  float* projected_of(void* buffer) const {
    return reinterpret_cast<float*>(static_cast<std::uint8_t*>(buffer) +
                                    round_up(inner_->prepared_bytes(), kCacheLine));
  }

  void require_trained() const {
    if (trained()) return;
    throw Error(Code::kArgument,
                "pca must be trained before it encodes vectors or prepares queries");
  }

  void take_directions(const std::vector<float>& directions) {
    const std::size_t row_bytes = rounded_->row_bytes();
    halves_.resize(directions.size(), 0);
    bytes_.resize(components() * row_bytes, 0);
    steps_.resize(components());
    offsets_.resize(components());
    for (std::size_t j = 0; j < components(); ++j) {
      const float* const direction = directions.data() + j * dim();
      const float most =
          lane_max(dim(), 0.0f, [&](std::size_t d) { return std::fabs(direction[d]); });
      const float step = step_for(most);
      steps_[j] = step;
      offsets_[j] = -step * (kMostSteps + 1);
      for (std::size_t d = 0; d < dim(); ++d) {
        // The largest is rounded up: it tells the step when the directions are read again.
        const float exact = direction[d] / step;
        const bool is_most = std::fabs(direction[d]) == most;
        const auto steps = static_cast<int>(
            is_most ? std::copysign(std::ceil(std::fabs(exact)), exact) : std::round(exact));
        bytes_[j * row_bytes + d] = static_cast<std::uint8_t>(steps + kMostSteps + 1);
        halves_[j * dim() + d] = half_from_float(static_cast<float>(steps) * step);
      }
    }
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
  std::unique_ptr<Codec> rounded_;  // of queries before they are projected
  AlignedBuffer<std::uint16_t> halves_;
  AlignedBuffer<std::uint8_t> bytes_;  // steps + 128
  std::vector<float> steps_;
  std::vector<float> offsets_;  // what a byte of 0 stands for
};

}  // namespace

std::unique_ptr<Codec> make_projected_codec(const CodecOptions& options) {
  return std::make_unique<ProjectedCodec>(options);
}

}  // namespace lichen
