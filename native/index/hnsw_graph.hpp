#pragma once
// HnswGraph: the links of a hierarchical navigable small-world graph, and the row where searches
// enter it. Level 0 has 2m slots a node in one array of fixed stride; a node of level L > 0 has L
// further lists of m slots. A list is packed to the front and ends at its last slot or at the first
// that holds no row: kNoRow, or what a damaged file may have there.
//
// Readers take no lock: a slot is one atomic word, and a list that is being rewritten shows old and
// new links, which all lead to rows that are there. Writers exclude one another by a spin lock a
// node.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/aligned.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

class HnswGraph {
 public:
  static constexpr std::size_t kMaxLevel = 31;

  // Where every search starts: a row of the highest level there is.
  struct Entry {
    std::uint32_t row = kNoRow;
    std::uint32_t level = 0;
  };

  explicit HnswGraph(std::size_t m) : m_(m) { set_entry({}); }

  std::size_t m() const { return m_; }
  std::size_t capacity(std::size_t level) const { return level == 0 ? 2 * m_ : m_; }
  std::size_t rows() const { return levels_.size(); }
  std::size_t bytes() const;
  std::size_t level_of(std::size_t row) const { return levels_[row]; }

  Entry entry() const {
    const std::uint64_t packed = entry_.load(std::memory_order_acquire);
    return {static_cast<std::uint32_t>(packed), static_cast<std::uint32_t>(packed >> 32)};
  }
  void set_entry(Entry entry) {
    entry_.store(std::uint64_t{entry.level} << 32 | entry.row, std::memory_order_release);
  }

  // A list, to be read slot by slot with `link` and written with `set_link`.
  std::uint32_t* links(std::uint32_t row, std::size_t level) {
    return level == 0 ? base_.data() + row * 2 * m_
                      : upper_.data() + (upper_start_[row] + (level - 1)) * m_;
  }
  const std::uint32_t* links(std::uint32_t row, std::size_t level) const {
    return const_cast<HnswGraph*>(this)->links(row, level);
  }
  static std::uint32_t link(const std::uint32_t* slot) {
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
  }
  // Whoever reads the link afterwards sees what was written before it: the row's code and lists.
  static void set_link(std::uint32_t* slot, std::uint32_t row) {
    __atomic_store_n(slot, row, __ATOMIC_RELEASE);
  }
  std::size_t length(const std::uint32_t* list, std::size_t level) const {
    std::size_t length = 0;
    while (length < capacity(level) && link(list + length) < rows()) ++length;
    return length;
  }
  // Copies a list into `rows`, which has room for capacity(level); returns its length.
  std::size_t copy_list(std::uint32_t row, std::size_t level, std::uint32_t* rows) const {
    const std::uint32_t* list = links(row, level);
    std::size_t length = 0;
    for (; length < capacity(level); ++length) {
      rows[length] = link(list + length);
      if (rows[length] >= levels_.size()) break;
    }
    return length;
  }
  // Makes a list consist of some rows.
  void set_list(std::uint32_t row, std::size_t level, const std::uint32_t* rows,
                std::size_t count) {
    std::uint32_t* list = links(row, level);
    for (std::size_t i = 0; i < capacity(level); ++i) {
      set_link(list + i, i < count ? rows[i] : kNoRow);
    }
  }
  void prefetch_list(std::uint32_t row, std::size_t level) const {
    const auto* lines = reinterpret_cast<const char*>(links(row, level));
    const std::size_t bytes = std::min<std::size_t>(capacity(level) * sizeof(std::uint32_t), 256);
    for (std::size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(lines + at);
  }

  // Adds unlinked nodes up to `rows`, with the levels that `seed` gives their row numbers: P(level
  // ≥ l) = m^-l.
  void append(std::size_t rows, std::uint64_t seed);
  // So many rows there is room for without moving any, but lists above level 0.
  std::size_t room() const;
  // A copy with unlinked nodes up to `rows`, as append gives them.
  std::unique_ptr<HnswGraph> grown(std::size_t rows, std::uint64_t seed) const;
  // Adds unlinked nodes with given levels.
  void append_levels(const std::vector<std::uint8_t>& levels);
  void truncate(std::size_t rows);

  // Keeps other writers from the lists of one node.
  class NodeLock {
   public:
    NodeLock(const HnswGraph& graph, std::uint32_t row) : bit_(graph.locks_[row]) {
      for (int spins = 0; bit_.exchange(1, std::memory_order_acquire) != 0; ++spins) {
        // The holder may have lost its processor; on a small machine spinning would only keep it
        // from coming back.
        if (spins >= 64) std::this_thread::yield();
      }
    }
    ~NodeLock() { bit_.store(0, std::memory_order_release); }
    NodeLock(const NodeLock&) = delete;
    NodeLock& operator=(const NodeLock&) = delete;

   private:
    std::atomic<std::uint8_t>& bit_;
  };

  const AlignedBuffer<std::uint8_t>& levels() const { return levels_; }
  const AlignedBuffer<std::uint32_t>& base_links() const { return base_; }
  const AlignedBuffer<std::uint32_t>& upper_links() const { return upper_; }
  // How many upper lists the given levels need.
  static std::size_t upper_lists(const AlignedBuffer<std::uint8_t>& levels);
  // Takes what a snapshot held; throws Error(kFormat) if following it could leave the arrays. Links
  // of level 0, which are many, may be left unchecked: their lists end where no row follows.
  void load(AlignedBuffer<std::uint8_t> levels, AlignedBuffer<std::uint32_t> base,
            AlignedBuffer<std::uint32_t> upper, Entry entry, bool checks_base = true);

 private:
  void make_locks(std::size_t rows);
  void check_list(std::size_t row, std::size_t level) const;

  std::size_t m_;
  AlignedBuffer<std::uint8_t> levels_;
  AlignedBuffer<std::uint32_t> base_;
  AlignedBuffer<std::uint32_t> upper_start_;  // in lists
  AlignedBuffer<std::uint32_t> upper_;
  std::atomic<std::uint64_t> entry_;  // Entry, packed
  std::unique_ptr<std::atomic<std::uint8_t>[]> locks_;
  std::size_t lock_count_ = 0;
};

}  // namespace lichen
