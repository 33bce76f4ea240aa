#include "storage/key_map.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

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

bool KeyMap::has_room(const KeyBatch& batch, std::size_t count) const {
  if (kind_ == KeyKind::kRow && !written_) return batch.kind == KeyKind::kRow;
  const std::size_t rows = size_ + count;
  if (rows > slots_.size() * 3 / 4) return false;
  if (kind_ != KeyKind::kString) return rows <= integers_.capacity();
  std::size_t characters = characters_.size();
  for (const std::string& key : batch.strings) characters += key.size();
  return rows < offsets_.capacity() && characters <= characters_.capacity();
}

std::int64_t KeyMap::integer(std::size_t row) const {
  return has_integers() ? integers_[row] : static_cast<std::int64_t>(row);
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

std::uint32_t* KeyMap::slot_of_row(std::uint32_t row) {
  return has_integers() ? slot_of(integers_[row]) : slot_of(string(row));
}

std::uint64_t KeyMap::hash_of_row(std::uint32_t row) const {
  return has_integers() ? hash(integers_[row]) : hash(string(row));
}

bool KeyMap::insert_row(std::uint32_t row) {
  std::uint32_t* slot = slot_of_row(row);
  if (*slot != kNoRow) return false;
  *slot = row;
  return true;
}

std::uint32_t KeyMap::find(std::int64_t key) const {
  if (kind_ == KeyKind::kString || size_ == 0) return kNoRow;
  if (has_integers()) return *const_cast<KeyMap*>(this)->slot_of(key);
  return key >= 0 && static_cast<std::uint64_t>(key) < size_ ? static_cast<std::uint32_t>(key)
                                                             : kNoRow;
}

std::uint32_t KeyMap::find(std::string_view key) const {
  if (kind_ != KeyKind::kString || size_ == 0) return kNoRow;
  return *const_cast<KeyMap*>(this)->slot_of(key);
}

std::string KeyMap::describe(std::size_t row) const {
  if (kind_ != KeyKind::kString) return std::to_string(integer(row));
  std::string quoted(string(row));
  quoted.insert(quoted.begin(), '\'');
  quoted.push_back('\'');
  return quoted;
}

// Makes the table large enough for `rows` rows: at most 3/4 full.
void KeyMap::make_room(std::size_t rows) {
  if (rows <= slots_.size() * 3 / 4) return;
  std::size_t size = 16;
  while (size * 3 / 4 < std::max(rows, 2 * size_)) size *= 2;
  AlignedBuffer<std::uint32_t> table;
  table.resize(size, kNoRow);
  table.swap(slots_);
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i] != kNoRow) insert_row(table[i]);
  }
}

// Frees a slot and moves up those behind it that would not be found past the gap.
void KeyMap::free_slot(std::size_t at) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t next = (at + 1) & mask; slots_[next] != kNoRow; next = (next + 1) & mask) {
    const std::size_t wanted = hash_of_row(slots_[next]) & mask;
    if (((next - wanted) & mask) < ((next - at) & mask)) continue;
    slots_[at] = slots_[next];
    at = next;
  }
  slots_[at] = kNoRow;
}

void KeyMap::write_down() {
  if (kind_ != KeyKind::kRow || written_) return;
  KeyMap written;
  written.integers_.resize(size_, 0);
  for (std::size_t row = 0; row < size_; ++row) {
    written.integers_[row] = static_cast<std::int64_t>(row);
  }
  written.written_ = true;
  written.next_key_ = static_cast<std::int64_t>(size_);
  written.make_room(size_);
  written.size_ = size_;
  for (std::size_t row = 0; row < size_; ++row) {
    written.insert_row(static_cast<std::uint32_t>(row));
  }
  *this = std::move(written);
}

// The keys of new rows, behind those that are there.
void KeyMap::copy_keys(const KeyBatch& batch, std::size_t count) {
  const std::size_t before = size_;
  if (kind_ == KeyKind::kString) {
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
    return;
  }
  for (const std::int64_t key : batch.integers) {
    if (key < -kMaxIntegerKey || key > kMaxIntegerKey) {
      throw Error(Code::kArgument, "an integer key must be a safe integer");
    }
  }
  integers_.resize(before + count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    integers_[before + i] = batch.kind == KeyKind::kInteger
                                ? batch.integers[i]
                                : next_key_ + static_cast<std::int64_t>(i);
  }
}

