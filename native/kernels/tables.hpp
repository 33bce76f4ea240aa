#pragma once
// Where each instruction set's file leaves its table for dispatch.cpp, and what the generic kernels
// need from outside their unnamed namespace.

#include <cmath>

#include "kernels/kernels.hpp"
#include "kernels/lanes.hpp"

namespace lichen {

// What dot products of bytes make faster. The rest of such a table is that of the instruction set
// before, so that it is compiled once.
struct CodeTable {
  const char* isa;
  CodeKernels i8, i4, b1;
  CodeTileKernel code_tile;
};

extern const Kernels kScalarKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const CodeTable kAvx512VnniCodes;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
extern const CodeTable kNeonDotCodes;
#endif

}  // namespace lichen
