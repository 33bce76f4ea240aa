#include <algorithm>
#include <cmath>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/attribute_arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"

namespace lichen::addon {
namespace {

// Keys of an add: null (row numbers), or a list.
KeyBatch keys_argument(const Napi::Value& value, std::size_t count) {
  KeyBatch keys;
  if (!value.IsTypedArray() && !value.IsArray()) return keys;
  keys = key_list(value);
  if (keys.size() == count) return keys;
  throw Error(Code::kArgument, "got " + std::to_string(keys.size()) + " keys for " +
                                   std::to_string(count) + " vectors");
}

// Work that changes an index, on threads of its own.
class WriteJob final : public Job {
 public:
  using Work = void (*)(VectorIndex& index, std::size_t threads, Progress& progress);
  WriteJob(Napi::Env env, Work work, IndexPointer index, std::size_t threads,
           std::shared_ptr<Progress> progress)
      : Job(env),
        work_(work),
        index_(std::move(index)),
        threads_(std::max<std::size_t>(1, threads)),
        progress_(std::move(progress)) {}
  void run() override { work_(*index_, threads_, *progress_); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }
  void cancel() override { progress_->cancel.store(true); }

 private:
  Work work_;
  IndexPointer index_;
  std::size_t threads_;
  std::shared_ptr<Progress> progress_;
};

void link(VectorIndex& index, std::size_t threads, Progress& progress) {
  index.link(threads, progress);
}

void compact_all(VectorIndex& index, std::size_t threads, Progress& progress) {
  if (!index.compact(threads, progress)) throw Error(Code::kAborted, "compaction was aborted");
}

struct AddArguments {
  IndexPointer index;
  std::size_t threads;
  std::shared_ptr<Progress> progress;
  std::size_t count = 0;
};

// So few are linked in the time that starting a thread takes: a thread of the searches does it.
constexpr std::size_t kFewRows = 16;

// null, or the rows of lists, and how many each has: copied, as they are used off this thread.
NeighborLists neighbors_argument(const Napi::Value& rows, const Napi::Value& k) {
  if (rows.IsNull() || rows.IsUndefined()) return {};
  NeighborLists neighbors;
  neighbors.k = size_argument(k, "neighbors.k", NeighborLists::kMost);
  const Span<std::uint32_t> given = uint32_array(rows, "neighbors.rows");
  neighbors.rows.assign(given.data, given.data + given.size);
  return neighbors;
}

// (handle, keys, vectors, threads, progress, mode, attributes, neighbors, k of these): copies the
// rows; linking them is the caller's next step.
AddArguments begin_add(const Napi::CallbackInfo& info) {
  AddArguments add{index_argument(info[0]), size_argument(info[3], "threads", 1024),
                   progress_argument(info[4])};
  const Span<float> vectors = float32_array(info[2], "vectors");
  const std::size_t count = vector_count(vectors, add.index->dim());
  const KeyBatch keys = keys_argument(info[1], count);
  const AttributeBatch attributes =
      attribute_batch_argument(info[6], add.index->attribute_schema(), count);
  // Reading strings may have run JavaScript, so the array is looked at afresh.
  const Span<float> again = float32_array(info[2], "vectors");
  if (again.size != vectors.size) throw Error(Code::kArgument, "vectors changed during the call");
  const std::size_t mode = size_argument(info[5], "mode", 2);
  add.count = count;
  add.index->append(keys, again.data, count, static_cast<KeyMode>(mode), &attributes,
                    neighbors_argument(info[7], info[8]));
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
    const auto where = add.count <= kFewRows ? Jobs::Where::kPool : Jobs::Where::kOwnThread;
    try {
      return Jobs::of(info.Env())
          .start(std::make_unique<WriteJob>(info.Env(), link, add.index, add.threads, add.progress),
                 where);
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

// (handle, keys)
Napi::Value remove(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    index_argument(info[0])->remove(key_list(info[1]));
    return info.Env().Undefined();
  });
}

// (handle, threads, progress) -> Promise<undefined>
Napi::Value compact(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Jobs::of(info.Env())
        .start(std::make_unique<WriteJob>(info.Env(), compact_all, index_argument(info[0]),
                                          size_argument(info[1], "threads", 1024),
                                          progress_argument(info[2])),
               Jobs::Where::kOwnThread);
  });
}

// (handle) -> whether compaction is worth its while now
Napi::Value wants_compaction(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), index_argument(info[0])->wants_compaction());
  });
}

}  // namespace

void export_add_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexAdd", add);
  export_function(env, exports, "indexAddSync", add_sync);
  export_function(env, exports, "indexRemove", remove);
  export_function(env, exports, "indexCompact", compact);
  export_function(env, exports, "indexWantsCompaction", wants_compaction);
}

}  // namespace lichen::addon
