#include "storage/dictionary.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/error.hpp"
#include "runtime/random.hpp"

namespace lichen {

std::size_t Dictionary::slot_of(std::string_view text) const {
  // FNV-1a over the bytes, then mixed: its low bits alone are weak for a power-of-two table.
  std::uint64_t state = 0xCBF29CE484222325ull;
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = splitmix64(state, 0) & mask;; at = (at + 1) & mask) {
    if (slots_[at] == kNone || (*this)[slots_[at]] == text) return at;
  }
}

std::uint32_t Dictionary::find(std::string_view text) const {
  return size_ == 0 ? kNone : slots_[slot_of(text)];
}

void Dictionary::enter_all() {
  std::fill_n(slots_.data(), slots_.size(), kNone);
  for (std::size_t i = 0; i < size_; ++i)
    slots_[slot_of((*this)[i])] = static_cast<std::uint32_t>(i);
}

std::uint32_t Dictionary::add(std::string_view text) {
  if (const std::uint32_t number = find(text); number != kNone) return number;
  if (text.size() > kMaxStringBytes) {
    throw Error(Code::kArgument, "a string of an attribute must have at most " +
                                     std::to_string(kMaxStringBytes) + " bytes, got " +
                                     std::to_string(text.size()));
  }
  if (size_ >= kNone - 1) throw Error(Code::kArgument, "an attribute has too many strings");
  const std::size_t start = size_ == 0 ? 0 : offsets_[size_];
  offsets_.reserve_growing(size_ + 2);
  characters_.reserve_growing(start + text.size());
  if (slots_.size() * 3 / 4 < size_ + 1) {
    AlignedBuffer<std::uint32_t> table;
    table.resize(std::max<std::size_t>(16, 2 * slots_.size()), kNone);
    slots_ = std::move(table);
    enter_all();
  }
  offsets_.resize(size_ + 2, 0);
  characters_.resize(start + text.size(), 0);
  if (!text.empty()) std::memcpy(characters_.data() + start, text.data(), text.size());
  offsets_[size_ + 1] = start + text.size();
  slots_[slot_of(text)] = static_cast<std::uint32_t>(size_);
  return static_cast<std::uint32_t>(size_++);
}

void Dictionary::truncate(std::size_t size) {
  if (size >= size_) return;
  size_ = size;
  characters_.resize(offsets_[size], 0);
  offsets_.resize(size + 1, 0);
  enter_all();
}

}  // namespace lichen
