#pragma once
// Arguments of the tensor functions: typed arrays whose sizes are checked against what is done with
// them. An array that is detached has no elements, and so fails the check.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "addon/convert.hpp"
#include "runtime/error.hpp"
#include "tensor/strided.hpp"

namespace lichen::addon {

// A typed array of any kind that tensors have.
struct AnyArray {
  napi_typedarray_type type = napi_uint8_array;
  void* data = nullptr;
  std::size_t size = 0;

  bool is(napi_typedarray_type other) const { return type == other; }
  std::size_t element_bytes() const { return type == napi_uint8_array ? 1 : 4; }
  const float* floats() const { return static_cast<const float*>(data); }
  const std::int32_t* integers() const { return static_cast<const std::int32_t*>(data); }
  const std::uint8_t* bytes() const { return static_cast<const std::uint8_t*>(data); }
};

// Throws Error(kArgument) for anything but a Float32Array, an Int32Array or a Uint8Array.
AnyArray any_array(const Napi::Value& value, const char* name);
Span<std::int32_t> int32_array(const Napi::Value& value, const char* name);
// Throws Error(kDimension) unless there are so many elements.
void check_size(std::size_t size, std::size_t wanted, const char* name);
template <class T>
T* sized(const Span<T>& array, std::size_t wanted, const char* name) {
  check_size(array.size, wanted, name);
  return array.data;
}
const void* sized(const AnyArray& array, std::size_t wanted, const char* name);

// The product of sizes; throws Error(kArgument) where no array could have so many elements.
std::size_t product_of(std::initializer_list<std::size_t> sizes);
// Values a row: at least 1.
std::size_t dim_argument(const Napi::Value& value);
float float_argument(const Napi::Value& value, const char* name);
double double_argument(const Napi::Value& value, const char* name);
bool bool_argument(const Napi::Value& value, const char* name);
// The number of an operation among `count`.
std::size_t operation_argument(const Napi::Value& value, std::size_t count);

// An Int32Array of an extent for each axis, then a step for each axis of each of two views.
Axes<2> axes_argument(const Napi::Value& value);
// Throws Error(kDimension) unless the elements that a view reaches from its element `first` on lie
// within the array.
void check_reach(const Axes<2>& axes, std::size_t view, std::size_t first, std::size_t size,
                 const char* name);
// Throws Error(kArgument) unless the steps along the last axis are 0 or 1.
void check_broadcast(const Axes<2>& axes);

}  // namespace lichen::addon
