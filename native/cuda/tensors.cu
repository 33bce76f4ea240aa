#include "cuda/tensors.cuh"

void LichenCudaTensor::put(const float*) {}
void LichenCudaTensor::get(float*) const {}

namespace lichen::cuda {

void multiply(const LichenCudaProduct&) { throw Failure(LICHEN_CUDA_UNSUPPORTED, "not yet"); }
void soften(const LichenCudaTensor&, LichenCudaTensor&, std::size_t, std::size_t) {
  throw Failure(LICHEN_CUDA_UNSUPPORTED, "not yet");
}
void find_largest(const LichenCudaTensor&, std::size_t, std::size_t, std::size_t, float*,
                  std::int32_t*) {
  throw Failure(LICHEN_CUDA_UNSUPPORTED, "not yet");
}

}  // namespace lichen::cuda
