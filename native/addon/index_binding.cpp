#include "addon/index_binding.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "addon/convert.hpp"
#include "addon/jobs.hpp"
#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "runtime/thread_pool.hpp"

namespace lichen::addon {
namespace {

constexpr napi_type_tag kIndexTag = {0x6c696368656e0001ull, 0x9d1f4c6be2a74f10ull};
constexpr napi_type_tag kProgressTag = {0x6c696368656e0002ull, 0x3be0a9f1c58d4e77ull};
constexpr const char* kMetricNames[] = {"dot", "cosine", "l2"};
constexpr const char* kKeyKindNames[] = {"row", "integer", "string"};

using IndexPointer = std::shared_ptr<VectorIndex>;

IndexPointer index_argument(const Napi::Value& value) {
  const IndexPointer& index = unwrap_handle<VectorIndex>(value, kIndexTag);
  if (index == nullptr) throw Error(Code::kClosed, "the index is closed");
  return index;
}

std::shared_ptr<Progress> progress_argument(const Napi::Value& value) {
  return unwrap_handle<Progress>(value, kProgressTag);
}

Metric metric_argument(const Napi::Value& value) {
  const std::string name = string_argument(value, "metric");
  for (std::size_t i = 0; i < std::size(kMetricNames); ++i) {
    if (name == kMetricNames[i]) return static_cast<Metric>(i);
  }
  throw Error(Code::kArgument, "metric must be dot, cosine or l2, got '" + name + "'");
}

// Keys of an add: null (row numbers), a Float64Array of safe integers, or an array of strings.
KeyBatch keys_argument(const Napi::Value& value, std::size_t count) {
  KeyBatch keys;
  std::size_t given = count;
  if (value.IsTypedArray()) {
    const Span<double> numbers = float64_array(value, "keys");
    keys.kind = KeyKind::kInteger;
    keys.integers.reserve(numbers.size);
    for (std::size_t i = 0; i < numbers.size; ++i) {
      const double number = numbers.data[i];
      if (!(std::abs(number) <= static_cast<double>(kMaxIntegerKey)) ||
          number != std::floor(number)) {
        throw Error(Code::kArgument, "keys: the value at position " + std::to_string(i) +
                                         " is not a safe integer");
      }
      keys.integers.push_back(static_cast<std::int64_t>(number));
    }
    given = numbers.size;
  } else if (value.IsArray()) {
    const Napi::Array strings = value.As<Napi::Array>();
    keys.kind = KeyKind::kString;
    given = strings.Length();
    keys.strings.reserve(given);
    for (std::size_t i = 0; i < given; ++i) {
      const Napi::HandleScope scope(value.Env());
      keys.strings.push_back(string_argument(strings.Get(static_cast<std::uint32_t>(i)), "a key"));
    }
  }
  if (given != count) {
    throw Error(Code::kArgument, "got " + std::to_string(given) + " keys for " +
                                     std::to_string(count) + " vectors");
  }
  return keys;
}

std::size_t vector_count(const Span<float>& vectors, std::size_t dim) {
  if (vectors.size == 0 || vectors.size % dim != 0) {
    throw Error(Code::kDimension, "vectors: dim is " + std::to_string(dim) + ", got " +
                                      std::to_string(vectors.size) + " values");
  }
  return vectors.size / dim;
}

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

// Empty slots hold key -1, no row, and score NaN. Returns how many hits there are.
std::uint32_t write_hits(const VectorIndex& index, const Hit* hits, std::size_t count,
                         std::size_t k, const Output& out) {
  std::size_t written = 0;
  index.with_keys([&](const KeyMap& keys) {
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

// Checks that the caller's arrays fit and are of the type that the index's keys need.
Output output_argument(const VectorIndex& index, const Napi::Value& keys,
                       const Napi::Value& scores, std::size_t slots) {
  Output out;
  std::size_t size = 0;
  if (index.key_kind() == KeyKind::kString) {
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

SearchOptions search_options(const Napi::Value& k, const Napi::Value& ef) {
  SearchOptions options;
  options.k = size_argument(k, "k", kMaxRows);
  options.ef = size_argument(ef, "ef", kMaxRows);
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
    index->check_search(options);
    const Output out = output_argument(*index, info[4], info[5], options.k);
    thread_local std::vector<Hit> hits;
    hits.resize(options.k);
    const std::size_t count = index->search(query.data, options, hits.data());
    return Napi::Number::New(info.Env(),
                             write_hits(*index, hits.data(), count, options.k, out));
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
        progress_(std::move(progress)) {}

  // The arrays were made for this search and are handed to the user only when it is done.
  void write_to(Output out, std::uint32_t* counts, std::vector<Napi::ObjectReference> arrays) {
    out_ = out;
    counts_ = counts;
    arrays_ = std::move(arrays);
  }

  std::size_t parts() const override {
    return std::min(threads_, (count_ + kTile - 1) / kTile);
  }

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
        counts_[first + q] = write_hits(*index_, hits.data() + q * options_.k, found[q],
                                        options_.k, out_.at((first + q) * options_.k));
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
    const Output out = output_argument(*index, info[6], info[7], count * options.k);
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

class LinkJob final : public Job {
 public:
  LinkJob(Napi::Env env, IndexPointer index, std::size_t threads,
          std::shared_ptr<Progress> progress)
      : Job(env), index_(std::move(index)), threads_(threads), progress_(std::move(progress)) {}
  void run() override { index_->link(threads_, *progress_); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
  void cancel() override { progress_->cancel.store(true); }

 private:
  IndexPointer index_;
  std::size_t threads_;
  std::shared_ptr<Progress> progress_;
};

struct AddArguments {
  IndexPointer index;
  std::size_t threads;
  std::shared_ptr<Progress> progress;
};

// (handle, keys, vectors, threads, progress): copies the rows; linking them is the caller's next step.
AddArguments begin_add(const Napi::CallbackInfo& info) {
  AddArguments add{index_argument(info[0]), size_argument(info[3], "threads", 1024),
                   progress_argument(info[4])};
  const Span<float> vectors = float32_array(info[2], "vectors");
  const std::size_t count = vector_count(vectors, add.index->dim());
  const KeyBatch keys = keys_argument(info[1], count);
  // Reading the keys may have run JavaScript, so the array is looked at afresh.
  const Span<float> again = float32_array(info[2], "vectors");
  if (again.size != vectors.size) throw Error(Code::kArgument, "vectors changed during the call");
  add.index->append(keys, again.data, count);
  return add;
}

Napi::Value add_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const AddArguments add = begin_add(info);
    add.index->link(std::max<std::size_t>(1, add.threads), *add.progress);
    return info.Env().Undefined();
  });
}

Napi::Value add(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const AddArguments add = begin_add(info);
    try {
      return Jobs::of(info.Env())
          .start(std::make_unique<LinkJob>(info.Env(), add.index, add.threads, add.progress),
                 Jobs::Where::kOwnThread);
    } catch (...) {
      // Not started, so the rows must go again; a cancelled link takes them away.
      add.progress->cancel.store(true);
      try {
        add.index->link(1, *add.progress);
      } catch (const Error&) {
        // kAborted, as asked for.
      }
      throw;
    }
  });
}

class SaveJob final : public Job {
 public:
  SaveJob(Napi::Env env, IndexPointer index, std::string path)
      : Job(env), index_(std::move(index)), path_(std::move(path)) {}
  void run() override { bytes_ = index_->save(path_); }
  Napi::Value result(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(bytes_));
  }

 private:
  IndexPointer index_;
  std::string path_;
  std::uint64_t bytes_ = 0;
};

Napi::Value save(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<SaveJob>(info.Env(), index_argument(info[0]),
                                         string_argument(info[1], "path")),
               Jobs::Where::kOwnThread);
  });
}

