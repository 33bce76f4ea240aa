#include "storage/attribute_table.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/error.hpp"

namespace lichen {
namespace {

using Column = AttributeTable::Column;

[[noreturn]] void bad(const std::string& message) { throw Error(Code::kArgument, message); }

// The strings of some items in the dictionary, where those not there are added.
struct Resolved {
  std::vector<std::uint32_t> codes;  // kCategory: one an item; kTags: ascending in each item
  std::vector<std::size_t> offsets;  // kTags
};

Resolved resolve(Column& column, const AttributeValues& values, std::size_t first,
                 std::size_t count) {
  Resolved resolved;
  if (column.spec.kind == AttributeKind::kNumber) return resolved;
  const bool tags = column.spec.kind == AttributeKind::kTags;
  if (tags) resolved.offsets.assign(count + 1, 0);
  if (!values.given) {
    if (!tags) resolved.codes.assign(count, 0);
    return resolved;
  }
  // Strings are added when an item has them, so their order does not depend on the batch's. What
  // was looked up is remembered where that pays.
  std::vector<std::uint32_t> number_of(count > 1 ? values.strings.size() : 0, Dictionary::kNone);
  const auto number = [&](std::uint32_t at) {
    if (number_of.empty()) return column.dictionary.add(values.strings[at]);
    if (number_of[at] == Dictionary::kNone) {
      number_of[at] = column.dictionary.add(values.strings[at]);
    }
    return number_of[at];
  };
  if (!tags) {
    resolved.codes.reserve(count);
    for (std::size_t i = first; i < first + count; ++i) {
      resolved.codes.push_back(values.codes[i] == 0 ? 0 : 1 + number(values.codes[i] - 1));
    }
    return resolved;
  }
  resolved.codes.reserve(values.offsets[first + count] - values.offsets[first]);
  for (std::size_t i = first; i < first + count; ++i) {
    const auto start = static_cast<std::ptrdiff_t>(resolved.codes.size());
    for (std::size_t at = values.offsets[i]; at < values.offsets[i + 1]; ++at) {
      resolved.codes.push_back(number(values.codes[at]));
    }
    std::sort(resolved.codes.begin() + start, resolved.codes.end());
    resolved.codes.erase(std::unique(resolved.codes.begin() + start, resolved.codes.end()),
                         resolved.codes.end());
    resolved.offsets[i - first + 1] = resolved.codes.size();
  }
  if (column.dictionary.size() > kSignatureTags) column.tags.make_lists();
  return resolved;
}

// Looks at items [first, first + count) only, so that a batch can be checked item by item.
void check_values(const AttributeSpec& spec, const AttributeValues& values, std::size_t first,
                  std::size_t count) {
  const auto require = [&](bool sound, const std::string& what) {
    if (!sound) bad("attribute '" + spec.name + "': " + what);
  };
  const std::size_t end = first + count;
  const char* const few = "there are fewer values than rows";
  if (spec.kind == AttributeKind::kNumber) {
    require(values.numbers.size() >= end, few);
    return;
  }
  const bool tags = spec.kind == AttributeKind::kTags;
  std::size_t code_first = first;
  std::size_t code_end = end;
  if (tags) {
    require(values.offsets.size() >= end + 1, few);
    require(std::is_sorted(values.offsets.data() + first, values.offsets.data() + end + 1),
            "the offsets of the tags do not ascend");
    code_first = values.offsets[first];
    code_end = values.offsets[end];
  }
  require(values.codes.size() >= code_end, few);
  // The code 0 of a category is no value.
  const std::size_t most = values.strings.size() + (tags ? 0 : 1);
  for (std::size_t at = code_first; at < code_end; ++at) {
    require(values.codes[at] < most, "a code of no string");
  }
}

void require_sound(const Column& column, std::size_t rows) {
  const std::size_t strings = column.dictionary.size();
  bool sound = true;
  switch (column.spec.kind) {
    case AttributeKind::kNumber:
      sound = column.numbers.size() == rows;
      break;
    case AttributeKind::kCategory:
      sound = column.codes.size() == rows;
      for (std::size_t r = 0; sound && r < rows; ++r) sound = column.codes[r] <= strings;
      break;
    case AttributeKind::kTags:
      sound = column.tags.size() == rows && column.tags.listed() == (strings > kSignatureTags);
      if (column.tags.listed()) {
        for (std::size_t r = 0; sound && r < rows; ++r) {
          const std::uint32_t* const list = column.tags.list(r);
          for (std::size_t i = 0; sound && i < column.tags.list_size(r); ++i) {
            sound = list[i] < strings && (i == 0 || list[i - 1] < list[i]);
          }
        }
      } else if (strings < kSignatureTags) {
        for (std::size_t r = 0; sound && r < rows; ++r) {
          sound = column.tags.signature(r) >> strings == 0;
        }
      }
      break;
  }
  if (!sound) {
    throw Error(Code::kFormat, "the values of attribute '" + column.spec.name + "' are damaged");
  }
}

}  // namespace

AttributeTable::AttributeTable(std::vector<AttributeSpec> schema) {
  if (schema.size() > kMaxAttributes) {
    bad("at most " + std::to_string(kMaxAttributes) + " attributes, got " +
        std::to_string(schema.size()));
  }
  for (AttributeSpec& spec : schema) {
    if (spec.name.empty() || spec.name.size() > kMaxAttributeNameBytes) {
      bad("an attribute's name must have 1 to " + std::to_string(kMaxAttributeNameBytes) +
          " bytes, got " + std::to_string(spec.name.size()));
    }
    if (find(spec.name) < columns_.size()) bad("two attributes are called '" + spec.name + "'");
    columns_.emplace_back().spec = std::move(spec);
  }
}

std::size_t AttributeTable::bytes() const {
  std::size_t bytes = 0;
  for (const Column& column : columns_) {
    bytes += column.numbers.bytes() + column.codes.bytes() + column.tags.bytes() +
             column.dictionary.bytes();
  }
  return bytes;
}

std::size_t AttributeTable::room() const {
  std::size_t rows = static_cast<std::size_t>(-1);
  for (const Column& column : columns_) {
    rows = std::min(rows, column.spec.kind == AttributeKind::kNumber     ? column.numbers.capacity()
                          : column.spec.kind == AttributeKind::kCategory ? column.codes.capacity()
                                                                         : column.tags.room());
  }
  return rows;
}

std::vector<AttributeSpec> AttributeTable::schema() const {
  std::vector<AttributeSpec> schema;
  for (const Column& column : columns_) schema.push_back(column.spec);
  return schema;
}

std::size_t AttributeTable::find(std::string_view name) const {
  const auto at = std::find_if(columns_.begin(), columns_.end(),
                               [name](const Column& column) { return column.spec.name == name; });
  return static_cast<std::size_t>(at - columns_.begin());
}

void AttributeTable::check(const AttributeBatch& batch, std::size_t count,
                           std::size_t first) const {
  if (batch.columns.size() != columns_.size()) {
    bad("values of " + std::to_string(batch.columns.size()) + " attributes for " +
        std::to_string(columns_.size()));
  }
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (batch.columns[c].given) check_values(columns_[c].spec, batch.columns[c], first, count);
  }
}

