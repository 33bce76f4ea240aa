#pragma once
// What the processor (and the operating system, which must save the wide registers) lets this
// process run.

namespace lichen {

struct CpuFeatures {
  bool avx2 = false;        // with FMA, F16C and POPCNT
  bool avx512 = false;      // F, BW, DQ and VL
  bool avx512vnni = false;  // with BITALG
  bool dotprod = false;     // ARM
};

CpuFeatures detect_cpu_features();

}  // namespace lichen
