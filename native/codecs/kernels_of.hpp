#pragma once
// The kernels of a storage type.

#include "codecs/storage_type.hpp"
#include "kernels/kernels.hpp"

namespace lichen {

// f32, f16 or bf16.
inline const FloatKernels& float_kernels(const Kernels& table, StorageType type) {
  return type == StorageType::kF32 ? table.f32 : type == StorageType::kF16 ? table.f16 : table.bf16;
}

// i8, i4 or b1.
inline const CodeKernels& code_kernels(const Kernels& table, StorageType type) {
  return type == StorageType::kI8 ? table.i8 : type == StorageType::kI4 ? table.i4 : table.b1;
}

}  // namespace lichen
