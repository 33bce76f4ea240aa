#include "addon/tensor_arguments.hpp"

namespace lichen::addon {
namespace {

// No typed array is longer; products of two such sizes fit 64 bits.
constexpr std::size_t kMostElements = std::size_t{1} << 33;

}  // namespace

AnyArray any_array(const Napi::Value& value, const char* name) {
  AnyArray array;
  bool is_array = false;
  napi_is_typedarray(value.Env(), value, &is_array);
  if (!is_array ||
      napi_get_typedarray_info(value.Env(), value, &array.type, &array.size, &array.data, nullptr,
                               nullptr) != napi_ok ||
      (array.type != napi_float32_array && array.type != napi_int32_array &&
       array.type != napi_uint8_array)) {
    throw Error(Code::kArgument, std::string(name) + " is not a typed array of the right type");
  }
  return array;
}

Span<std::int32_t> int32_array(const Napi::Value& value, const char* name) {
  return typed_array<std::int32_t>(value, napi_int32_array, name);
}

void check_size(std::size_t size, std::size_t wanted, const char* name) {
  if (size == wanted) return;
  throw Error(Code::kDimension, std::string(name) + " must have " + std::to_string(wanted) +
                                    " values, got " + std::to_string(size));
}

const void* sized(const AnyArray& array, std::size_t wanted, const char* name) {
  check_size(array.size, wanted, name);
  return array.data;
}

std::size_t product_of(std::initializer_list<std::size_t> sizes) {
  std::size_t product = 1;
  for (const std::size_t size : sizes) {
    if (size != 0 && product > kMostElements / size) {
      throw Error(Code::kArgument, "sizes: there is no array of so many elements");
    }
    product *= size;
  }
  return product;
}

double double_argument(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) throw Error(Code::kArgument, std::string(name) + " must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::size_t dim_argument(const Napi::Value& value) {
  const std::size_t dim = size_argument(value, "dim", 1 << 24);
  if (dim == 0) throw Error(Code::kArgument, "dim must be at least 1");
  return dim;
}

float float_argument(const Napi::Value& value, const char* name) {
  return static_cast<float>(double_argument(value, name));
}

bool bool_argument(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) throw Error(Code::kArgument, std::string(name) + " must be a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::size_t operation_argument(const Napi::Value& value, std::size_t count) {
  return size_argument(value, "operation", static_cast<double>(count) - 1.0);
}

Axes<2> axes_argument(const Napi::Value& value) {
  const Span<std::int32_t> numbers = int32_array(value, "axes");
  Axes<2> axes;
  axes.rank = numbers.size / 3;
  if (axes.rank * 3 != numbers.size || axes.rank > kMostAxes) {
    throw Error(Code::kArgument, "axes must be extents and steps of two views, of at most " +
                                     std::to_string(kMostAxes) + " axes");
  }
  std::size_t count = 1;
  for (std::size_t axis = 0; axis < axes.rank; ++axis) {
    const std::int32_t extent = numbers.data[axis];
    if (extent < 0) throw Error(Code::kArgument, "axes: an extent is negative");
    axes.extents[axis] = static_cast<std::size_t>(extent);
    // Without regard to zeros, so that no part of the product is beyond either.
    if (extent > 0) count = product_of({count, static_cast<std::size_t>(extent)});
    for (std::size_t view = 0; view < 2; ++view) {
      axes.steps[view][axis] = numbers.data[(view + 1) * axes.rank + axis];
    }
  }
  return axes;
}

void check_reach(const Axes<2>& axes, std::size_t view, std::size_t first, std::size_t size,
                 const char* name) {
  if (axes.count() == 0) return;
  const auto reach = axes.reach(view);
  if (first < size && reach.before <= first && reach.after < size - first) return;
  throw Error(Code::kDimension, std::string(name) + ": the axes reach beyond its " +
                                    std::to_string(size) + " values");
}

void check_broadcast(const Axes<2>& axes) {
  if (axes.rank == 0) return;
  for (std::size_t view = 0; view < 2; ++view) {
    const std::ptrdiff_t step = axes.steps[view][axes.rank - 1];
    if (step != 0 && step != 1) {
      throw Error(Code::kArgument, "axes: steps along the last axis must be 0 or 1");
    }
  }
}

}  // namespace lichen::addon
