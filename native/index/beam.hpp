#pragma once
// Beam: the nearest rows a graph search has met, sorted, with a mark on those already expanded and
// a cursor to the nearest that is not. One array takes the place of the usual two heaps.
//
// A beam holds `capacity` rows that may be returned. Rows that may not (deleted, filtered out) lead
// on to others, so those nearer than all of the former are held as well.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "index/top_k.hpp"
#include "kernels/kernels.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

// Every row may be returned.
struct AllRows {
  bool operator()(std::uint32_t) const { return true; }
};

class Beam {
 public:
  void reset(std::size_t capacity) {
    capacity_ = capacity;
    size_ = 0;
    cursor_ = 0;
    worst_ = std::numeric_limits<float>::infinity();
    admitted_.clear();
  }

  std::size_t size() const { return size_; }
  float distance(std::size_t i) const { return entries_[i].distance; }
  std::uint32_t row(std::size_t i) const { return entries_[i].row & ~kExpanded; }
  Hit hit(std::size_t i) const { return {distance(i), row(i)}; }

  // A distance not below this cannot enter.
  float worst() const { return worst_; }

  // Takes of some rows those that are near enough; `admits(row)` says whether a row may be
  // returned. NaN and infinite distances are not near. Returns the best place taken among those
  // that may be returned, or something beyond the last.
  template <class Admits>
  std::size_t insert(const float* distances, const std::uint32_t* rows, std::size_t count,
                     const Admits& admits) {
    std::size_t best = kNowhere;
    for (std::size_t first = 0; first < count; first += kPiece) {
      best = std::min(best, insert_piece(distances + first, rows + first,
                                         std::min(kPiece, count - first), admits));
    }
    return best;
  }

  // Into an empty beam the nearest of many rows, all of which may be returned.
  void fill(const float* distances, const std::uint32_t* rows, std::size_t count) {
    places_.resize(count);
    std::size_t found = kTooManyNearest;
    if (capacity_ <= kMostNearest) {
      found = kernels().nearest(distances, count, capacity_, places_.data());
    }
    if (found == kTooManyNearest) {
      const float limit = limit_of_groups(distances, count);
      found = kernels().collect(distances, count, limit, places_.data());
      // NaN would break the order that the sort relies on.
      found = static_cast<std::size_t>(
          std::remove_if(places_.data(), places_.data() + found,
                         [&](std::uint32_t at) {
                           return !(distances[at] < std::numeric_limits<float>::infinity());
                         }) -
          places_.data());
      std::sort(places_.data(), places_.data() + found, [&](std::uint32_t a, std::uint32_t b) {
        const auto order = [&](std::uint32_t at) { return Hit{distances[at], at}; };
        return nearer(order(a), order(b));
      });
    }
    size_ = std::min(found, capacity_);
    entries_.resize(std::max(entries_.size(), size_));
    for (std::size_t i = 0; i < size_; ++i) {
      entries_[i] = {distances[places_[i]], rows[places_[i]]};
    }
    if (size_ == capacity_) worst_ = entries_[size_ - 1].distance;
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

  // Calls visit(row) for the rows that expand_next would return next, `count` at most.
  template <class Visit>
  void for_next(std::size_t count, const Visit& visit) const {
    for (std::size_t i = cursor_; i < size_ && count > 0; ++i) {
      if (entries_[i].row & kExpanded) continue;
      visit(entries_[i].row);
      --count;
    }
  }

 private:
  static constexpr std::uint32_t kExpanded = 0x80000000u;  // rows stay below 2^31 (kMaxRows)
  static constexpr std::size_t kPiece = 64;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  // A distance that the nearest `capacity` of some rows do not exceed, and not many others: see
  // kernels/generic/nearest.hpp.
  float limit_of_groups(const float* distances, std::size_t count) {
    const std::size_t groups = std::max<std::size_t>(2 * capacity_, 64);
    least_.assign(groups, std::numeric_limits<float>::infinity());
    for (std::size_t first = 0; first < count; first += groups) {
      const std::size_t here = std::min(groups, count - first);
      for (std::size_t g = 0; g < here; ++g) least_[g] = std::min(least_[g], distances[first + g]);
    }
    const auto last = least_.begin() + static_cast<std::ptrdiff_t>(capacity_ - 1);
    std::nth_element(least_.begin(), last, least_.end());
    return *last;
  }

  // Entries among the first `count`, sorted, whose distance is not above `distance`. As jumps, into
  // which compilers turn it, the steps overlap; masks, which wait for one another, were slower.
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
    if (entries_.size() < size_ + kPiece) entries_.resize(2 * (size_ + kPiece));
    // From the farthest on: what lies behind a new entry moves once, to its final place.
    std::size_t end = size_;
    for (std::size_t i = entering; i-- > 0;) {
      const std::size_t at = position(fresh[i].distance, end);
      Hit* const from = entries_.data() + at;
      std::memmove(static_cast<void*>(from + i + 1), from, (end - at) * sizeof(Hit));
      from[i] = fresh[i];
      end = at;
    }
    size_ += entering;
    cursor_ = std::min(cursor_, end);
    if constexpr (std::is_same_v<Admits, AllRows>) {
      size_ = std::min(size_, capacity_);
      if (size_ == capacity_) worst_ = entries_[size_ - 1].distance;
      return end;
    }
    const std::size_t best = admit(fresh, entering, admits);
    if (admitted_.size() == capacity_) {
      worst_ = admitted_.back();
      size_ = position(worst_, size_);
    }
    return best;
  }

  // Enters those of some sorted hits that may be returned; returns the best place taken.
  template <class Admits>
  std::size_t admit(const Hit* hits, std::size_t count, const Admits& admits) {
    std::size_t best = kNowhere;
    for (std::size_t i = 0; i < count; ++i) {
      if (!admits(hits[i].row)) continue;
      const auto at = std::upper_bound(admitted_.begin(), admitted_.end(), hits[i].distance);
      best = std::min(best, static_cast<std::size_t>(at - admitted_.begin()));
      if (admitted_.size() < capacity_) {
        admitted_.insert(at, hits[i].distance);
      } else if (at != admitted_.end()) {
        std::move_backward(at, admitted_.end() - 1, admitted_.end());
        *at = hits[i].distance;
      }
    }
    return best;
  }

  std::vector<Hit> entries_;
  std::vector<float> admitted_;  // distances of those that may be returned, unless all may
  std::vector<float> least_;     // of each group
  std::vector<std::uint32_t> places_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;
  float worst_ = std::numeric_limits<float>::infinity();
};

}  // namespace lichen
