#include "codecs/kmeans.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "kernels/kernels.hpp"
#include "runtime/random.hpp"

namespace lichen {
namespace {

constexpr int kLloydIterations = 12;
constexpr std::size_t kBatch = 256;  // points whose distances stay in the nearest cache

class KMeans {
 public:
  KMeans(const std::vector<float>& columns, std::size_t width, std::size_t count)
      : columns_(columns),
        width_(width),
        count_(count),
        centroids_(kPqCentroids * width),
        distances_(count, std::numeric_limits<float>::infinity()),
        nearest_(count, 0) {}

  void seed(std::uint64_t seed);
  void iterate();
  std::vector<float> take() { return std::move(centroids_); }

 private:
  void place(std::size_t centroid, std::size_t point) {
    for (std::size_t w = 0; w < width_; ++w) {
      centroids_[centroid * width_ + w] = columns_[w * count_ + point];
    }
  }
  void measure(std::size_t centroid);

  const std::vector<float>& columns_;
  std::size_t width_;
  std::size_t count_;
  std::vector<float> centroids_;
  std::vector<float> distances_;  // squared, of each point to its nearest centroid so far
  std::vector<std::int32_t> nearest_;
};

// Gives the centroid the points that it is nearest to.
void KMeans::measure(std::size_t centroid) {
  float sums[kBatch];
  const float* values = centroids_.data() + centroid * width_;
  const std::int32_t number = static_cast<std::int32_t>(centroid);
  for (std::size_t start = 0; start < count_; start += kBatch) {
    const std::size_t size = std::min(kBatch, count_ - start);
    for (std::size_t i = 0; i < size; ++i) sums[i] = 0.0f;
    for (std::size_t w = 0; w < width_; ++w) {
      const float* column = columns_.data() + w * count_ + start;
      const float value = values[w];
      for (std::size_t i = 0; i < size; ++i) {
        const float difference = column[i] - value;
        sums[i] += difference * difference;
      }
    }
    float* __restrict distances = distances_.data() + start;
    std::int32_t* __restrict nearest = nearest_.data() + start;
    for (std::size_t i = 0; i < size; ++i) {
      // Floats that are not negative compare as their bits do, and integers without traps: the
      // loop vectorizes.
      const std::int32_t bits = std::bit_cast<std::int32_t>(sums[i]);
      const std::int32_t old = std::bit_cast<std::int32_t>(distances[i]);
      const std::int32_t nearer = -static_cast<std::int32_t>(bits < old);
      nearest[i] = (number & nearer) | (nearest[i] & ~nearer);
      distances[i] = std::bit_cast<float>((bits & nearer) | (old & ~nearer));
    }
  }
}

void KMeans::seed(std::uint64_t seed) {
  place(0, splitmix64(seed, 0) % count_);
  for (std::size_t c = 1; c < kPqCentroids; ++c) {
    measure(c - 1);
    double total = 0.0;
    for (const float distance : distances_) total += distance;
    // A point with a chance in proportion to its squared distance.
    const double wanted = uniform_open(seed, c) * total;
    double reached = 0.0;
    std::size_t chosen = splitmix64(seed, kPqCentroids + c) % count_;
    for (std::size_t i = 0; i < count_ && total > 0.0; ++i) {
      reached += distances_[i];
      if (reached < wanted) continue;
      chosen = i;
      break;
    }
    place(c, chosen);
  }
}

void KMeans::iterate() {
  std::fill(distances_.begin(), distances_.end(), std::numeric_limits<float>::infinity());
  for (std::size_t c = 0; c < kPqCentroids; ++c) measure(c);
  std::vector<std::size_t> sizes(kPqCentroids, 0);
  for (const std::int32_t c : nearest_) ++sizes[c];
  std::vector<double> sums(kPqCentroids);
  for (std::size_t w = 0; w < width_; ++w) {
    std::fill(sums.begin(), sums.end(), 0.0);
    const float* column = columns_.data() + w * count_;
    for (std::size_t i = 0; i < count_; ++i) sums[nearest_[i]] += column[i];
    for (std::size_t c = 0; c < kPqCentroids; ++c) {
      if (sizes[c] == 0) continue;
      centroids_[c * width_ + w] = static_cast<float>(sums[c] / static_cast<double>(sizes[c]));
    }
  }
  for (std::size_t c = 0; c < kPqCentroids; ++c) {
    if (sizes[c] != 0) continue;
    // An empty cluster goes to the worst served point, if any is served less than perfectly.
    const auto worst = std::max_element(distances_.begin(), distances_.end());
    if (*worst <= 0.0f) return;
    place(c, static_cast<std::size_t>(worst - distances_.begin()));
    *worst = 0.0f;
  }
}

}  // namespace

std::vector<float> kmeans(const std::vector<float>& columns, std::size_t width, std::size_t count,
                          std::uint64_t seed) {
  KMeans means(columns, width, count);
  means.seed(seed);
  for (int i = 0; i < kLloydIterations; ++i) means.iterate();
  return means.take();
}

}  // namespace lichen
