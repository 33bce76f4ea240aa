#include <algorithm>
#include <cmath>
#include <numeric>

#include "storage/attribute_matcher.hpp"
#include "storage/attribute_table.hpp"
#include "test/attribute_data.hpp"
#include "test/check.hpp"

namespace lichen {
namespace {

using test::Dice;
using test::ModelRow;

bool bit(const std::vector<std::uint64_t>& words, std::size_t row) {
  return words[row / 64] >> (row % 64) & 1;
}

void check_predicate(const AttributeTable& table, const std::vector<ModelRow>& rows,
                     const Predicate& predicate, Dice& dice) {
  const AttributeMatcher matcher(table, predicate);
  std::vector<std::uint64_t> words(rows.size() / 64 + 2);
  for (std::uint64_t& word : words) word = splitmix64(dice.below(1000), 0);
  const std::vector<std::uint64_t> before = words;
  const std::size_t first = dice.one_in(2) ? 0 : dice.below(rows.size() + 1);
  const std::size_t last =
      dice.one_in(2) ? rows.size() : first + dice.below(rows.size() - first + 1);
  matcher.evaluate(first, last, words.data());
  for (std::size_t r = 0; r < words.size() * 64; ++r) {
    const bool expected =
        r >= first && r < last ? test::model_holds(predicate, rows[r]) : bit(before, r);
    if (bit(words, r) != expected) CHECK_EQUAL(r, -1);
  }
}

Predicate category_is(std::uint32_t column, std::vector<std::string> strings) {
  Predicate predicate;
  predicate.kind = PredicateKind::kCategoryIn;
  predicate.column = column;
  predicate.strings = std::move(strings);
  return predicate;
}

bool holds_on(const AttributeTable& table, const Predicate& predicate, std::size_t row) {
  std::vector<std::uint64_t> words(row / 64 + 1);
  AttributeMatcher(table, predicate).evaluate(row, row + 1, words.data());
  return bit(words, row);
}

AttributeValues categories(std::vector<std::string> strings) {
  AttributeValues values;
  values.given = true;
  values.strings = std::move(strings);
  for (std::uint32_t i = 0; i < values.strings.size(); ++i) values.codes.push_back(i + 1);
  return values;
}

// Two lists of as many rows, in any order, no row twice.
struct SomeRows {
  std::vector<std::uint32_t> from;
  std::vector<std::uint32_t> to;
};

SomeRows some_rows(Dice& dice, std::size_t rows, std::size_t most) {
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = 0; i < rows; ++i) std::swap(order[i], order[i + dice.below(rows - i)]);
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, rows / 2));
  return {{order.begin(), order.begin() + count}, {order.end() - count, order.end()}};
}

}  // namespace

TEST_CASE("attributes: random conditions over random rows hold where a slow evaluator says") {
  for (std::uint64_t round = 0; round < 150; ++round) {
    Dice dice(round);
    // Few strings, about as many as a signature has bits, and many.
    const std::size_t strings = round % 3 == 0 ? 6 : round % 3 == 1 ? 66 : 300;
    const std::size_t count = round < 10 ? round : 1 + dice.below(round % 10 == 0 ? 5000 : 400);
    const std::vector<ModelRow> rows = test::random_rows(dice, count, strings);
    AttributeTable table(test::model_schema());
    table.append(test::batch_of(rows), count);
    CHECK(test::holds_rows(table, rows));
    for (std::size_t i = 0; i < 20; ++i) {
      check_predicate(table, rows, test::random_predicate(dice, strings, 4), dice);
    }
  }
}

TEST_CASE("attributes: appends, overwrites, truncation and undo do what a list of rows does") {
  for (std::uint64_t round = 0; round < 120; ++round) {
    Dice dice(1000 + round);
    const std::size_t strings = round % 2 == 0 ? 20 : 150;
    AttributeTable table(test::model_schema());
    std::vector<ModelRow> rows;
    AttributeTable::Mark mark = table.mark();
    std::vector<ModelRow> marked;
    bool marked_prefix = true;
    for (std::size_t step = 0; step < 30; ++step) {
      const std::size_t what = dice.below(10);
      if (what < 4) {
        const std::vector<ModelRow> more = test::random_rows(dice, dice.below(80), strings);
        const std::size_t first = dice.below(more.size() + 1);
        table.append(test::batch_of(more), more.size() - first, first);
        rows.insert(rows.end(), more.begin() + static_cast<std::ptrdiff_t>(first), more.end());
      } else if (what < 7 && !rows.empty()) {
        const std::vector<ModelRow> more = test::random_rows(dice, 1 + dice.below(5), strings);
        AttributeBatch batch = test::batch_of(more, true);
        for (AttributeValues& values : batch.columns) values.given = !dice.one_in(4);
        const auto [from, to] = some_rows(dice, rows.size(), more.size());
        const auto give = [&](ModelRow& row, const ModelRow& other, bool given) {
          if (batch.columns[0].given == given) row.year = other.year;
          if (batch.columns[1].given == given) row.genre = other.genre;
          if (batch.columns[2].given == given) row.tags = other.tags;
        };
        if (to.size() == more.size() && dice.one_in(2)) {
          table.overwrite(to, batch);
          for (std::size_t i = 0; i < to.size(); ++i) give(rows[to[i]], more[i], true);
        } else {
          table.carry(from, to, batch);
          for (std::size_t i = 0; i < to.size(); ++i) give(rows[to[i]], rows[from[i]], false);
        }
        for (const std::uint32_t row : to) marked_prefix = marked_prefix && row >= marked.size();
      } else if (what == 7 && !rows.empty()) {
        const auto [some, others] = some_rows(dice, rows.size(), rows.size());
        std::vector<ModelRow> expected;
        for (const std::uint32_t row : some) expected.push_back(rows[row]);
        CHECK(test::holds_rows(table.selected(some), expected));
      } else if (what == 8) {
        mark = table.mark();
        marked = rows;
        marked_prefix = true;
      } else if (rows.size() >= marked.size()) {
        if (dice.one_in(2)) {
          table.undo(mark);
          rows.resize(marked.size());
          CHECK(!marked_prefix || test::holds_rows(table, marked));
        } else {
          const std::size_t left = marked.size() + dice.below(rows.size() - marked.size() + 1);
          table.truncate(left);
          rows.resize(left);
        }
      }
      CHECK(test::holds_rows(table, rows));
    }
    for (std::size_t i = 0; i < 10 && !rows.empty(); ++i) {
      check_predicate(table, rows, test::random_predicate(dice, strings, 3), dice);
    }
  }
}

