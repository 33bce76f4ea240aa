#pragma once
// The one exception type of the core. Each code maps to one ERR_LICHEN_… code at the JavaScript
// boundary (addon/convert.hpp); a message says what was expected and what came.

#include <stdexcept>
#include <string>

namespace lichen {

enum class Code {
  kArgument,
  kDimension,
  kNotFinite,
  kDuplicateKey,
  kUnknownKey,
  kEmpty,
  kClosed,
  kAborted,
  kBusy,
  kNotFound,
  kIo,
  kFormat,
  kUnsupported,
  kLocked,
  kNoDevice,
  kOldDriver,
  kWrongDevice,
  kDeviceMemory,
  kDeviceLost,
};

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

}  // namespace lichen
