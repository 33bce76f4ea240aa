#pragma once
// What stands between how rows and queries come and how they are scored.

#include "cuda/device.cuh"
#include "cuda/lichen_cuda.h"
#include "cuda/score_kernel.cuh"

namespace lichen::cuda {

LICHEN_DEVICE float stored_value(const std::uint8_t* code, unsigned d, int type) {
  if (type == LICHEN_CUDA_F32) return reinterpret_cast<const float*>(code)[d];
  const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(code)[d];
  return type == LICHEN_CUDA_F16 ? half_value(bits) : bfloat_value(bits);
}

// |x|² of rows [0, count), a warp a row.
LICHEN_KERNEL void square_rows(const std::uint8_t* codes, unsigned long long row_bytes,
                               unsigned count, unsigned dim, int type, float* squares) {
  const unsigned row = (blockIdx.x * blockDim.x + threadIdx.x) / kLanes;
  const unsigned lane = threadIdx.x % kLanes;
  float sum = 0.0f;
  if (row < count) {
    const std::uint8_t* const code = codes + row * row_bytes;
    for (unsigned d = lane; d < dim; d += kLanes) {
      const float value = stored_value(code, d, type);
      sum += value * value;
    }
  }
  sum = warp_add(sum);
  if (row < count && lane == 0) squares[row] = sum;
}

LICHEN_DEVICE void store_value(std::uint8_t* to, unsigned d, int type, float value) {
  if (type == LICHEN_CUDA_F32) {
    // Half of what is cut off of TF32 is added before, so that it is rounded.
    reinterpret_cast<unsigned*>(to)[d] = __float_as_uint(value) + 0x1000u;
  } else if (type == LICHEN_CUDA_F16) {
#ifdef LICHEN_SIMULATED
    reinterpret_cast<std::uint16_t*>(to)[d] = half_from_float(value);
#else
    reinterpret_cast<std::uint16_t*>(to)[d] = __half_as_ushort(__float2half_rn(value));
#endif
  } else {
    const unsigned bits = __float_as_uint(value);
    reinterpret_cast<std::uint16_t*>(to)[d] =
        static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
  }
}

// Queries of floats as rows of a type lie, zeros behind them, a block a query: each times a power
// of two by which its largest value comes near 1, so that all fit f16; `per_sum` undoes it.
LICHEN_KERNEL void pack_queries(const float* values, unsigned dim, unsigned count, int type,
                                float weight, std::uint8_t* codes, unsigned long long bytes,
                                float* per_sum) {
  LICHEN_SHARED(shared);
  auto* const greatest = reinterpret_cast<float*>(shared);
  const unsigned query = blockIdx.x;
  const bool is_there = query < count;
  const float* const from = values + static_cast<std::size_t>(query) * dim;
  float most = 0.0f;
  if (is_there) {
    for (unsigned d = threadIdx.x; d < dim; d += blockDim.x) most = fmaxf(most, fabsf(from[d]));
  }
  most = warp_greatest(most);
  if (threadIdx.x % kLanes == 0) greatest[threadIdx.x / kLanes] = most;
  __syncthreads();
  for (unsigned w = 0; w < blockDim.x / kLanes; ++w) most = fmaxf(most, greatest[w]);
  int exponent = static_cast<int>(__float_as_uint(most) >> 23) - 127;
  exponent = exponent < -100 ? -100 : exponent > 100 ? 100 : exponent;
  const bool scales = type == LICHEN_CUDA_F16 && most > 0.0f;
  const float down = scales ? __uint_as_float(static_cast<unsigned>(127 - exponent) << 23) : 1.0f;
  const float up = scales ? __uint_as_float(static_cast<unsigned>(127 + exponent) << 23) : 1.0f;
  std::uint8_t* const to = codes + query * bytes;
  const unsigned places = static_cast<unsigned>(bytes / (type == LICHEN_CUDA_F32 ? 4 : 2));
  for (unsigned d = threadIdx.x; d < places; d += blockDim.x) {
    store_value(to, d, type, is_there && d < dim ? from[d] * down : 0.0f);
  }
  if (threadIdx.x == 0 && is_there) per_sum[query] = weight * up;
}

// The four planes of signed values of 4 bits, a thread a word of a plane.
LICHEN_KERNEL void pack_planes(const std::uint8_t* values, unsigned long long bytes, unsigned count,
                               unsigned words, unsigned long long* planes) {
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= count * 4 * words) return;
  const unsigned query = at / (4 * words), plane = at / words % 4, word = at % words;
  const std::uint8_t* const from = values + query * bytes + word * 64ull;
  unsigned long long bits = 0;
  for (int b = 0; b < 64; ++b) bits |= static_cast<unsigned long long>(from[b] >> plane & 1u) << b;
  planes[at] = bits;
}

