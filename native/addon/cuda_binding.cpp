// The module for NVIDIA devices: opening it, and what devices there are.

#include <napi.h>

#include <string>

#include "addon/arguments.hpp"
#include "addon/convert.hpp"
#include "addon/index_binding.hpp"
#include "runtime/cuda_library.hpp"

namespace lichen::addon {
namespace {

constexpr double kMostBytes = 9007199254740991.0;  // that a number counts to

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
      device.Set("computeCapability",
                 std::to_string(about.major) + "." + std::to_string(about.minor));
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

// (index, device, bytes)
Napi::Value index_use_device(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const IndexPointer index = index_argument(info[0]);
    const std::size_t device = size_argument(info[1], "device", 1 << 20);
    index->use_device(static_cast<int>(device), size_argument(info[2], "deviceBytes", kMostBytes));
    return info.Env().Undefined();
  });
}

// (index) -> {rows, residentRows, bytes, searches, fallbacks}
Napi::Value index_device(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const DeviceScan::State state = index_argument(info[0])->device_state();
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("device", state.device);
    object.Set("rows", static_cast<double>(state.rows));
    object.Set("residentRows", static_cast<double>(state.resident));
    object.Set("bytes", static_cast<double>(state.bytes));
    object.Set("searches", static_cast<double>(state.searches));
    object.Set("fallbacks", static_cast<double>(state.fallbacks));
    return object;
  });
}

}  // namespace

void export_cuda_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "cudaOpen", cuda_open);
  export_function(env, exports, "cudaDevices", cuda_devices);
  export_function(env, exports, "indexUseDevice", index_use_device);
  export_function(env, exports, "indexDevice", index_device);
}

}  // namespace lichen::addon