class OpenJob final : public Job {
 public:
  OpenJob(Napi::Env env, std::string path) : Job(env), path_(std::move(path)) {}
  void run() override { index_ = VectorIndex::open(path_); }
  Napi::Value result(Napi::Env env) override {
    return wrap_handle<VectorIndex>(env, std::move(index_), kIndexTag);
  }

 private:
  std::string path_;
  IndexPointer index_;
};

Napi::Value open(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<OpenJob>(info.Env(), string_argument(info[0], "path")),
               Jobs::Where::kOwnThread);
  });
}

class InspectJob final : public Job {
 public:
  InspectJob(Napi::Env env, std::string path) : Job(env), path_(std::move(path)) {}

  void run() override {
    reader_ = std::make_unique<SnapshotReader>(path_);
    for (const SectionEntry& section : reader_->sections()) {
      sound_.push_back(reader_->verify(section));
    }
  }

  Napi::Value result(Napi::Env env) override {
    const SnapshotHeader& header = reader_->header();
    const auto name = [&](auto& names, std::uint32_t at) {
      return Napi::String::New(env, at < std::size(names) ? names[at] : "unknown");
    };
    Napi::Object report = Napi::Object::New(env);
    const bool hnsw = header.kind == static_cast<std::uint32_t>(IndexKind::kHnsw);
    report.Set("version", header.version);
    report.Set("index", hnsw ? "hnsw" : "flat");
    report.Set("rows", static_cast<double>(header.rows));
    report.Set("dim", header.dim);
    report.Set("metric", name(kMetricNames, header.metric));
    report.Set("storage", "f32");
    report.Set("keys", name(kKeyKindNames, header.key_kind));
    report.Set("bytes", static_cast<double>(header.file_bytes));
    if (hnsw) {
      report.Set("m", header.m);
      report.Set("efConstruction", header.ef_construction);
      report.Set("seed", static_cast<double>(header.seed));
      report.Set("maxLevel", header.max_level);
    }
    Napi::Array sections = Napi::Array::New(env, sound_.size());
    for (std::size_t i = 0; i < sound_.size(); ++i) {
      const SectionEntry& entry = reader_->sections()[i];
      Napi::Object section = Napi::Object::New(env);
      section.Set("name", section_name(entry.type));
      section.Set("offset", static_cast<double>(entry.offset));
      section.Set("bytes", static_cast<double>(entry.bytes));
      section.Set("checksum", entry.checksum);
      section.Set("ok", static_cast<bool>(sound_[i]));
      sections.Set(static_cast<std::uint32_t>(i), section);
    }
    report.Set("sections", sections);
    return report;
  }

