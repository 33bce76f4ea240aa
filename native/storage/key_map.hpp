#pragma once
// KeyMap: the caller's keys of an index's rows. Row r's key is an integer (a JavaScript safe
// integer), a string (UTF-8), or, where the caller gave none, r itself, which costs no memory. The
// kind is fixed by the first rows. Look-up is by open addressing over row numbers, four bytes a
// slot.
//
// Rows can be forgotten: their keys are free again, their numbers are not. Where the caller gave no
// keys, they are written down once rows are forgotten or replaced, and new rows go on counting.
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

  std::size_t size() const { return kind == KeyKind::kString ? strings.size() : integers.size(); }
};

// What becomes of keys that are there already.
enum class KeyMode { kAdd, kUpdate, kUpsert };  // an error; must be; may be

// A new row that takes the key of an old one.
struct Replacement {
  std::uint32_t row;
  std::uint32_t old_row;
};

class KeyMap {
 public:
  KeyKind kind() const { return kind_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const;
  // Whether there is room for the keys of `count` new rows without moving any.
  bool has_room(const KeyBatch& batch, std::size_t count) const;

  // Appends the keys of `count` new rows. Throws Error(kDuplicateKey | kUnknownKey | kArgument),
  // changing nothing, if a key stands twice in the batch, is out of range, or is of another kind
  // than those there, or if the mode forbids it. A key that is there leads to its new row from now
  // on; what it replaces is returned.
  std::vector<Replacement> append(const KeyBatch& batch, std::size_t count,
                                  KeyMode mode = KeyMode::kAdd);
  // Takes back the rows from `rows` on, with what they replaced.
  void truncate(std::size_t rows, const std::vector<Replacement>& replaced = {});
  // Row r's key leads nowhere from now on. Keys that nobody gave must be written down.
  void erase(std::uint32_t row);
  // Some rows, in another order; `next_key` goes on.
  KeyMap selected(const std::vector<std::uint32_t>& rows) const;
  // Writes down the keys that nobody gave.
  void write_down();

  std::int64_t integer(std::size_t row) const;     // kinds kRow and kInteger
  std::string_view string(std::size_t row) const;  // kind kString
  // Row of a key, or kNoRow.
  std::uint32_t find(std::int64_t key) const;
  std::uint32_t find(std::string_view key) const;

  // The key of the next row that gets none.
  std::int64_t next_key() const { return written_ ? next_key_ : static_cast<std::int64_t>(size_); }
  // Whether there is a list of integer keys: kind kInteger, or kRow once it is written down.
  bool has_integers() const { return kind_ == KeyKind::kInteger || written_; }

  // What a snapshot holds. The table has a power of two of slots; a key's slot is the first one at
  // or behind its hash's low bits that holds its row, before one that is free (kNoRow).
  const AlignedBuffer<std::uint32_t>& slots() const { return slots_; }
  const AlignedBuffer<std::int64_t>& integers() const { return integers_; }
  const AlignedBuffer<std::uint64_t>& offsets() const { return offsets_; }  // size()+1, kString
  const AlignedBuffer<char>& characters() const { return characters_; }
  struct Image {
    KeyKind kind = KeyKind::kRow;
    std::size_t rows = 0;
    AlignedBuffer<std::int64_t> integers;
    AlignedBuffer<std::uint64_t> offsets;
    AlignedBuffer<char> characters;
    AlignedBuffer<std::uint32_t> slots;  // empty: to be made
    std::int64_t next_key = 0;
    const std::uint8_t* dead = nullptr;  // a bit a row, null for none: their keys lead nowhere
    bool checks_slots = true;            // whether keys are looked up one by one
  };
  // Takes what a snapshot held; throws Error(kFormat) if it is inconsistent. A table that is not
  // checked can still not lead out of the rows, nor in circles.
  void load(Image image);

 private:
  template <class K>
  std::uint32_t* slot_of(K key);
  std::uint32_t* slot_of_row(std::uint32_t row);
  std::uint64_t hash_of_row(std::uint32_t row) const;
  bool insert_row(std::uint32_t row);  // false if its key is there already
  void copy_keys(const KeyBatch& batch, std::size_t count);
  void shorten(std::size_t rows);
  void make_room(std::size_t rows);
  void free_slot(std::size_t at);
  static std::uint64_t hash(std::int64_t key);
  static std::uint64_t hash(std::string_view key);
  void take_slots(AlignedBuffer<std::uint32_t> slots, std::size_t live, bool checks);
  bool holds(std::uint32_t row, std::int64_t key) const { return integers_[row] == key; }
  bool holds(std::uint32_t row, std::string_view key) const { return string(row) == key; }
  std::string describe(std::size_t row) const;

  KeyKind kind_ = KeyKind::kRow;
  bool written_ = false;  // kRow, with its keys in integers_
  std::int64_t next_key_ = 0;
  std::int64_t next_key_before_ = 0;  // the last append
  std::size_t size_ = 0;
  AlignedBuffer<std::int64_t> integers_;
  AlignedBuffer<std::uint64_t> offsets_;
  AlignedBuffer<char> characters_;
  AlignedBuffer<std::uint32_t> slots_;  // power of two, kNoRow = free
};

}  // namespace lichen
