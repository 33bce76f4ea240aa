#pragma once
// The scoring kernels: one query against many rows. One table of function pointers an instruction
// set; dispatch.cpp picks once for the process. A row is `dim` floats; row r starts at rows + r *
// stride. No alignment is required, no element past `dim` is read, `out` must not overlap the
// inputs. Results are sums in f32 whose order of addition depends on the instruction set: they
// agree with a float64 sum within (dim / 4 + 8) · 2^-24 · Σ|terms|.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lichen {

// out[i] = score of the query against row i, for i < count.
using RowsKernel = void (*)(const float* query, const float* rows, std::size_t stride,
                            std::size_t count, std::size_t dim, float* out);

// out[i] = score of the query against row ids[i], for i < count; rows ahead are prefetched.
using GatherKernel = void (*)(const float* query, const float* rows, std::size_t stride,
                              const std::uint32_t* ids, std::size_t count, std::size_t dim,
                              float* out);

struct Kernels {
  const char* isa;      // "scalar", "avx2", "avx512"
  RowsKernel dot_rows;  // Σ q·x
  GatherKernel dot_gather;
  RowsKernel l2_rows;  // Σ (q − x)²
  GatherKernel l2_gather;
};

// The table in use: the best that this processor runs, or the one that LICHEN_ISA names. Throws
// Error(kUnsupported) if LICHEN_ISA names one that does not exist or cannot run here.
const Kernels& kernels();

// Every table that this processor can run, scalar first.
std::vector<const Kernels*> runnable_kernels();

}  // namespace lichen
