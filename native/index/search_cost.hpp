#pragma once
// What a search takes, by the way it is done. The figures were measured on one machine
// (Zen 4) for rows of 64 and 128 bytes; only their proportions matter, and where two ways cost
// about the same either will do.

#include <algorithm>
#include <cstddef>

namespace lichen {

// Where the rows to be scored are found: all that are admitted; by walking the graph past the
// others; by looking in each list of links at the lists of those that are not admitted, too.
enum class SearchWay { kScan, kOneHop, kTwoHops };

class SearchCost {
 public:
  // `row_bytes` of a code, `bytes` of the codes and the graph.
  SearchCost(std::size_t rows, std::size_t row_bytes, std::size_t bytes, std::size_t degree)
      : rows_(static_cast<double>(rows)),
        near_(static_cast<double>(row_bytes) / 40.0),
        listed_(2.5 + static_cast<double>(row_bytes) / 37.0),
        // About half of a node's links lead to rows that were met before.
        node_(120.0 + 0.5 * static_cast<double>(degree) *
                          (8.0 + 40.0 * std::min(1.0, static_cast<double>(bytes) / (64 << 20)))) {}

  // Nanoseconds for all of the selected rows: by number, or every row if they are many.
  double scan(std::size_t selected) const {
    return std::min(static_cast<double>(selected) * listed_, rows_ * near_);
  }
  double nodes(double count) const { return count * node_; }

  // The cheapest way to find the best of `selected` rows with a beam of `ef`.
  SearchWay way(std::size_t selected, std::size_t ef) const {
    const auto beam = static_cast<double>(ef);
    const double one =
        nodes(beam * rows_ / static_cast<double>(std::max<std::size_t>(1, selected)));
    const double two = nodes(beam * kTwoHopsCost);
    const double all = scan(selected);
    if (all <= std::min(one, two)) return SearchWay::kScan;
    return one <= two ? SearchWay::kOneHop : SearchWay::kTwoHops;
  }
  // So many nodes cost as much as scoring the selected rows.
  std::size_t budget(std::size_t selected) const {
    return static_cast<std::size_t>(scan(selected) / node_) + 1;
  }

 private:
  static constexpr double kTwoHopsCost = 7.0;

  double rows_;
  double near_;
  double listed_;
  double node_;
};

}  // namespace lichen
