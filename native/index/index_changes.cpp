// Removing rows of an index, and compacting it.

#include <algorithm>
#include <string>

#include "index/vector_index.hpp"
#include "index/writer_claim.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// Searches walk over dead rows, which costs little while they are few.
constexpr std::size_t kLeastDead = 64;
constexpr std::size_t kDeadShare = 4;  // one in so many rows

std::string quoted(std::int64_t key) { return std::to_string(key); }
std::string quoted(const std::string& key) { return "'" + key + "'"; }

EmbeddingStore selected(const EmbeddingStore& store, const std::vector<std::uint32_t>& rows) {
  EmbeddingStore other(store.shared_codec());
  other.reserve(rows.size());
  other.copy_rows(store, rows.data(), rows.size());
  return other;
}

}  // namespace

std::uint32_t VectorIndex::present(std::uint32_t row) const {
  if (row == kNoRow || row < linked_) return row;
  // While a row is being added, its key still stands for the one that it replaces.
  const auto at = std::lower_bound(
      replacing_.begin(), replacing_.end(), row,
      [](const Replacement& pair, std::uint32_t wanted) { return pair.row < wanted; });
  return at != replacing_.end() && at->row == row ? at->old_row : kNoRow;
}

void VectorIndex::kill(std::uint32_t row) {
  dead_[row / 8] |= static_cast<std::uint8_t>(1u << (row % 8));
  ++dead_count_;
}

template <class Keys>
void VectorIndex::find_all(const Keys& keys, std::vector<std::uint32_t>& rows) const {
  for (const auto& key : keys) {
    const std::uint32_t row = keys_.find(key);
    if (row == kNoRow) {
      throw Error(Code::kUnknownKey, "the index has no key " + quoted(key));
    }
    rows.push_back(row);
  }
  std::vector<std::uint32_t> sorted = rows;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice == sorted.end()) return;
  const auto at = std::find(rows.begin(), rows.end(), *twice) - rows.begin();
  throw Error(Code::kDuplicateKey,
              "key " + quoted(keys[static_cast<std::size_t>(at)]) + " stands twice in this call");
}

void VectorIndex::remove(const KeyBatch& keys) {
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  std::vector<std::uint32_t> rows;
  if (keys.kind == KeyKind::kString) {
    find_all(keys.strings, rows);
  } else {
    find_all(keys.integers, rows);
  }
  WriteLock lock(lock_);
  keys_.write_down();
  dead_.resize((store_.rows() + 7) / 8, 0);
  for (const std::uint32_t row : rows) {
    keys_.erase(row);
    kill(row);
  }
}

bool VectorIndex::wants_compaction() const {
  ReadLock lock(lock_);
  return dead_count_ >= kLeastDead && dead_count_ >= store_.rows() / kDeadShare;
}

bool VectorIndex::compact(std::size_t threads, Progress& progress) {
  // Nothing changes the index beside this claim, so it is read without the lock.
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  if (dead_count_ == 0) return true;
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> new_numbers(store_.rows(), kNoRow);
  rows.reserve(store_.rows() - dead_count_);
  for (std::size_t row = 0; row < store_.rows(); ++row) {
    if (!alive(row)) continue;
    new_numbers[row] = static_cast<std::uint32_t>(rows.size());
    rows.push_back(static_cast<std::uint32_t>(row));
  }
  EmbeddingStore store = selected(store_, rows);
  std::unique_ptr<EmbeddingStore> fine;
  if (fine_ != nullptr) fine = std::make_unique<EmbeddingStore>(selected(*fine_, rows));
  KeyMap keys = keys_.selected(rows);
  if (!prepare_compaction(rows, new_numbers, threads, progress)) return false;
  // What is replaced is freed after the lock.
  WriteLock lock(lock_);
  std::swap(store_, store);
  std::swap(fine_, fine);
  std::swap(keys_, keys);
  std::swap(new_numbers_, new_numbers);
  dead_count_ = 0;
  std::vector<std::uint8_t>().swap(dead_);
  linked_ = rows.size();
  finish_compaction();
  layout_.fetch_add(1, std::memory_order_release);
  lock.unlock();
  return true;
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

const RowFilter* VectorIndex::admitted(const SearchOptions& options, std::size_t q) const {
  thread_local std::vector<std::uint8_t> bits;
  thread_local std::vector<std::uint32_t> excluded;
  thread_local RowFilter filter(nullptr, 0);
  const std::uint64_t now = layout();
  const bool old =
      options.filter != nullptr && options.filter_layout != 0 && options.filter_layout != now;
  excluded_rows(options, q, excluded);
  const std::size_t rows = shown_rows();
  if (rows == store_.rows() && dead_count_ == 0 && !old && excluded.empty()) return options.filter;
  if (old && options.filter_layout + 1 != now) {
    throw Error(Code::kArgument,
                "the filter is older than the last two compactions of the index; make it anew");
  }
  bits.assign((rows + 7) / 8, 0);
  if (old) {
    for (std::size_t row = 0; row < new_numbers_.size(); ++row) {
      const std::uint32_t number = new_numbers_[row];
      if (number == kNoRow || !options.filter->admits(row)) continue;
      bits[number / 8] |= static_cast<std::uint8_t>(1u << (number % 8));
    }
  } else {
    for (std::size_t i = 0; i < bits.size(); ++i) {
      bits[i] = options.filter == nullptr ? 0xFF : options.filter->byte(i);
    }
    if (rows % 8 > 0) bits.back() &= static_cast<std::uint8_t>((1u << (rows % 8)) - 1);
  }
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
