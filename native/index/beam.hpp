#pragma once
// Beam: the nearest rows a graph search has met, sorted, with a mark on those already expanded and
// a cursor to the nearest that is not. One array takes the place of the usual two heaps.
//
// A beam holds `capacity` rows that may be returned. Rows that may not (deleted, filtered out) lead
// on to others, so they are held as well, and each makes room for itself.

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
  // `more`: rows that may not be returned and are expected, beyond a multiple of the capacity.
  void reset(std::size_t capacity, std::size_t more = 0) {
    capacity_ = capacity;
    most_ = capacity * kMostGrowth + more;
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

  // Takes of some rows those that are near enough; `admits(row)` says whether a row may be
  // returned. NaN and infinite distances are not near. Returns the best place taken, or size().
  template <class Admits>
  std::size_t insert(const float* distances, const std::uint32_t* rows, std::size_t count,
                     const Admits& admits) {
    std::size_t best = kNowhere;
    for (std::size_t first = 0; first < count; first += kPiece) {
      best = std::min(best, insert_piece(distances + first, rows + first,
                                         std::min(kPiece, count - first), admits));
    }
    return std::min(best, size_);
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
  static constexpr std::size_t kPiece = 64;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  // So much larger a beam becomes at most by rows that may not be returned.
  static constexpr std::size_t kMostGrowth = 32;

  // Entries among the first `count` whose distance is not above `distance`. Without branches: which
  // way it goes cannot be foreseen.
  std::size_t position(float distance, std::size_t count) const {
    const Hit* base = entries_.data();
    std::size_t length = count;
    while (length > 1) {
      const std::size_t half = length / 2;
      base = base[half - 1].distance <= distance ? base + half : base;
      length -= half;
    }
    return static_cast<std::size_t>(base - entries_.data()) +
           (length == 1 && base->distance <= distance);
  }

  template <class Admits>
  std::size_t insert_piece(const float* distances, const std::uint32_t* rows, std::size_t count,
                           const Admits& admits) {
    Hit fresh[kPiece];
    std::size_t entering = 0;
    for (std::size_t i = 0; i < count; ++i) {
      fresh[entering] = {distances[i], rows[i]};
      entering += distances[i] < worst_;
    }
    if (entering == 0) return kNowhere;
    for (std::size_t i = 1; i < entering; ++i) {
      const Hit hit = fresh[i];
      std::size_t j = i;
      for (; j > 0 && fresh[j - 1].distance > hit.distance; --j) fresh[j] = fresh[j - 1];
      fresh[j] = hit;
    }
    for (std::size_t i = 0; i < entering; ++i) capacity_ += !admits(fresh[i].row);
    capacity_ = std::min(capacity_, std::max(most_, size_));
    if (entries_.size() < std::max(capacity_, size_) + kPiece) {
      entries_.resize(2 * (std::max(capacity_, size_) + kPiece));
    }
    // From the farthest on: what lies behind a new entry moves once, to its final place.
    std::size_t end = size_;
    for (std::size_t i = entering; i-- > 0;) {
      const std::size_t at = position(fresh[i].distance, end);
      Hit* const from = entries_.data() + at;
      std::memmove(static_cast<void*>(from + i + 1), from, (end - at) * sizeof(Hit));
      from[i] = fresh[i];
      end = at;
    }
    size_ = std::min(size_ + entering, capacity_);
    if (size_ == capacity_) worst_ = entries_[size_ - 1].distance;
    cursor_ = std::min(cursor_, end);
    return end;
  }

  std::vector<Hit> entries_;
  std::size_t capacity_ = 0;
  std::size_t most_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  float worst_ = std::numeric_limits<float>::infinity();
};

}  // namespace lichen
