#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "runtime/thread_pool.hpp"

namespace lichen::addon {
namespace {

// Where a search writes: a key (integer keys) or a row number (string keys) a slot, and a score.
struct Output {
  double* keys = nullptr;
  std::uint32_t* rows = nullptr;
  float* scores = nullptr;

  Output at(std::size_t slot) const {
    return {keys == nullptr ? nullptr : keys + slot, rows == nullptr ? nullptr : rows + slot,
            scores + slot};
  }
};

// Empty slots hold key -1, no row, and score NaN. Returns how many hits there are. Throws
// Error(kArgument) if the slots are not of the type that the index's keys need.
std::uint32_t write_hits(const VectorIndex& index, const Hit* hits, std::size_t count,
                         std::size_t k, const Output& out) {
  std::size_t written = 0;
  index.with_keys([&](const KeyMap& keys) {
    if ((out.rows != nullptr) != (keys.kind() == KeyKind::kString)) {
      throw Error(Code::kArgument, "the array for the keys is not of the type that the keys need");
    }
    for (std::size_t i = 0; i < count; ++i) {
      // An aborted add may have taken the row away since the search.
      if (hits[i].row >= keys.size()) continue;
      if (out.keys != nullptr) {
        out.keys[written] = static_cast<double>(keys.integer(hits[i].row));
      } else {
        out.rows[written] = hits[i].row;
      }
      out.scores[written++] = index.score_of(hits[i].distance);
    }
  });
  for (std::size_t i = written; i < k; ++i) {
    if (out.keys != nullptr) out.keys[i] = -1.0;
    if (out.rows != nullptr) out.rows[i] = kNoRow;
    out.scores[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return static_cast<std::uint32_t>(written);
}

// Where results go: keys into a Float64Array or row numbers into a Uint32Array, `slots` of them,
// and as many scores.
Output output_argument(const Napi::Value& keys, const Napi::Value& scores, std::size_t slots) {
  Output out;
  std::size_t size = 0;
  if (keys.IsTypedArray() && keys.As<Napi::TypedArray>().TypedArrayType() == napi_uint32_array) {
    const Span<std::uint32_t> rows = uint32_array(keys, "rows");
    out.rows = rows.data;
    size = rows.size;
  } else {
    const Span<double> numbers = float64_array(keys, "keys");
    out.keys = numbers.data;
    size = numbers.size;
  }
  const Span<float> values = float32_array(scores, "scores");
  out.scores = values.data;
  if (size < slots || values.size < slots) {
    throw Error(Code::kArgument, "the arrays for the results are too short");
  }
  return out;
}

// ef: 0 = the index's default, -1 = an exact search.
SearchOptions search_options(const Napi::Value& k, const Napi::Value& ef) {
  SearchOptions options;
  options.k = size_argument(k, "k", kMaxRows);
  options.exact = ef.IsNumber() && ef.As<Napi::Number>().DoubleValue() == -1.0;
  if (!options.exact) options.ef = size_argument(ef, "ef", kMaxRows);
  return options;
}

// (handle, query, k, ef, keys | rows, scores) -> number of results
Napi::Value search_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> query = float32_array(info[1], "query");
    if (query.size != index->dim()) {
      throw Error(Code::kDimension, "query: dim is " + std::to_string(index->dim()) + ", got " +
                                        std::to_string(query.size) + " values");
    }
    const SearchOptions options = search_options(info[2], info[3]);
    // The arrays bound k before anything of its size is allocated here; search() checks it against
    // the rows.
    const Output out = output_argument(info[4], info[5], options.k);
    thread_local std::vector<Hit> hits;
    hits.resize(options.k);
    const std::size_t count = index->search(query.data, options, hits.data());
    return Napi::Number::New(info.Env(), write_hits(*index, hits.data(), count, options.k, out));
  });
}

class SearchJob final : public Job {
 public:
  SearchJob(Napi::Env env, IndexPointer index, Span<float> queries, SearchOptions options,
            std::size_t threads, std::shared_ptr<Progress> progress)
      : Job(env),
        index_(std::move(index)),
        options_(options),
        // Copied: the caller may change, transfer or shrink its array while the search runs.
        queries_(queries.data, queries.data + queries.size),
        count_(queries.size / index_->dim()),
        threads_(threads),
        progress_(std::move(progress)) {
    progress_->total.store(count_);
  }

  // The arrays were made for this search and are handed to the user only when it is done.
  void write_to(Output out, std::uint32_t* counts, std::vector<Napi::ObjectReference> arrays) {
    out_ = out;
    counts_ = counts;
    arrays_ = std::move(arrays);
  }

  std::size_t parts() const override { return std::min(threads_, (count_ + kTile - 1) / kTile); }

  void run() override {
    std::vector<Hit> hits(kTile * options_.k);
    std::uint32_t found[kTile];
    for (;;) {
      const std::size_t first = next_.fetch_add(kTile);
      if (first >= count_) return;
      if (progress_->cancel.load()) throw Error(Code::kAborted, "search was aborted");
      const std::size_t here = std::min(kTile, count_ - first);
      index_->search_range(queries_.data() + first * index_->dim(), here, options_, hits.data(),
                           found);
      for (std::size_t q = 0; q < here; ++q) {
        counts_[first + q] = write_hits(*index_, hits.data() + q * options_.k, found[q], options_.k,
                                        out_.at((first + q) * options_.k));
      }
      progress_->done.fetch_add(here, std::memory_order_relaxed);
    }
  }

  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
  void cancel() override { progress_->cancel.store(true); }

 private:
  static constexpr std::size_t kTile = 16;

  IndexPointer index_;
  SearchOptions options_;
  std::vector<float> queries_;
  std::size_t count_;
  std::size_t threads_;
  std::shared_ptr<Progress> progress_;
  Output out_;
  std::uint32_t* counts_ = nullptr;
  std::vector<Napi::ObjectReference> arrays_;
  std::atomic<std::size_t> next_{0};
};

// (handle, queries, k, ef, threads, progress, keys | rows, scores, counts) -> Promise<undefined>
Napi::Value search(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> queries = float32_array(info[1], "queries");
    const std::size_t count = vector_count(queries, index->dim());
    const SearchOptions options = search_options(info[2], info[3]);
    index->check_search(options);
    require_finite(queries.data, count, index->dim(), count == 1 ? "query" : "queries");
    if (count > std::numeric_limits<std::size_t>::max() / options.k) throw std::bad_alloc();
    const std::size_t threads =
        std::clamp<std::size_t>(size_argument(info[4], "threads"), 1, ThreadPool::shared().size());
    const Output out = output_argument(info[6], info[7], count * options.k);
    const Span<std::uint32_t> counts = uint32_array(info[8], "counts");
    if (counts.size < count) throw Error(Code::kArgument, "the array for the counts is too short");
    auto job = std::make_unique<SearchJob>(info.Env(), index, queries, options, threads,
                                           progress_argument(info[5]));
    std::vector<Napi::ObjectReference> arrays;
    for (const std::size_t i : {6, 7, 8}) {
      arrays.push_back(Napi::Persistent(info[i].As<Napi::Object>()));
    }
    job->write_to(out, counts.data, std::move(arrays));
    return Jobs::of(info.Env()).start(std::move(job), Jobs::Where::kPool);
  });
}

}  // namespace

void export_search_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexSearch", search);
  export_function(env, exports, "indexSearchSync", search_sync);
}

}  // namespace lichen::addon
