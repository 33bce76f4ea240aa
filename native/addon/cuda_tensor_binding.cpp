// Tensors on an NVIDIA device: synchronous, float32. src/native-cuda.ts has the arguments.

#include <napi.h>

#include <cstdint>
#include <memory>

#include "addon/index_binding.hpp"
#include "addon/tensor_arguments.hpp"
#include "runtime/cuda_library.hpp"

namespace lichen::addon {
namespace {

constexpr napi_type_tag kTensorTag = {0x6c696368656e0009ull, 0x51c7e20fa98b3d64ull};

struct DeviceTensor {
  DeviceTensor(std::int32_t device, std::size_t length_) : length(length_) {
    check_cuda(cuda_api().tensor_create(device, length_, &tensor));
  }
  DeviceTensor(const DeviceTensor&) = delete;
  DeviceTensor& operator=(const DeviceTensor&) = delete;
  ~DeviceTensor() { cuda_api().tensor_destroy(tensor); }

  std::size_t length;
  LichenCudaTensor* tensor = nullptr;
};

DeviceTensor& tensor_argument(const Napi::Value& value) {
  const std::shared_ptr<DeviceTensor>& holder = unwrap_handle<DeviceTensor>(value, kTensorTag);
  if (holder == nullptr) throw Error(Code::kClosed, "the tensor on the device is closed");
  return *holder;
}

// (device, length) -> tensor
Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto device = static_cast<std::int32_t>(size_argument(info[0], "device", INT32_MAX));
    const std::size_t length = size_argument(info[1], "length");
    return wrap_handle<DeviceTensor>(info.Env(), std::make_shared<DeviceTensor>(device, length),
                                     kTensorTag);
  });
}

// (tensor)
Napi::Value close(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    unwrap_handle<DeviceTensor>(info[0], kTensorTag).reset();
    return info.Env().Undefined();
  });
}

// (tensor, values)
Napi::Value put(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const DeviceTensor& to = tensor_argument(info[0]);
    const float* const values = sized(float32_array(info[1], "values"), to.length, "values");
    check_cuda(cuda_api().tensor_put(to.tensor, values));
    return info.Env().Undefined();
  });
}

// (tensor, values)
Napi::Value get(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const DeviceTensor& from = tensor_argument(info[0]);
    float* const values = sized(float32_array(info[1], "values"), from.length, "values");
    check_cuda(cuda_api().tensor_get(from.tensor, values));
    return info.Env().Undefined();
  });
}

// (a, b, out, batch, rows, depth, columns, transposeA, transposeB)
Napi::Value product(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const DeviceTensor& a = tensor_argument(info[0]);
    const DeviceTensor& b = tensor_argument(info[1]);
    const DeviceTensor& out = tensor_argument(info[2]);
    LichenCudaProduct product = {};
    product.a = a.tensor;
    product.b = b.tensor;
    product.c = out.tensor;
    product.batch = size_argument(info[3], "batch");
    product.m = size_argument(info[4], "rows");
    product.k = size_argument(info[5], "depth");
    product.n = size_argument(info[6], "columns");
    product.transpose_a = bool_argument(info[7], "transposeA");
    product.transpose_b = bool_argument(info[8], "transposeB");
    const std::size_t a_each = product_of({product.m, product.k});
    const std::size_t b_each = product_of({product.k, product.n});
    // One matrix may serve the whole batch.
    product.a_stride = a.length == a_each ? 0 : a_each;
    product.b_stride = b.length == b_each ? 0 : b_each;
    if (product.a_stride != 0) check_size(a.length, product_of({product.batch, a_each}), "a");
    if (product.b_stride != 0) check_size(b.length, product_of({product.batch, b_each}), "b");
    check_size(out.length, product_of({product.batch, product.m, product.n}), "out");
    check_cuda(cuda_api().matrix_product(&product));
    return info.Env().Undefined();
  });
}

// (x, rows, columns, out)
Napi::Value softmax_rows(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const DeviceTensor& x = tensor_argument(info[0]);
    const std::size_t rows = size_argument(info[1], "rows");
    const std::size_t columns = size_argument(info[2], "columns");
    const DeviceTensor& out = tensor_argument(info[3]);
    const std::size_t count = product_of({rows, columns});
    check_size(x.length, count, "x");
    check_size(out.length, count, "out");
    check_cuda(cuda_api().softmax(x.tensor, out.tensor, rows, columns));
    return info.Env().Undefined();
  });
}

// (x, rows, columns, k, values, places)
Napi::Value greatest(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const DeviceTensor& x = tensor_argument(info[0]);
    const std::size_t rows = size_argument(info[1], "rows");
    const std::size_t columns = size_argument(info[2], "columns");
    const std::size_t k = size_argument(info[3], "k", static_cast<double>(columns));
    const std::size_t count = product_of({rows, k});
    check_size(x.length, product_of({rows, columns}), "x");
    float* const values = sized(float32_array(info[4], "values"), count, "values");
    std::int32_t* const places = sized(int32_array(info[5], "places"), count, "places");
    check_cuda(cuda_api().top_k(x.tensor, rows, columns, k, values, places));
    return info.Env().Undefined();
  });
}

}  // namespace

void export_cuda_tensor_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "cudaTensor", create);
  export_function(env, exports, "cudaTensorClose", close);
  export_function(env, exports, "cudaTensorPut", put);
  export_function(env, exports, "cudaTensorGet", get);
  export_function(env, exports, "cudaTensorProduct", product);
  export_function(env, exports, "cudaTensorSoftmax", softmax_rows);
  export_function(env, exports, "cudaTensorTopK", greatest);
}

}  // namespace lichen::addon
