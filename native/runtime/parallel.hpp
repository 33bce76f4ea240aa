#pragma once
// run_on_threads: items shared out over threads that live for this call (long writers do not run on
// the pool of the searches).

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace lichen {

// Each thread, the calling one among them, makes itself a worker by make_worker() and calls
// worker(i) for items of [first, last) in turn. Returns false if `cancel` was set before all were
// done; rethrows what a worker threw.
template <class MakeWorker>
bool run_on_threads(std::size_t threads, std::size_t first, std::size_t last,
                    const std::atomic<bool>& cancel, MakeWorker&& make_worker) {
  std::atomic<std::size_t> next{first};
  std::atomic<std::size_t> done{0};
  std::atomic<bool> stop{false};
  std::mutex failure_mutex;
  std::exception_ptr failure;

  const auto work = [&] {
    try {
      auto worker = make_worker();
      while (!stop.load(std::memory_order_relaxed) && !cancel.load()) {
        const std::size_t item = next.fetch_add(1);
        if (item >= last) break;
        worker(item);
        done.fetch_add(1, std::memory_order_relaxed);
      }
    } catch (...) {
      std::lock_guard<std::mutex> guard(failure_mutex);
      failure = std::current_exception();
      stop.store(true);
    }
  };

  std::vector<std::thread> helpers;
  const std::size_t useful = std::min(threads, last - first);
  try {
    helpers.reserve(useful);
    for (std::size_t i = 1; i < useful; ++i) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: fewer do the work.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure != nullptr) std::rethrow_exception(failure);
  return done.load() == last - first;
}

}  // namespace lichen
