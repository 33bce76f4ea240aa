#pragma once
// AttributeTable: columns of attributes beside the rows of an index. A column holds numbers (f64,
// NaN = no value), categories (one string of the column's dictionary) or tags (a set of strings of
// it; the empty set is no value). The schema is fixed when the table is made.
//
// Not synchronized: see the index that owns it.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/aligned.hpp"
#include "storage/dictionary.hpp"
#include "storage/tag_column.hpp"

namespace lichen {

enum class AttributeKind : std::uint32_t { kNumber = 0, kCategory = 1, kTags = 2 };
inline constexpr const char* kAttributeKindNames[] = {"number", "category", "tags"};
inline constexpr std::size_t kMaxAttributes = 64;
inline constexpr std::size_t kMaxAttributeNameBytes = 255;

struct AttributeSpec {
  std::string name;
  AttributeKind kind = AttributeKind::kNumber;
};

// Values of one column in a batch. Strings stand once, the items name them by position.
struct AttributeValues {
  bool given = false;                  // otherwise no item has a value
  std::vector<double> numbers;         // kNumber: one an item, NaN = no value
  std::vector<std::string> strings;    // kCategory, kTags
  std::vector<std::uint32_t> codes;    // kCategory: one an item, 0 = no value, 1 + i = strings[i]
                                       // kTags: i = strings[i], in any order, also twice
  std::vector<std::uint32_t> offsets;  // kTags: item i has codes [offsets[i], offsets[i + 1])
};

// Values of some items: one entry a column of the schema.
struct AttributeBatch {
  std::vector<AttributeValues> columns;

  static AttributeBatch of_none(std::size_t columns) {
    return {std::vector<AttributeValues>(columns)};
  }
};

// A value that groups rows of equal values.
inline constexpr std::uint64_t kNoGroup = std::numeric_limits<std::uint64_t>::max();

class AttributeTable {
 public:
  struct Column {
    AttributeSpec spec;
    AlignedBuffer<double> numbers;       // kNumber
    Dictionary dictionary;               // kCategory, kTags
    AlignedBuffer<std::uint32_t> codes;  // kCategory: 0 = no value, else 1 + number of the string
    TagColumn tags;                      // kTags
  };
  // What undo goes back to.
  struct Mark {
    std::size_t rows = 0;
    std::vector<std::size_t> strings;
    std::uint64_t rewrites = 0;
  };

  // A table of no rows. Throws Error(kArgument) for too many columns, and for a name that is empty,
  // too long or there twice.
  explicit AttributeTable(std::vector<AttributeSpec> schema = {});

  std::size_t rows() const { return rows_; }
  std::size_t bytes() const;
  // So many rows there is room for without moving any; not counting strings and lists of tags.
  std::size_t room() const;
  const std::vector<Column>& columns() const { return columns_; }
  std::vector<AttributeSpec> schema() const;
  // Number of the column, or columns().size().
  std::size_t find(std::string_view name) const;

  // Throws Error(kArgument) unless the batch fits the schema and has values of items [first, first
  // + count) for each column given.
  void check(const AttributeBatch& batch, std::size_t count, std::size_t first = 0) const;
  // Appends rows with the values of items [first, first + count). Throws Error(kArgument) or
  // std::bad_alloc, changing nothing.
  void append(const AttributeBatch& batch, std::size_t count, std::size_t first = 0);
  // Gives some rows, each there once at most, the values of the batch's items; columns that are not
  // given stay as they are. Throws Error(kArgument) or std::bad_alloc, changing nothing.
  void overwrite(const std::vector<std::uint32_t>& rows, const AttributeBatch& batch);
  // Copies values from[i] -> to[i] of the columns that a batch does not give. May throw
  // std::bad_alloc.
  void carry(const std::vector<std::uint32_t>& from, const std::vector<std::uint32_t>& to,
             const AttributeBatch& batch);
  // A table of some rows, in this order, with the strings that they have.
  AttributeTable selected(const std::vector<std::uint32_t>& rows) const;
  // Forgets the rows from `rows` on, but not their strings. Takes no memory.
  void truncate(std::size_t rows);

  Mark mark() const;
  // Truncates to the mark's rows and forgets the strings that came since; these stay if a row was
  // overwritten since, as it may have one of them. Takes no memory.
  void undo(const Mark& mark);

  // Values; NaN, the empty string or no tags for a row without one. A column of another kind must
  // not be asked.
  bool has(std::size_t column, std::size_t row) const;
  double number(std::size_t column, std::size_t row) const { return columns_[column].numbers[row]; }
  std::string_view category(std::size_t column, std::size_t row) const;
  std::vector<std::string_view> tags(std::size_t column, std::size_t row) const;

  // Equal for rows of equal values, kNoGroup for a row without one. Not for kTags.
  std::uint64_t group_of(std::size_t column, std::size_t row) const;
  // Throws Error(kArgument) unless group_of can be asked for the column.
  void require_groupable(std::size_t column) const;

  // Takes columns that a snapshot held; throws Error(kFormat) unless each has `rows` sound values.
  static AttributeTable adopt(std::vector<Column> columns, std::size_t rows);

 private:
  // Room for a column's values of some rows once more, and for the ids of one row's tags.
  void reserve_copies(std::size_t column, const std::vector<std::uint32_t>& from,
                      std::vector<std::uint32_t>& ids);
  void copy(std::size_t column, const std::vector<std::uint32_t>& from,
            const std::vector<std::uint32_t>& to, std::vector<std::uint32_t>& ids) noexcept;
  void restore(std::size_t rows, const std::vector<std::size_t>& strings);

  std::vector<Column> columns_;
  std::size_t rows_ = 0;
  std::uint64_t rewrites_ = 0;
};

}  // namespace lichen
