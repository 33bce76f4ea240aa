#include "addon/convert.hpp"

#include <cmath>

#include "addon/jobs.hpp"

namespace lichen::addon {
namespace {

const char* code_name(Code code) {
  switch (code) {
    case Code::kArgument:
      return "ERR_LICHEN_ARGUMENT";
    case Code::kDimension:
      return "ERR_LICHEN_DIMENSION";
    case Code::kNotFinite:
      return "ERR_LICHEN_NOT_FINITE";
    case Code::kDuplicateKey:
      return "ERR_LICHEN_DUPLICATE_KEY";
    case Code::kUnknownKey:
      return "ERR_LICHEN_UNKNOWN_KEY";
    case Code::kEmpty:
      return "ERR_LICHEN_EMPTY";
    case Code::kClosed:
      return "ERR_LICHEN_CLOSED";
    case Code::kAborted:
      return "ERR_LICHEN_ABORTED";
    case Code::kBusy:
      return "ERR_LICHEN_BUSY";
    case Code::kNotFound:
      return "ERR_LICHEN_NOT_FOUND";
    case Code::kIo:
      return "ERR_LICHEN_IO";
    case Code::kFormat:
      return "ERR_LICHEN_FORMAT";
    case Code::kUnsupported:
      return "ERR_LICHEN_UNSUPPORTED";
    case Code::kLocked:
      return "ERR_LICHEN_LOCKED";
    case Code::kNoDevice:
      return "ERR_LICHEN_NO_DEVICE";
    case Code::kOldDriver:
      return "ERR_LICHEN_OLD_DRIVER";
    case Code::kWrongDevice:
      return "ERR_LICHEN_WRONG_DEVICE";
    case Code::kDeviceMemory:
      return "ERR_LICHEN_DEVICE_MEMORY";
    case Code::kDeviceLost:
      return "ERR_LICHEN_DEVICE_LOST";
  }
  return "ERR_LICHEN_INTERNAL";
}

Napi::Value make_error(Napi::Env env, const char* code, const std::string& message) {
  const Napi::FunctionReference& factory = Jobs::of(env).error_factory();
  if (factory.IsEmpty()) {
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", code);
    return error.Value();
  }
  return factory.Call({Napi::String::New(env, code), Napi::String::New(env, message)});
}

}  // namespace

std::size_t size_argument(const Napi::Value& value, const char* name, double most) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1.0;
  if (!(number >= 0.0 && number <= most) || number != std::floor(number)) {
    throw Error(Code::kArgument, std::string(name) + " must be a whole number in range");
  }
  return static_cast<std::size_t>(number);
}

std::string string_argument(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw Error(Code::kArgument, std::string(name) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Value to_js_error(Napi::Env env, std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return make_error(env, code_name(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return make_error(env, "ERR_LICHEN_MEMORY", "not enough memory");
  } catch (const std::length_error&) {
    return make_error(env, "ERR_LICHEN_MEMORY", "not enough memory");
  } catch (const std::exception& error) {
    return make_error(env, "ERR_LICHEN_INTERNAL", error.what());
  }
}

}  // namespace lichen::addon
