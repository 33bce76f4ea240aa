#include "index/hnsw_graph.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "runtime/error.hpp"
#include "runtime/random.hpp"

namespace lichen {

std::size_t HnswGraph::bytes() const {
  return levels_.bytes() + base_.bytes() + upper_start_.bytes() + upper_.bytes() + lock_count_;
}

void HnswGraph::make_locks(std::size_t rows) {
  if (rows <= lock_count_) return;
  const std::size_t wanted = std::max(rows, lock_count_ + lock_count_ / 2);
  locks_ = std::make_unique<std::atomic<std::uint8_t>[]>(wanted);
  lock_count_ = wanted;
}

void HnswGraph::append(std::size_t rows, std::uint64_t seed) {
  const double scale = 1.0 / std::log(static_cast<double>(std::max<std::size_t>(m_, 2)));
  std::vector<std::uint8_t> levels;
  for (std::size_t row = levels_.size(); row < rows; ++row) {
    const double level = std::floor(-std::log(uniform_open(seed, row)) * scale);
    levels.push_back(static_cast<std::uint8_t>(std::min<double>(level, kMaxLevel)));
  }
  append_levels(levels);
}

std::size_t HnswGraph::room() const {
  return std::min({base_.capacity() / (2 * m_), upper_start_.capacity(), levels_.capacity()});
}

std::unique_ptr<HnswGraph> HnswGraph::grown(std::size_t rows, std::uint64_t seed) const {
  auto copy = std::make_unique<HnswGraph>(m_);
  copy->levels_ = levels_.grown(rows);
  copy->base_ = base_.grown(rows * 2 * m_);
  copy->upper_start_ = upper_start_.grown(rows);
  copy->upper_ = upper_;
  copy->set_entry(entry());
  copy->append(rows, seed);
  return copy;
}

void HnswGraph::append_levels(const std::vector<std::uint8_t>& levels) {
  const std::size_t before = levels_.size();
  const std::size_t rows = before + levels.size();
  std::size_t lists = upper_.size() / m_;
  make_locks(rows);
  base_.reserve_growing(rows * 2 * m_);
  upper_start_.reserve_growing(rows);
  levels_.reserve_growing(rows);
  for (std::size_t row = before; row < rows; ++row) {
    levels_.resize(row + 1, levels[row - before]);
    upper_start_.resize(row + 1, static_cast<std::uint32_t>(lists));
    lists += levels_[row];
  }
  base_.resize(rows * 2 * m_, kNoRow);
  upper_.resize(lists * m_, kNoRow);
}

void HnswGraph::truncate(std::size_t rows) {
  if (rows >= levels_.size()) return;
  const std::size_t lists = upper_start_[rows];
  // Sizes that append had not reached when it failed stay as they are.
  levels_.resize(rows, 0);
  upper_start_.resize(rows, 0);
  base_.resize(std::min(base_.size(), rows * 2 * m_), kNoRow);
  upper_.resize(std::min(upper_.size(), lists * m_), kNoRow);
}

std::size_t HnswGraph::upper_lists(const AlignedBuffer<std::uint8_t>& levels) {
  std::size_t lists = 0;
  for (std::size_t row = 0; row < levels.size(); ++row) lists += levels[row];
  return lists;
}

void HnswGraph::check_list(std::size_t row, std::size_t level) const {
  const std::uint32_t* list = links(static_cast<std::uint32_t>(row), level);
  bool ended = false;
  for (std::size_t i = 0; i < capacity(level); ++i) {
    if (list[i] == kNoRow) {
      ended = true;
      continue;
    }
    if (ended || list[i] >= rows() || level_of(list[i]) < level) {
      throw Error(Code::kFormat, "a link of row " + std::to_string(row) + " on level " +
                                     std::to_string(level) + " leads nowhere");
    }
  }
}

void HnswGraph::load(AlignedBuffer<std::uint8_t> levels, AlignedBuffer<std::uint32_t> base,
                     AlignedBuffer<std::uint32_t> upper, Entry entry, bool checks_base) {
  const std::size_t rows = levels.size();
  AlignedBuffer<std::uint32_t> starts;
  starts.resize(rows, 0);
  std::size_t lists = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    if (levels[row] > kMaxLevel) throw Error(Code::kFormat, "a level is out of range");
    starts[row] = static_cast<std::uint32_t>(lists);
    lists += levels[row];
  }
  levels_ = std::move(levels);
  base_ = std::move(base);
  upper_ = std::move(upper);
  upper_start_ = std::move(starts);
  make_locks(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t level = checks_base ? 0 : 1; level <= level_of(row); ++level) {
      check_list(row, level);
    }
  }
  if (rows == 0 ? entry.row != kNoRow : entry.row >= rows || level_of(entry.row) != entry.level) {
    throw Error(Code::kFormat, "the entry row is not a row of the highest level");
  }
  set_entry(entry);
}

}  // namespace lichen
