#pragma once
// Where each instruction set's file leaves its table for dispatch.cpp, and what the generic kernels
// need from outside their unnamed namespace.

#include <cmath>

#include "kernels/kernels.hpp"
#include "kernels/lanes.hpp"

namespace lichen {

extern const Kernels kScalarKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
extern const Kernels kNeonDotKernels;
#endif

}  // namespace lichen
