// NEON with dot products of bytes, as of ARMv8.2.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

#define LICHEN_DOTPROD
#include "kernels/generic/all.hpp"
#include "kernels/neon_simd.hpp"

}  // namespace

const Kernels kNeonDotKernels = make_table("neondot");

}  // namespace lichen