 private:
  std::string path_;
  std::unique_ptr<SnapshotReader> reader_;
  std::vector<bool> sound_;
};

Napi::Value inspect(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<InspectJob>(info.Env(), string_argument(info[0], "path")),
               Jobs::Where::kOwnThread);
  });
}

// (dim, metric) -> handle
Napi::Value create_flat(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_handle<VectorIndex>(
        info.Env(),
        std::make_shared<FlatIndex>(size_argument(info[0], "dim"), metric_argument(info[1])),
        kIndexTag);
  });
}

// (dim, metric, m, efConstruction, seed) -> handle
Napi::Value create_hnsw(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    HnswParameters parameters;
    parameters.m = size_argument(info[2], "m");
    parameters.ef_construction = size_argument(info[3], "efConstruction");
    parameters.seed = size_argument(info[4], "seed");
    return wrap_handle<VectorIndex>(info.Env(),
                                    std::make_shared<HnswIndex>(size_argument(info[0], "dim"),
                                                                metric_argument(info[1]),
                                                                parameters),
                                    kIndexTag);
  });
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("dim", static_cast<double>(index->dim()));
    object.Set("metric", kMetricNames[static_cast<std::size_t>(index->metric())]);
    object.Set("index", index->kind() == IndexKind::kHnsw ? "hnsw" : "flat");
    object.Set("keys", kKeyKindNames[static_cast<std::size_t>(index->key_kind())]);
    object.Set("bytes", static_cast<double>(index->bytes()));
    if (const auto* hnsw = dynamic_cast<const HnswIndex*>(index.get())) {
      object.Set("m", static_cast<double>(hnsw->parameters().m));
      object.Set("efConstruction", static_cast<double>(hnsw->parameters().ef_construction));
      object.Set("seed", static_cast<double>(hnsw->parameters().seed));
    }
    return object;
  });
}

