// The addon's entry: what JavaScript sees. No algorithm lives in this folder.

#include <napi.h>

#include "addon/convert.hpp"
#include "addon/index_binding.hpp"
#include "addon/jobs.hpp"
#include "kernels/kernels.hpp"
#include "runtime/limits.hpp"

namespace lichen::addon {
namespace {

// (factory: (code, message) => Error)
Napi::Value set_error_factory(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    if (!info[0].IsFunction()) throw Error(Code::kArgument, "factory must be a function");
    Jobs::of(info.Env()).set_error_factory(info[0].As<Napi::Function>());
    return info.Env().Undefined();
  });
}

// () -> {processors, quota, quotaFrom, memoryBytes, memoryFrom}; 0 and '' where nothing limits.
Napi::Value limits(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Limits found = read_limits();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("processors", static_cast<double>(found.processors));
    object.Set("quota", found.quota);
    object.Set("quotaFrom", found.quota_from);
    object.Set("memoryBytes", static_cast<double>(found.memory));
    object.Set("memoryFrom", found.memory_from);
    return object;
  });
}

// () -> {isa, runnable, threads}
Napi::Value machine(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("isa", kernels().isa);
    const auto runnable = runnable_kernels();
    Napi::Array names = Napi::Array::New(info.Env(), runnable.size());
    for (std::uint32_t i = 0; i < runnable.size(); ++i) names.Set(i, runnable[i]->isa);
    object.Set("runnable", names);
    object.Set("threads", static_cast<double>(usable_processors()));
    return object;
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  Jobs::install(env);
  export_function(env, exports, "setErrorFactory", set_error_factory);
  export_function(env, exports, "machine", machine);
  export_function(env, exports, "limits", limits);
  export_index_functions(env, exports);
  export_add_functions(env, exports);
  export_search_functions(env, exports);
  export_within_functions(env, exports);
  export_searcher_functions(env, exports);
  export_file_functions(env, exports);
  export_store_functions(env, exports);
  export_hnswlib_functions(env, exports);
  export_attribute_functions(env, exports);
  export_tensor_functions(env, exports);
  export_optimizer_functions(env, exports);
  export_loss_functions(env, exports);
  export_share_functions(env, exports);
  export_cuda_functions(env, exports);
  export_neighbors_functions(env, exports);
  export_cuda_tensor_functions(env, exports);
  return exports;
}

}  // namespace
}  // namespace lichen::addon

static Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  return lichen::addon::init(env, exports);
}

NODE_API_MODULE(lichen, init_addon)
