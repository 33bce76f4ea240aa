// NEON with dot products of bytes, as of ARMv8.2.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

#define LICHEN_DOTPROD
// In this order.
// clang-format off
#include "kernels/neon_simd.hpp"
#include "kernels/generic/codes.hpp"
// clang-format on

}  // namespace

const CodeTable kNeonDotCodes = make_code_table("neondot");

}  // namespace lichen
