#pragma once
// RwLock: many readers or one writer. A waiting writer holds the door, so that a stream of readers
// cannot keep it out for ever (std::shared_mutex alone lets them, with glibc).

#include <mutex>
#include <shared_mutex>

namespace lichen {

class RwLock {
 public:
  void lock_shared() {
    { std::lock_guard<std::mutex> door(door_); }
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }
  void lock() {
    std::lock_guard<std::mutex> door(door_);
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex door_;
  std::shared_mutex mutex_;
};

using ReadLock = std::shared_lock<RwLock>;
using WriteLock = std::unique_lock<RwLock>;

}  // namespace lichen
