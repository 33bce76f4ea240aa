#pragma once
// HnswGraph: the links of a hierarchical navigable small-world graph and nothing else. Level 0 has
// 2m slots a node in one array of fixed stride; a node of level L > 0 has L further lists of m
// slots. A list is packed to the front and ends at its first kNoRow or at its last slot.
//
// While writers are at work, a list is read and written only under its node's spin lock.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

#include "runtime/aligned.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

class HnswGraph {
 public:
  static constexpr std::size_t kMaxLevel = 31;

  explicit HnswGraph(std::size_t m) : m_(m) {}

  std::size_t m() const { return m_; }
  std::size_t capacity(std::size_t level) const { return level == 0 ? 2 * m_ : m_; }
  std::size_t rows() const { return levels_.size(); }
  std::size_t bytes() const;
  std::size_t level_of(std::size_t row) const { return levels_[row]; }

  std::uint32_t* links(std::uint32_t row, std::size_t level) {
    return level == 0 ? base_.data() + row * 2 * m_
                      : upper_.data() + (upper_start_[row] + (level - 1)) * m_;
  }
  const std::uint32_t* links(std::uint32_t row, std::size_t level) const {
    return const_cast<HnswGraph*>(this)->links(row, level);
  }

  // Adds unlinked nodes up to `rows`, with the levels that `seed` gives their row numbers: P(level
  // ≥ l) = m^-l.
  void append(std::size_t rows, std::uint64_t seed);
  void truncate(std::size_t rows);

  // Guards the lists of one node.
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
  // Takes what a snapshot held; throws Error(kFormat) if following it could leave the arrays.
  void load(AlignedBuffer<std::uint8_t> levels, AlignedBuffer<std::uint32_t> base,
            AlignedBuffer<std::uint32_t> upper);

 private:
  void make_locks(std::size_t rows);
  void check_list(std::size_t row, std::size_t level) const;

  std::size_t m_;
  AlignedBuffer<std::uint8_t> levels_;
  AlignedBuffer<std::uint32_t> base_;
  AlignedBuffer<std::uint32_t> upper_start_;  // in lists
  AlignedBuffer<std::uint32_t> upper_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> locks_;
  std::size_t lock_count_ = 0;
};

}  // namespace lichen
