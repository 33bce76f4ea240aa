#pragma once
// Devices, their memory, and what goes wrong with them, as C++ has it: objects that give back what
// they hold, and exceptions.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "cuda/device.cuh"
#include "cuda/lichen_cuda.h"

namespace lichen::cuda {

struct Failure : std::runtime_error {
  Failure(LichenCudaStatus status_, const std::string& message)
      : std::runtime_error(message), status(status_) {}
  LichenCudaStatus status;
};

#ifdef LICHEN_SIMULATED

// Tests tell it by the variable LICHEN_SIMULATED_DEVICE, "memory calls status": how many bytes
// there are, and after how many further calls, of those that can fail, each fails with which
// status; −1 calls: none does.
struct SimulatedState {
  std::mutex mutex;
  std::string told;
  std::size_t memory = std::size_t{1} << 30;
  std::size_t used = 0;
  long calls_left = -1;
  int failure = LICHEN_CUDA_LOST;
};
inline SimulatedState& simulated_state() {
  static SimulatedState state;
  return state;
}
inline void simulated_call() {
  SimulatedState& state = simulated_state();
  std::lock_guard lock(state.mutex);
  const char* const told = std::getenv("LICHEN_SIMULATED_DEVICE");
  if (told != nullptr && state.told != told) {
    state.told = told;
    std::sscanf(told, "%zu %ld %d", &state.memory, &state.calls_left, &state.failure);
  }
  if (state.calls_left < 0) return;
  if (state.calls_left == 0) {
    throw Failure(static_cast<LichenCudaStatus>(state.failure),
                  "the simulated device failed, as it was told to");
  }
  --state.calls_left;
}

using Stream = int;
inline void use_device(int) { simulated_call(); }
inline void* device_memory(std::size_t bytes) {
  simulated_call();
  SimulatedState& state = simulated_state();
  std::lock_guard lock(state.mutex);
  if (bytes > state.memory - std::min(state.memory, state.used))
    throw Failure(LICHEN_CUDA_MEMORY, "the simulated device is full");
  void* const memory = std::malloc(bytes + sizeof(std::max_align_t));
  if (memory == nullptr) throw Failure(LICHEN_CUDA_MEMORY, "the simulated device is full");
  state.used += bytes;
  // What nobody has written must not look written.
  std::memset(memory, 0xA5, bytes);
  return memory;
}
inline void free_device_memory(void* memory, std::size_t bytes) {
  SimulatedState& state = simulated_state();
  std::lock_guard lock(state.mutex);
  state.used -= bytes;
  std::free(memory);
}
inline void* pinned_memory(std::size_t bytes) {
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) throw Failure(LICHEN_CUDA_MEMORY, "no memory of the host is left to pin");
  return memory;
}
inline void free_pinned_memory(void* memory) { std::free(memory); }
inline Stream make_stream() { return 0; }
inline void destroy_stream(Stream) {}
inline void copy_to_device(void* to, const void* from, std::size_t bytes, Stream) {
  simulated_call();
  std::memcpy(to, from, bytes);
}
inline void copy_to_host(void* to, const void* from, std::size_t bytes, Stream) {
  simulated_call();
  std::memcpy(to, from, bytes);
}
inline void copy_on_device(void* to, const void* from, std::size_t bytes, Stream) {
  std::memcpy(to, from, bytes);
}
inline void fill(void* to, int byte, std::size_t bytes, Stream) { std::memset(to, byte, bytes); }
inline void wait_for(Stream) { simulated_call(); }
inline void check_launch() {}
inline void allow_shared_memory(const void*, std::size_t) {}
inline std::size_t free_memory(int) {
  const SimulatedState& state = simulated_state();
  return state.memory - std::min(state.memory, state.used);
}
inline int multiprocessors(int) { return 2; }
inline int count_devices() {
  simulated_call();
  return 1;
}
inline LichenCudaDevice describe_device(int device) {
  if (device != 0)
    throw Failure(LICHEN_CUDA_NO_DEVICE, "there is one simulated device, of number 0");
  LichenCudaDevice out = {};
  std::strcpy(out.name, "simulated device");
  out.major = 9;
  out.multiprocessors = multiprocessors(0);
  out.memory = simulated_state().memory;
  out.free = free_memory(0);
  return out;
}

#else

inline LichenCudaStatus status_of(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return LICHEN_CUDA_MEMORY;
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCallRequiresNewerDriver:
      return LICHEN_CUDA_OLD_DRIVER;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
      return LICHEN_CUDA_NO_DEVICE;
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidPtx:
    case cudaErrorUnsupportedPtxVersion:
      return LICHEN_CUDA_WRONG_DEVICE;
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorECCUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorAssert:
      return LICHEN_CUDA_LOST;
    default:
      return LICHEN_CUDA_FAILED;
  }
}
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // or the next launch is blamed for it
  throw Failure(status_of(error), std::string(what) + ": " + cudaGetErrorString(error));
}

