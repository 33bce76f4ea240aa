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

// Which rows this search has met: row r was met if its epoch is the current one, so starting anew
// costs nothing but every 255th time. A byte a row keeps it in the near caches.
class VisitedRows {
 public:
  void start(std::size_t rows) {
    if (epochs_.size() < rows) epochs_.resize(rows, 0);
    if (++epoch_ == 0) {
      std::fill(epochs_.begin(), epochs_.end(), std::uint8_t{0});
      epoch_ = 1;
    }
  }
  bool has(std::uint32_t row) const { return epochs_[row] == epoch_; }
  // Whether the row is met for the first time.
  bool meet(std::uint32_t row) {
    if (epochs_[row] == epoch_) return false;
    epochs_[row] = epoch_;
    return true;
  }

 private:
  std::vector<std::uint8_t> epochs_;
  std::uint8_t epoch_ = 0;
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
