// AVX-512 as of Skylake: F, BW, DQ, VL.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

#include "kernels/avx512_simd.hpp"
#include "kernels/generic/all.hpp"

}  // namespace

const Kernels kAvx512Kernels = make_table("avx512");

}  // namespace lichen
