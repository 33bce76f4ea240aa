// Tensor functions: synchronous, over typed arrays. src/native-tensor.ts has the arguments.

#include <napi.h>

#include "addon/index_binding.hpp"
#include "addon/tensor_arguments.hpp"
#include "tensor/elementwise.hpp"
#include "tensor/matrix_product.hpp"
#include "tensor/reductions.hpp"
#include "tensor/rows.hpp"

namespace lichen::addon {
namespace {

template <std::size_t kCount>
Napi::Array names_of(Napi::Env env, const char* const (&names)[kCount]) {
  Napi::Array array = Napi::Array::New(env, kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) array.Set(i, names[i]);
  return array;
}

// () -> names of operations; functions take their places
Napi::Value operations(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Napi::Object object = Napi::Object::New(env);
    object.Set("binary", names_of(env, kBinaryNames));
    object.Set("comparison", names_of(env, kComparisonNames));
    object.Set("logical", names_of(env, kLogicalNames));
    object.Set("unary", names_of(env, kUnaryNames));
    object.Set("reduction", names_of(env, kReductionNames));
    object.Set("activation", names_of(env, kActivationNames));
    return object;
  });
}

// (a, b, out, batch, rows, depth, columns, transposeA, transposeB, bias | null, activation, slope)
Napi::Value product(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Span<float> a = float32_array(info[0], "a");
    const Span<float> b = float32_array(info[1], "b");
    const Span<float> out = float32_array(info[2], "out");
    MatrixProduct product;
    product.batch = size_argument(info[3], "batch");
    product.rows = size_argument(info[4], "rows");
    product.depth = size_argument(info[5], "depth");
    product.columns = size_argument(info[6], "columns");
    product.transpose_a = bool_argument(info[7], "transposeA");
    product.transpose_b = bool_argument(info[8], "transposeB");
    product.activation =
        static_cast<Activation>(operation_argument(info[10], std::size(kActivationNames)));
    product.slope = float_argument(info[11], "slope");
    const std::size_t a_each = product_of({product.rows, product.depth});
    const std::size_t b_each = product_of({product.depth, product.columns});
    const std::size_t c_each = product_of({product.rows, product.columns});
    // One matrix may serve the whole batch.
    product.a_batch_step = a.size == a_each ? 0 : a_each;
    product.b_batch_step = b.size == b_each ? 0 : b_each;
    if (product.a_batch_step != 0) check_size(a.size, product_of({product.batch, a_each}), "a");
    if (product.b_batch_step != 0) check_size(b.size, product_of({product.batch, b_each}), "b");
    product.a = a.data;
    product.b = b.data;
    product.c = sized(out, product_of({product.batch, c_each}), "out");
    if (!info[9].IsNull()) {
      product.bias = sized(float32_array(info[9], "bias"), product.columns, "bias");
    }
    multiply_matrices(product);
    return info.Env().Undefined();
  });
}

// (operation, axes, a, b, out)
Napi::Value binary(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto operation = static_cast<Binary>(operation_argument(info[0], kBinaryCount));
    const Axes<2> axes = axes_argument(info[1]);
    const AnyArray a = any_array(info[2], "a");
    const AnyArray b = any_array(info[3], "b");
    check_broadcast(axes);
    check_reach(axes, 0, 0, a.size, "a");
    check_reach(axes, 1, 0, b.size, "b");
    if (a.is(napi_float32_array) && b.is(napi_float32_array)) {
      apply_binary(operation, axes, a.floats(), b.floats(),
                   sized(float32_array(info[4], "out"), axes.count(), "out"));
    } else if (a.is(napi_int32_array) && b.is(napi_int32_array)) {
      apply_binary(operation, axes, a.integers(), b.integers(),
                   sized(int32_array(info[4], "out"), axes.count(), "out"));
    } else {
      throw Error(Code::kArgument, "a and b must both be Float32Arrays or Int32Arrays");
    }
    return info.Env().Undefined();
  });
}

// (operation, axes, a, b, out: Uint8Array)
Napi::Value comparison(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto operation = static_cast<Comparison>(operation_argument(info[0], kComparisonCount));
    const Axes<2> axes = axes_argument(info[1]);
    const AnyArray a = any_array(info[2], "a");
    const AnyArray b = any_array(info[3], "b");
    check_broadcast(axes);
    check_reach(axes, 0, 0, a.size, "a");
    check_reach(axes, 1, 0, b.size, "b");
    std::uint8_t* const out =
        sized(typed_array<std::uint8_t>(info[4], napi_uint8_array, "out"), axes.count(), "out");
    if (a.is(napi_float32_array) && b.is(napi_float32_array)) {
      apply_comparison(operation, axes, a.floats(), b.floats(), out);
    } else if (a.is(napi_int32_array) && b.is(napi_int32_array)) {
      apply_comparison(operation, axes, a.integers(), b.integers(), out);
    } else {
      throw Error(Code::kArgument, "a and b must both be Float32Arrays or Int32Arrays");
    }
    return info.Env().Undefined();
  });
}

