#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
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
      out.scores[written++] = score_of(index.metric(), hits[i].distance);
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

// ef: 0 = the index's default, -1 = an exact search, between 0 and 1 = the recall wanted.
SearchOptions search_options(const Napi::Value& k, const Napi::Value& ef) {
  SearchOptions options;
  options.k = size_argument(k, "k", kMaxRows);
  const double beam = ef.IsNumber() ? ef.As<Napi::Number>().DoubleValue() : NAN;
  options.exact = beam == -1.0;
  if (beam > 0.0 && beam < 1.0) {
    options.recall = beam;
  } else if (!options.exact) {
    options.ef = size_argument(ef, "ef", kMaxRows);
  }
  return options;
}

// 0 = by storage type.
std::size_t oversample_argument(const Napi::Value& value) {
  return size_argument(value, "oversample", kMaxRows);
}

// (handle, query, k, ef, keys | rows, scores, oversample?, filter?) -> number of results
Napi::Value search_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> query = vector_argument(info[1], index->dim(), "query");
    SearchOptions options = search_options(info[2], info[3]);
    std::optional<RowFilter> filter;
    if (info.Length() > 6) {
      options.oversample = oversample_argument(info[6]);
      filter = filter_argument(info[7]);
      if (filter.has_value()) options.filter = &*filter;
    }
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
  SearchJob(Napi::Env env, IndexPointer index, Span<float> queries, const SearchOptions& options,
            const Napi::Value& filter, std::size_t threads, std::shared_ptr<Progress> progress)
      : Job(env),
        index_(std::move(index)),
        options_(options),
        // Copied: the caller may change, transfer or shrink its arrays while the search runs.
        queries_(queries.data, queries.data + queries.size),
        filter_(filter),
        count_(queries.size / index_->dim()),
        threads_(threads),
        progress_(std::move(progress)) {
    options_.filter = filter_.get();
    progress_->total.store(count_);
    shares_ = index_->parts_of(options_, threads);
    const bool scans = index_->scans(options_);
    tile_ = std::min({scans ? (count_ + threads - 1) / threads : kGraphTile, kScanTile,
                      std::max<std::size_t>(1, kMostHits / shares_.hits)});
    if (scans && count_ == 1 && threads > 1) {
      all_.resize(threads * shares_.hits);
      found_.resize(threads);
      unfinished_.store(threads);
    }
  }

  // The arrays were made for this search and are handed to the user only when it is done.
  void write_to(Output out, std::uint32_t* counts, std::vector<Napi::ObjectReference> arrays) {
    out_ = out;
    counts_ = counts;
    arrays_ = std::move(arrays);
  }

  std::size_t parts() const override {
    return all_.empty() ? std::min(threads_, (count_ + tile_ - 1) / tile_) : threads_;
  }

  void run() override {
    if (!all_.empty()) return run_parts_of_rows();
    std::vector<Hit> hits(tile_ * options_.k);
    std::vector<std::uint32_t> found(tile_);
    for (;;) {
      const std::size_t first = next_.fetch_add(tile_);
      if (first >= count_) return;
      if (progress_->cancel.load()) throw Error(Code::kAborted, "search was aborted");
      const std::size_t here = std::min(tile_, count_ - first);
      index_->search_range(queries_.data() + first * index_->dim(), here, options_, hits.data(),
                           found.data());
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
  static constexpr std::size_t kGraphTile = 16;
  // So many queries make packing rows into tiles a small part of the work.
  static constexpr std::size_t kScanTile = 192;
  // Hits of a tile, 8 bytes each: many queries with a large k must not ask for memory without end.
  static constexpr std::size_t kMostHits = std::size_t{1} << 20;

  // One query: threads share the rows, and the last one to finish puts their hits together.
  void run_parts_of_rows() {
    for (std::size_t part = next_.fetch_add(1); part < threads_; part = next_.fetch_add(1)) {
      run_part_of_rows(part);
    }
  }

  void run_part_of_rows(std::size_t part) {
    Hit* const hits = all_.data() + part * shares_.hits;
    if (progress_->cancel.load()) throw Error(Code::kAborted, "search was aborted");
    found_[part] = index_->search_part(queries_.data(), options_, shares_, part, hits);
    if (unfinished_.fetch_sub(1) != 1) return;
    std::size_t count = 0;
    for (std::size_t p = 0; p < threads_; ++p) {
      const Hit* const from = all_.data() + p * shares_.hits;
      count = static_cast<std::size_t>(std::copy(from, from + found_[p], all_.data() + count) -
                                       all_.data());
    }
    std::vector<Hit> best(options_.k);
    count =
        index_->merge_parts(queries_.data(), options_, shares_, all_.data(), count, best.data());
    counts_[0] = write_hits(*index_, best.data(), count, options_.k, out_);
    progress_->done.store(1);
  }

  IndexPointer index_;
  SearchOptions options_;
  std::vector<float> queries_;
  OwnedFilter filter_;
  std::size_t count_;
  std::size_t threads_;
  std::shared_ptr<Progress> progress_;
  std::size_t tile_;
  Output out_;
  std::uint32_t* counts_ = nullptr;
  std::vector<Napi::ObjectReference> arrays_;
  std::atomic<std::size_t> next_{0};
  SearchParts shares_;
  std::vector<Hit> all_;
  std::vector<std::size_t> found_;
  std::atomic<std::size_t> unfinished_{0};
};

// (handle, queries, k, ef, oversample, filter | null, threads, progress, keys | rows, scores,
// counts) -> Promise<undefined>
Napi::Value search(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> queries = float32_array(info[1], "queries");
    const std::size_t count = vector_count(queries, index->dim());
    SearchOptions options = search_options(info[2], info[3]);
    options.oversample = oversample_argument(info[4]);
    index->check_search(options);
    require_finite(queries.data, count, index->dim(), count == 1 ? "query" : "queries");
    if (count > std::numeric_limits<std::size_t>::max() / options.k) throw std::bad_alloc();
    const std::size_t threads =
        std::clamp<std::size_t>(size_argument(info[6], "threads"), 1, ThreadPool::shared().size());
    const Output out = output_argument(info[8], info[9], count * options.k);
    const Span<std::uint32_t> counts = uint32_array(info[10], "counts");
    if (counts.size < count) throw Error(Code::kArgument, "the array for the counts is too short");
    auto job = std::make_unique<SearchJob>(info.Env(), index, queries, options, info[5], threads,
                                           progress_argument(info[7]));
    std::vector<Napi::ObjectReference> arrays;
    for (const std::size_t i : {8, 9, 10}) {
      arrays.push_back(Napi::Persistent(info[i].As<Napi::Object>()));
    }
    job->write_to(out, counts.data, std::move(arrays));
    return Jobs::of(info.Env()).start(std::move(job), Jobs::Where::kPool);
  });
}

