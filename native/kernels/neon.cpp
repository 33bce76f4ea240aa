// NEON, which every 64-bit ARM processor has.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

// In this order.
// clang-format off
#include "kernels/neon_simd.hpp"
#include "kernels/generic/all.hpp"
// clang-format on

}  // namespace

const Kernels kNeonKernels = make_table("neon");

}  // namespace lichen
