#include "codecs/pq_codec.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "codecs/factories.hpp"
#include "codecs/kmeans.hpp"
#include "codecs/numeric.hpp"
#include "runtime/error.hpp"
#include "runtime/random.hpp"

namespace lichen {
namespace {

constexpr std::size_t kMostSamples = 16384;
// A squared distance of floats below this may have lost what tells centroids apart.
constexpr float kTiny = 1e-30f;

CodecOptions with_subspaces(CodecOptions options) {
  if (options.subspaces == 0) options.subspaces = (options.dim + 1) / 2;
  return options;
}

// The power of two that brings the largest magnitude near 1, so that squares neither overflow nor
// vanish; multiplying with it and its inverse is exact.
int exponent_of(const std::vector<float>& values) {
  const float most =
      lane_max(values.size(), 0.0f, [&](std::size_t i) { return std::fabs(values[i]); });
  return most > 0.0f ? std::ilogb(most) : 0;
}

void multiply(std::vector<float>& values, int exponent) {
  if (exponent == 0) return;
  // In double, since 2^149 is beyond float.
  const double factor = std::ldexp(1.0, exponent);
  for (float& value : values) value = to_finite_float(value * factor);
}

}  // namespace

PqCodec::PqCodec(const CodecOptions& options) : Codec(with_subspaces(options)) {
  row_bytes_ = (subspaces() + 1) / 2;
  starts_.resize(subspaces() + 1);
  for (std::size_t s = 0; s <= subspaces(); ++s) starts_[s] = s * dim() / subspaces();
}

void PqCodec::train(const float* vectors, std::size_t count) {
  if (count < kPqCentroids) {
    throw Error(Code::kArgument, "training pq needs at least " + std::to_string(kPqCentroids) +
                                     " vectors, got " + std::to_string(count));
  }
  const std::size_t samples = std::min(count, kMostSamples);
  std::vector<float> centroids;
  centroids.reserve(kPqCentroids * dim());
  std::vector<float> columns;
  for (std::size_t s = 0; s < subspaces(); ++s) {
    const std::size_t width = start(s + 1) - start(s);
    columns.resize(width * samples);
    for (std::size_t i = 0; i < samples; ++i) {
      const float* vector = vectors + i * count / samples * dim() + start(s);
      for (std::size_t w = 0; w < width; ++w) columns[w * samples + i] = vector[w];
    }
    const int exponent = exponent_of(columns);
    multiply(columns, -exponent);
    std::vector<float> means = kmeans(columns, width, samples, splitmix64(options_.seed, s));
    multiply(means, exponent);
    centroids.insert(centroids.end(), means.begin(), means.end());
  }
  learned_ = std::move(centroids);
  transpose();
}

void PqCodec::restore(std::vector<float> learned) {
  if (!learned.empty() && learned.size() != kPqCentroids * dim()) {
    throw Error(Code::kFormat, "expected centroids of " + std::to_string(kPqCentroids * dim()) +
                                   " values, got " + std::to_string(learned.size()));
  }
  if (!std::all_of(learned.begin(), learned.end(), [](float v) { return std::isfinite(v); })) {
    throw Error(Code::kFormat, "the centroids have a value that is not finite");
  }
  learned_ = std::move(learned);
  transpose();
}

void PqCodec::transpose() {
  columns_.resize(learned_.size());
  if (learned_.empty()) return;
  for (std::size_t s = 0; s < subspaces(); ++s) {
    const std::size_t width = start(s + 1) - start(s);
    const float* centroids = learned_.data() + kPqCentroids * start(s);
    for (std::size_t w = 0; w < width; ++w) {
      for (std::size_t c = 0; c < kPqCentroids; ++c) {
        columns_[kPqCentroids * (start(s) + w) + c] = centroids[c * width + w];
      }
    }
  }
}

void PqCodec::require_trained() const {
  if (trained()) return;
  throw Error(Code::kArgument, "pq must be trained before it encodes vectors or prepares queries");
}

std::size_t PqCodec::nearest(const float* vector, std::size_t subspace) const {
  float distances[kPqCentroids] = {};
  for (std::size_t d = start(subspace); d < start(subspace + 1); ++d) {
    const float* column = columns_.data() + kPqCentroids * d;
    for (std::size_t c = 0; c < kPqCentroids; ++c) {
      const float difference = vector[d] - column[c];
      distances[c] += difference * difference;
    }
  }
  // Distances as integers, which floats that are not negative compare like, with the centroid's
  // number for the last bits: the least of them names its centroid without a branch, which could
  // not be foreseen. Distances that differ in those bits alone are as good as equal.
  std::int32_t keys[kPqCentroids];
  for (std::size_t c = 0; c < kPqCentroids; ++c) {
    keys[c] = (std::bit_cast<std::int32_t>(distances[c]) & ~15) | static_cast<std::int32_t>(c);
  }
  for (std::size_t c = 4; c < kPqCentroids; ++c) keys[c % 4] = std::min(keys[c % 4], keys[c]);
  keys[0] = std::min(std::min(keys[0], keys[1]), std::min(keys[2], keys[3]));
  if (keys[0] > std::bit_cast<std::int32_t>(kTiny) &&
      keys[0] < std::bit_cast<std::int32_t>(std::numeric_limits<float>::infinity())) {
    return static_cast<std::size_t>(keys[0] & 15);
  }
  double exact[kPqCentroids] = {};
  for (std::size_t d = start(subspace); d < start(subspace + 1); ++d) {
    for (std::size_t c = 0; c < kPqCentroids; ++c) {
      const double difference = static_cast<double>(vector[d]) - columns_[kPqCentroids * d + c];
      exact[c] += difference * difference;
    }
  }
  return std::min_element(exact, exact + kPqCentroids) - exact;
}

void PqCodec::encode(const float* vector, std::uint8_t* code, RowFactors& factors) const {
  require_trained();
  std::memset(code, 0, row_bytes_);
  for (std::size_t s = 0; s < subspaces(); ++s) {
    code[s / 2] |= static_cast<std::uint8_t>(nearest(vector, s) << (s % 2 * 4));
  }
  factors = RowFactors{};
}

void PqCodec::decode(const std::uint8_t* code, const RowFactors&, float* vector) const {
  require_trained();
  for (std::size_t s = 0; s < subspaces(); ++s) {
    const std::size_t centroid = code[s / 2] >> (s % 2 * 4) & 15;
    const std::size_t width = start(s + 1) - start(s);
    const float* centroids = learned_.data() + kPqCentroids * start(s);
    std::memcpy(vector + start(s), centroids + centroid * width, width * sizeof(float));
  }
}

double PqCodec::error_bound(const std::uint8_t*, const RowFactors&, double, double) const {
  return std::numeric_limits<double>::quiet_NaN();
}

std::size_t PqCodec::prepared_bytes() const {
  return 2 * row_bytes_ * kPqCentroids * (1 + sizeof(double));
}

PreparedQuery PqCodec::prepare(const float* query, void* buffer) const {
  require_trained();
  const std::size_t entries = subspaces() * kPqCentroids;
  const std::size_t bytes = 2 * row_bytes_ * kPqCentroids;
  std::uint8_t* table = static_cast<std::uint8_t*>(buffer);
  double* distances = reinterpret_cast<double*>(table + bytes);
  const bool l2 = options_.metric == Metric::kL2;
  double base = 0.0;
  double range = 0.0;
  for (std::size_t s = 0; s < subspaces(); ++s) {
    double sums[kPqCentroids] = {};
    for (std::size_t d = start(s); d < start(s + 1); ++d) {
      const float* column = columns_.data() + kPqCentroids * d;
      const double value = query[d];
      for (std::size_t c = 0; c < kPqCentroids; ++c) {
        const double difference = value - column[c];
        sums[c] += l2 ? difference * difference : -value * column[c];
      }
    }
    double least = sums[0];
    double most = sums[0];
    for (std::size_t c = 1; c < kPqCentroids; ++c) {
      least = sums[c] < least ? sums[c] : least;
      most = sums[c] > most ? sums[c] : most;
    }
    for (std::size_t c = 0; c < kPqCentroids; ++c) {
      distances[s * kPqCentroids + c] = sums[c] - least;
    }
    base += least;
    range = std::max(range, most - least);
  }
  const double step = range / 255.0;
  const double inverse = step > 0.0 ? 1.0 / step : 0.0;
  for (std::size_t i = 0; i < entries; ++i) {
    table[i] = static_cast<std::uint8_t>(static_cast<int>(distances[i] * inverse + 0.5));
  }
  std::memset(table + entries, 0, bytes - entries);
  PreparedQuery prepared;
  prepared.table = table;
  prepared.base = to_finite_float(base);
  prepared.scale = to_finite_float(step);
  return prepared;
}

std::unique_ptr<Codec> make_pq_codec(const CodecOptions& options) {
  return std::make_unique<PqCodec>(options);
}

}  // namespace lichen
