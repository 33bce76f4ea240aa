#include <optional>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/attribute_arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "runtime/file.hpp"
#include "runtime/mapping.hpp"
#include "storage/attribute_sections.hpp"
#include "storage/snapshot.hpp"

namespace lichen::addon {
namespace {

class SaveJob final : public Job {
 public:
  SaveJob(Napi::Env env, IndexPointer index, std::string path, SnapshotLabel label,
          std::shared_ptr<Progress> progress)
      : Job(env),
        index_(std::move(index)),
        path_(std::move(path)),
        label_(std::move(label)),
        progress_(std::move(progress)) {}
  void run() override { bytes_ = index_->save(path_, label_, *progress_); }
  Napi::Value result(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(bytes_));
  }
  void cancel() override { progress_->cancel.store(true); }

 private:
  IndexPointer index_;
  std::string path_;
  SnapshotLabel label_;
  std::shared_ptr<Progress> progress_;
  std::uint64_t bytes_ = 0;
};

// (handle, path, progress, model | null, version | null) -> Promise<bytes>; null: as the index has
// it
Napi::Value save(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    SnapshotLabel label = index->label();
    if (!info[3].IsNull()) label.model = string_argument(info[3], "modelVersion");
    if (!info[4].IsNull()) label.version = size_argument(info[4], "snapshotVersion");
    if (label.model.size() > kMaxModelBytes) {
      throw Error(Code::kArgument, "modelVersion must have at most " +
                                       std::to_string(kMaxModelBytes) + " bytes, got " +
                                       std::to_string(label.model.size()));
    }
    return Jobs::of(info.Env())
        .start(std::make_unique<SaveJob>(info.Env(), index, string_argument(info[1], "path"),
                                         std::move(label), progress_argument(info[2])),
               Jobs::Where::kOwnThread);
  });
}

class OpenJob final : public Job {
 public:
  // With the journal, which so many threads do again, if there are threads.
  OpenJob(Napi::Env env, std::string path, Access access, std::optional<std::size_t> threads)
      : Job(env), path_(std::move(path)), access_(access), threads_(threads) {}
  void run() override {
    index_ = threads_.has_value() ? VectorIndex::open_with_journal(path_, access_, *threads_)
                                  : VectorIndex::open(path_, access_);
  }
  Napi::Value result(Napi::Env env) override { return wrap_index(env, std::move(index_)); }

 private:
  std::string path_;
  Access access_;
  std::optional<std::size_t> threads_;
  IndexPointer index_;
};

// (path, access, threads | null) -> Promise<handle>; null: without the journal
Napi::Value open(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    std::optional<std::size_t> threads;
    if (!info[2].IsNull()) threads = size_argument(info[2], "threads", 1024);
    return Jobs::of(info.Env())
        .start(std::make_unique<OpenJob>(info.Env(), string_argument(info[0], "path"),
                                         access_argument(info[1]), threads),
               Jobs::Where::kOwnThread);
  });
}

IndexPointer journal_argument(const Napi::Value& value) {
  IndexPointer index = index_argument(value);
  if (!index->has_journal()) throw Error(Code::kArgument, "the index has no journal");
  return index;
}

class SyncJob final : public Job {
 public:
  SyncJob(Napi::Env env, IndexPointer index) : Job(env), index_(std::move(index)) {}
  void run() override { index_->sync_journal(); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }

 private:
  IndexPointer index_;
};

// (handle) -> Promise<undefined>, once every change so far is on disk
Napi::Value sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<SyncJob>(info.Env(), journal_argument(info[0])),
               Jobs::Where::kOwnThread);
  });
}

constexpr napi_type_tag kCheckpointTag = {0x6c696368656e0006ull, 0x3b0e7c51d2a94f88ull};

// A checkpoint that is copied keeps its index alive, and waits for its end.
struct BegunCheckpoint {
  IndexPointer index;
  std::unique_ptr<VectorIndex::Checkpoint> checkpoint;
};

class BeginCheckpointJob final : public Job {
 public:
  BeginCheckpointJob(Napi::Env env, IndexPointer index, std::shared_ptr<Progress> progress)
      : Job(env), index_(std::move(index)), progress_(std::move(progress)) {}
  void run() override {
    checkpoint_ = std::make_unique<VectorIndex::Checkpoint>(*index_, index_->label(), *progress_);
  }
  Napi::Value result(Napi::Env env) override {
    auto begun = std::make_shared<BegunCheckpoint>();
    begun->index = std::move(index_);
    begun->checkpoint = std::move(checkpoint_);
    return wrap_handle<BegunCheckpoint>(env, std::move(begun), kCheckpointTag);
  }
  void cancel() override { progress_->cancel.store(true); }

 private:
  IndexPointer index_;
  std::shared_ptr<Progress> progress_;
  std::unique_ptr<VectorIndex::Checkpoint> checkpoint_;
};

