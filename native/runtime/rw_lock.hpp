#pragma once
// RwLock: many readers or one writer. A reader counts itself in one of several cells and looks at
// one flag, so readers on different processors share no line that is written while no writer comes.
// A writer raises the flag, which keeps new readers out, and waits until all cells are empty: a
// stream of readers cannot keep it out for ever. A thread must not take it twice.

#include <atomic>
#include <cstddef>
#include <mutex>
#include <shared_mutex>

namespace lichen {

class RwLock {
 public:
  void lock_shared() {
    std::atomic<int>& readers = cells_[cell()].readers;
    for (;;) {
      // Both this pair and the writer's are in one order: either the writer sees the reader or the
      // reader the writer.
      readers.fetch_add(1, std::memory_order_seq_cst);
      if (writing_.load(std::memory_order_seq_cst) == 0) return;
      leave(readers);
      writing_.wait(1, std::memory_order_acquire);
    }
  }
  void unlock_shared() { leave(cells_[cell()].readers); }

  void lock() {
    writers_.lock();
    writing_.store(1, std::memory_order_seq_cst);
    for (Cell& cell : cells_) {
      for (int readers = cell.readers.load(std::memory_order_seq_cst); readers != 0;
           readers = cell.readers.load(std::memory_order_seq_cst)) {
        cell.readers.wait(readers, std::memory_order_acquire);
      }
    }
  }
  void unlock() {
    writing_.store(0, std::memory_order_seq_cst);
    writing_.notify_all();
    writers_.unlock();
  }

 private:
  static constexpr std::size_t kCells = 16;
  struct alignas(64) Cell {
    std::atomic<int> readers{0};
  };

  static std::size_t cell() {
    static std::atomic<std::size_t> threads{0};
    thread_local const std::size_t mine = threads.fetch_add(1, std::memory_order_relaxed) % kCells;
    return mine;
  }
  void leave(std::atomic<int>& readers) {
    readers.fetch_sub(1, std::memory_order_seq_cst);
    if (writing_.load(std::memory_order_seq_cst) != 0) readers.notify_all();
  }

  Cell cells_[kCells];
  std::atomic<int> writing_{0};
  std::mutex writers_;
};

using ReadLock = std::shared_lock<RwLock>;
using WriteLock = std::unique_lock<RwLock>;

}  // namespace lichen
