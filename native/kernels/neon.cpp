// NEON, which every 64-bit ARM processor has.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

#include "kernels/generic/all.hpp"
#include "kernels/neon_simd.hpp"

}  // namespace

const Kernels kNeonKernels = make_table("neon");

}  // namespace lichen
