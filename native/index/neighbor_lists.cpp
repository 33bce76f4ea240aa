#include "index/neighbor_lists.hpp"

#include <string>

#include "runtime/error.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

void NeighborLists::check(std::size_t count) const {
  const auto refuse = [](const std::string& what) {
    throw Error(Code::kArgument, "neighbors" + what);
  };
  const auto place = [](std::size_t i) { return ".rows[" + std::to_string(i) + "]"; };
  if (k < 1 || k > kMost) {
    refuse(".k must be an integer from 1 to " + std::to_string(kMost) + ", got " +
           std::to_string(k));
  }
  if (rows.size() != count * k) {
    refuse(".rows must hold " + std::to_string(k) + " for each of " + std::to_string(count) +
           " vectors, got " + std::to_string(rows.size()));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == kNoRow) continue;
    if (rows[i] >= count) {
      refuse(place(i) + " must be a row below " + std::to_string(count) + ", got " +
             std::to_string(rows[i]));
    }
    if (i % k > 0 && rows[i - 1] == kNoRow) refuse(place(i) + " stands behind the end of its list");
  }
}

}  // namespace lichen
