#pragma once
// b1, few queries: a thread has one row at a time and counts bits that it has in common with the
// four planes of each query (bits 0 to 3 of its signed values), which stand in shared memory. As
// fast as rows come from device memory.

#include "cuda/score_kernel.cuh"

namespace lichen::cuda {

inline constexpr unsigned kPopcountQueries = 8;

// `planes`: for each query its four planes, a bit a slot, each as long as a row.
LICHEN_KERNEL void __launch_bounds__(kThreads)
    score_bits(ScoreArguments a, const unsigned long long* planes) {
  LICHEN_SHARED(shared);
  auto* const words = reinterpret_cast<unsigned long long*>(shared);
  const unsigned row_words = static_cast<unsigned>(a.rows.row_bytes / 8);
  const unsigned count = a.queries.count;
  for (unsigned i = threadIdx.x; i < count * 4 * row_words; i += kThreads) words[i] = planes[i];
  __syncthreads();
  for (unsigned row = a.first + blockIdx.x * kThreads + threadIdx.x; row < a.last;
       row += gridDim.x * kThreads) {
    if (!is_admitted(a, row)) continue;
    const auto* const code =
        reinterpret_cast<const unsigned long long*>(a.rows.codes + row * a.rows.row_bytes);
    int sums[kPopcountQueries] = {};
    for (unsigned w = 0; w < row_words; ++w) {
      const unsigned long long bits = code[w];
#pragma unroll
      for (unsigned q = 0; q < kPopcountQueries; ++q) {
        if (q >= count) continue;
        const unsigned long long* const plane = words + q * 4 * row_words + w;
        sums[q] += __popcll(bits & plane[0]) + 2 * __popcll(bits & plane[row_words]) +
                   4 * __popcll(bits & plane[2 * row_words]) -
                   8 * __popcll(bits & plane[3 * row_words]);
      }
    }
    const float square = a.rows.squares != nullptr ? a.rows.squares[row] : 0.0f;
    const float scale = a.rows.scales[row];
#pragma unroll
    for (unsigned q = 0; q < kPopcountQueries; ++q) {
      if (q >= count) continue;
      const float distance =
          a.queries.base[q] + square +
          scale * (a.queries.per_sum[q] * static_cast<float>(sums[q]) + a.queries.per_row[q]);
      if (distance <= limit_distance(a.candidates.limits[q])) offer(a, q, distance, row);
    }
  }
}

}  // namespace lichen::cuda
