#pragma once
// SearchScratch: what one graph search needs besides the index, kept from search to search.
// ScratchPool hands them out, so that there are as many as searches have ever run side by side.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "index/beam.hpp"
#include "index/query_batch.hpp"

namespace lichen {

// Which rows this search has met. A bit a row keeps even millions of them in the near caches; what
// was met is written down, so that starting anew clears that and not every bit.
class VisitedRows {
 public:
  void start(std::size_t rows) {
    const std::size_t words = (rows + kBits - 1) / kBits;
    if (count_ >= bits_.size()) {
      std::fill(bits_.begin(), bits_.end(), std::uint64_t{0});
    } else {
      for (std::size_t i = 0; i < count_; ++i) bits_[met_[i] / kBits] = 0;
    }
    count_ = 0;
    if (bits_.size() < words) bits_.resize(words, 0);
  }
  bool has(std::uint32_t row) const { return bits_[row / kBits] >> row % kBits & 1; }
  // Whether the row is met for the first time.
  bool meet(std::uint32_t row) {
    if (has(row)) return false;
    bits_[row / kBits] |= std::uint64_t{1} << row % kBits;
    expect(1);
    met_[count_++] = row;
    return true;
  }
  // Meets link(0), link(1) … until a row is not below `rows`, `most` at most; copies those met for
  // the first time to `into` and returns how many. Without branches: which it is cannot be
  // foreseen, and a guess that was wrong waits for memory.
  template <class Link>
  std::size_t meet_list(std::size_t most, std::size_t rows, const Link& link, std::uint32_t* into) {
    expect(most);
    std::uint64_t* const bits = bits_.data();
    std::uint32_t* const met = met_.data() + count_;
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < most; ++i) {
      const std::uint32_t row = link(i);
      if (row >= rows) break;
      const std::uint64_t before = bits[row / kBits];
      bits[row / kBits] = before | std::uint64_t{1} << row % kBits;
      into[fresh] = row;
      met[fresh] = row;
      fresh += (before >> row % kBits & 1) == 0;
    }
    count_ += fresh;
    return fresh;
  }

 private:
  static constexpr std::size_t kBits = 64;
  void expect(std::size_t count) {
    if (met_.size() < count_ + count) met_.resize(2 * (count_ + count));
  }

  std::vector<std::uint64_t> bits_;
  std::vector<std::uint32_t> met_;  // the first count_
  std::size_t count_ = 0;
};

struct SearchScratch {
  VisitedRows visited;
  VisitedRows excluded;  // rows that this search must not find
  Beam beam;
  QueryBatch query;
  std::vector<std::uint32_t> fresh;  // rows of a list that were not met before
  std::vector<float> distances;
  std::vector<Hit> within, beyond;  // of a search for all that is near enough
  // Work done, for calibration.
  std::size_t expanded = 0;
  std::size_t scored = 0;

  void fit(std::size_t most_links) {
    if (fresh.size() >= most_links) return;
    fresh.resize(most_links);
    distances.resize(most_links);
  }
};

class ScratchPool {
 public:
  class Loan {
   public:
    Loan(ScratchPool& pool, std::unique_ptr<SearchScratch> scratch)
        : pool_(pool), scratch_(std::move(scratch)) {}
    ~Loan() { pool_.give_back(std::move(scratch_)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    SearchScratch& operator*() { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<SearchScratch> scratch_;
  };

  Loan borrow() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (idle_.empty()) {
      // Room for it to come back, so that giving back cannot fail.
      idle_.reserve(++made_);
      return Loan(*this, std::make_unique<SearchScratch>());
    }
    std::unique_ptr<SearchScratch> scratch = std::move(idle_.back());
    idle_.pop_back();
    return Loan(*this, std::move(scratch));
  }

 private:
  void give_back(std::unique_ptr<SearchScratch> scratch) {
    std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<SearchScratch>> idle_;
  std::size_t made_ = 0;
};

}  // namespace lichen