std::vector<Replacement> KeyMap::append(const KeyBatch& batch, std::size_t count, KeyMode mode) {
  if (count == 0) return {};
  // Keys that nobody gave can be named by number to be replaced.
  const bool replaces_rows =
      mode == KeyMode::kUpdate && kind_ == KeyKind::kRow && batch.kind == KeyKind::kInteger;
  if (size_ > 0 && batch.kind != kind_ && !replaces_rows) {
    static const char* const kNames[] = {"row numbers (no keys given)", "integers", "strings"};
    throw Error(Code::kArgument, std::string("the keys of this index are ") +
                                     kNames[static_cast<std::uint32_t>(kind_)] + ", got " +
                                     kNames[static_cast<std::uint32_t>(batch.kind)]);
  }
  if (replaces_rows) write_down();
  const KeyKind kind_before = kind_;
  if (size_ == 0 && !written_) kind_ = batch.kind;
  if (kind_ == KeyKind::kRow && !written_) {
    size_ += count;
    return {};
  }
  const std::size_t before = size_;
  next_key_before_ = next_key_;
  std::vector<Replacement> replaced;
  std::size_t row = before;
  try {
    make_room(before + count);
    if (mode != KeyMode::kAdd) replaced.reserve(count);
    copy_keys(batch, count);
  } catch (...) {
    shorten(before);
    kind_ = kind_before;
    throw;
  }
  Code code = Code::kDuplicateKey;
  const char* reason = nullptr;
  for (; row < before + count && reason == nullptr; ++row) {
    std::uint32_t* const slot = slot_of_row(static_cast<std::uint32_t>(row));
    if (*slot == kNoRow) {
      if (mode == KeyMode::kUpdate) {
        code = Code::kUnknownKey;
        reason = " is not in the index";
        break;
      }
    } else if (*slot >= before) {
      reason = " stands twice in this call";
      break;
    } else if (mode == KeyMode::kAdd) {
      reason = " is in the index already";
      break;
    } else {
      replaced.push_back({static_cast<std::uint32_t>(row), *slot});
    }
    *slot = static_cast<std::uint32_t>(row);
  }
  size_ = row;
  if (reason != nullptr) {
    const std::string message =
        "key " + describe(row) + " at position " + std::to_string(row - before) + reason;
    truncate(before, replaced);
    kind_ = kind_before;
    throw Error(code, message);
  }
  if (batch.kind == KeyKind::kRow) next_key_ += static_cast<std::int64_t>(count);
  return replaced;
}

void KeyMap::shorten(std::size_t rows) {
  size_ = rows;
  if (has_integers() && integers_.size() > rows) integers_.resize(rows, 0);
  if (kind_ == KeyKind::kString && offsets_.size() > rows + 1) {
    characters_.resize(offsets_[rows], 0);
    offsets_.resize(rows + 1, 0);
  }
}

void KeyMap::truncate(std::size_t rows, const std::vector<Replacement>& replaced) {
  if (kind_ == KeyKind::kRow && !written_) {
    size_ = rows;
    return;
  }
  for (const Replacement& pair : replaced) *slot_of_row(pair.row) = pair.old_row;
  for (std::size_t row = size_; row-- > rows;) {
    std::uint32_t* const slot = slot_of_row(static_cast<std::uint32_t>(row));
    if (*slot == row) free_slot(static_cast<std::size_t>(slot - slots_.data()));
  }
  next_key_ = next_key_before_;
  shorten(rows);
}

void KeyMap::erase(std::uint32_t row) {
  std::uint32_t* const slot = slot_of_row(row);
  if (*slot == row) free_slot(static_cast<std::size_t>(slot - slots_.data()));
}

