// The module for NVIDIA devices: opening it, and what devices there are.

#include <napi.h>

#include <string>

#include "addon/convert.hpp"
#include "addon/index_binding.hpp"
#include "runtime/cuda_library.hpp"

namespace lichen::addon {
namespace {

// (path)
Napi::Value cuda_open(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    if (!info[0].IsString()) throw Error(Code::kArgument, "path must be a string");
    open_cuda(info[0].As<Napi::String>().Utf8Value());
    return info.Env().Undefined();
  });
}

// () -> [{name, computeCapability, multiprocessors, memory, free, driver, runtime}]
Napi::Value cuda_devices(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const LichenCudaApi& api = cuda_api();
    std::int32_t count = 0;
    check_cuda(api.device_count(&count));
    Napi::Array devices = Napi::Array::New(env, static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) {
      LichenCudaDevice about;
      check_cuda(api.device(i, &about));
      const auto version = [](std::int32_t number) {
        return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
      };
      Napi::Object device = Napi::Object::New(env);
      device.Set("name", std::string(about.name));
      device.Set("computeCapability", std::to_string(about.major) + "." + std::to_string(about.minor));
      device.Set("multiprocessors", about.multiprocessors);
      device.Set("memoryBytes", static_cast<double>(about.memory));
      device.Set("freeBytes", static_cast<double>(about.free));
      device.Set("driver", version(about.driver));
      device.Set("runtime", version(about.runtime));
      devices.Set(static_cast<std::uint32_t>(i), device);
    }
    return devices;
  });
}

}  // namespace

void export_cuda_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "cudaOpen", cuda_open);
  export_function(env, exports, "cudaDevices", cuda_devices);
}

}  // namespace lichen::addon
