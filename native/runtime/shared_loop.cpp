#include "runtime/shared_loop.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "runtime/limits.hpp"
#include "runtime/thread_pool.hpp"

namespace lichen {
namespace {

// Ranges a thread gets, if they are long enough: a thread that is held up leaves the rest to
// others.
constexpr std::size_t kRangesAThread = 4;

std::atomic<std::size_t> threads_set{0};

// What the threads of one loop share. Helpers hold it: one that comes when all is done finds no
// turn left, and does not touch `turn`, which is gone by then.
struct Loop {
  const std::function<void(std::size_t)>* turn;
  std::size_t turns;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;

  void work() {
    for (std::size_t i = next.fetch_add(1); i < turns; i = next.fetch_add(1)) {
      try {
        (*turn)(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(failure_mutex);
        failure = std::current_exception();
      }
      if (done.fetch_add(1) + 1 == turns) done.notify_one();
    }
  }
};

}  // namespace

std::size_t loop_threads() {
  const std::size_t set = threads_set.load(std::memory_order_relaxed);
  if (set > 0) return set;
  static const std::size_t usable = std::min(ThreadPool::shared().size(), usable_processors());
  return usable;
}

void set_loop_threads(std::size_t threads) { threads_set.store(threads); }

void shared_loop(std::size_t turns, const std::function<void(std::size_t)>& turn) {
  const std::size_t threads = std::min(loop_threads(), turns);
  if (threads <= 1) {
    for (std::size_t i = 0; i < turns; ++i) turn(i);
    return;
  }
  const auto loop = std::make_shared<Loop>();
  loop->turn = &turn;
  loop->turns = turns;
  try {
    for (std::size_t i = 1; i < threads; ++i) {
      ThreadPool::shared().submit([loop] { loop->work(); });
    }
  } catch (const std::bad_alloc&) {
    // Fewer do the work; those that have begun must not be left alone with it.
  }
  loop->work();
  for (std::size_t done = loop->done.load(); done != turns; done = loop->done.load()) {
    loop->done.wait(done);
  }
  // Taken out, so that it ends in this thread: a thread of the pool may be the last to let go of
  // the loop.
  const std::exception_ptr failure = std::exchange(loop->failure, nullptr);
  if (failure != nullptr) std::rethrow_exception(failure);
}

void shared_ranges(std::size_t count, std::size_t grain,
                   const std::function<void(std::size_t, std::size_t)>& body) {
  const std::size_t most = loop_threads() == 1 ? 1 : kRangesAThread * loop_threads();
  const std::size_t ranges =
      std::clamp<std::size_t>(count / std::max<std::size_t>(1, grain), 1, most);
  if (ranges == 1) {
    if (count > 0) body(0, count);
    return;
  }
  const std::size_t each = (count + ranges - 1) / ranges;
  shared_loop(ranges, [&](std::size_t i) {
    const std::size_t first = std::min(count, i * each);
    const std::size_t last = std::min(count, first + each);
    if (first < last) body(first, last);
  });
}

}  // namespace lichen