KeyMap KeyMap::selected(const std::vector<std::uint32_t>& rows) const {
  KeyMap map;
  map.kind_ = kind_;
  map.written_ = written_;
  map.next_key_ = next_key_;
  if (kind_ == KeyKind::kString) {
    std::size_t total = 0;
    for (const std::uint32_t row : rows) total += string(row).size();
    map.offsets_.resize(rows.size() + 1, 0);
    map.characters_.resize(total, 0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::string_view key = string(rows[i]);
      std::memcpy(map.characters_.data() + map.offsets_[i], key.data(), key.size());
      map.offsets_[i + 1] = map.offsets_[i] + key.size();
    }
  } else {
    map.integers_.resize(rows.size(), 0);
    for (std::size_t i = 0; i < rows.size(); ++i) map.integers_[i] = integer(rows[i]);
    map.written_ = kind_ == KeyKind::kRow;
    map.next_key_ = next_key();
  }
  map.make_room(rows.size());
  map.size_ = rows.size();
  for (std::size_t i = 0; i < rows.size(); ++i) map.insert_row(static_cast<std::uint32_t>(i));
  return map;
}

void KeyMap::load(Image image) {
  const auto [kind, rows] = std::pair{image.kind, image.rows};
  const bool written = kind == KeyKind::kRow && image.integers.size() > 0;
  if ((kind == KeyKind::kInteger || written) && image.integers.size() != rows) {
    throw Error(Code::kFormat, "the key section does not have one key a row");
  }
  if (kind == KeyKind::kString) {
    const AlignedBuffer<std::uint64_t>& offsets = image.offsets;
    bool sound =
        offsets.size() == rows + 1 && offsets[0] == 0 && offsets[rows] == image.characters.size();
    for (std::size_t r = 0; sound && r < rows; ++r) {
      sound = offsets[r] < offsets[r + 1] && offsets[r + 1] - offsets[r] <= kMaxKeyBytes;
    }
    if (!sound) throw Error(Code::kFormat, "the key sections do not fit together");
  }
  if (written) {
    for (std::size_t r = 0; r < rows; ++r) {
      if (image.integers[r] < 0 || image.integers[r] >= image.next_key) {
        throw Error(Code::kFormat, "a key is out of range");
      }
    }
  }
  kind_ = kind;
  written_ = written;
  next_key_ = image.next_key;
  integers_ = std::move(image.integers);
  offsets_ = std::move(image.offsets);
  characters_ = std::move(image.characters);
  size_ = rows;
  if (kind == KeyKind::kRow && !written) return;
  const auto is_dead = [&](std::size_t row) {
    return image.dead != nullptr && (image.dead[row / 8] >> (row % 8) & 1) != 0;
  };
  if (image.slots.size() > 0) {
    std::size_t live = 0;
    for (std::size_t row = 0; row < rows; ++row) live += !is_dead(row);
    take_slots(std::move(image.slots), live, image.checks_slots);
    return;
  }
  size_ = 0;
  make_room(rows);
  size_ = rows;
  for (std::size_t row = 0; row < rows; ++row) {
    if (!is_dead(row) && !insert_row(static_cast<std::uint32_t>(row))) {
      throw Error(Code::kFormat, "key " + describe(row) + " stands twice in the file");
    }
  }
}

void KeyMap::take_slots(AlignedBuffer<std::uint32_t> slots, std::size_t live, bool checks) {
  const auto refuse = [] { throw Error(Code::kFormat, "the table of keys is damaged"); };
  const std::size_t size = slots.size();
  if ((size & (size - 1)) != 0) refuse();
  std::size_t taken = 0;
  bool sound = true;
  for (std::size_t at = 0; at < size; ++at) {
    taken += slots[at] != kNoRow;
    sound &= slots[at] < size_ || slots[at] == kNoRow;
  }
  if (!sound || taken != live || taken > size * 3 / 4) refuse();
  slots_ = std::move(slots);
  if (!checks) return;
  for (std::size_t at = 0; at < size; ++at) {
    if (slots_[at] != kNoRow && slot_of_row(slots_[at]) != &slots_[at]) refuse();
  }
}

}  // namespace lichen