// The candidates of float types scored anew with the query as it is, a warp each, in place. Codes
// lie by row number, or where `packed` in the order of the candidates. `errors`: of each query the
// greatest difference that it made, as bits of a float; `constants`: what the rough distances leave
// out, |q|² for l2.
LICHEN_KERNEL void rescore(Candidates of, unsigned keep, const std::uint8_t* codes,
                           unsigned long long row_bytes, bool packed, const float* values,
                           unsigned dim, int type, bool is_l2, unsigned* errors, float* constants) {
  const unsigned warp = (blockIdx.x * blockDim.x + threadIdx.x) / kLanes;
  const unsigned lane = threadIdx.x % kLanes;
  const unsigned query = blockIdx.y;
  const bool is_there = warp < of.counts[query];
  unsigned long long* const key = of.keys + static_cast<std::size_t>(query) * of.capacity + warp;
  const unsigned row = is_there ? static_cast<unsigned>(*key) : 0u;
  float sum = 0.0f, square = 0.0f;
  if (is_there) {
    const std::size_t place = packed ? static_cast<std::size_t>(query) * keep + warp : row;
    const std::uint8_t* const code = codes + place * row_bytes;
    const float* const from = values + static_cast<std::size_t>(query) * dim;
    for (unsigned d = lane; d < dim; d += kLanes) {
      const float x = stored_value(code, d, type);
      const float difference = x - from[d];
      sum += is_l2 ? difference * difference : -x * from[d];
      square += is_l2 ? from[d] * from[d] : 0.0f;
    }
  }
  sum = warp_add(sum);
  square = warp_add(square);
  if (!is_there || lane != 0) return;
  const float error = fabsf(sum - square - key_distance(*key));
  // What is no number is no small error.
  atomicMax(&errors[query], __float_as_uint(error == error ? error : __uint_as_float(0x7F800000u)));
  constants[query] = square;
  *key = hit_key(sum == sum ? sum : __uint_as_float(0x7F800000u), row);
}

// So many times the greatest of a few dozen errors no error of millions is, as they are
// distributed.
inline constexpr float kErrorShare = 4.0f;

// Whether nothing was left out, or each query's k-th candidate, scored anew, is nearer than any row
// can be that was left out at the limit.
LICHEN_KERNEL void judge(Candidates of, unsigned count, unsigned k, bool all_kept,
                         const unsigned* errors, const float* constants, std::uint8_t* certain) {
  const unsigned query = blockIdx.x * blockDim.x + threadIdx.x;
  if (query >= count) return;
  const unsigned long long limit = of.limits[query];
  bool is_certain = all_kept || limit == kNoKey;
  if (!is_certain && of.counts[query] >= k) {
    const float last = key_distance(of.keys[static_cast<std::size_t>(query) * of.capacity + k - 1]);
    is_certain = last - constants[query] + kErrorShare * __uint_as_float(errors[query]) <=
                 key_distance(limit);
  }
  certain[query] = is_certain ? 1 : 0;
}

}  // namespace lichen::cuda
