#include "index/condition_cache.hpp"

#include <algorithm>

#include "storage/attribute_matcher.hpp"

namespace lichen {

std::shared_ptr<const RowFilter> ConditionCache::rows_where(const Condition& condition,
                                                            const AttributeTable& table,
                                                            std::uint64_t state) {
  const auto is_it = [&](const Entry& entry) { return entry.key == condition.key; };
  std::shared_ptr<const Rows> known;
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(entries_.begin(), entries_.end(), is_it);
    if (at != entries_.end()) {
      std::rotate(entries_.begin(), at, at + 1);
      known = entries_.front().rows;
    }
  }
  if (known != nullptr && known->state != state) known.reset();
  if (known == nullptr || known->count < table.rows()) {
    const AttributeMatcher matcher(table, condition.predicate);
    std::vector<std::uint64_t> words;
    std::size_t first = 0;
    if (known != nullptr) {
      words = known->words;
      first = known->count;
    }
    words.resize((table.rows() + 63) / 64, 0);
    matcher.evaluate(first, table.rows(), words.data());
    const auto* const bits = reinterpret_cast<const std::uint8_t*>(words.data());
    const RowFilter filter(bits, words.size() * sizeof(std::uint64_t));
    known = std::make_shared<const Rows>(Rows{std::move(words), table.rows(), state, filter});
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(entries_.begin(), entries_.end(), is_it);
    if (at != entries_.end()) entries_.erase(at);
    if (entries_.size() == kKept) entries_.pop_back();
    entries_.insert(entries_.begin(), {condition.key, known});
  }
  return {known, &known->filter};
}

std::size_t ConditionCache::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = 0;
  for (const Entry& entry : entries_) {
    bytes += entry.key.capacity() + entry.rows->words.capacity() * sizeof(std::uint64_t);
  }
  return bytes;
}

}  // namespace lichen
