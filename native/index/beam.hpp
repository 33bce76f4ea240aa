#pragma once
// Beam: the `ef` nearest rows a graph search has met, sorted, with a mark on those already expanded
// and a cursor to the nearest that is not. One array takes the place of the usual two heaps.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "index/top_k.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

class Beam {
 public:
  void reset(std::size_t capacity) {
    if (entries_.size() < capacity + 1) entries_.resize(capacity + 1);
    capacity_ = capacity;
    size_ = 0;
    cursor_ = 0;
    worst_ = std::numeric_limits<float>::infinity();
  }

  std::size_t size() const { return size_; }
  float distance(std::size_t i) const { return entries_[i].distance; }
  std::uint32_t row(std::size_t i) const { return entries_[i].row & ~kExpanded; }
  Hit hit(std::size_t i) const { return {distance(i), row(i)}; }

  // A distance not below this cannot enter.
  float worst() const { return worst_; }

  void insert(float distance, std::uint32_t row) {
    if (distance != distance) distance = std::numeric_limits<float>::infinity();
    if (size_ == capacity_ && !(distance < worst_)) return;
    Hit* const begin = entries_.data();
    Hit* const at = std::upper_bound(begin, begin + size_, distance,
                                     [](float d, const Hit& hit) { return d < hit.distance; });
    const std::size_t position = static_cast<std::size_t>(at - begin);
    // When full, the last entry is overwritten by its left neighbour.
    const std::size_t kept = size_ == capacity_ ? size_ - 1 : size_;
    std::memmove(static_cast<void*>(at + 1), at, (kept - position) * sizeof(Hit));
    *at = {distance, row};
    size_ = kept + 1;
    if (size_ == capacity_) worst_ = entries_[size_ - 1].distance;
    if (position < cursor_) cursor_ = position;
  }

  // The nearest row not expanded yet, now marked, or kNoRow when all are.
  std::uint32_t expand_next() {
    while (cursor_ < size_) {
      Hit& entry = entries_[cursor_++];
      if (entry.row & kExpanded) continue;
      entry.row |= kExpanded;
      return entry.row & ~kExpanded;
    }
    return kNoRow;
  }

  // The row that expand_next would return now, unmarked: worth a prefetch.
  std::uint32_t peek_next() const {
    for (std::size_t i = cursor_; i < size_; ++i) {
      if (!(entries_[i].row & kExpanded)) return entries_[i].row;
    }
    return kNoRow;
  }

 private:
  static constexpr std::uint32_t kExpanded = 0x80000000u;  // rows stay below 2^31 (kMaxRows)

  std::vector<Hit> entries_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  float worst_ = std::numeric_limits<float>::infinity();
};

}  // namespace lichen
