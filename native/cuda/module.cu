// The table of functions that the module offers.

#include <memory>
#include <string>

#include "cuda/device_rows.cuh"
#include "cuda/lichen_cuda.h"
#include "cuda/memory.cuh"
#include "cuda/tensors.cuh"

struct LichenCudaRows {
  lichen::cuda::DeviceRows rows;
};

namespace lichen::cuda {
namespace {

std::string& last_message() {
  static thread_local std::string message;
  return message;
}

template <class Call>
int guarded(Call&& call) noexcept {
  try {
    call();
    return LICHEN_CUDA_OK;
  } catch (const Failure& failure) {
    try {
      last_message() = failure.what();
    } catch (...) {
    }
    return failure.status;
  } catch (const std::bad_alloc&) {
    return LICHEN_CUDA_MEMORY;
  } catch (...) {
    return LICHEN_CUDA_FAILED;
  }
}

const char* message() { return last_message().c_str(); }

int device_count(int32_t* count) {
  return guarded([&] { *count = count_devices(); });
}
int device(int32_t number, LichenCudaDevice* out) {
  return guarded([&] { *out = describe_device(number); });
}
int rows_create(const LichenCudaSpec* spec, uint64_t most_bytes, LichenCudaRows** out) {
  return guarded([&] { *out = new LichenCudaRows{DeviceRows(*spec, most_bytes)}; });
}
void rows_destroy(LichenCudaRows* rows) { delete rows; }
int rows_put(LichenCudaRows* rows, const LichenCudaSource* source, uint64_t first, uint64_t count) {
  return guarded([&] { rows->rows.put(*source, first, count); });
}
int rows_truncate(LichenCudaRows* rows, uint64_t count) {
  return guarded([&] { rows->rows.truncate(count); });
}
int rows_size(const LichenCudaRows* rows, uint64_t* count, uint64_t* resident, uint64_t* bytes) {
  *count = rows->rows.rows();
  *resident = rows->rows.resident();
  *bytes = rows->rows.bytes();
  return LICHEN_CUDA_OK;
}
int rows_search(LichenCudaRows* rows, const LichenCudaSearch* search) {
  return guarded([&] { rows->rows.search(*search); });
}
int tensor_create(int32_t device, uint64_t length, LichenCudaTensor** out) {
  return guarded([&] { *out = new LichenCudaTensor(device, length); });
}
void tensor_destroy(LichenCudaTensor* tensor) { delete tensor; }
int tensor_put(LichenCudaTensor* tensor, const float* values) {
  return guarded([&] { tensor->put(values); });
}
int tensor_get(const LichenCudaTensor* tensor, float* values) {
  return guarded([&] { tensor->get(values); });
}
int matrix_product(const LichenCudaProduct* product) {
  return guarded([&] { multiply(*product); });
}
int softmax(const LichenCudaTensor* in, LichenCudaTensor* out, uint64_t rows, uint64_t columns) {
  return guarded([&] { soften(*in, *out, rows, columns); });
}
int top_k(const LichenCudaTensor* in, uint64_t rows, uint64_t columns, uint64_t k, float* values,
          int32_t* indices) {
  return guarded([&] { find_largest(*in, rows, columns, k, values, indices); });
}

constexpr LichenCudaApi kApi = {
    .abi = LICHEN_CUDA_ABI,
    .message = message,
    .device_count = device_count,
    .device = device,
    .rows_create = rows_create,
    .rows_destroy = rows_destroy,
    .rows_put = rows_put,
    .rows_truncate = rows_truncate,
    .rows_size = rows_size,
    .rows_search = rows_search,
    .tensor_create = tensor_create,
    .tensor_destroy = tensor_destroy,
    .tensor_put = tensor_put,
    .tensor_get = tensor_get,
    .matrix_product = matrix_product,
    .softmax = softmax,
    .top_k = top_k,
};

}  // namespace
}  // namespace lichen::cuda

#ifdef LICHEN_SIMULATED
extern "C" {
__attribute__((visibility("default"))) extern const int lichen_cuda_simulated;
const int lichen_cuda_simulated = 1;
}
#endif

extern "C" const LichenCudaApi* lichen_cuda_api(uint32_t abi) {
  return abi == LICHEN_CUDA_ABI ? &lichen::cuda::kApi : nullptr;
}