void AttributeTable::append(const AttributeBatch& batch, std::size_t count, std::size_t first) {
  check(batch, count, first);
  const Mark before = mark();
  try {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      Column& column = columns_[c];
      const AttributeValues& values = batch.columns[c];
      const Resolved resolved = resolve(column, values, first, count);
      switch (column.spec.kind) {
        case AttributeKind::kNumber:
          column.numbers.resize(rows_ + count, std::numeric_limits<double>::quiet_NaN());
          if (values.given && count > 0) {
            std::memcpy(column.numbers.data() + rows_, values.numbers.data() + first,
                        count * sizeof(double));
          }
          break;
        case AttributeKind::kCategory:
          column.codes.resize(rows_ + count, 0);
          std::copy(resolved.codes.begin(), resolved.codes.end(), column.codes.data() + rows_);
          break;
        case AttributeKind::kTags:
          column.tags.reserve_more(count, resolved.codes.size());
          for (std::size_t i = 0; i < count; ++i) {
            column.tags.push(resolved.codes.data() + resolved.offsets[i],
                             resolved.offsets[i + 1] - resolved.offsets[i]);
          }
          break;
      }
    }
  } catch (...) {
    restore(before.rows, before.strings);
    throw;
  }
  rows_ += count;
}

void AttributeTable::truncate(std::size_t rows) {
  for (Column& column : columns_) {
    if (column.numbers.size() > rows) column.numbers.resize(rows, 0.0);
    if (column.codes.size() > rows) column.codes.resize(rows, 0);
    if (column.tags.size() > rows) column.tags.truncate(rows);
  }
  rows_ = std::min(rows_, rows);
}