// (operation, axes, a, b, out), all of bytes
Napi::Value logical(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto operation =
        static_cast<Logical>(operation_argument(info[0], std::size(kLogicalNames)));
    const Axes<2> axes = axes_argument(info[1]);
    const auto a = typed_array<std::uint8_t>(info[2], napi_uint8_array, "a");
    const auto b = typed_array<std::uint8_t>(info[3], napi_uint8_array, "b");
    check_broadcast(axes);
    check_reach(axes, 0, 0, a.size, "a");
    check_reach(axes, 1, 0, b.size, "b");
    const auto out = typed_array<std::uint8_t>(info[4], napi_uint8_array, "out");
    apply_logical(operation, axes, a.data, b.data, sized(out, axes.count(), "out"));
    return info.Env().Undefined();
  });
}

// (operation, x, out, p, q)
Napi::Value unary(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto operation = static_cast<Unary>(operation_argument(info[0], kUnaryCount));
    const Span<float> x = float32_array(info[1], "x");
    float* const out = sized(float32_array(info[2], "out"), x.size, "out");
    apply_unary(operation, x.data, x.size, float_argument(info[3], "p"),
                float_argument(info[4], "q"), out);
    return info.Env().Undefined();
  });
}

// (condition, a, b, out): a and b as long as the condition, or of one value
Napi::Value select(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto condition = typed_array<std::uint8_t>(info[0], napi_uint8_array, "condition");
    const Span<float> a = float32_array(info[1], "a");
    const Span<float> b = float32_array(info[2], "b");
    float* const out = sized(float32_array(info[3], "out"), condition.size, "out");
    if (a.size != 1) check_size(a.size, condition.size, "a");
    if (b.size != 1) check_size(b.size, condition.size, "b");
    apply_select(condition.data, a.data, a.size == 1 ? 0 : 1, b.data, b.size == 1 ? 0 : 1,
                 condition.size, out);
    return info.Env().Undefined();
  });
}

// (x, out), arrays of two of the three types
Napi::Value cast(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const AnyArray x = any_array(info[0], "x");
    const AnyArray out = any_array(info[1], "out");
    check_size(out.size, x.size, "out");
    if (x.is(napi_float32_array) && out.is(napi_int32_array)) {
      cast_values(x.floats(), x.size, static_cast<std::int32_t*>(out.data));
    } else if (x.is(napi_float32_array) && out.is(napi_uint8_array)) {
      cast_values(x.floats(), x.size, static_cast<std::uint8_t*>(out.data));
    } else if (x.is(napi_int32_array) && out.is(napi_float32_array)) {
      cast_values(x.integers(), x.size, static_cast<float*>(out.data));
    } else if (x.is(napi_int32_array) && out.is(napi_uint8_array)) {
      cast_values(x.integers(), x.size, static_cast<std::uint8_t*>(out.data));
    } else if (x.is(napi_uint8_array) && out.is(napi_float32_array)) {
      cast_values(x.bytes(), x.size, static_cast<float*>(out.data));
    } else if (x.is(napi_uint8_array) && out.is(napi_int32_array)) {
      cast_values(x.bytes(), x.size, static_cast<std::int32_t*>(out.data));
    } else {
      throw Error(Code::kArgument, "x and out must be of different types");
    }
    return info.Env().Undefined();
  });
}

// (axes, in, first of in, out, first of out)
Napi::Value copy(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Axes<2> axes = axes_argument(info[0]);
    const AnyArray in = any_array(info[1], "in");
    const std::size_t in_first = size_argument(info[2], "first of in");
    const AnyArray out = any_array(info[3], "out");
    const std::size_t out_first = size_argument(info[4], "first of out");
    if (!in.is(out.type)) throw Error(Code::kArgument, "in and out must be of one type");
    check_reach(axes, 0, in_first, in.size, "in");
    check_reach(axes, 1, out_first, out.size, "out");
    if (axes.count() > 0) {
      const std::size_t bytes = in.element_bytes();
      copy_strided(axes, bytes, in.bytes() + in_first * bytes,
                   static_cast<std::uint8_t*>(out.data) + out_first * bytes);
    }
    return info.Env().Undefined();
  });
}

ReducedAxis reduced_axis(const Napi::CallbackInfo& info, std::size_t at) {
  return {size_argument(info[at], "outer"), size_argument(info[at + 1], "length"),
          size_argument(info[at + 2], "inner")};
}

// (operation, x, outer, length, inner, out)
Napi::Value reduction(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto operation =
        static_cast<Reduction>(operation_argument(info[0], std::size(kReductionNames)));
    const AnyArray x = any_array(info[1], "x");
    const ReducedAxis axis = reduced_axis(info, 2);
    const std::size_t results = product_of({axis.outer, axis.inner});
    check_size(x.size, product_of({results, axis.length}), "x");
    const bool needs_values = operation == Reduction::kMaximum || operation == Reduction::kMinimum;
    if (axis.length == 0 && needs_values) {
      throw Error(Code::kArgument, "length must be at least 1");
    }
    if (x.is(napi_float32_array)) {
      reduce(operation, axis, x.floats(), sized(float32_array(info[5], "out"), results, "out"));
    } else if (x.is(napi_int32_array)) {
      reduce(operation, axis, x.integers(), sized(int32_array(info[5], "out"), results, "out"));
    } else {
      throw Error(Code::kArgument, "x must be a Float32Array or an Int32Array");
    }
    return info.Env().Undefined();
  });
}