TEST_CASE("attributes: lists of tags that are overwritten again and again take no more memory") {
  Dice dice(77);
  std::vector<ModelRow> rows = test::random_rows(dice, 3000, 300);
  AttributeTable table(test::model_schema());
  table.append(test::batch_of(rows), rows.size());
  table.overwrite({0}, test::batch_of({rows[0]}, true));  // takes room for a row more
  const std::size_t bytes = table.bytes();
  for (std::size_t step = 0; step < 60000; ++step) {
    const std::size_t row = dice.below(rows.size());
    rows[row] = test::random_row(dice, 300);
    table.overwrite({static_cast<std::uint32_t>(row)}, test::batch_of({rows[row]}, true));
    if (step % 10000 == 0) CHECK(test::holds_rows(table, rows));
  }
  CHECK(test::holds_rows(table, rows));
  CHECK(table.bytes() < 2 * bytes);
  // Places that are still counted as used would keep the pool from being compacted at all.
  for (std::uint32_t row = 0; row < rows.size(); ++row) {
    table.overwrite({row}, test::batch_of({ModelRow{}}, true));
  }
  table.overwrite({0}, test::batch_of({rows[0]}, true));
  CHECK(table.bytes() < bytes);
}

TEST_CASE("attributes: undo forgets the strings of what is undone") {
  AttributeTable table({{"genre", AttributeKind::kCategory}, {"tags", AttributeKind::kTags}});
  AttributeBatch batch;
  batch.columns = {categories({"jazz"}), {}};
  table.append(batch, 1);
  const AttributeTable::Mark mark = table.mark();
  const std::size_t bytes = table.columns()[0].dictionary.size();
  AttributeBatch more;
  more.columns.resize(2);
  more.columns[0] = categories({"jazz", "blues"});
  more.columns[1].given = true;
  more.columns[1].offsets = {0, 70, 70};
  for (std::uint32_t i = 0; i < 70; ++i) {
    more.columns[1].strings.push_back("tag " + std::to_string(i));
    more.columns[1].codes.push_back(i);
  }
  table.append(more, 2);
  CHECK(table.columns()[1].tags.listed());
  CHECK_EQUAL(table.tags(1, 1).size(), 70);
  table.undo(mark);
  CHECK_EQUAL(table.rows(), 1);
  CHECK_EQUAL(table.columns()[0].dictionary.size(), bytes);
  CHECK_EQUAL(table.columns()[1].dictionary.size(), 0);
  CHECK(!table.columns()[1].tags.listed());
  // A row that was overwritten keeps its new string.
  AttributeBatch other = more;
  other.columns[0].codes.erase(other.columns[0].codes.begin());
  other.columns[1] = {};
  table.overwrite({0}, other);
  table.append(more, 2);
  table.undo(mark);
  CHECK_EQUAL(table.rows(), 1);
  CHECK(table.category(0, 0) == "blues");
}

TEST_CASE("attributes: a string that comes later is found by a matcher made later") {
  AttributeTable table({{"genre", AttributeKind::kCategory}});
  AttributeBatch batch;
  batch.columns = {categories({"jazz"})};
  table.append(batch, 1);
  const Predicate predicate = category_is(0, {"blues", "jazz"});
  CHECK(holds_on(table, predicate, 0));
  CHECK(!holds_on(table, category_is(0, {"blues"}), 0));
  batch.columns = {categories({"blues"})};
  table.append(batch, 1);
  CHECK(holds_on(table, predicate, 1));
  CHECK(holds_on(table, category_is(0, {"blues"}), 1));
}

