#include "storage/key_map.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/error.hpp"
#include "runtime/random.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

std::uint64_t KeyMap::hash(std::int64_t key) {
  return splitmix64(static_cast<std::uint64_t>(key), 0);
}

std::uint64_t KeyMap::hash(std::string_view key) {
  // FNV-1a over the bytes, then mixed: its low bits alone are weak for a power-of-two table.
  std::uint64_t state = 0xCBF29CE484222325ull;
  for (const char c : key) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return splitmix64(state, 0);
}

std::size_t KeyMap::bytes() const {
  return integers_.bytes() + offsets_.bytes() + characters_.bytes() + slots_.bytes();
}

std::int64_t KeyMap::integer(std::size_t row) const {
  return kind_ == KeyKind::kRow ? static_cast<std::int64_t>(row) : integers_[row];
}

std::string_view KeyMap::string(std::size_t row) const {
  return {characters_.data() + offsets_[row], offsets_[row + 1] - offsets_[row]};
}

// The slot that holds `key`, or the free one where it belongs.
template <class K>
std::uint32_t* KeyMap::slot_of(K key) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash(key) & mask;; at = (at + 1) & mask) {
    if (slots_[at] == kNoRow || holds(slots_[at], key)) return &slots_[at];
  }
}

bool KeyMap::insert_row(std::uint32_t row) {
  std::uint32_t* slot = kind_ == KeyKind::kInteger ? slot_of(integers_[row]) : slot_of(string(row));
  if (*slot != kNoRow) return false;
  *slot = row;
  return true;
}

std::uint32_t KeyMap::find(std::int64_t key) const {
  if (kind_ == KeyKind::kRow) {
    return key >= 0 && static_cast<std::uint64_t>(key) < size_ ? static_cast<std::uint32_t>(key)
                                                               : kNoRow;
  }
  if (kind_ != KeyKind::kInteger || size_ == 0) return kNoRow;
  return *const_cast<KeyMap*>(this)->slot_of(key);
}

std::uint32_t KeyMap::find(std::string_view key) const {
  if (kind_ != KeyKind::kString || size_ == 0) return kNoRow;
  return *const_cast<KeyMap*>(this)->slot_of(key);
}

std::string KeyMap::describe(std::size_t row) const {
  if (kind_ == KeyKind::kInteger) return std::to_string(integers_[row]);
  std::string quoted(string(row));
  quoted.insert(quoted.begin(), '\'');
  quoted.push_back('\'');
  return quoted;
}

// Makes the table large enough for `expected` rows (at most 3/4 full) and enters the rows that are
// there.
void KeyMap::rebuild(std::size_t expected) {
  std::size_t slots = 16;
  while (slots * 3 / 4 < expected) slots *= 2;
  if (slots > slots_.size()) {
    AlignedBuffer<std::uint32_t> table;
    table.resize(slots, kNoRow);
    slots_ = std::move(table);
  } else {
    // In place: an undo must not fail for want of memory.
    std::fill_n(slots_.data(), slots_.size(), kNoRow);
  }
  for (std::size_t row = 0; row < size_; ++row) insert_row(static_cast<std::uint32_t>(row));
}

void KeyMap::append(const KeyBatch& batch, std::size_t count) {
  if (count == 0) return;
  if (size_ > 0 && batch.kind != kind_) {
    static const char* const kNames[] = {"row numbers (no keys given)", "integers", "strings"};
    throw Error(Code::kArgument, std::string("the keys of this index are ") +
                                     kNames[static_cast<std::uint32_t>(kind_)] + ", got " +
                                     kNames[static_cast<std::uint32_t>(batch.kind)]);
  }
  kind_ = batch.kind;
  if (kind_ == KeyKind::kRow) {
    size_ += count;
    return;
  }
  const std::size_t before = size_;
  if (kind_ == KeyKind::kInteger) {
    for (const std::int64_t key : batch.integers) {
      if (key < -kMaxIntegerKey || key > kMaxIntegerKey) {
        throw Error(Code::kArgument, "an integer key must be a safe integer");
      }
    }
    integers_.resize(before + count, 0);
    std::memcpy(integers_.data() + before, batch.integers.data(), count * sizeof(std::int64_t));
  } else {
    std::size_t total = before == 0 ? 0 : offsets_[before];
    for (const std::string& key : batch.strings) {
      if (key.empty() || key.size() > kMaxKeyBytes) {
        throw Error(Code::kArgument, "a string key must have 1 to " + std::to_string(kMaxKeyBytes) +
                                         " bytes, got " + std::to_string(key.size()));
      }
      total += key.size();
    }
    offsets_.resize(before + count + 1, 0);
    characters_.resize(total, 0);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string& key = batch.strings[i];
      std::memcpy(characters_.data() + offsets_[before + i], key.data(), key.size());
      offsets_[before + i + 1] = offsets_[before + i] + key.size();
    }
  }
  if (slots_.size() * 3 / 4 < before + count) rebuild(std::max(before + count, 2 * before));
  for (std::size_t row = before; row < before + count; ++row) {
    if (insert_row(static_cast<std::uint32_t>(row))) {
      size_ = row + 1;
      continue;
    }
    const std::string message =
        "key " + describe(row) + " at position " + std::to_string(row - before) +
        (*(kind_ == KeyKind::kInteger ? slot_of(integers_[row]) : slot_of(string(row))) < before
             ? " is in the index already"
             : " stands twice in this call");
    truncate(before);
    throw Error(Code::kDuplicateKey, message);
  }
}

void KeyMap::truncate(std::size_t rows) {
  size_ = rows;
  if (kind_ == KeyKind::kInteger) integers_.resize(rows, 0);
  if (kind_ == KeyKind::kString) {
    characters_.resize(offsets_.size() == 0 ? 0 : offsets_[rows], 0);
    offsets_.resize(rows + 1, 0);
  }
  if (kind_ != KeyKind::kRow) rebuild(rows);
}

void KeyMap::load(KeyKind kind, std::size_t rows, AlignedBuffer<std::int64_t> integers,
                  AlignedBuffer<std::uint64_t> offsets, AlignedBuffer<char> characters) {
  if (kind == KeyKind::kInteger && integers.size() != rows) {
    throw Error(Code::kFormat, "the key section does not have one key a row");
  }
  if (kind == KeyKind::kString) {
    bool sound =
        offsets.size() == rows + 1 && offsets[0] == 0 && offsets[rows] == characters.size();
    for (std::size_t r = 0; sound && r < rows; ++r) {
      sound = offsets[r] < offsets[r + 1] && offsets[r + 1] - offsets[r] <= kMaxKeyBytes;
    }
    if (!sound) throw Error(Code::kFormat, "the key sections do not fit together");
  }
  kind_ = kind;
  integers_ = std::move(integers);
  offsets_ = std::move(offsets);
  characters_ = std::move(characters);
  size_ = 0;
  if (kind == KeyKind::kRow) {
    size_ = rows;
    return;
  }
  rebuild(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    if (!insert_row(static_cast<std::uint32_t>(row))) {
      throw Error(Code::kFormat, "key " + describe(row) + " stands twice in the file");
    }
  }
  size_ = rows;
}

}  // namespace lichen
