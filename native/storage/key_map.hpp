#pragma once
// KeyMap: the caller's keys of an index's rows. Row r's key is an integer (a JavaScript safe
// integer), a string (UTF-8), or, where the caller gave none, r itself, which costs no memory. The
// kind is fixed by the first rows. Look-up is by open addressing over row numbers, four bytes a
// slot.
//
// Not synchronized: see the index that owns it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/aligned.hpp"

namespace lichen {

enum class KeyKind : std::uint32_t { kRow = 0, kInteger = 1, kString = 2 };

inline constexpr std::size_t kMaxKeyBytes = 65535;
inline constexpr std::int64_t kMaxIntegerKey = (std::int64_t{1} << 53) - 1;

// The keys of one call to add.
struct KeyBatch {
  KeyKind kind = KeyKind::kRow;
  std::vector<std::int64_t> integers;  // kInteger
  std::vector<std::string> strings;    // kString
};

class KeyMap {
 public:
  KeyKind kind() const { return kind_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const;

  // Appends the keys of `count` new rows. Throws Error(kDuplicateKey | kArgument), changing
  // nothing, if a key is there already or stands twice in the batch, is out of range, or is of
  // another kind than those there.
  void append(const KeyBatch& batch, std::size_t count);
  void truncate(std::size_t rows);

  std::int64_t integer(std::size_t row) const;     // kinds kRow and kInteger
  std::string_view string(std::size_t row) const;  // kind kString
  // Row of a key, or kNoRow.
  std::uint32_t find(std::int64_t key) const;
  std::uint32_t find(std::string_view key) const;

  // What a snapshot holds.
  const AlignedBuffer<std::int64_t>& integers() const { return integers_; }
  const AlignedBuffer<std::uint64_t>& offsets() const { return offsets_; }  // size()+1, kString
  const AlignedBuffer<char>& characters() const { return characters_; }
  // Takes what a snapshot held; throws Error(kFormat) if it is inconsistent.
  void load(KeyKind kind, std::size_t rows, AlignedBuffer<std::int64_t> integers,
            AlignedBuffer<std::uint64_t> offsets, AlignedBuffer<char> characters);

 private:
  template <class K>
  std::uint32_t* slot_of(K key);
  bool insert_row(std::uint32_t row);  // false if its key is there already
  void rebuild(std::size_t expected);
  static std::uint64_t hash(std::int64_t key);
  static std::uint64_t hash(std::string_view key);
  bool holds(std::uint32_t row, std::int64_t key) const { return integers_[row] == key; }
  bool holds(std::uint32_t row, std::string_view key) const { return string(row) == key; }
  std::string describe(std::size_t row) const;

  KeyKind kind_ = KeyKind::kRow;
  std::size_t size_ = 0;
  AlignedBuffer<std::int64_t> integers_;
  AlignedBuffer<std::uint64_t> offsets_;
  AlignedBuffer<char> characters_;
  AlignedBuffer<std::uint32_t> slots_;  // power of two, kNoRow = free
};

}  // namespace lichen
