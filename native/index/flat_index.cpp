#include "index/flat_index.hpp"

namespace lichen {

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
  scan(prepared, 1, options.k, hits, &count);
  return count;
}

void FlatIndex::search_range_locked(const float* prepared, std::size_t count,
                                    const SearchOptions& options, Hit* hits,
                                    std::uint32_t* counts) const {
  scan(prepared, count, options.k, hits, counts);
}

}  // namespace lichen
