#include <algorithm>
#include <optional>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "index/hnsw_index.hpp"
#include "index/hnswlib_file.hpp"

namespace lichen::addon {
namespace {

class CheckJob final : public Job {
 public:
  CheckJob(Napi::Env env, std::string path, std::size_t dim)
      : Job(env), path_(std::move(path)), dim_(dim) {}

  void run() override {
    graph_ = read_hnswlib(path_, dim_);
    // Only their soundness was asked for; what is left may wait for the JavaScript thread.
    graph_.vectors = {};
    graph_.base = {};
    graph_.upper = {};
  }

  Napi::Value result(Napi::Env env) override {
    Napi::Float64Array labels = Napi::Float64Array::New(env, graph_.rows);
    Napi::Uint8Array deleted = Napi::Uint8Array::New(env, graph_.rows);
    for (std::size_t row = 0; row < graph_.rows; ++row) {
      labels[row] = static_cast<double>(graph_.labels[row]);
      deleted[row] = graph_.deleted[row];
    }
    Napi::Object report = Napi::Object::New(env);
    report.Set("labels", labels);
    report.Set("deleted", deleted);
    report.Set("m", static_cast<double>(graph_.m));
    report.Set("efConstruction", static_cast<double>(graph_.ef_construction));
    report.Set("capacity", static_cast<double>(graph_.capacity));
    return report;
  }

 private:
  std::string path_;
  std::size_t dim_;
  HnswlibGraph graph_;
};

// Its keys: null for the labels of the file, 'row' for row numbers, or strings by row.
std::optional<KeyBatch> import_keys(const Napi::Value& value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  if (value.IsString()) return KeyBatch{};
  return key_list(value);
}

class ImportJob final : public Job {
 public:
  explicit ImportJob(const Napi::CallbackInfo& info)
      : Job(info.Env()),
        options_(storage_options(info)),
        path_(string_argument(info[7], "path")),
        keys_(import_keys(info[8])),
        threads_(std::max<std::size_t>(1, size_argument(info[9], "threads", 1024))),
        progress_(progress_argument(info[10])) {}
  void run() override {
    index_ = HnswIndex::from_hnswlib(path_, options_, std::move(keys_), threads_, *progress_);
  }
  Napi::Value result(Napi::Env env) override { return wrap_index(env, std::move(index_)); }
  void cancel() override { progress_->cancel.store(true); }

 private:
  StorageOptions options_;
  std::string path_;
  std::optional<KeyBatch> keys_;
  std::size_t threads_;
  std::shared_ptr<Progress> progress_;
  IndexPointer index_;
};

// (dim, metric, storage, rerank | '', codes, seed, attributes, path, keys, threads, progress)
// -> Promise<handle>
Napi::Value import_file(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env()).start(std::make_unique<ImportJob>(info), Jobs::Where::kOwnThread);
  });
}

// (path, dim) -> Promise<{labels, deleted, m, efConstruction, capacity}>
Napi::Value check(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<CheckJob>(info.Env(), string_argument(info[0], "path"),
                                          size_argument(info[1], "dim")),
               Jobs::Where::kOwnThread);
  });
}

}  // namespace

void export_hnswlib_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "hnswlibCheck", check);
  export_function(env, exports, "indexFromHnswlib", import_file);
}

}  // namespace lichen::addon
