#pragma once
// float32 tensors on a device, and what the TensorFlow.js backend does with them.

#include "cuda/memory.cuh"

struct LichenCudaTensor {
  LichenCudaTensor(int device_, std::size_t length_) : device(device_), length(length_) {
    lichen::cuda::require_device(device_);
    if (length_ > kMostLength)
      throw lichen::cuda::Failure(LICHEN_CUDA_MEMORY, "no device has so much memory");
    values.fit(length_);
  }
  void put(const float* from);
  void get(float* to) const;

  static constexpr std::size_t kMostLength = std::size_t{1} << 48;
  int device;
  std::size_t length;  // values
  lichen::cuda::DeviceBuffer<float> values;
};

namespace lichen::cuda {

void multiply(const LichenCudaProduct& product);
void soften(const LichenCudaTensor& in, LichenCudaTensor& out, std::size_t rows,
            std::size_t columns);
void find_largest(const LichenCudaTensor& in, std::size_t rows, std::size_t columns, std::size_t k,
                  float* values, std::int32_t* indices);

}  // namespace lichen::cuda
