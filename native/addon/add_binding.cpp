#include <algorithm>
#include <cmath>
#include <vector>

#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"

namespace lichen::addon {
namespace {

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
        throw Error(Code::kArgument,
                    "keys: the value at position " + std::to_string(i) + " is not a safe integer");
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
    throw Error(Code::kArgument,
                "got " + std::to_string(given) + " keys for " + std::to_string(count) + " vectors");
  }
  return keys;
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

// (handle, keys, vectors, threads, progress): copies the rows; linking them is the caller's next
// step.
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

}  // namespace

void export_add_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexAdd", add);
  export_function(env, exports, "indexAddSync", add_sync);
}

}  // namespace lichen::addon
