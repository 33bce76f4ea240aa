// Which rows a search may find, and how many of a group.

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "index/scan.hpp"
#include "index/vector_index.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// A search for so many times as many results as wanted is likely to meet enough groups; if not, so
// many times as many again are searched for.
constexpr std::size_t kFirstWider = 2;
constexpr std::size_t kWider = 4;
// Where so large a share of the rows would be wanted, every row is scored instead.
constexpr std::size_t kShareScored = 8;

// Takes the best hits, at most `size` of each group and `k` in all.
std::size_t take_groups(const AttributeTable& attributes, const SearchOptions& options,
                        const Hit* from, std::size_t count, Hit* hits) {
  thread_local std::unordered_map<std::uint64_t, std::size_t> taken;
  taken.clear();
  std::size_t found = 0;
  for (std::size_t i = 0; i < count && found < options.k; ++i) {
    const std::uint64_t group = attributes.group_of(*options.group_by, from[i].row);
    if (group == kNoGroup || ++taken[group] <= options.group_size) hits[found++] = from[i];
  }
  return found;
}

}  // namespace

void VectorIndex::search_any(const float* queries, std::size_t count, const SearchOptions& options,
                             Hit* hits, std::uint32_t* counts) const {
  if (kind_ == IndexKind::kHnsw && !options.exact) {
    search_locked(queries, count, options, hits, counts);
    return;
  }
  if (options.exclude == nullptr) {
    search_flat(queries, count, options, hits, counts);
    return;
  }
  // Each query has rows of its own, so each is scored alone.
  for (std::size_t q = 0; q < count; ++q) {
    search_flat(queries + q * dim(), 1, options.of_query(q), hits + q * options.k, counts + q);
  }
}

std::size_t VectorIndex::search_grouped(const float* query, const SearchOptions& options,
                                        Hit* hits) const {
  SearchOptions wider = options;
  wider.group_by.reset();
  const std::size_t rows = shown_rows() - dead_count_;
  std::vector<Hit> found;
  for (wider.k = kFirstWider * options.k; wider.k < rows / kShareScored; wider.k *= kWider) {
    found.resize(wider.k);
    std::uint32_t count = 0;
    search_any(query, 1, wider, found.data(), &count);
    const std::size_t taken = take_groups(attributes_, options, found.data(), count, hits);
    if (taken == options.k || count < wider.k) return taken;
  }
  found = VectorIndex::within_locked(query, std::numeric_limits<float>::max(), wider);
  return take_groups(attributes_, options, found.data(), found.size(), hits);
}

std::vector<std::uint8_t> VectorIndex::rows_where(const Condition& condition) const {
  SearchOptions options;
  options.where = &condition;
  ReadLock lock(lock_);
  const RowFilter& rows = *admitted(options);
  std::vector<std::uint8_t> bits((shown_rows() + 7) / 8);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = rows.byte(i);
  // Not those that are being added.
  if (shown_rows() % 8 > 0) bits.back() &= static_cast<std::uint8_t>((1u << shown_rows() % 8) - 1);
  return bits;
}

void VectorIndex::excluded_rows(const SearchOptions& options, std::size_t q,
                                std::vector<std::uint32_t>& rows) const {
  rows.clear();
  if (options.exclude == nullptr) return;
  const auto find_each = [&](const auto& keys) {
    for (std::size_t i = options.exclude_offsets[q]; i < options.exclude_offsets[q + 1]; ++i) {
      const std::uint32_t row = present(keys_.find(keys[i]));
      if (row != kNoRow) rows.push_back(row);
    }
  };
  if (options.exclude->kind == KeyKind::kString) {
    find_each(options.exclude->strings);
  } else {
    find_each(options.exclude->integers);
  }
}

const RowFilter* VectorIndex::admitted(const SearchOptions& options) const {
  thread_local std::vector<std::uint8_t> bits;
  thread_local std::vector<std::uint32_t> excluded;
  thread_local RowFilter filter(nullptr, 0);
  thread_local std::shared_ptr<const RowFilter> holding;
  const RowFilter* given = options.filter;
  const std::uint64_t now = layout();
  const bool old = given != nullptr && options.filter_layout != 0 && options.filter_layout != now;
  holding.reset();
  if (options.where != nullptr) {
    holding = conditions_.rows_where(*options.where, attributes_, attribute_state_);
  }
  excluded_rows(options, 0, excluded);
  const std::size_t rows = shown_rows();
  if (rows == store_.rows() && dead_count_ == 0 && !old && excluded.empty()) {
    if (holding == nullptr) return given;
    if (given == nullptr) return holding.get();
  }
  if (old && options.filter_layout + 1 != now) {
    throw Error(Code::kArgument,
                "the filter is older than the last two compactions of the index; make it anew");
  }
  bits.assign((rows + 7) / 8, 0);
  if (old) {
    for (std::size_t row = 0; row < new_numbers_.size(); ++row) {
      const std::uint32_t number = new_numbers_[row];
      if (number == kNoRow || !given->admits(row)) continue;
      bits[number / 8] |= static_cast<std::uint8_t>(1u << (number % 8));
    }
  } else {
    for (std::size_t i = 0; i < bits.size(); ++i) {
      bits[i] = given == nullptr ? 0xFF : given->byte(i);
    }
    if (rows % 8 > 0) bits.back() &= static_cast<std::uint8_t>((1u << (rows % 8)) - 1);
  }
  for (std::size_t i = 0; holding != nullptr && i < bits.size(); ++i) bits[i] &= holding->byte(i);
  for (std::size_t i = 0; dead_count_ > 0 && i < std::min(bits.size(), dead_.size()); ++i) {
    bits[i] &= static_cast<std::uint8_t>(~dead_[i]);
  }
  for (const std::uint32_t row : excluded) {
    bits[row / 8] &= static_cast<std::uint8_t>(~(1u << (row % 8)));
  }
  filter = RowFilter(bits.data(), bits.size());
  return &filter;
}

}  // namespace lichen
