#pragma once
// Rows chosen by number: gathered, and what is the gradient of that, summed.

#include <cstddef>
#include <cstdint>

namespace lichen {

// out[b][o][i][...] = x[b][o][indices[b][i]][...] where [...] is `row_bytes` bytes.
struct Gathering {
  std::size_t batch = 1;
  std::size_t outer = 1;
  std::size_t rows = 0;     // of x
  std::size_t indices = 0;  // of a batch
  std::size_t row_bytes = 0;
};

// Throws Error(kArgument) naming the first index that is no row; nothing is written then.
void gather_rows(const Gathering& gathering, const void* x, const std::int32_t* indices, void* out);

// out[s][...] = Σ of the rows x[i][...] with ids[i] = s, `width` values each, in the order of i and
// in f64, rounded once. Ids that are no segment are passed over.
void sum_segments(const float* x, const std::int32_t* ids, std::size_t rows, std::size_t width,
                  std::size_t segments, float* out);

}  // namespace lichen
