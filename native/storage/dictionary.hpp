#pragma once
// Dictionary: distinct strings (UTF-8, at most kMaxStringBytes each) and their numbers, from 0 in
// the order of adding. Look-up is by open addressing over the numbers, four bytes a slot.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/aligned.hpp"

namespace lichen {

inline constexpr std::size_t kMaxStringBytes = 65535;

class Dictionary {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return offsets_.bytes() + characters_.bytes() + slots_.bytes(); }
  std::string_view operator[](std::size_t number) const {
    return {characters_.data() + offsets_[number], offsets_[number + 1] - offsets_[number]};
  }
  // Number of a string, or kNone.
  std::uint32_t find(std::string_view text) const;
  // Number of a string, which is added if it is not there. Throws Error(kArgument) for one that is
  // too long, changing nothing.
  std::uint32_t add(std::string_view text);
  // Forgets the strings from `size` on; takes no memory.
  void truncate(std::size_t size);

 private:
  // The slot that holds the string, or the free one where it belongs.
  std::size_t slot_of(std::string_view text) const;
  void enter_all();

  std::size_t size_ = 0;
  AlignedBuffer<std::uint64_t> offsets_;  // size + 1, none while nothing was added
  AlignedBuffer<char> characters_;
  AlignedBuffer<std::uint32_t> slots_;  // power of two, at most 3/4 full, kNone = free
};

}  // namespace lichen
