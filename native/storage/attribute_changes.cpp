// Changing rows of attributes, and taking some of them.

#include <algorithm>
#include <numeric>
#include <string>

#include "runtime/error.hpp"
#include "storage/attribute_table.hpp"

namespace lichen {

void AttributeTable::reserve_copies(std::size_t at, const std::vector<std::uint32_t>& from,
                                    std::vector<std::uint32_t>& ids) {
  Column& column = columns_[at];
  if (column.spec.kind != AttributeKind::kTags) return;
  std::size_t total = 0;
  std::size_t longest = 0;
  for (const std::uint32_t row : from) {
    const std::size_t here = column.tags.count(row);
    total += here;
    longest = std::max(longest, here);
  }
  ids.reserve(longest);
  column.tags.reserve_more(from.size(), total);
}

void AttributeTable::copy(std::size_t at, const std::vector<std::uint32_t>& from,
                          const std::vector<std::uint32_t>& to,
                          std::vector<std::uint32_t>& ids) noexcept {
  Column& column = columns_[at];
  for (std::size_t i = 0; i < to.size(); ++i) {
    switch (column.spec.kind) {
      case AttributeKind::kNumber:
        column.numbers[to[i]] = column.numbers[from[i]];
        break;
      case AttributeKind::kCategory:
        column.codes[to[i]] = column.codes[from[i]];
        break;
      case AttributeKind::kTags:
        column.tags.read(from[i], ids);
        column.tags.assign(to[i], ids.data(), ids.size());
        break;
    }
  }
}

void AttributeTable::overwrite(const std::vector<std::uint32_t>& rows,
                               const AttributeBatch& batch) {
  for (const std::uint32_t row : rows) {
    if (row >= rows_) throw Error(Code::kArgument, "there is no row " + std::to_string(row));
  }
  const Mark before = mark();
  // As new rows first: whatever may fail does so before an old one changes.
  append(batch, rows.size());
  std::vector<std::uint32_t> from(rows.size());
  std::vector<std::uint32_t> ids;
  try {
    std::iota(from.begin(), from.end(), static_cast<std::uint32_t>(before.rows));
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (batch.columns[c].given) reserve_copies(c, from, ids);
    }
  } catch (...) {
    restore(before.rows, before.strings);
    throw;
  }
  ++rewrites_;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (batch.columns[c].given) copy(c, from, rows, ids);
  }
  truncate(before.rows);
}

void AttributeTable::carry(const std::vector<std::uint32_t>& from,
                           const std::vector<std::uint32_t>& to, const AttributeBatch& batch) {
  std::vector<std::uint32_t> ids;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (batch.columns[c].given) continue;
    reserve_copies(c, from, ids);
    copy(c, from, to, ids);
  }
}

AttributeTable AttributeTable::selected(const std::vector<std::uint32_t>& rows) const {
  AttributeTable other(schema());
  std::vector<std::uint32_t> ids;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const Column& column = columns_[c];
    Column& to = other.columns_[c];
    std::vector<std::uint32_t> numbers(column.dictionary.size(), Dictionary::kNone);
    const auto number = [&](std::uint32_t id) {
      if (numbers[id] == Dictionary::kNone) numbers[id] = to.dictionary.add(column.dictionary[id]);
      return numbers[id];
    };
    switch (column.spec.kind) {
      case AttributeKind::kNumber:
        to.numbers.resize(rows.size(), 0.0);
        for (std::size_t i = 0; i < rows.size(); ++i) to.numbers[i] = column.numbers[rows[i]];
        break;
      case AttributeKind::kCategory:
        to.codes.resize(rows.size(), 0);
        for (std::size_t i = 0; i < rows.size(); ++i) {
          const std::uint32_t code = column.codes[rows[i]];
          if (code > 0) to.codes[i] = 1 + number(code - 1);
        }
        break;
      case AttributeKind::kTags: {
        std::size_t total = 0;
        for (const std::uint32_t row : rows) {
          column.tags.read(row, ids);
          total += ids.size();
          for (const std::uint32_t id : ids) number(id);
        }
        if (to.dictionary.size() > kSignatureTags) to.tags.make_lists();
        to.tags.reserve_more(rows.size(), total);
        for (const std::uint32_t row : rows) {
          column.tags.read(row, ids);
          for (std::uint32_t& id : ids) id = numbers[id];
          std::sort(ids.begin(), ids.end());
          to.tags.push(ids.data(), ids.size());
        }
        break;
      }
    }
  }
  other.rows_ = rows.size();
  return other;
}

}  // namespace lichen