// (greatest, x, outer, length, inner, out: Int32Array)
Napi::Value extreme(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const bool greatest = bool_argument(info[0], "greatest");
    const Span<float> x = float32_array(info[1], "x");
    const ReducedAxis axis = reduced_axis(info, 2);
    const std::size_t results = product_of({axis.outer, axis.inner});
    if (axis.length == 0) throw Error(Code::kArgument, "length must be at least 1");
    find_extreme(greatest, axis, sized(x, product_of({results, axis.length}), "x"),
                 sized(int32_array(info[5], "out"), results, "out"));
    return info.Env().Undefined();
  });
}

// (x, rows, columns, out)
Napi::Value softmax_rows(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Span<float> x = float32_array(info[0], "x");
    const std::size_t rows = size_argument(info[1], "rows");
    const std::size_t columns = size_argument(info[2], "columns");
    const std::size_t count = product_of({rows, columns});
    float* const out = sized(float32_array(info[3], "out"), count, "out");
    softmax(sized(x, count, "x"), rows, columns, out);
    return info.Env().Undefined();
  });
}

// (x, rows, columns, k, values, places)
Napi::Value greatest(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Span<float> x = float32_array(info[0], "x");
    const std::size_t rows = size_argument(info[1], "rows");
    const std::size_t columns = size_argument(info[2], "columns");
    const std::size_t k = size_argument(info[3], "k", static_cast<double>(columns));
    const std::size_t count = product_of({rows, k});
    top_k(sized(x, product_of({rows, columns}), "x"), rows, columns, k,
          sized(float32_array(info[4], "values"), count, "values"),
          sized(int32_array(info[5], "places"), count, "places"));
    return info.Env().Undefined();
  });
}

// (x, indices, batch, outer, rows, width, out)
Napi::Value gather(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const AnyArray x = any_array(info[0], "x");
    const Span<std::int32_t> indices = int32_array(info[1], "indices");
    Gathering gathering;
    gathering.batch = size_argument(info[2], "batch");
    gathering.outer = size_argument(info[3], "outer");
    gathering.rows = size_argument(info[4], "rows");
    const std::size_t width = size_argument(info[5], "width");
    const AnyArray out = any_array(info[6], "out");
    gathering.indices = gathering.batch == 0 ? 0 : indices.size / gathering.batch;
    gathering.row_bytes = product_of({width, x.element_bytes()});
    check_size(indices.size, product_of({gathering.batch, gathering.indices}), "indices");
    const std::size_t groups = product_of({gathering.batch, gathering.outer});
    check_size(x.size, product_of({groups, gathering.rows, width}), "x");
    check_size(out.size, product_of({groups, gathering.indices, width}), "out");
    if (!x.is(out.type)) throw Error(Code::kArgument, "x and out must be of one type");
    gather_rows(gathering, x.data, indices.data, out.data);
    return info.Env().Undefined();
  });
}

// (x, ids, width, segments, out)
Napi::Value segment_sum(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Span<float> x = float32_array(info[0], "x");
    const Span<std::int32_t> ids = int32_array(info[1], "ids");
    const std::size_t width = size_argument(info[2], "width");
    const std::size_t segments = size_argument(info[3], "segments", 2147483647.0);
    float* const out = sized(float32_array(info[4], "out"), product_of({segments, width}), "out");
    sum_segments(sized(x, product_of({ids.size, width}), "x"), ids.data, ids.size, width, segments,
                 out);
    return info.Env().Undefined();
  });
}

}  // namespace

void export_tensor_functions(Napi::Env env, Napi::Object exports) {
  export_function(env, exports, "tensorOperations", operations);
  export_function(env, exports, "tensorProduct", product);
  export_function(env, exports, "tensorBinary", binary);
  export_function(env, exports, "tensorComparison", comparison);
  export_function(env, exports, "tensorLogical", logical);
  export_function(env, exports, "tensorUnary", unary);
  export_function(env, exports, "tensorSelect", select);
  export_function(env, exports, "tensorCast", cast);
  export_function(env, exports, "tensorCopy", copy);
  export_function(env, exports, "tensorReduction", reduction);
  export_function(env, exports, "tensorExtreme", extreme);
  export_function(env, exports, "tensorSoftmax", softmax_rows);
  export_function(env, exports, "tensorTopK", greatest);
  export_function(env, exports, "tensorGather", gather);
  export_function(env, exports, "tensorSegmentSum", segment_sum);
}

}  // namespace lichen::addon
