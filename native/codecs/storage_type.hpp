#pragma once
// The storage types: how a vector is kept. The numbers stand in snapshot files.

#include <array>
#include <cstddef>
#include <cstdint>

namespace lichen {

enum class Metric : std::uint32_t { kDot = 0, kCosine = 1, kL2 = 2 };

enum class StorageType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,   // IEEE half
  kBf16 = 2,  // bfloat16
  kI8 = 3,    // 8 bits a value, a scale and an offset a vector
  kI4 = 4,    // 4 bits a value of the rotated vector
  kB1 = 5,    // 1 bit a value of the rotated vector
  kPq = 6,    // product quantization, 4 bits a subspace
};

inline constexpr std::array<const char*, 7> kStorageTypeNames = {"f32", "f16", "bf16", "i8",
                                                                 "i4",  "b1",  "pq"};

inline constexpr bool is_float(StorageType type) {
  return type == StorageType::kF32 || type == StorageType::kF16 || type == StorageType::kBf16;
}

}  // namespace lichen
