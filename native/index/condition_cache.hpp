#pragma once
// ConditionCache: the rows on which the conditions of the last searches held, a bit a row, since
// services ask for the same few again and again, and a graph search takes less time than looking at
// every row.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "index/row_filter.hpp"
#include "storage/attribute_table.hpp"
#include "storage/predicate.hpp"

namespace lichen {

struct Condition {
  std::string key;  // the same for conditions that hold on the same rows
  Predicate predicate;
};

class ConditionCache {
 public:
  // The rows of the table on which the condition holds. What is known of a row stays true until
  // `state` is another; rows that have come since are looked at. The table must not change
  // meanwhile. Throws Error(kArgument) like AttributeMatcher.
  std::shared_ptr<const RowFilter> rows_where(const Condition& condition,
                                              const AttributeTable& table, std::uint64_t state);
  std::size_t bytes() const;

 private:
  // So many conditions are remembered.
  static constexpr std::size_t kKept = 32;

  struct Rows {
    std::vector<std::uint64_t> words;
    std::size_t count;
    std::uint64_t state;
    RowFilter filter;
  };
  struct Entry {
    std::string key;
    std::shared_ptr<const Rows> rows;
  };

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // the last one asked for is first
};

}  // namespace lichen
