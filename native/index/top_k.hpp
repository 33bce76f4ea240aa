#pragma once
// TopK: the k nearest of a stream of (distance, row), a max-heap over the caller's memory. Ties go
// to the lower row, so the result does not depend on the order of the stream. A NaN distance (an
// overflow to ∞ − ∞) counts as infinitely far.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "codecs/storage_type.hpp"

namespace lichen {

// Distances inside are "smaller is nearer". A score is what the caller sees, and the same map leads
// from scores to distances.
inline float score_of(Metric metric, float distance) {
  return metric == Metric::kL2 ? distance : -distance;
}

struct Hit {
  float distance;
  std::uint32_t row;
};

inline bool nearer(const Hit& a, const Hit& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

class TopK {
 public:
  TopK(Hit* hits, std::size_t k) : hits_(hits), k_(k) {}

  // A distance above this is not among the k nearest so far.
  float threshold() const { return threshold_; }

  void offer(float distance, std::uint32_t row) {
    if (distance != distance) distance = std::numeric_limits<float>::infinity();
    const Hit hit{distance, row};
    if (size_ < k_) {
      hits_[size_++] = hit;
      std::push_heap(hits_, hits_ + size_, nearer);
      if (size_ == k_) threshold_ = hits_[0].distance;
    } else if (nearer(hit, hits_[0])) {
      std::pop_heap(hits_, hits_ + k_, nearer);
      hits_[k_ - 1] = hit;
      std::push_heap(hits_, hits_ + k_, nearer);
      threshold_ = hits_[0].distance;
    }
  }

  // Sorts, best first; returns how many there are. The object is spent.
  std::size_t finish() {
    std::sort_heap(hits_, hits_ + size_, nearer);
    return size_;
  }

 private:
  Hit* hits_;
  std::size_t k_;
  std::size_t size_ = 0;
  float threshold_ = std::numeric_limits<float>::infinity();
};

}  // namespace lichen
