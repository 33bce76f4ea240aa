#pragma once
// RowFilter: the rows that a search may return, a bit a row (bit r % 8 of byte r / 8). Rows past
// the bits are not among them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace lichen {

class RowFilter {
 public:
  RowFilter(const std::uint8_t* bits, std::size_t bytes) : bits_(bits), bytes_(bytes) {
    for (std::size_t w = 0; w * 8 < bytes; ++w) {
      selected_ += static_cast<std::size_t>(__builtin_popcountll(word(w)));
    }
  }

  bool admits(std::size_t row) const { return byte(row / 8) >> (row % 8) & 1; }
  std::size_t selected() const { return selected_; }
  const std::uint8_t* bits() const { return bits_; }
  std::size_t bytes() const { return bytes_; }
  // The bits of rows 8 i to 8 i + 7.
  std::uint8_t byte(std::size_t i) const { return i < bytes_ ? bits_[i] : 0; }

  // Appends to `ids` the admitted rows of [first, last).
  void list(std::size_t first, std::size_t last, std::vector<std::uint32_t>& ids) const {
    for (std::size_t w = first / 64; w * 64 < std::min(last, bytes_ * 8); ++w) {
      for (std::uint64_t rest = word(w); rest != 0; rest &= rest - 1) {
        const std::size_t row = w * 64 + static_cast<std::size_t>(__builtin_ctzll(rest));
        if (row >= first && row < last) ids.push_back(static_cast<std::uint32_t>(row));
      }
    }
  }

 private:
  // Bits of rows 64 w to 64 w + 63; formats are little-endian throughout.
  std::uint64_t word(std::size_t w) const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, bits_ + w * 8, std::min<std::size_t>(8, bytes_ - w * 8));
    return bits;
  }

  const std::uint8_t* bits_;
  std::size_t bytes_;
  std::size_t selected_ = 0;
};

}  // namespace lichen
