#include "index/hubs.hpp"

#include <algorithm>
#include <utility>

namespace lichen {

Hubs::Hubs(const EmbeddingStore& store, const std::vector<float>& norms,
           std::vector<std::uint32_t> rows)
    : codes_(store.shared_codec()), rows_(std::move(rows)) {
  const std::size_t count = wanted(rows_.size());
  std::partial_sort(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(count), rows_.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return norms[a] > norms[b] || (norms[a] == norms[b] && a < b);
                    });
  rows_.resize(count);
  rows_.shrink_to_fit();
  if (count > 0) least_norm_ = norms[rows_.back()];
  copy_codes(store);
}

Hubs::Hubs(const EmbeddingStore& store, std::vector<std::uint32_t> rows, float least_norm)
    : codes_(store.shared_codec()), rows_(std::move(rows)), least_norm_(least_norm) {
  copy_codes(store);
}

void Hubs::copy_codes(const EmbeddingStore& store) {
  codes_.reserve(rows_.size());
  codes_.copy_rows(store, rows_.data(), rows_.size());
}

}  // namespace lichen
