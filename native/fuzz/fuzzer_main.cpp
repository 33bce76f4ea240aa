// The entry of libFuzzer; CMake defines LICHEN_FUZZ_TARGET as the target's function.

#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lichen::fuzz::LICHEN_FUZZ_TARGET(data, size);
  return 0;
}
