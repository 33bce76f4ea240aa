#pragma once
// What kernels are written with. With nvcc it is CUDA. With LICHEN_SIMULATED it is the simulated
// device of simulated_device.hpp, on which the very same kernels run in any C++ compiler: for tests
// on machines without a device.
//
// Fragments of matrices, for all types alike since all take 32 bytes of each row and query at a
// time: lane l of a warp holds of A (16 rows) the 4 bytes at 4 (l % 4) of row l / 4, of row l / 4 +
// 8, and both once more 16 bytes further; of B (8 columns) the 4 bytes at 4 (l % 4) of column l /
// 4, and 16 bytes further; of C row l / 4, columns 2 (l % 4) and the next, and the same of row l /
// 4 + 8 (PTX ISA, "Matrix fragments for mma").

#include <cstddef>
#include <cstdint>

#ifdef LICHEN_SIMULATED
#include "cuda/simulated_device.hpp"
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define LICHEN_KERNEL static __global__
#define LICHEN_DEVICE static __device__ __forceinline__
#define LICHEN_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define LICHEN_LAUNCH(kernel, grid, threads, shared, stream, ...) \
  kernel<<<grid, threads, shared, stream>>>(__VA_ARGS__)
#endif

namespace lichen::cuda {

inline constexpr int kLanes = 32;
inline constexpr int kStepBytes = 32;  // of a row and of a query, in one instruction

#ifndef LICHEN_SIMULATED

LICHEN_DEVICE unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

// 16 bytes from global to shared memory, zeros where `is_there` is false; wait_copies waits until
// at most `N` groups are under way.
LICHEN_DEVICE void copy_16(void* to, const void* from, bool is_there) {
  const int bytes = is_there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(to)),
               "l"(from), "r"(bytes));
}
LICHEN_DEVICE void end_copies() { asm volatile("cp.async.commit_group;\n" ::); }
template <int N>
LICHEN_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N));
}

// Four matrices of 8 × 16 bytes; lane l gives the address of row l % 8 of matrix l / 8.
LICHEN_DEVICE void load_matrices(std::uint32_t (&out)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared_address(row)));
}

struct F16Product {
  using Sum = float;
  LICHEN_DEVICE void add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};
struct Bf16Product {
  using Sum = float;
  LICHEN_DEVICE void add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};
// Values of 32 bits, of which 11 of the significand count (TF32): the others are cut off here,
// which is worth a bit.
struct F32Product {
  using Sum = float;
  LICHEN_DEVICE void add(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};
// Codes of rows are unsigned, values of queries signed.
struct I8Product {
  using Sum = int;
  LICHEN_DEVICE void add(int (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t* b) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};\n"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

LICHEN_DEVICE float warp_add(float value) {
  for (int step = kLanes / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(0xFFFFFFFFu, value, step);
  return value;
}
LICHEN_DEVICE float warp_greatest(float value) {
  for (int step = kLanes / 2; step > 0; step /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, step));
  }
  return value;
}

#endif

// f16 and bf16 as floats.
LICHEN_DEVICE float half_value(std::uint16_t bits) {
#ifdef LICHEN_SIMULATED
  return float_from_half(bits);
#else
  return __half2float(__ushort_as_half(bits));
#endif
}
LICHEN_DEVICE float bfloat_value(std::uint16_t bits) {
  return __uint_as_float(static_cast<unsigned>(bits) << 16);
}

// A number that orders hits as `nearer` does: by distance, of equals by row.
LICHEN_DEVICE unsigned long long hit_key(float distance, unsigned row) {
  unsigned bits = __float_as_uint(distance + 0.0f);  // 0 for −0
  bits = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<unsigned long long>(bits) << 32 | row;
}
LICHEN_DEVICE float key_distance(unsigned long long key) {
  const unsigned bits = static_cast<unsigned>(key >> 32);
  return __uint_as_float((bits & 0x80000000u) != 0 ? bits & 0x7FFFFFFFu : ~bits);
}
inline constexpr unsigned long long kNoKey = ~0ull;

}  // namespace lichen::cuda
