#pragma once
// What the processor (and the operating system, which must save the wide registers) lets this
// process run.

namespace lichen {

struct CpuFeatures {
  bool avx2_fma = false;
  bool avx512 = false;  // F, BW, DQ and VL
};

CpuFeatures detect_cpu_features();

}  // namespace lichen
