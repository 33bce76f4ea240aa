#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/workplace.hpp"

namespace lichen::fuzz {
namespace {

void search(const VectorIndex& index, const std::vector<float>& query) {
  SearchOptions options;
  options.k = std::min<std::size_t>(5, index.rows());
  if (options.k == 0) return;
  std::vector<Hit> hits(options.k);
  std::vector<float> vector(index.dim());
  for (const bool may_scan : {true, false}) {
    options.may_scan = may_scan;
    const std::size_t found = index.search(query.data(), options, hits.data());
    for (std::size_t i = 0; i < found; ++i) index.vector_of(hits[i].row, vector.data());
  }
  options.recall = 0.9;
  index.search(query.data(), options, hits.data());
  const std::vector<std::uint8_t> bits((index.row_numbers() + 7) / 8, 0x5D);
  const RowFilter filter(bits.data(), bits.size());
  options.filter = &filter;
  index.search(query.data(), options, hits.data());
  options.filter = nullptr;
  index.search_within(query.data(), 1.0f, options);
  const std::size_t columns = index.attribute_schema().size();
  for (std::size_t column = 0; column < columns; ++column) {
    if (index.attribute_schema()[column].kind == AttributeKind::kTags) continue;
    options.group_by = column;
    index.search(query.data(), options, hits.data());
  }
}

void read_rows(const VectorIndex& index) {
  std::size_t bytes = 0;
  index.for_each_row([&](std::uint32_t row, const KeyMap& keys) {
    if (keys.kind() == KeyKind::kString) bytes += keys.string(row).size();
  });
  index.find(std::int64_t{7});
  index.find(std::string("key-1"));
  for (std::size_t column = 0; column < index.attribute_schema().size(); ++column) {
    Predicate predicate;
    predicate.kind = PredicateKind::kPresent;
    predicate.column = static_cast<std::uint32_t>(column);
    index.rows_where(Condition{std::to_string(column), predicate});
  }
}

void change(VectorIndex& index, const std::vector<float>& vector) {
  Progress progress;
  KeyBatch keys;
  keys.kind = index.key_kind();
  if (keys.kind == KeyKind::kString) {
    keys.strings = {"a key of its own"};
  } else if (keys.kind == KeyKind::kInteger) {
    keys.integers = {123456789};
  }
  expect_own_errors([&] {
    index.append(keys, vector.data(), 1);
    index.link(1, progress);
  });
  expect_own_errors([&] { index.compact(1, progress); });
}

}  // namespace

void use(VectorIndex& index) {
  std::vector<float> vector(index.dim());
  for (std::size_t d = 0; d < vector.size(); ++d) {
    vector[d] = static_cast<float>(d % 7) / 4.0f - 0.5f;
  }
  expect_own_errors([&] { search(index, vector); });
  expect_own_errors([&] { read_rows(index); });
  change(index, vector);
  expect_own_errors([&] { search(index, vector); });
}

}  // namespace lichen::fuzz