// Hits as {keys | rows, scores}: a Float64Array of keys, or a Uint32Array of rows whose keys are
// strings.
Napi::Value hits_object(Napi::Env env, const VectorIndex& index, const std::vector<Hit>& hits) {
  Output out;
  Napi::Float32Array scores = Napi::Float32Array::New(env, hits.size());
  out.scores = scores.Data();
  Napi::Object result = Napi::Object::New(env);
  if (index.key_kind() == KeyKind::kString) {
    Napi::Uint32Array rows = Napi::Uint32Array::New(env, hits.size());
    out.rows = rows.Data();
    result.Set("slots", rows);
  } else {
    Napi::Float64Array keys = Napi::Float64Array::New(env, hits.size());
    out.keys = keys.Data();
    result.Set("slots", keys);
  }
  // An empty array has no memory, by which write_hits tells what kind of keys it is for.
  if (!hits.empty()) write_hits(index, hits.data(), hits.size(), hits.size(), out);
  result.Set("scores", scores);
  return result;
}

class WithinJob final : public Job {
 public:
  WithinJob(Napi::Env env, IndexPointer index, Span<float> query, float score,
            const Napi::Value& filter)
      : Job(env),
        index_(std::move(index)),
        query_(query.data, query.data + query.size),
        score_(score),
        filter_(filter) {}
  void run() override { hits_ = index_->search_within(query_.data(), score_, filter_.get()); }
  Napi::Value result(Napi::Env env) override { return hits_object(env, *index_, hits_); }

 private:
  IndexPointer index_;
  std::vector<float> query_;
  float score_;
  OwnedFilter filter_;
  std::vector<Hit> hits_;
};

float score_argument(const Napi::Value& value) {
  const double score = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!std::isfinite(score)) throw Error(Code::kArgument, "score must be a finite number");
  return static_cast<float>(score);
}

// (handle, query, score, filter | null) -> Promise<{slots, scores}>
Napi::Value search_within(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> query = vector_argument(info[1], index->dim(), "query");
    require_finite(query.data, 1, query.size, "query");
    return Jobs::of(info.Env())
        .start(
            std::make_unique<WithinJob>(info.Env(), index, query, score_argument(info[2]), info[3]),
            Jobs::Where::kPool);
  });
}

// (handle, query, score, filter | null) -> {slots, scores}
Napi::Value search_within_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> query = vector_argument(info[1], index->dim(), "query");
    const std::optional<RowFilter> filter = filter_argument(info[3]);
    const std::vector<Hit> hits = index->search_within(query.data, score_argument(info[2]),
                                                       filter.has_value() ? &*filter : nullptr);
    return hits_object(info.Env(), *index, hits);
  });
}

}  // namespace

void export_search_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexSearch", search);
  export_function(env, exports, "indexSearchSync", search_sync);
  export_function(env, exports, "indexSearchWithin", search_within);
  export_function(env, exports, "indexSearchWithinSync", search_within_sync);
}

}  // namespace lichen::addon
