#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "addon/restrictions.hpp"
#include "addon/results.hpp"
#include "runtime/thread_pool.hpp"

namespace lichen::addon {
namespace {

SearchOptions search_options(const Napi::Value& k, const Napi::Value& ef) {
  SearchOptions options = beam_argument(ef);
  options.k = size_argument(k, "k", kMaxRows);
  return options;
}

// (handle, query, k, ef, keys | null, scores, restrictions?) -> number of results, or the keys if
// they are strings
Napi::Value search_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    SearchOptions options = search_options(info[2], info[3]);
    // First, since the memory of arrays is known only until JavaScript runs.
    const Restrictions restrictions(info[6], 1, Restrictions::For::kThisThread);
    restrictions.give_to(options);
    const Span<float> query = vector_argument(info[1], index->dim(), "query");
    // The arrays bound k before anything of its size is allocated here; search() checks it against
    // the rows.
    std::vector<std::string> strings;
    const Output out = output_argument(info[4], info[5], options.k, strings);
    const std::uint32_t count = search_one(*index, query.data, options, out);
    if (out.strings != nullptr) return strings_value(info.Env(), strings, count);
    return Napi::Number::New(info.Env(), count);
  });
}

constexpr std::size_t kGraphTile = 16;
// So many queries make packing rows into tiles a small part of the work.
constexpr std::size_t kScanTile = 192;
// Hits of a tile, 8 bytes each: many queries with a large k must not ask for memory without end.
constexpr std::size_t kMostHits = std::size_t{1} << 20;

// How many queries of a batch one thread searches for at once.
std::size_t tile_size(const VectorIndex& index, const SearchOptions& options, std::size_t queries,
                      std::size_t threads, std::size_t hits) {
  const std::size_t most = std::max<std::size_t>(1, kMostHits / hits);
  // A device takes all at once.
  if (index.on_device()) return std::min(queries, most);
  return std::min(
      {index.scans(options) ? (queries + threads - 1) / threads : kGraphTile, kScanTile, most});
}

// Searches for queries [first, first + count) of a batch; `options`, `counts` and `out` are those
// of the whole batch.
void search_tile(const VectorIndex& index, const float* queries, std::size_t first,
                 std::size_t count, SearchOptions options, Hit* hits, std::uint32_t* counts,
                 const Output& out) {
  if (options.exclude != nullptr) options.exclude_offsets += first;
  search_and_write(
      index, count, options.k,
      [&] {
        index.search_range(queries + first * index.dim(), count, options, hits, counts + first);
      },
      hits, counts + first, out.at(first * options.k));
}

class SearchJob final : public Job {
 public:
  SearchJob(Napi::Env env, IndexPointer index, Span<float> queries, const SearchOptions& options,
            Restrictions restrictions, std::size_t threads, std::shared_ptr<Progress> progress)
      : Job(env),
        index_(std::move(index)),
        options_(options),
        // Copied: the caller may change, transfer or shrink its arrays while the search runs.
        queries_(queries.data, queries.data + queries.size),
        restrictions_(std::move(restrictions)),
        count_(queries.size / index_->dim()),
        threads_(threads),
        progress_(std::move(progress)) {
    restrictions_.give_to(options_);
    progress_->total.store(count_);
    shares_ = index_->parts_of(options_, threads);
    const bool scans = index_->scans(options_);
    tile_ = tile_size(*index_, options_, count_, threads, shares_.hits);
    if (scans && count_ == 1 && threads > 1 && options_.exclude == nullptr &&
        !options_.group_by.has_value()) {
      all_.resize(threads * shares_.hits);
      found_.resize(threads);
      unfinished_.store(threads);
    }
  }

  // The arrays were made for this search and are handed to the user only when it is done.
  void write_to(const Napi::Value& keys, const Napi::Value& scores, std::uint32_t* counts,
                std::vector<Napi::ObjectReference> arrays) {
    out_ = output_argument(keys, scores, count_ * options_.k, strings_);
    counts_ = counts;
    arrays_ = std::move(arrays);
  }

  std::size_t parts() const override {
    return all_.empty() ? std::min(threads_, (count_ + tile_ - 1) / tile_) : threads_;
  }

  void run() override {
    if (!all_.empty()) return run_parts_of_rows();
    std::vector<Hit> hits(tile_ * options_.k);
    for (;;) {
      const std::size_t first = next_.fetch_add(tile_);
      if (first >= count_) return;
      if (progress_->cancel.load()) throw Error(Code::kAborted, "search was aborted");
      const std::size_t here = std::min(tile_, count_ - first);
      search_tile(*index_, queries_.data(), first, here, options_, hits.data(), counts_, out_);
      progress_->done.fetch_add(here, std::memory_order_relaxed);
    }
  }

  Napi::Value result(Napi::Env env) override {
    if (out_.strings == nullptr) return env.Undefined();
    return strings_value(env, strings_, strings_.size());
  }
  void cancel() override { progress_->cancel.store(true); }

