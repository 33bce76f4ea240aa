#include "index/flat_index.hpp"

#include <algorithm>

namespace lichen {
namespace {

// Rows scored at a time. A block stays in the second-level cache while every query of a batch passes over it.
constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::size_t kMostBlockRows = 2048;

}  // namespace

std::size_t FlatIndex::bytes() const {
  ReadLock lock(lock_);
  return store_.bytes() + keys_.bytes();
}

bool FlatIndex::link_rows(std::size_t before, std::size_t, Progress& progress) {
  progress.done.store(rows() - before);
  return !progress.cancel.load();
}

std::size_t FlatIndex::search_locked(const float* prepared, const SearchOptions& options,
                                     Hit* hits) const {
  std::uint32_t count = 0;
  search_range_locked(prepared, 1, options, hits, &count);
  return count;
}

void FlatIndex::search_range_locked(const float* prepared, std::size_t count,
                                    const SearchOptions& options, Hit* hits,
                                    std::uint32_t* counts) const {
  const std::size_t rows = store_.rows();
  const std::size_t row_bytes = store_.stride() * sizeof(float);
  const std::size_t block = std::clamp<std::size_t>(kBlockBytes / row_bytes, 8, kMostBlockRows);
  float scored[kMostBlockRows];
  std::vector<TopK> best;
  best.reserve(count);
  for (std::size_t q = 0; q < count; ++q) best.emplace_back(hits + q * options.k, options.k);
  for (std::size_t first = 0; first < rows; first += block) {
    const std::size_t here = std::min(block, rows - first);
    for (std::size_t q = 0; q < count; ++q) {
      distances(prepared + q * store_.stride(), first, here, scored);
      TopK& top = best[q];
      for (std::size_t i = 0; i < here; ++i) {
        // Not "<=": rows come in order, so an equal distance has the higher row number and loses the tie.
        if (!(scored[i] >= top.threshold())) top.offer(scored[i], static_cast<std::uint32_t>(first + i));
      }
    }
  }
  for (std::size_t q = 0; q < count; ++q) counts[q] = static_cast<std::uint32_t>(best[q].finish());
}

}  // namespace lichen
