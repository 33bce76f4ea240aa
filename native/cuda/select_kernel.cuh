#pragma once
// Of each query's candidates the nearest, and from these the limit that the next ones must be
// below.

#include "cuda/lichen_cuda.h"
#include "cuda/score_kernel.cuh"

namespace lichen::cuda {

// Sorts `size` keys, a power of two, in shared memory (bitonic sort: Batcher, 1968).
LICHEN_DEVICE void sort_keys(unsigned long long* keys, unsigned size) {
  for (unsigned length = 2; length <= size; length *= 2) {
    for (unsigned step = length / 2; step > 0; step /= 2) {
      __syncthreads();
      for (unsigned i = threadIdx.x; i < size / 2; i += blockDim.x) {
        const unsigned low = 2 * i - i % step;
        const unsigned high = low + step;
        const bool ascends = (low & length) == 0;
        const unsigned long long a = keys[low], b = keys[high];
        if ((a > b) == ascends) {
          keys[low] = b;
          keys[high] = a;
        }
      }
    }
  }
  __syncthreads();
}

// A block a query. Leaves the at most `keep` lowest keys, ascending, and counts them; the limit
// becomes the highest of them where there are so many. Where candidates were lost for want of room,
// `lost` becomes 1: the limit is right (it comes from rows that are there), what is left is not
// all.
LICHEN_KERNEL void select_nearest(Candidates of, unsigned keep, unsigned* lost) {
  LICHEN_SHARED(shared);
  auto* const keys = reinterpret_cast<unsigned long long*>(shared);
  const unsigned query = blockIdx.x;
  unsigned long long* const from = of.keys + static_cast<std::size_t>(query) * of.capacity;
  const unsigned offered = of.counts[query];
  const unsigned count = offered < of.capacity ? offered : of.capacity;
  unsigned size = 2;
  while (size < count) size *= 2;
  for (unsigned i = threadIdx.x; i < size; i += blockDim.x) keys[i] = i < count ? from[i] : kNoKey;
  sort_keys(keys, size);
  // Places that nobody took are behind all others.
  unsigned kept = 0;
  for (unsigned end = count < keep ? count : keep; kept < end;) {
    const unsigned middle = kept + (end - kept) / 2;
    if (keys[middle] == kNoKey) {
      end = middle;
    } else {
      kept = middle + 1;
    }
  }
  for (unsigned i = threadIdx.x; i < kept; i += blockDim.x) from[i] = keys[i];
  if (threadIdx.x == 0) {
    of.counts[query] = kept;
    if (kept == keep && keys[keep - 1] < of.limits[query]) of.limits[query] = keys[keep - 1];
    if (offered > of.capacity) atomicOr(lost, 1u);
  }
}

// No candidates, but places for those of the first piece. `again`: with the limits that an attempt
// found which lost some, and of which each is that of a row that is there.
LICHEN_KERNEL void begin_candidates(Candidates of, unsigned count, unsigned first_piece,
                                    bool again) {
  const unsigned query = blockIdx.x * blockDim.x + threadIdx.x;
  if (query >= count) return;
  of.counts[query] = first_piece;
  of.limits[query] = again && of.limits[query] != kNoKey ? of.limits[query] + 1 : kNoKey;
}

// The first k of each query's candidates side by side, a block a query.
LICHEN_KERNEL void give_hits(Candidates of, unsigned k, LichenCudaHit* hits) {
  const unsigned query = blockIdx.x;
  for (unsigned i = threadIdx.x; i < k && i < of.counts[query]; i += blockDim.x) {
    const unsigned long long key = of.keys[static_cast<std::size_t>(query) * of.capacity + i];
    hits[static_cast<std::size_t>(query) * k + i] = {key_distance(key), static_cast<unsigned>(key)};
  }
}

}  // namespace lichen::cuda
