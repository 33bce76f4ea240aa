// Steps of losses over rows of vectors, and what towers do to rows in training: synchronous, over
// typed arrays. src/native-tensor.ts has the arguments.

#include <napi.h>

#include "addon/index_binding.hpp"
#include "addon/tensor_arguments.hpp"
#include "tensor/dropout.hpp"
#include "tensor/graph.hpp"
#include "tensor/sampled_softmax.hpp"
#include "tensor/unit_rows.hpp"

namespace lichen::addon {
namespace {

struct Rows {
  const float* values;
  std::size_t count;
};

Rows rows_argument(const Napi::Value& value, std::size_t dim, const char* name) {
  const Span<float> array = float32_array(value, name);
  const std::size_t count = array.size / dim;
  check_size(array.size, count * dim, name);
  return {array.data, count};
}

// offsets, values
RowPlaces places_argument(const Napi::CallbackInfo& info, std::size_t at, std::size_t rows,
                          const char* offsets_name, const char* name) {
  const Span<std::int32_t> values = int32_array(info[at + 1], name);
  return {sized(int32_array(info[at], offsets_name), rows + 1, offsets_name), values.data,
          values.size};
}

// (users, negatives, targets, dim, temperature, columnBias, maskOffsets, maskedColumns,
//  pairOffsets, pairTargets, pairBias, rowWeights, ofUsers, ofNegatives, ofTargets) -> loss
Napi::Value sampled_softmax(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    SampledSoftmax step;
    step.dim = dim_argument(info[3]);
    const Rows users = rows_argument(info[0], step.dim, "users");
    const Rows negatives = rows_argument(info[1], step.dim, "negatives");
    const Rows targets = rows_argument(info[2], step.dim, "targets");
    step.rows = users.count;
    step.columns = negatives.count;
    step.target_count = targets.count;
    product_of({step.rows, step.columns});
    step.users = users.values;
    step.negatives = negatives.values;
    step.targets = targets.values;
    step.temperature = float_argument(info[4], "temperature");
    if (!(step.temperature > 0.0f)) {
      throw Error(Code::kArgument, "temperature must be greater than 0");
    }
    step.column_bias = sized(float32_array(info[5], "columnBias"), step.columns, "columnBias");
    step.masked = places_argument(info, 6, step.rows, "maskOffsets", "maskedColumns");
    step.pairs = places_argument(info, 8, step.rows, "pairOffsets", "pairTargets");
    step.pair_bias = sized(float32_array(info[10], "pairBias"), step.pairs.count, "pairBias");
    step.row_weights = sized(float32_array(info[11], "rowWeights"), step.rows, "rowWeights");
    step.of_users = sized(float32_array(info[12], "ofUsers"), step.rows * step.dim, "ofUsers");
    step.of_negatives =
        sized(float32_array(info[13], "ofNegatives"), step.columns * step.dim, "ofNegatives");
    step.of_targets =
        sized(float32_array(info[14], "ofTargets"), step.target_count * step.dim, "ofTargets");
    return Napi::Number::New(info.Env(), step_sampled_softmax(step));
  });
}

// (values, dim, unit, inverse)
Napi::Value unit_rows(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::size_t dim = dim_argument(info[1]);
    const Rows rows = rows_argument(info[0], dim, "values");
    float* const unit = sized(float32_array(info[2], "unit"), rows.count * dim, "unit");
    float* const inverse = sized(float32_array(info[3], "inverse"), rows.count, "inverse");
    make_unit_rows(rows.values, rows.count, dim, unit, inverse);
    return info.Env().Undefined();
  });
}

// (unit, inverse, dim, gradients)
Napi::Value pull_back(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::size_t dim = dim_argument(info[2]);
    const Rows rows = rows_argument(info[0], dim, "unit");
    const float* const inverse = sized(float32_array(info[1], "inverse"), rows.count, "inverse");
    float* const gradients =
        sized(float32_array(info[3], "gradients"), rows.count * dim, "gradients");
    pull_back_unit_rows(rows.values, inverse, rows.count, dim, gradients);
    return info.Env().Undefined();
  });
}

// (seed, share, out)
Napi::Value dropout(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::size_t seed = size_argument(info[0], "seed");
    const double share = double_argument(info[1], "share");
    if (!(share >= 0.0 && share < 1.0)) {
      throw Error(Code::kArgument, "share must be at least 0 and below 1");
    }
    const Span<float> out = float32_array(info[2], "out");
    fill_dropout(seed, share, out.size, out.data);
    return info.Env().Undefined();
  });
}

// (offsets, neighbours, weights, dim, x, base, scale, out)
Napi::Value smooth(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::size_t dim = dim_argument(info[3]);
    const Rows x = rows_argument(info[4], dim, "x");
    const Span<std::int32_t> neighbours = int32_array(info[1], "neighbours");
    Graph graph;
    graph.nodes = x.count;
    graph.offsets = sized(int32_array(info[0], "offsets"), x.count + 1, "offsets");
    graph.neighbours = neighbours.data;
    graph.edges = neighbours.size;
    graph.weights = sized(float32_array(info[2], "weights"), neighbours.size, "weights");
    const float* const base = sized(float32_array(info[5], "base"), x.count * dim, "base");
    float* const out = sized(float32_array(info[7], "out"), x.count * dim, "out");
    if (out == x.values || out == base) {
      throw Error(Code::kArgument, "out must be another array than x and base");
    }
    smooth_rows(graph, dim, x.values, base, float_argument(info[6], "scale"), out);
    return info.Env().Undefined();
  });
}

}  // namespace

void export_loss_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "sampledSoftmaxStep", sampled_softmax);
  export_function(env, exports, "unitRows", unit_rows);
  export_function(env, exports, "pullBackUnitRows", pull_back);
  export_function(env, exports, "dropoutMask", dropout);
  export_function(env, exports, "smoothRows", smooth);
}

}  // namespace lichen::addon
