#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/cpu_features.hpp"
#include "kernels/tables.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

[[maybe_unused]] Kernels with_codes(Kernels table, const CodeTable& codes) {
  table.isa = codes.isa;
  table.i8 = codes.i8;
  table.i4 = codes.i4;
  table.b1 = codes.b1;
  table.code_tile = codes.code_tile;
  return table;
}

}  // namespace

std::vector<const Kernels*> runnable_kernels() {
  std::vector<const Kernels*> runnable = {&kScalarKernels};
  [[maybe_unused]] const CpuFeatures features = detect_cpu_features();
#if defined(__x86_64__)
  if (features.avx2) runnable.push_back(&kAvx2Kernels);
#if !defined(LICHEN_NARROW)
  if (features.avx512) runnable.push_back(&kAvx512Kernels);
  static const Kernels avx512vnni = with_codes(kAvx512Kernels, kAvx512VnniCodes);
  if (features.avx512vnni) runnable.push_back(&avx512vnni);
#endif
#elif defined(__aarch64__)
  runnable.push_back(&kNeonKernels);
  static const Kernels neondot = with_codes(kNeonKernels, kNeonDotCodes);
  if (features.dotprod) runnable.push_back(&neondot);
#endif
  return runnable;
}

const Kernels& kernels() {
  static const Kernels* chosen = [] {
    const std::vector<const Kernels*> runnable = runnable_kernels();
    const char* wanted = std::getenv("LICHEN_ISA");
    if (wanted == nullptr || *wanted == '\0') return runnable.back();
    std::string names;
    for (const Kernels* table : runnable) {
      if (std::strcmp(table->isa, wanted) == 0) return table;
      names += names.empty() ? table->isa : std::string(", ") + table->isa;
    }
    throw Error(Code::kUnsupported, std::string("LICHEN_ISA is '") + wanted +
                                        "', but this processor runs only: " + names);
  }();
  return *chosen;
}

}  // namespace lichen
