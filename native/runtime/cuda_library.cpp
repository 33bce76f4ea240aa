#include "runtime/cuda_library.hpp"

#include <atomic>
#include <mutex>

#include "runtime/error.hpp"

#ifndef _WIN32
#include <dlfcn.h>
#endif

namespace lichen {
namespace {

std::atomic<const LichenCudaApi*> open_api{nullptr};

#ifndef _WIN32
// The module is linked with CUDA's runtime, not with the driver: where there is none it would open,
// and fail later.
void require_driver(void* module) {
  // One for tests, that simulates a device.
  if (dlsym(module, "lichen_cuda_simulated") != nullptr) return;
  for (const char* const name : {"libcuda.so.1", "libcuda.so"}) {
    if (dlopen(name, RTLD_NOW | RTLD_LOCAL) != nullptr) return;
  }
  throw Error(Code::kNoDevice, "no NVIDIA driver is installed (libcuda.so.1)");
}

const LichenCudaApi* load_api(const std::string& path) {
  // Never closed: CUDA's runtime does not come back after that.
  void* const module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    const char* const reason = dlerror();
    throw Error(Code::kNoDevice, "the CUDA module cannot be opened: " +
                                     std::string(reason == nullptr ? path : reason));
  }
  require_driver(module);
  using Entry = const LichenCudaApi* (*)(std::uint32_t);
  const auto entry = reinterpret_cast<Entry>(dlsym(module, "lichen_cuda_api"));
  const LichenCudaApi* const api = entry == nullptr ? nullptr : entry(LICHEN_CUDA_ABI);
  if (api == nullptr) {
    throw Error(Code::kNoDevice, path + " is no CUDA module of this version of lichen");
  }
  return api;
}
#else
const LichenCudaApi* load_api(const std::string&) {
  throw Error(Code::kNoDevice, "the CUDA module is for Linux");
}
#endif

}  // namespace

void open_cuda(const std::string& path) {
  static std::mutex mutex;
  static std::string open_path;
  std::lock_guard lock(mutex);
  if (open_api.load() != nullptr) {
    if (path == open_path) return;
    throw Error(Code::kArgument, "the CUDA module is open already, from " + open_path);
  }
  open_api.store(load_api(path));
  open_path = path;
}

const LichenCudaApi& cuda_api() {
  const LichenCudaApi* const api = open_api.load();
  if (api == nullptr) throw Error(Code::kNoDevice, "the CUDA module is not open");
  return *api;
}

void check_cuda(int status) {
  if (status == LICHEN_CUDA_OK) return;
  const std::string message = cuda_api().message();
  switch (status) {
    case LICHEN_CUDA_NO_DRIVER:
    case LICHEN_CUDA_NO_DEVICE:
      throw Error(Code::kNoDevice, message);
    case LICHEN_CUDA_OLD_DRIVER:
      throw Error(Code::kOldDriver, message);
    case LICHEN_CUDA_WRONG_DEVICE:
      throw Error(Code::kWrongDevice, message);
    case LICHEN_CUDA_MEMORY:
      throw Error(Code::kDeviceMemory, message);
    case LICHEN_CUDA_LOST:
      throw Error(Code::kDeviceLost, message);
    case LICHEN_CUDA_ARGUMENT:
      throw Error(Code::kArgument, message);
    case LICHEN_CUDA_UNSUPPORTED:
      throw Error(Code::kUnsupported, message);
    default:
      throw Error(Code::kDeviceLost, message);
  }
}

}  // namespace lichen
