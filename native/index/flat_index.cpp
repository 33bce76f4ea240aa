#include "index/flat_index.hpp"

namespace lichen {

std::size_t FlatIndex::bytes() const {
  ReadLock lock(lock_);
  return bytes_of_rows();
}

bool FlatIndex::link_rows(const float*, std::size_t, std::size_t, Progress& progress) {
  progress.done.store(progress.total.load());
  return !progress.cancel.load();
}

}  // namespace lichen
