#pragma once
// Random attributes and conditions for tests, and what should hold, worked out the slow way.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "storage/attribute_table.hpp"
#include "storage/predicate.hpp"
#include "test/data.hpp"

namespace lichen::test {

struct ModelRow {
  double year = NAN;
  std::optional<std::string> genre;
  std::vector<std::string> tags;  // sorted, distinct
};

inline const std::vector<AttributeSpec>& model_schema() {
  static const std::vector<AttributeSpec> schema = {{"year", AttributeKind::kNumber},
                                                    {"genre", AttributeKind::kCategory},
                                                    {"tags", AttributeKind::kTags}};
  return schema;
}

inline double random_number(Dice& dice) {
  static const double kOdd[] = {0.0, -0.0, INFINITY, -INFINITY, 5e-324, 1.7e308};
  return dice.one_in(8) ? kOdd[dice.below(6)] : static_cast<double>(dice.below(12)) - 4.0;
}

// One of `count` strings; the first is empty.
inline std::string random_string(Dice& dice, std::size_t count) {
  const std::size_t number = dice.below(count);
  return number == 0 ? "" : "string " + std::to_string(number * number);
}

inline ModelRow random_row(Dice& dice, std::size_t strings) {
  ModelRow row;
  if (!dice.one_in(5)) row.year = random_number(dice);
  if (!dice.one_in(5)) row.genre = random_string(dice, strings);
  for (std::size_t left = dice.below(6); left > 0; --left) {
    row.tags.push_back(random_string(dice, strings));
  }
  std::sort(row.tags.begin(), row.tags.end());
  row.tags.erase(std::unique(row.tags.begin(), row.tags.end()), row.tags.end());
  return row;
}

// Columns that no row has a value in are left out, unless all are wanted.
inline AttributeBatch batch_of(const std::vector<ModelRow>& rows, bool all = false) {
  AttributeBatch batch;
  batch.columns.resize(3);
  AttributeValues& years = batch.columns[0];
  AttributeValues& genres = batch.columns[1];
  AttributeValues& tags = batch.columns[2];
  tags.offsets.push_back(0);
  for (const ModelRow& row : rows) {
    years.given = years.given || !std::isnan(row.year);
    genres.given = genres.given || row.genre.has_value();
    tags.given = tags.given || !row.tags.empty();
    years.numbers.push_back(row.year);
    if (row.genre.has_value()) genres.strings.push_back(*row.genre);
    genres.codes.push_back(row.genre ? static_cast<std::uint32_t>(genres.strings.size()) : 0);
    // Backwards and one of them twice, as a caller may give them.
    for (std::size_t i = row.tags.size(); i-- > 0;) {
      tags.codes.push_back(static_cast<std::uint32_t>(tags.strings.size()));
      if (i == 0) tags.codes.push_back(tags.codes.back());
      tags.strings.push_back(row.tags[i]);
    }
    tags.offsets.push_back(static_cast<std::uint32_t>(tags.codes.size()));
  }
  for (AttributeValues& values : batch.columns) values.given = values.given || all;
  return batch;
}

inline Predicate random_predicate(Dice& dice, std::size_t strings, std::size_t depth) {
  Predicate predicate;
  const std::size_t kind = dice.below(depth == 0 ? 6 : 10);
  if (kind >= 6) {
    predicate.kind = kind == 9   ? PredicateKind::kNot
                     : kind == 8 ? PredicateKind::kOr
                                 : PredicateKind::kAnd;
    const std::size_t children = kind == 9 ? 1 : dice.below(4);
    for (std::size_t i = 0; i < children; ++i) {
      predicate.children.push_back(random_predicate(dice, strings, depth - 1));
    }
    return predicate;
  }
  static const PredicateKind kLeaves[] = {PredicateKind::kNumberRange, PredicateKind::kNumberIn,
                                          PredicateKind::kCategoryIn,  PredicateKind::kTagsAny,
                                          PredicateKind::kTagsAll,     PredicateKind::kPresent};
  predicate.kind = kLeaves[kind];
  predicate.column = kind < 2 ? 0 : kind == 2 ? 1 : kind < 5 ? 2 : dice.below(3);
  if (!dice.one_in(3)) predicate.low = random_number(dice);
  if (!dice.one_in(3)) predicate.high = random_number(dice);
  predicate.above_low = dice.one_in(2);
  predicate.below_high = dice.one_in(2);
  const std::size_t values = dice.one_in(4) ? dice.below(30) : dice.below(4);
  for (std::size_t i = 0; i < values; ++i) {
    predicate.numbers.push_back(random_number(dice));
    // Some that no row has.
    predicate.strings.push_back(random_string(dice, strings + strings / 8 + 2));
  }
  return predicate;
}

inline bool model_holds(const Predicate& predicate, const ModelRow& row) {
  const auto among = [](const auto& values, const auto& value) {
    return std::find(values.begin(), values.end(), value) != values.end();
  };
  const auto has_tag = [&](const std::string& tag) { return among(row.tags, tag); };
  const auto child = [&](const Predicate& part) { return model_holds(part, row); };
  const std::vector<std::string>& strings = predicate.strings;
  switch (predicate.kind) {
    case PredicateKind::kAnd:
      return std::all_of(predicate.children.begin(), predicate.children.end(), child);
    case PredicateKind::kOr:
      return std::any_of(predicate.children.begin(), predicate.children.end(), child);
    case PredicateKind::kNot:
      return !child(predicate.children[0]);
    case PredicateKind::kNumberRange:
      return (predicate.above_low ? row.year > predicate.low : row.year >= predicate.low) &&
             (predicate.below_high ? row.year < predicate.high : row.year <= predicate.high);
    case PredicateKind::kNumberIn:
      return among(predicate.numbers, row.year);
    case PredicateKind::kCategoryIn:
      return row.genre.has_value() && among(strings, *row.genre);
    case PredicateKind::kTagsAny:
      return std::any_of(strings.begin(), strings.end(), has_tag);
    case PredicateKind::kTagsAll:
      return !row.tags.empty() && std::all_of(strings.begin(), strings.end(), has_tag);
    case PredicateKind::kPresent:
      return predicate.column == 0   ? !std::isnan(row.year)
             : predicate.column == 1 ? row.genre.has_value()
                                     : !row.tags.empty();
  }
  return false;
}

// Whether the table has exactly these rows.
inline bool holds_rows(const AttributeTable& table, const std::vector<ModelRow>& rows) {
  if (table.rows() != rows.size()) return false;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const double year = table.number(0, r);
    if (std::isnan(rows[r].year) ? !std::isnan(year) : year != rows[r].year) return false;
    if (table.has(1, r) != rows[r].genre.has_value()) return false;
    if (table.category(1, r) != rows[r].genre.value_or("")) return false;
    std::vector<std::string> tags;
    for (const std::string_view tag : table.tags(2, r)) tags.emplace_back(tag);
    std::sort(tags.begin(), tags.end());
    if (tags != rows[r].tags) return false;
  }
  return true;
}

inline std::vector<ModelRow> random_rows(Dice& dice, std::size_t count, std::size_t strings) {
  std::vector<ModelRow> rows;
  for (std::size_t r = 0; r < count; ++r) rows.push_back(random_row(dice, strings));
  return rows;
}

}  // namespace lichen::test