using Stream = cudaStream_t;
inline void use_device(int device) { check(cudaSetDevice(device), "choosing the device"); }
inline void* device_memory(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes), "memory of the device");
  return memory;
}
inline void free_device_memory(void* memory, std::size_t) { cudaFree(memory); }
inline void* pinned_memory(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, bytes), "pinned memory");
  return memory;
}
inline void free_pinned_memory(void* memory) { cudaFreeHost(memory); }
inline Stream make_stream() {
  Stream stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  return stream;
}
inline void destroy_stream(Stream stream) { cudaStreamDestroy(stream); }
inline void copy_to_device(void* to, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copying to the device");
}
inline void copy_to_host(void* to, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream),
        "copying from the device");
}
inline void copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream),
        "copying on the device");
}
inline void fill(void* to, int byte, std::size_t bytes, Stream stream) {
  check(cudaMemsetAsync(to, byte, bytes, stream), "filling memory of the device");
}
inline void wait_for(Stream stream) {
  check(cudaStreamSynchronize(stream), "waiting for the device");
}
inline void check_launch() { check(cudaGetLastError(), "starting a kernel"); }
inline void allow_shared_memory(const void* kernel, std::size_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "shared memory");
}
inline std::size_t free_memory(int device) {
  use_device(device);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return free;
}
inline int multiprocessors(int device) {
  int count = 0;
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
        "asking for multiprocessors");
  return count;
}
inline int count_devices() {
  int driver = 0, runtime = 0, count = 0;
  check(cudaDriverGetVersion(&driver), "asking for the driver");
  check(cudaRuntimeGetVersion(&runtime), "asking for the runtime");
  if (driver == 0) throw Failure(LICHEN_CUDA_NO_DRIVER, "no NVIDIA driver is loaded");
  // Drivers run what was built with any runtime of their major version.
  if (driver / 1000 < runtime / 1000) {
    throw Failure(LICHEN_CUDA_OLD_DRIVER, "the NVIDIA driver is for CUDA " +
                                              std::to_string(driver / 1000) + "." +
                                              std::to_string(driver % 1000 / 10) + ", this needs " +
                                              std::to_string(runtime / 1000) + ".0 or later");
  }
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) {
    cudaGetLastError();
    return 0;
  }
  check(error, "counting devices");
  return count;
}
inline LichenCudaDevice describe_device(int device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "asking for the device");
  LichenCudaDevice out = {};
  std::memcpy(out.name, properties.name, std::min(sizeof out.name, sizeof properties.name));
  out.major = properties.major;
  out.minor = properties.minor;
  out.multiprocessors = properties.multiProcessorCount;
  check(cudaDriverGetVersion(&out.driver), "asking for the driver");
  check(cudaRuntimeGetVersion(&out.runtime), "asking for the runtime");
  out.memory = properties.totalGlobalMem;
  if (properties.major >= 8) out.free = free_memory(device);
  return out;
}

#endif

// Makes it the current one.
inline void require_device(int device) {
  if (device < 0 || device >= count_devices()) {
    throw Failure(LICHEN_CUDA_NO_DEVICE,
                  "there is no CUDA device of number " + std::to_string(device));
  }
  const LichenCudaDevice about = describe_device(device);
  if (about.major < 8) {
    throw Failure(LICHEN_CUDA_WRONG_DEVICE, std::string(about.name) + " has compute capability " +
                                                std::to_string(about.major) + "." +
                                                std::to_string(about.minor) +
                                                ", and 8.0 is the least");
  }
  use_device(device);
}

// Memory of the device that is current when it is asked for. Grows, and then forgets what was in
// it.
template <class Value>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t size) { fit(size); }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceBuffer() { clear(); }

  void fit(std::size_t size) {
    if (size <= size_) return;
    clear();
    memory_ = static_cast<Value*>(device_memory(size * sizeof(Value)));
    size_ = size;
  }
  void clear() {
    if (memory_ != nullptr) free_device_memory(memory_, size_ * sizeof(Value));
    memory_ = nullptr;
    size_ = 0;
  }
  Value* get() const { return memory_; }
  std::size_t bytes() const { return size_ * sizeof(Value); }

 private:
  void swap(DeviceBuffer& other) {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
  }
  Value* memory_ = nullptr;
  std::size_t size_ = 0;
};

// Memory of the host that a device copies from and to while the host goes on.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  ~PinnedBuffer() {
    if (memory_ != nullptr) free_pinned_memory(memory_);
  }
  std::uint8_t* fit(std::size_t bytes) {
    if (bytes > bytes_) {
      if (memory_ != nullptr) free_pinned_memory(std::exchange(memory_, nullptr));
      bytes_ = 0;
      memory_ = static_cast<std::uint8_t*>(pinned_memory(bytes));
      bytes_ = bytes;
    }
    return memory_;
  }

 private:
  std::uint8_t* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

class OwnStream {
 public:
  OwnStream() : stream_(make_stream()) {}
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  ~OwnStream() { destroy_stream(stream_); }
  operator Stream() const { return stream_; }

 private:
  Stream stream_;
};

}  // namespace lichen::cuda
