// Steps of optimizers and sums of table rows: synchronous, over typed arrays, which are changed in
// place. src/native-tensor.ts has the arguments.

#include <napi.h>

#include "addon/index_binding.hpp"
#include "addon/tensor_arguments.hpp"
#include "tensor/optimizers.hpp"

namespace lichen::addon {
namespace {

double setting(const Napi::Value& value, const char* name) {
  const double number = double_argument(value, name);
  if (number >= 0.0 && number <= 1e300) return number;
  throw Error(Code::kArgument, std::string(name) + " must be a finite number of at least 0");
}

double decay(const Napi::Value& value, const char* name) {
  const double number = setting(value, name);
  if (number < 1.0) return number;
  throw Error(Code::kArgument, std::string(name) + " must be in 0..1, and below 1");
}

// rate, beta1, beta2, epsilon, weight decay
AdamSettings adam_settings(const Napi::CallbackInfo& info, std::size_t at) {
  return {setting(info[at], "rate"), decay(info[at + 1], "beta1"), decay(info[at + 2], "beta2"),
          setting(info[at + 3], "epsilon"), setting(info[at + 4], "weightDecay")};
}

EmbeddingTable table_argument(const Napi::Value& values, const Napi::Value& dim) {
  const Span<float> array = float32_array(values, "table");
  EmbeddingTable table{array.data, 0, dim_argument(dim)};
  table.rows = array.size / table.dim;
  check_size(array.size, table.rows * table.dim, "table");
  if (table.rows > 0x7FFFFFFF) throw Error(Code::kArgument, "table has too many rows");
  return table;
}

// rows, gradients, offsets | null, weights | null
SparseGradients gradients_argument(const Napi::CallbackInfo& info, std::size_t at,
                                   std::size_t dim) {
  const Span<std::int32_t> rows = int32_array(info[at], "rows");
  const Span<float> vectors = float32_array(info[at + 1], "gradients");
  SparseGradients gradients{rows.data, rows.size, vectors.data};
  std::size_t count = rows.size;
  if (!info[at + 2].IsNull()) {
    const Span<std::int32_t> offsets = int32_array(info[at + 2], "offsets");
    if (offsets.size == 0) throw Error(Code::kArgument, "offsets must have a value at least");
    gradients.offsets = offsets.data;
    count = gradients.bags = offsets.size - 1;
  }
  if (!info[at + 3].IsNull()) {
    gradients.weights = sized(float32_array(info[at + 3], "weights"), rows.size, "weights");
  }
  check_size(vectors.size, product_of({count, dim}), "gradients");
  return gradients;
}

// (values, gradients, means, squares, step, rate, beta1, beta2, epsilon, weightDecay)
Napi::Value adam(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Span<float> values = float32_array(info[0], "values");
    const float* const gradients =
        sized(float32_array(info[1], "gradients"), values.size, "gradients");
    float* const means = sized(float32_array(info[2], "means"), values.size, "means");
    float* const squares = sized(float32_array(info[3], "squares"), values.size, "squares");
    const std::size_t step = size_argument(info[4], "step");
    if (step == 0) throw Error(Code::kArgument, "step must be at least 1");
    step_adam(adam_settings(info, 5), step, gradients, values.size, values.data, means, squares);
    return info.Env().Undefined();
  });
}

// (table, dim, rows, gradients, offsets, weights, means, squares, steps,
//  rate, beta1, beta2, epsilon, weightDecay)
Napi::Value sparse_adam(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const EmbeddingTable table = table_argument(info[0], info[1]);
    const SparseGradients gradients = gradients_argument(info, 2, table.dim);
    const std::size_t size = table.rows * table.dim;
    float* const means = sized(float32_array(info[6], "means"), size, "means");
    float* const squares = sized(float32_array(info[7], "squares"), size, "squares");
    std::int32_t* const steps = sized(int32_array(info[8], "steps"), table.rows, "steps");
    step_sparse_adam(adam_settings(info, 9), gradients, table, means, squares, steps);
    return info.Env().Undefined();
  });
}

// (table, dim, rows, gradients, offsets, weights, squares, rate, epsilon, weightDecay)
Napi::Value sparse_adagrad(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const EmbeddingTable table = table_argument(info[0], info[1]);
    const SparseGradients gradients = gradients_argument(info, 2, table.dim);
    float* const squares =
        sized(float32_array(info[6], "squares"), table.rows * table.dim, "squares");
    const AdagradSettings settings{setting(info[7], "rate"), setting(info[8], "epsilon"),
                                   setting(info[9], "weightDecay")};
    step_sparse_adagrad(settings, gradients, table, squares);
    return info.Env().Undefined();
  });
}

// (table, dim, offsets, rows, weights | null, out)
Napi::Value bags(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const EmbeddingTable table = table_argument(info[0], info[1]);
    const Span<std::int32_t> offsets = int32_array(info[2], "offsets");
    const Span<std::int32_t> rows = int32_array(info[3], "rows");
    if (offsets.size == 0) throw Error(Code::kArgument, "offsets must have a value at least");
    const float* weights = nullptr;
    if (!info[4].IsNull()) {
      weights = sized(float32_array(info[4], "weights"), rows.size, "weights");
    }
    const std::size_t count = offsets.size - 1;
    float* const out = sized(float32_array(info[5], "out"), product_of({count, table.dim}), "out");
    sum_bags(table, offsets.data, count, rows.data, rows.size, weights, out);
    return info.Env().Undefined();
  });
}

}  // namespace

void export_optimizer_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "adamStep", adam);
  export_function(env, exports, "sparseAdamStep", sparse_adam);
  export_function(env, exports, "sparseAdagradStep", sparse_adagrad);
  export_function(env, exports, "embeddingBag", bags);
}

}  // namespace lichen::addon
