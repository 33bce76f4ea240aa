#include "addon/arguments.hpp"
#include "addon/index_binding.hpp"
#include "addon/shares.hpp"
#include "runtime/memory_counts.hpp"

namespace lichen::addon {
namespace {

constexpr napi_type_tag kShareTag = {0x6c696368656e0008ull, 0x6fd0127ac93b5e41ull};

// (index) -> handle
Napi::Value share(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_handle<Share>(info.Env(), std::make_shared<Share>(index_argument(info[0])),
                              kShareTag);
  });
}

// (share) -> token
Napi::Value token(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::shared_ptr<Share> share = unwrap_handle<Share>(info[0], kShareTag);
    if (share == nullptr) throw Error(Code::kClosed, "the share is closed");
    return Napi::String::New(info.Env(), share->token());
  });
}

// (share)
Napi::Value close_share(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    unwrap_handle<Share>(info[0], kShareTag).reset();
    return info.Env().Undefined();
  });
}

// (token) -> index
Napi::Value attach(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return wrap_index(info.Env(), shared_index(string_argument(info[0], "token")));
  });
}

// () -> {shares, indexes, holders}
Napi::Value counts(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const ShareCounts counts = share_counts();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("shares", static_cast<double>(counts.shares));
    object.Set("indexes", static_cast<double>(counts.indexes));
    object.Set("holders", static_cast<double>(counts.holders));
    return object;
  });
}

// () -> {used, kept} in bytes
Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const MemoryCounts counts = memory_counts();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("used", static_cast<double>(counts.used));
    object.Set("kept", static_cast<double>(counts.kept));
    return object;
  });
}

}  // namespace

void export_share_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "indexShare", share);
  export_function(env, exports, "shareToken", token);
  export_function(env, exports, "shareClose", close_share);
  export_function(env, exports, "indexAttach", attach);
  export_function(env, exports, "shareCounts", counts);
  export_function(env, exports, "memoryCounts", memory);
}

}  // namespace lichen::addon