// (handle, progress) -> Promise<checkpoint>, once the index is copied
Napi::Value begin_checkpoint(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<BeginCheckpointJob>(info.Env(), journal_argument(info[0]),
                                                    progress_argument(info[1])),
               Jobs::Where::kOwnThread);
  });
}

class FinishCheckpointJob final : public Job {
 public:
  FinishCheckpointJob(Napi::Env env, std::shared_ptr<BegunCheckpoint> begun)
      : Job(env), begun_(std::move(begun)) {}
  void run() override {
    bytes_ = begun_->checkpoint->finish();
    begun_->checkpoint.reset();
  }
  Napi::Value result(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(bytes_));
  }

 private:
  std::shared_ptr<BegunCheckpoint> begun_;
  std::uint64_t bytes_ = 0;
};

// (checkpoint) -> Promise<bytes>; once
Napi::Value finish_checkpoint(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    std::shared_ptr<BegunCheckpoint> begun;
    begun.swap(unwrap_handle<BegunCheckpoint>(info[0], kCheckpointTag));
    if (begun == nullptr) throw Error(Code::kClosed, "the checkpoint is finished");
    return Jobs::of(info.Env())
        .start(std::make_unique<FinishCheckpointJob>(info.Env(), std::move(begun)),
               Jobs::Where::kOwnThread);
  });
}

// (handle) -> bytes of the journal
Napi::Value journal_bytes(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(),
                             static_cast<double>(journal_argument(info[0])->journal_bytes()));
  });
}

// (handle)
Napi::Value sync_now(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    journal_argument(info[0])->sync_journal();
    return info.Env().Undefined();
  });
}

constexpr napi_type_tag kLockTag = {0x6c696368656e0007ull, 0x92c4d1e03f7b4a65ull};

// (path) -> handle, or null if another has it
Napi::Value lock_file(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    auto file = std::make_shared<File>(string_argument(info[0], "path"), File::Mode::kLock);
    if (!file->try_lock()) return info.Env().Null();
    return wrap_handle<File>(info.Env(), std::move(file), kLockTag);
  });
}

// (handle)
Napi::Value unlock_file(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    unwrap_handle<File>(info[0], kLockTag).reset();
    return info.Env().Undefined();
  });
}

// (path) -> whether it is gone
Napi::Value remove_unread_file(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), remove_unread(string_argument(info[0], "path")));
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
    schema_ = read_attribute_schema(*reader_);
    label_ = read_label(*reader_);
    dead_ = read_dead_rows(*reader_, reader_->header().rows).count;
  }

  Napi::Value result(Napi::Env env) override {
    const SnapshotHeader& header = reader_->header();
    const auto name = [&](auto& names, std::uint32_t at) {
      return Napi::String::New(env, at < std::size(names) ? names[at] : "unknown");
    };
    Napi::Object report = Napi::Object::New(env);
    const bool hnsw = header.kind == static_cast<std::uint32_t>(IndexKind::kHnsw);
    const bool store = header.kind == static_cast<std::uint32_t>(IndexKind::kStore);
    report.Set("version", header.version);
    report.Set("index", hnsw ? "hnsw" : store ? "store" : "flat");
    if (!label_.model.empty()) report.Set("modelVersion", label_.model);
    report.Set("snapshotVersion", static_cast<double>(label_.version));
    report.Set("rows", static_cast<double>(header.rows));
    report.Set("dead", static_cast<double>(dead_));
    report.Set("dim", header.dim);
    report.Set("metric", name(kMetricNames, header.metric));
    report.Set("storage", name(kStorageTypeNames, header.storage));
    if (header.rerank > 0) report.Set("rerank", name(kStorageTypeNames, header.rerank - 1));
    if (header.subspaces > 0) report.Set("subspaces", header.subspaces);
    if (header.components > 0) report.Set("pca", header.components);
    report.Set("keys", name(kKeyKindNames, header.key_kind));
    report.Set("attributes", attribute_schema_value(env, schema_));
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
  std::vector<AttributeSpec> schema_;
  SnapshotLabel label_;
  std::size_t dead_ = 0;
};

Napi::Value inspect(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<InspectJob>(info.Env(), string_argument(info[0], "path")),
               Jobs::Where::kOwnThread);
  });
}

}  // namespace

void export_file_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexSave", save);
  export_function(env, exports, "indexOpen", open);
  export_function(env, exports, "indexJournalBytes", journal_bytes);
  export_function(env, exports, "indexSync", sync);
  export_function(env, exports, "indexSyncNow", sync_now);
  export_function(env, exports, "indexBeginCheckpoint", begin_checkpoint);
  export_function(env, exports, "indexFinishCheckpoint", finish_checkpoint);
  export_function(env, exports, "lockFile", lock_file);
  export_function(env, exports, "unlockFile", unlock_file);
  export_function(env, exports, "removeUnreadFile", remove_unread_file);
  export_function(env, exports, "indexInspect", inspect);
}

}  // namespace lichen::addon
