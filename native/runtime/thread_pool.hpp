#pragma once
// ThreadPool: the fixed set of threads that runs searches. One a process, shared by every index and
// every JavaScript thread; libuv's four threads are left to the file system and DNS. Tasks must not
// wait for other tasks. Long writers (builds, saves) run on threads of their own, so that they
// cannot keep searches waiting.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lichen {

class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();  // finishes what is queued
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t size() const { return threads_.size(); }
  void submit(std::function<void()> task);

  // The process-wide pool: LICHEN_THREADS threads, else usable_processors(). Never destroyed: a
  // thread may still be at work while the process exits.
  static ThreadPool& shared();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lichen
