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
  EmbeddingStore other = store.none_of_it();
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

std::vector<std::uint32_t> VectorIndex::rows_of(const KeyBatch& keys) const {
  std::vector<std::uint32_t> rows;
  const auto find_each = [&](const auto& list) {
    rows.reserve(list.size());
    for (const auto& key : list) {
      rows.push_back(present(keys_.find(key)));
      if (rows.back() == kNoRow) {
        throw Error(Code::kUnknownKey, "the index has no key " + quoted(key));
      }
    }
  };
  if (keys.kind == KeyKind::kString) {
    find_each(keys.strings);
  } else {
    find_each(keys.integers);
  }
  return rows;
}

std::vector<std::uint32_t> VectorIndex::distinct_rows_of(const KeyBatch& keys) const {
  std::vector<std::uint32_t> rows = rows_of(keys);
  std::vector<std::uint32_t> sorted = rows;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice == sorted.end()) return rows;
  const auto at =
      static_cast<std::size_t>(std::find(rows.begin(), rows.end(), *twice) - rows.begin());
  const std::string key =
      keys.kind == KeyKind::kString ? quoted(keys.strings[at]) : quoted(keys.integers[at]);
  throw Error(Code::kDuplicateKey, "key " + key + " stands twice in this call");
}

void VectorIndex::remove(const KeyBatch& keys) {
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  const std::vector<std::uint32_t> rows = distinct_rows_of(keys);
  log(Change::Kind::kRemove, keys, keys.size(), nullptr, nullptr);
  try {
    remove_rows(rows);
  } catch (...) {
    unlog();
    throw;
  }
}

void VectorIndex::remove_rows(const std::vector<std::uint32_t>& rows) {
  // Writing down a million keys takes a while.
  KeyMap written;
  const bool by_number = keys_.kind() == KeyKind::kRow && !keys_.has_integers();
  if (by_number) {
    written = keys_;
    written.write_down();
  }
  WriteLock lock(lock_);
  if (by_number) std::swap(keys_, written);
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

void VectorIndex::calibrate(const float*, std::size_t) {
  throw Error(Code::kArgument, "a graph index is wanted");
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
  AttributeTable attributes = attributes_.selected(rows);
  if (!prepare_compaction(rows, new_numbers, threads, progress)) return false;
  // What is replaced is freed after the lock.
  WriteLock lock(lock_);
  std::swap(store_, store);
  std::swap(fine_, fine);
  std::swap(keys_, keys);
  std::swap(attributes_, attributes);
  ++attribute_state_;
  std::swap(new_numbers_, new_numbers);
  dead_count_ = 0;
  std::vector<std::uint8_t>().swap(dead_);
  linked_ = rows.size();
  finish_compaction();
  layout_.fetch_add(1, std::memory_order_release);
  lock.unlock();
  drop_replaced();
  return true;
}

void VectorIndex::add_attributes(AttributeTable& table, const AttributeBatch& values,
                                 std::size_t count, const std::vector<Replacement>& replacing) {
  table.append(values, count);
  if (replacing.empty()) return;
  std::vector<std::uint32_t> from;
  std::vector<std::uint32_t> to;
  for (const Replacement& pair : replacing) {
    from.push_back(pair.old_row);
    to.push_back(pair.row);
  }
  table.carry(from, to, values);
}

void VectorIndex::set_attributes(const KeyBatch& keys, const AttributeBatch& values) {
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  const std::vector<std::uint32_t> rows = distinct_rows_of(keys);
  attributes_.check(values, rows.size());
  log(Change::Kind::kSetAttributes, keys, keys.size(), nullptr, &values);
  try {
    WriteLock lock(lock_);
    attributes_.overwrite(rows, values);
    ++attribute_state_;
  } catch (...) {
    unlog();
    throw;
  }
}

}  // namespace lichen
