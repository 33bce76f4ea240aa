#include "index/hubs.hpp"

#include <algorithm>
#include <numeric>

namespace lichen {

Hubs::Hubs(const EmbeddingStore& store, const std::vector<float>& norms)
    : codes_(store.shared_codec()), rows_(norms.size()) {
  std::iota(rows_.begin(), rows_.end(), 0u);
  const std::size_t count = std::min(kMost, norms.size() / 4);
  std::partial_sort(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(count), rows_.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return norms[a] > norms[b] || (norms[a] == norms[b] && a < b);
                    });
  rows_.resize(count);
  rows_.shrink_to_fit();
  codes_.reserve(count);
  codes_.copy_rows(store, rows_.data(), count);
}

}  // namespace lichen
