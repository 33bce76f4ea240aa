#pragma once
// RowLists: for each row of a table the places that name it, so that threads can share out rows and
// still add up what belongs to each in the order in which it came.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

// Throws Error(kArgument) unless each value is one of `end` rows.
void check_places(const std::int32_t* values, std::size_t count, std::size_t end, const char* name);
// Throws Error(kArgument) unless lists + 1 offsets rise from 0 to `places`.
void check_offsets(const std::int32_t* offsets, std::size_t lists, std::size_t places,
                   const char* name);

class RowLists {
 public:
  // Places whose number is no row are left out. A step costs the places, not the table, once
  // `end` has been seen: memory is kept.
  RowLists(const std::int32_t* rows, std::size_t places, std::size_t end);

  // Distinct rows, in the order in which they are first named.
  std::size_t size() const { return rows_.size(); }
  std::size_t row(std::size_t i) const { return rows_[i]; }
  const std::uint32_t* begin(std::size_t i) const { return places_.data() + starts_[i]; }
  const std::uint32_t* end(std::size_t i) const { return places_.data() + starts_[i + 1]; }

 private:
  std::vector<std::uint32_t> rows_;
  std::vector<std::uint32_t> starts_;
  std::vector<std::uint32_t> places_;
};

}  // namespace lichen
