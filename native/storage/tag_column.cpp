#include "storage/tag_column.hpp"

#include <algorithm>
#include <cstring>

namespace lichen {
namespace {

// Below this a pool is not worth compacting.
constexpr std::size_t kSmallPool = 4096;

std::uint64_t signature_of(const std::uint32_t* ids, std::size_t count) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits |= tag_bit(ids[i]);
  return bits;
}

}  // namespace

void TagColumn::read(std::size_t row, std::vector<std::uint32_t>& ids) const {
  ids.clear();
  if (listed_) {
    ids.assign(list(row), list(row) + list_size(row));
    return;
  }
  for (std::uint64_t rest = signatures_[row]; rest != 0; rest &= rest - 1) {
    ids.push_back(static_cast<std::uint32_t>(__builtin_ctzll(rest)));
  }
}

void TagColumn::make_lists() {
  if (listed_) return;
  AlignedBuffer<std::uint64_t> starts;
  AlignedBuffer<std::uint32_t> pool;
  std::size_t places = 0;
  for (std::size_t row = 0; row < size(); ++row) {
    places += 1 + static_cast<std::size_t>(__builtin_popcountll(signatures_[row]));
  }
  starts.resize(size(), 0);
  pool.resize(places, 0);
  std::uint32_t* at = pool.data();
  for (std::size_t row = 0; row < size(); ++row) {
    starts[row] = static_cast<std::uint64_t>(at - pool.data());
    *at++ = static_cast<std::uint32_t>(__builtin_popcountll(signatures_[row]));
    for (std::uint64_t rest = signatures_[row]; rest != 0; rest &= rest - 1) {
      *at++ = static_cast<std::uint32_t>(__builtin_ctzll(rest));
    }
  }
  starts_ = std::move(starts);
  pool_ = std::move(pool);
  unused_ = 0;
  listed_ = true;
}

void TagColumn::drop_lists() {
  starts_ = {};
  pool_ = {};
  unused_ = 0;
  listed_ = false;
}

void TagColumn::compact() {
  AlignedBuffer<std::uint32_t> pool;
  pool.resize(pool_.size() - unused_, 0);
  std::size_t end = 0;
  for (std::size_t row = 0; row < size(); ++row) {
    const std::size_t places = 1 + list_size(row);
    std::memcpy(pool.data() + end, pool_.data() + starts_[row], places * sizeof(std::uint32_t));
    starts_[row] = end;
    end += places;
  }
  pool_ = std::move(pool);
  unused_ = 0;
}

void TagColumn::reserve_more(std::size_t rows, std::size_t ids) {
  signatures_.reserve_growing(size() + rows);
  if (!listed_) return;
  if (pool_.size() > kSmallPool && unused_ > pool_.size() / 2) compact();
  starts_.reserve_growing(size() + rows);
  // An assignment puts a list of its own, too.
  pool_.reserve_growing(pool_.size() + std::max<std::size_t>(1, rows) + ids);
}

std::uint64_t TagColumn::put_list(const std::uint32_t* ids, std::size_t count) {
  const std::size_t start = pool_.size();
  pool_.resize(start + 1 + count, 0);
  pool_[start] = static_cast<std::uint32_t>(count);
  if (count > 0) std::memcpy(pool_.data() + start + 1, ids, count * sizeof(std::uint32_t));
  return start;
}

void TagColumn::push(const std::uint32_t* ids, std::size_t count) {
  if (listed_) starts_.resize(size() + 1, put_list(ids, count));
  signatures_.resize(size() + 1, signature_of(ids, count));
}

void TagColumn::assign(std::size_t row, const std::uint32_t* ids, std::size_t count) {
  signatures_[row] = signature_of(ids, count);
  if (!listed_) return;
  std::uint32_t* const old = pool_.data() + starts_[row];
  if (count <= *old) {
    unused_ += *old - count;
    *old = static_cast<std::uint32_t>(count);
    if (count > 0) std::memcpy(old + 1, ids, count * sizeof(std::uint32_t));
  } else {
    unused_ += 1 + *old;
    starts_[row] = put_list(ids, count);
  }
}

void TagColumn::truncate(std::size_t rows) {
  if (listed_) {
    for (std::size_t row = rows; row < starts_.size(); ++row) unused_ += 1 + list_size(row);
    starts_.resize(rows, 0);
  }
  signatures_.resize(rows, 0);
}

}  // namespace lichen