AttributeTable::Mark AttributeTable::mark() const {
  Mark mark{rows_, {}, rewrites_};
  for (const Column& column : columns_) mark.strings.push_back(column.dictionary.size());
  return mark;
}

void AttributeTable::restore(std::size_t rows, const std::vector<std::size_t>& strings) {
  truncate(rows);
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    columns_[c].dictionary.truncate(strings[c]);
    if (strings[c] <= kSignatureTags) columns_[c].tags.drop_lists();
  }
}

void AttributeTable::undo(const Mark& mark) {
  if (mark.rewrites == rewrites_) {
    restore(mark.rows, mark.strings);
  } else {
    truncate(mark.rows);
  }
}

bool AttributeTable::has(std::size_t at, std::size_t row) const {
  const Column& column = columns_[at];
  switch (column.spec.kind) {
    case AttributeKind::kNumber:
      return !std::isnan(column.numbers[row]);
    case AttributeKind::kCategory:
      return column.codes[row] != 0;
    case AttributeKind::kTags:
      return column.tags.signature(row) != 0;
  }
  return false;
}

std::string_view AttributeTable::category(std::size_t column, std::size_t row) const {
  const std::uint32_t code = columns_[column].codes[row];
  return code == 0 ? std::string_view() : columns_[column].dictionary[code - 1];
}

std::vector<std::string_view> AttributeTable::tags(std::size_t column, std::size_t row) const {
  std::vector<std::uint32_t> ids;
  columns_[column].tags.read(row, ids);
  std::vector<std::string_view> tags;
  for (const std::uint32_t id : ids) tags.push_back(columns_[column].dictionary[id]);
  return tags;
}

std::uint64_t AttributeTable::group_of(std::size_t at, std::size_t row) const {
  const Column& column = columns_[at];
  if (column.spec.kind == AttributeKind::kCategory) {
    return column.codes[row] == 0 ? kNoGroup : column.codes[row];
  }
  const double value = column.numbers[row];
  // Adding 0 makes -0 and 0, which are equal, one group. No number has the bits of kNoGroup.
  return std::isnan(value) ? kNoGroup : std::bit_cast<std::uint64_t>(value + 0.0);
}

void AttributeTable::require_groupable(std::size_t column) const {
  if (column >= columns_.size()) bad("there is no attribute " + std::to_string(column));
  if (columns_[column].spec.kind == AttributeKind::kTags) {
    bad("results cannot be grouped by '" + columns_[column].spec.name + "', a set of tags");
  }
}

AttributeTable AttributeTable::adopt(std::vector<Column> columns, std::size_t rows) {
  for (const Column& column : columns) require_sound(column, rows);
  AttributeTable table;
  table.columns_ = std::move(columns);
  table.rows_ = rows;
  return table;
}

}  // namespace lichen
