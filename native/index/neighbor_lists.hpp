#pragma once
// NeighborLists: the nearest others of each row of an add, from which a graph may be started.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

struct NeighborLists {
  static constexpr std::size_t kMost = 1024;  // of a row

  // k for each row, best first; kNoRow from where a list ends.
  std::vector<std::uint32_t> rows;
  std::size_t k = 0;

  bool empty() const { return k == 0 && rows.empty(); }
  const std::uint32_t* of(std::size_t row) const { return rows.data() + row * k; }
  // Throws Error(kArgument) unless there are lists of `count` rows that name no others. A list may
  // name a row twice, and its own.
  void check(std::size_t count) const;
};

}  // namespace lichen