Napi::Value size(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(index_argument(info[0])->rows()));
  });
}

std::uint32_t find_key(const VectorIndex& index, const Napi::Value& key) {
  if (key.IsString()) return index.find(key.As<Napi::String>().Utf8Value());
  if (!key.IsNumber()) throw Error(Code::kArgument, "a key must be an integer or a string");
  const double number = key.As<Napi::Number>().DoubleValue();
  if (number != std::floor(number) || !(std::abs(number) <= 9007199254740991.0)) return kNoRow;
  return index.find(static_cast<std::int64_t>(number));
}

Napi::Value has(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(),
                              find_key(*index_argument(info[0]), info[1]) != kNoRow);
  });
}

// (handle, key, vector) -> whether the key is there; if so its vector is written
Napi::Value get(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<float> vector = float32_array(info[2], "vector");
    if (vector.size != index->dim()) throw Error(Code::kDimension, "vector has another dim");
    const std::uint32_t row = find_key(*index, info[1]);
    if (row != kNoRow) index->vector_of(row, vector.data);
    return Napi::Boolean::New(info.Env(), row != kNoRow);
  });
}

// (handle, rows) -> strings; '' for an empty slot
Napi::Value strings_of(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const Span<std::uint32_t> rows = uint32_array(info[1], "rows");
    std::vector<std::string> keys(rows.size);
    index->with_keys([&](const KeyMap& map) {
      for (std::size_t i = 0; i < rows.size; ++i) {
        if (rows.data[i] < map.size()) keys[i] = map.string(rows.data[i]);
      }
    });
    Napi::Array strings = Napi::Array::New(info.Env(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Napi::HandleScope scope(info.Env());
      strings.Set(static_cast<std::uint32_t>(i), Napi::String::New(info.Env(), keys[i]));
    }
    return strings;
  });
}

Napi::Value close(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    unwrap_handle<VectorIndex>(info[0], kIndexTag).reset();
    return info.Env().Undefined();
  });
}

Napi::Value create_progress(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_handle<Progress>(info.Env(), std::make_shared<Progress>(), kProgressTag);
  });
}

Napi::Value progress_done(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(),
                             static_cast<double>(progress_argument(info[0])->done.load()));
  });
}

Napi::Value progress_cancel(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    progress_argument(info[0])->cancel.store(true);
    return info.Env().Undefined();
  });
}

}  // namespace

void export_index_functions(Napi::Env env, Napi::Object exports) {
  const auto add_function = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add_function("createFlat", create_flat);
  add_function("createHnsw", create_hnsw);
  add_function("indexOpen", open);
  add_function("indexInspect", inspect);
  add_function("indexDescribe", describe);
  add_function("indexSize", size);
  add_function("indexAdd", add);
  add_function("indexAddSync", add_sync);
  add_function("indexSearch", search);
  add_function("indexSearchSync", search_sync);
  add_function("indexHas", has);
  add_function("indexGet", get);
  add_function("indexStringsOf", strings_of);
  add_function("indexSave", save);
  add_function("indexClose", close);
  add_function("createProgress", create_progress);
  add_function("progressDone", progress_done);
  add_function("progressCancel", progress_cancel);
}

}  // namespace lichen::addon
