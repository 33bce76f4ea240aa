// The nearest neighbours of all rows of an index.

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "runtime/thread_pool.hpp"

namespace lichen::addon {
namespace {

// Rows that one thread looks for at once, and a device.
constexpr std::size_t kTile = 192;
constexpr std::size_t kDeviceTile = 4096;

class NeighborsJob final : public Job {
 public:
  NeighborsJob(Napi::Env env, IndexPointer index, std::size_t rows, std::size_t k,
               std::size_t threads, std::shared_ptr<Progress> progress, Span<std::uint32_t> out,
               Napi::ObjectReference array)
      : Job(env),
        index_(std::move(index)),
        rows_(rows),
        k_(k),
        tile_(index_->on_device() ? kDeviceTile : kTile),
        // More would wait for each other there.
        threads_(index_->on_device() ? std::min<std::size_t>(threads, 2) : threads),
        progress_(std::move(progress)),
        out_(out.data),
        array_(std::move(array)) {
    progress_->total.store(rows);
  }

  std::size_t parts() const override { return std::min(threads_, (rows_ + tile_ - 1) / tile_); }

  void run() override {
    for (;;) {
      const std::size_t first = next_.fetch_add(tile_);
      if (first >= rows_) return;
      if (progress_->cancel.load()) throw Error(Code::kAborted, "neighbors was aborted");
      const std::size_t here = std::min(tile_, rows_ - first);
      index_->neighbors(first, here, k_, out_ + first * k_);
      progress_->done.fetch_add(here, std::memory_order_relaxed);
    }
  }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
  void cancel() override { progress_->cancel.store(true); }

 private:
  IndexPointer index_;
  std::size_t rows_, k_, tile_, threads_;
  std::shared_ptr<Progress> progress_;
  std::uint32_t* out_;
  Napi::ObjectReference array_;
  std::atomic<std::size_t> next_{0};
};

// (handle, k, threads, progress, out) -> Promise<undefined>; `out` takes row_numbers × k row
// numbers.
Napi::Value neighbors(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const std::size_t k = size_argument(info[1], "k", kMaxRows);
    const std::size_t threads =
        std::clamp<std::size_t>(size_argument(info[2], "threads"), 1, ThreadPool::shared().size());
    const Span<std::uint32_t> out = uint32_array(info[4], "out");
    if (k == 0 || out.size % k != 0) throw Error(Code::kArgument, "out must hold k numbers a row");
    return Jobs::of(info.Env())
        .start(std::make_unique<NeighborsJob>(info.Env(), index, out.size / k, k, threads,
                                              progress_argument(info[3]), out,
                                              Napi::Persistent(info[4].As<Napi::Object>())),
               Jobs::Where::kPool);
  });
}

}  // namespace

void export_neighbors_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexNeighbors", neighbors);
}

}  // namespace lichen::addon
