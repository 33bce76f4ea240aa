// Plain C++: the reference path, and what runs where no wider one does.

#include <cstddef>
#include <cstdint>

#include "kernels/tables.hpp"

namespace lichen {
namespace {

struct Simd {
  using Vector = float;
  static constexpr std::size_t kWidth = 1;
  static Vector zero() { return 0.0f; }
  static Vector load(const float* p) { return *p; }
  static Vector load_first(const float*, std::size_t) { return 0.0f; }
  static Vector add(Vector a, Vector b) { return a + b; }
  static Vector subtract(Vector a, Vector b) { return a - b; }
  static Vector multiply_add(Vector a, Vector b, Vector sum) { return a * b + sum; }
  static float sum(Vector v) { return v; }
  static void sum8(const Vector* v, float* out) {
    for (std::size_t i = 0; i < 8; ++i) out[i] = v[i];
  }
  static void prefetch(const float* p) { __builtin_prefetch(p); }
};

#include "kernels/generic.hpp"

}  // namespace

const Kernels kScalarKernels = {"scalar", score_rows<Dot>, score_gather<Dot>, score_rows<SquaredL2>,
                                score_gather<SquaredL2>};

}  // namespace lichen
