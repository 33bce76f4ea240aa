#pragma once
// TagColumn: a set of tags a row. Each row has a signature of 64 bits, tag t being bit t % 64: up
// to kSignatureTags tags it is the set itself, and beyond it spares most rows the look at their
// list. Lists exist only beyond; a row's list stands in a pool as its length and the ascending ids.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/aligned.hpp"

namespace lichen {

inline constexpr std::size_t kSignatureTags = 64;

inline constexpr std::uint64_t tag_bit(std::uint32_t tag) { return std::uint64_t{1} << (tag % 64); }

class TagColumn {
 public:
  TagColumn() = default;
  // Rows of these signatures, without lists.
  explicit TagColumn(AlignedBuffer<std::uint64_t> signatures)
      : signatures_(std::move(signatures)) {}

  std::size_t size() const { return signatures_.size(); }
  std::size_t room() const { return signatures_.capacity(); }
  std::size_t bytes() const { return signatures_.bytes() + starts_.bytes() + pool_.bytes(); }
  const std::uint64_t* signatures() const { return signatures_.data(); }
  std::uint64_t signature(std::size_t row) const { return signatures_[row]; }
  bool listed() const { return listed_; }

  // With lists only: the ids of a row.
  const std::uint32_t* list(std::size_t row) const { return pool_.data() + starts_[row] + 1; }
  std::size_t list_size(std::size_t row) const { return pool_[starts_[row]]; }

  // How many tags a row has, and their ids.
  std::size_t count(std::size_t row) const {
    return listed_ ? list_size(row)
                   : static_cast<std::size_t>(__builtin_popcountll(signatures_[row]));
  }
  void read(std::size_t row, std::vector<std::uint32_t>& ids) const;

  // Makes lists of signatures, before the first tag from kSignatureTags on is stored. Throws
  // std::bad_alloc, changing nothing.
  void make_lists();
  // Forgets the lists, once no row has a tag from kSignatureTags on.
  void drop_lists();

  // Memory for `rows` more rows with `ids` ids in all, so that push and assign cannot fail.
  void reserve_more(std::size_t rows, std::size_t ids);
  // `ids` ascend. A new row, or a row's new set.
  void push(const std::uint32_t* ids, std::size_t count);
  void assign(std::size_t row, const std::uint32_t* ids, std::size_t count);
  void truncate(std::size_t rows);

 private:
  std::uint64_t put_list(const std::uint32_t* ids, std::size_t count);
  void compact();

  AlignedBuffer<std::uint64_t> signatures_;
  bool listed_ = false;
  AlignedBuffer<std::uint64_t> starts_;  // of the lists in the pool
  AlignedBuffer<std::uint32_t> pool_;
  std::size_t unused_ = 0;  // places of the pool that no row uses
};

}  // namespace lichen