TEST_CASE("attributes: groups are equal for equal values") {
  AttributeTable table({{"n", AttributeKind::kNumber},
                        {"genre", AttributeKind::kCategory},
                        {"tags", AttributeKind::kTags}});
  AttributeBatch batch;
  batch.columns.resize(3);
  batch.columns[0].given = true;
  batch.columns[0].numbers = {0.0, -0.0, 7.0, NAN};
  batch.columns[1] = categories({"a", "b", "a"});
  batch.columns[1].codes.push_back(0);
  table.append(batch, 4);
  CHECK(table.group_of(0, 0) == table.group_of(0, 1));
  CHECK(table.group_of(0, 0) != table.group_of(0, 2));
  CHECK(table.group_of(0, 3) == kNoGroup);
  CHECK(table.group_of(1, 0) == table.group_of(1, 2));
  CHECK(table.group_of(1, 0) != table.group_of(1, 1));
  CHECK(table.group_of(1, 3) == kNoGroup);
  table.require_groupable(1);
  CHECK_THROWS(Code::kArgument, table.require_groupable(2));
  CHECK_THROWS(Code::kArgument, table.require_groupable(3));
}

TEST_CASE("attributes: bad schemas, batches and conditions throw and change nothing") {
  const auto schema = [](std::vector<AttributeSpec> specs) { AttributeTable{std::move(specs)}; };
  CHECK_THROWS(Code::kArgument, schema({{"", AttributeKind::kNumber}}));
  CHECK_THROWS(Code::kArgument, schema({{std::string(256, 'x'), AttributeKind::kNumber}}));
  CHECK_THROWS(Code::kArgument,
               schema({{"a", AttributeKind::kNumber}, {"a", AttributeKind::kTags}}));
  CHECK_THROWS(Code::kArgument, schema(std::vector<AttributeSpec>(65)));

  AttributeTable table(test::model_schema());
  Dice dice(5);
  const std::vector<ModelRow> rows = test::random_rows(dice, 9, 5);
  table.append(test::batch_of(rows), 9);
  const AttributeBatch good = test::batch_of(test::random_rows(dice, 9, 5));
  const auto refuse = [&](auto&& change) {
    AttributeBatch bad = good;
    change(bad.columns);
    CHECK_THROWS(Code::kArgument, table.append(bad, 9));
    CHECK_THROWS(Code::kArgument, table.overwrite({0, 1, 2, 3, 4, 5, 6, 7, 8}, bad));
    CHECK(test::holds_rows(table, rows));
  };
  using Columns = std::vector<AttributeValues>;
  refuse([](Columns& columns) { columns.pop_back(); });
  refuse([](Columns& columns) { columns[0].numbers.pop_back(); });
  refuse([](Columns& columns) { columns[1].codes.pop_back(); });
  refuse([](Columns& columns) { columns[1].codes[8] = 1000; });
  refuse([](Columns& columns) { columns[2].offsets.pop_back(); });
  refuse([](Columns& columns) { columns[2].offsets[9] = 100000; });
  refuse([](Columns& columns) { columns[2].offsets[8] = columns[2].offsets[9] + 1; });
  refuse([](Columns& columns) {
    columns[2].offsets[8] = 0;
    columns[2].offsets[9] = 1;
    columns[2].codes[0] = static_cast<std::uint32_t>(columns[2].strings.size());
  });
  // The strings of the columns before are taken back.
  const std::size_t strings = table.columns()[1].dictionary.size();
  refuse([](Columns& columns) {
    columns[1].strings.assign(1, "never seen");
    columns[1].codes.assign(9, 1);
    columns[2].strings.assign(1, std::string(kMaxStringBytes + 1, 'x'));
    columns[2].codes.assign(1, 0);
    columns[2].offsets = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  });
  CHECK_EQUAL(table.columns()[1].dictionary.size(), strings);
  CHECK_THROWS(Code::kArgument, table.overwrite({0, 1, 2, 3, 4, 5, 6, 7, 9}, good));
  CHECK(test::holds_rows(table, rows));

  const auto refuse_condition = [&](auto&& change) {
    Predicate predicate;
    change(predicate);
    CHECK_THROWS(Code::kArgument, AttributeMatcher(table, predicate));
  };
  refuse_condition([](Predicate& p) { p = category_is(0, {"a"}); });
  refuse_condition([](Predicate& p) { p = category_is(2, {"a"}); });
  refuse_condition([](Predicate& p) { p = category_is(3, {"a"}); });
  refuse_condition([](Predicate& p) { p.kind = PredicateKind::kNot; });
  refuse_condition([](Predicate& p) { p.kind = static_cast<PredicateKind>(9); });
  refuse_condition([](Predicate& p) {
    p.kind = PredicateKind::kNumberRange;
    p.low = NAN;
  });
  refuse_condition([](Predicate& p) {
    p.kind = PredicateKind::kNumberIn;
    p.numbers = {1.0, NAN};
  });
  refuse_condition([](Predicate& p) {
    for (std::size_t i = 0; i < kMaxPredicateDepth + 1; ++i) {
      Predicate outer;
      outer.kind = PredicateKind::kNot;
      outer.children.push_back(std::move(p));
      p = std::move(outer);
    }
  });
}

}  // namespace lichen
