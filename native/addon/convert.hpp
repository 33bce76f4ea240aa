#pragma once
// Between JavaScript values and the core's: arguments are checked here once more (TypeScript has
// checked them with better messages), errors of the core become LichenErrors.

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "index/vector_index.hpp"
#include "runtime/error.hpp"

namespace lichen::addon {

template <class T>
struct Span {
  T* data;
  std::size_t size;
};

// Memory of a typed array, valid until JavaScript runs again. Throws Error(kArgument) for anything
// else.
template <class T>
Span<T> typed_array(const Napi::Value& value, napi_typedarray_type wanted, const char* name) {
  napi_typedarray_type type;
  std::size_t length = 0;
  void* data = nullptr;
  bool is_array = false;
  napi_is_typedarray(value.Env(), value, &is_array);
  if (!is_array ||
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) !=
          napi_ok ||
      type != wanted) {
    throw Error(Code::kArgument, std::string(name) + " is not a typed array of the right type");
  }
  return {static_cast<T*>(data), length};
}

inline Span<float> float32_array(const Napi::Value& value, const char* name) {
  return typed_array<float>(value, napi_float32_array, name);
}
inline Span<double> float64_array(const Napi::Value& value, const char* name) {
  return typed_array<double>(value, napi_float64_array, name);
}
inline Span<std::uint32_t> uint32_array(const Napi::Value& value, const char* name) {
  return typed_array<std::uint32_t>(value, napi_uint32_array, name);
}

// A whole number in [0, most].
std::size_t size_argument(const Napi::Value& value, const char* name,
                          double most = 9007199254740991.0);
std::string string_argument(const Napi::Value& value, const char* name);

// The LichenError for an exception in flight, made by the function that set_error_factory was
// given.
Napi::Value to_js_error(Napi::Env env, std::exception_ptr failure);

// Runs a binding's body; what it throws reaches JavaScript as a LichenError.
template <class Body>
Napi::Value guarded(const Napi::CallbackInfo& info, Body&& body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Napi::Error(info.Env(), to_js_error(info.Env(), std::current_exception()));
  }
}

// An object that JavaScript holds for a native one. Tagged, so that a handle of another kind is an
// error and not a wild pointer.
template <class T>
Napi::Object wrap_handle(Napi::Env env, std::shared_ptr<T> target, const napi_type_tag& tag) {
  Napi::Object handle = Napi::Object::New(env);
  auto holder = std::make_unique<std::shared_ptr<T>>(std::move(target));
  const auto finalize = [](napi_env, void* data, void*) {
    delete static_cast<std::shared_ptr<T>*>(data);
  };
  if (napi_wrap(env, handle, holder.get(), finalize, nullptr, nullptr) != napi_ok) {
    throw Napi::Error::New(env);
  }
  holder.release();
  if (napi_type_tag_object(env, handle, &tag) != napi_ok) throw Napi::Error::New(env);
  return handle;
}

// What a handle holds; empty if it was closed.
template <class T>
std::shared_ptr<T>& unwrap_handle(const Napi::Value& value, const napi_type_tag& tag) {
  bool matches = false;
  void* data = nullptr;
  if (!value.IsObject() ||
      napi_check_object_type_tag(value.Env(), value, &tag, &matches) != napi_ok || !matches ||
      napi_unwrap(value.Env(), value, &data) != napi_ok) {
    throw Error(Code::kArgument, "not a native handle of the right kind");
  }
  return *static_cast<std::shared_ptr<T>*>(data);
}

}  // namespace lichen::addon