 private:
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
    const auto written = write_hits(*index_, shares_.layout, best.data(), count, options_.k, out_);
    if (written.has_value()) {
      counts_[0] = *written;
    } else {
      // Rows have got new numbers since the parts were shared out.
      search_tile(*index_, queries_.data(), 0, 1, options_, best.data(), counts_, out_);
    }
    progress_->done.store(1);
  }

  IndexPointer index_;
  SearchOptions options_;
  std::vector<float> queries_;
  Restrictions restrictions_;
  std::size_t count_;
  std::size_t threads_;
  std::shared_ptr<Progress> progress_;
  std::size_t tile_;
  Output out_;
  std::vector<std::string> strings_;
  std::uint32_t* counts_ = nullptr;
  std::vector<Napi::ObjectReference> arrays_;
  std::atomic<std::size_t> next_{0};
  SearchParts shares_;
  std::vector<Hit> all_;
  std::vector<std::size_t> found_;
  std::atomic<std::size_t> unfinished_{0};
};

// (handle, queries, k, ef, threads, progress, keys | null, scores, counts, restrictions?) ->
// Promise<undefined | strings>
Napi::Value search(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const SearchOptions options = search_options(info[2], info[3]);
    const std::size_t count = vector_count(float32_array(info[1], "queries"), index->dim());
    Restrictions restrictions(info[9], count, Restrictions::For::kAnother);
    // Reading those may have run JavaScript, so the array is looked at afresh.
    const Span<float> queries = float32_array(info[1], "queries");
    if (queries.size != count * index->dim()) {
      throw Error(Code::kArgument, "queries changed during the call");
    }
    index->check_search(options);
    require_finite(queries.data, count, index->dim(), count == 1 ? "query" : "queries");
    if (count > std::numeric_limits<std::size_t>::max() / options.k) throw std::bad_alloc();
    const std::size_t threads =
        std::clamp<std::size_t>(size_argument(info[4], "threads"), 1, ThreadPool::shared().size());
    const Span<std::uint32_t> counts = uint32_array(info[8], "counts");
    if (counts.size < count) throw Error(Code::kArgument, "the array for the counts is too short");
    auto job =
        std::make_unique<SearchJob>(info.Env(), index, queries, options, std::move(restrictions),
                                    threads, progress_argument(info[5]));
    std::vector<Napi::ObjectReference> arrays;
    for (const std::size_t i : {6, 7, 8}) {
      if (info[i].IsObject()) arrays.push_back(Napi::Persistent(info[i].As<Napi::Object>()));
    }
    job->write_to(info[6], info[7], counts.data, std::move(arrays));
    return Jobs::of(info.Env()).start(std::move(job), Jobs::Where::kPool);
  });
}

// (handle, queries, k, ef, keys | null, scores, counts, restrictions?) -> undefined | strings, all
// on this thread
Napi::Value search_batch_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    SearchOptions options = search_options(info[2], info[3]);
    const std::size_t count = vector_count(float32_array(info[1], "queries"), index->dim());
    // Copied, as the queries are: other threads may write into memory that is shared with them.
    const Restrictions restrictions(info[7], count, Restrictions::For::kAnother);
    restrictions.give_to(options);
    // Reading those may have run JavaScript, so the array is looked at afresh.
    const Span<float> given = float32_array(info[1], "queries");
    if (given.size != count * index->dim()) {
      throw Error(Code::kArgument, "queries changed during the call");
    }
    const std::vector<float> queries(given.data, given.data + given.size);
    index->check_search(options);
    require_finite(queries.data(), count, index->dim(), count == 1 ? "query" : "queries");
    if (count > std::numeric_limits<std::size_t>::max() / options.k) throw std::bad_alloc();
    std::vector<std::string> strings;
    const Output out = output_argument(info[4], info[5], count * options.k, strings);
    const Span<std::uint32_t> counted = uint32_array(info[6], "counts");
    if (counted.size < count) throw Error(Code::kArgument, "the array for the counts is too short");
    const std::size_t hits_a_query = index->parts_of(options, 1).hits;
    const std::size_t tile = tile_size(*index, options, count, 1, hits_a_query);
    std::vector<Hit> hits(tile * options.k);
    std::vector<std::uint32_t> counts(count);
    for (std::size_t first = 0; first < count; first += tile) {
      search_tile(*index, queries.data(), first, std::min(tile, count - first), options,
                  hits.data(), counts.data(), out);
    }
    std::copy(counts.begin(), counts.end(), counted.data);
    if (out.strings == nullptr) return info.Env().Undefined();
    return strings_value(info.Env(), strings, strings.size());
  });
}

}  // namespace

void export_search_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexSearch", search);
  export_function(env, exports, "indexSearchSync", search_sync);
  export_function(env, exports, "indexSearchBatchSync", search_batch_sync);
}

}  // namespace lichen::addon
