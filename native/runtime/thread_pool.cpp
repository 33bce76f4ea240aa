#include "runtime/thread_pool.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "runtime/limits.hpp"

namespace lichen {

ThreadPool::ThreadPool(std::size_t threads) {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, threads); ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::submit(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ThreadPool::work() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

ThreadPool& ThreadPool::shared() {
  static ThreadPool* pool = [] {
    const char* wanted = std::getenv("LICHEN_THREADS");
    const long parsed = wanted == nullptr ? 0 : std::strtol(wanted, nullptr, 10);
    const bool usable = parsed >= 1 && parsed <= 1024;
    return new ThreadPool(usable ? static_cast<std::size_t>(parsed) : usable_processors());
  }();
  return *pool;
}

}  // namespace lichen
