#pragma once
// RowFilter: the rows that a search may return, a bit a row (bit r % 8 of byte r / 8). Rows past
// the bits are not among them.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

class RowFilter {
 public:
  RowFilter(const std::uint8_t* bits, std::size_t bytes) : bits_(bits), rows_(bytes * 8) {
    for (std::size_t i = 0; i < bytes; ++i) selected_ += __builtin_popcount(bits[i]);
  }

  bool admits(std::size_t row) const { return row < rows_ && (bits_[row / 8] >> (row % 8) & 1); }
  std::size_t selected() const { return selected_; }

  // Appends to `ids` the admitted rows of [first, last).
  void list(std::size_t first, std::size_t last, std::vector<std::uint32_t>& ids) const {
    if (last > rows_) last = rows_;
    for (std::size_t row = first; row < last;) {
      if (row % 8 == 0 && bits_[row / 8] == 0) {
        row += 8;
        continue;
      }
      if (admits(row)) ids.push_back(static_cast<std::uint32_t>(row));
      ++row;
    }
  }

 private:
  const std::uint8_t* bits_;
  std::size_t rows_;
  std::size_t selected_ = 0;
};

}  // namespace lichen
