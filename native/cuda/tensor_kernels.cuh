#pragma once
// Products of float32 matrices, softmax by rows, and the largest of each row.

#include "cuda/select_kernel.cuh"

namespace lichen::cuda {

// Of matrices that are read `kTileDepth` deep at a time, each thread making 8 × 8 values of the
// result.
inline constexpr unsigned kTileDepth = 8;
inline constexpr unsigned kThreadSide = 8;
// So that the columns of a tile that threads write at once lie in different banks of shared memory.
inline constexpr unsigned kTilePadding = 4;

// A tile of kSide × kSide values of the result is a block's.
template <unsigned kSide>
struct ProductTile {
  static constexpr unsigned kThreads = (kSide / kThreadSide) * (kSide / kThreadSide);
  // At work at once on a multiprocessor: as many as leave a thread the registers that it wants.
  static constexpr unsigned kBlocks = kSide == 128 ? 2 : 6;
  static constexpr unsigned kStride = kSide + kTilePadding;
  static constexpr unsigned kQuads =
      kSide * kTileDepth / 4 / kThreads;  // four values each, that a thread reads
  // Two tiles of both operands: one is read while the next is written.
  static constexpr std::size_t kSharedBytes = 2 * 2 * kTileDepth * kStride * sizeof(float);
};

// An operand as the product reads it: `extent` rows of a, or columns of b, of `depth` values.
// Either the extents of each depth lie side by side (`kByDepth` of the kernel), or the depths of
// each extent.
struct ProductOperand {
  const float* values;
  std::size_t batch_stride;
  unsigned extent;
  std::size_t step;  // values from one depth, or extent, to the next
  bool by_four;      // four values side by side are where 16 bytes begin
};

struct ProductResult {
  float* values;
  unsigned rows, columns, depth;
  unsigned tiles_down;
};

// What a thread has of a tile until it is written to shared memory; zeros beyond the edges.
template <unsigned kSide, bool kByDepth>
LICHEN_DEVICE void read_tile(const ProductOperand& from, const float* matrix, unsigned first,
                             unsigned depth, unsigned first_depth,
                             float4 (&quads)[ProductTile<kSide>::kQuads]) {
  for (unsigned q = 0; q < ProductTile<kSide>::kQuads; ++q) {
    const unsigned at = threadIdx.x + q * ProductTile<kSide>::kThreads;
    const unsigned along = kByDepth ? at % (kSide / 4) * 4 : at % (kTileDepth / 4) * 4;
    const unsigned across = kByDepth ? at / (kSide / 4) : at / (kTileDepth / 4);
    // Of the side on which four lie, and of the other one.
    const std::size_t begin = static_cast<std::size_t>(kByDepth ? first : first_depth) + along;
    const std::size_t line = static_cast<std::size_t>(kByDepth ? first_depth : first) + across;
    const unsigned end = kByDepth ? from.extent : depth;
    const unsigned lines = kByDepth ? depth : from.extent;
    float4 quad = {0, 0, 0, 0};
    if (line < lines && begin < end) {
      const float* const values = matrix + line * from.step + begin;
      if (from.by_four && begin + 4 <= end) {
        quad = *reinterpret_cast<const float4*>(values);
      } else {
        quad.x = values[0];
        if (begin + 1 < end) quad.y = values[1];
        if (begin + 2 < end) quad.z = values[2];
        if (begin + 3 < end) quad.w = values[3];
      }
    }
    quads[q] = quad;
  }
}

template <unsigned kSide, bool kByDepth>
LICHEN_DEVICE void write_tile(float* tile, const float4 (&quads)[ProductTile<kSide>::kQuads]) {
  constexpr unsigned kStride = ProductTile<kSide>::kStride;
  for (unsigned q = 0; q < ProductTile<kSide>::kQuads; ++q) {
    const unsigned at = threadIdx.x + q * ProductTile<kSide>::kThreads;
    if (kByDepth) {
      float* const to = tile + at / (kSide / 4) * kStride + at % (kSide / 4) * 4;
      *reinterpret_cast<float4*>(to) = quads[q];
    } else {
      float* const to = tile + at % (kTileDepth / 4) * 4 * kStride + at / (kTileDepth / 4);
      to[0] = quads[q].x;
      to[kStride] = quads[q].y;
      to[2 * kStride] = quads[q].z;
      to[3 * kStride] = quads[q].w;
    }
  }
}

// The eight values of a thread: four at `place`, four half a tile further.
template <unsigned kSide>
LICHEN_DEVICE void read_eight(const float* line, unsigned place, float (&eight)[kThreadSide]) {
  const float4 low = *reinterpret_cast<const float4*>(line + place);
  const float4 high = *reinterpret_cast<const float4*>(line + kSide / 2 + place);
  eight[0] = low.x, eight[1] = low.y, eight[2] = low.z, eight[3] = low.w;
  eight[4] = high.x, eight[5] = high.y, eight[6] = high.z, eight[7] = high.w;
}

// c = a × b, a block a tile, blockIdx.y a matrix of the batch. Tiles are in order of columns of
// tiles, so that blocks at work at the same time share a part of b.
template <unsigned kSide, bool kAByDepth, bool kBByDepth>
LICHEN_KERNEL void __launch_bounds__(ProductTile<kSide>::kThreads, ProductTile<kSide>::kBlocks)
    multiply_tiles(ProductOperand a, ProductOperand b, ProductResult c) {
  using Tile = ProductTile<kSide>;
  constexpr unsigned kTileSize = kTileDepth * Tile::kStride;
  LICHEN_SHARED(shared);
  float* const tiles = reinterpret_cast<float*>(shared);
  const std::size_t batch = blockIdx.y;
  const float* const a_matrix = a.values + batch * a.batch_stride;
  const float* const b_matrix = b.values + batch * b.batch_stride;
  const unsigned first_row = blockIdx.x % c.tiles_down * kSide;
  const unsigned first_column = blockIdx.x / c.tiles_down * kSide;

  // A warp's threads are 4 × 8 of the block's, and so read few different values of the tiles at a
  // time.
  const unsigned warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  constexpr unsigned kWarpsAcross = kSide / 64;
  const unsigned row = (warp / kWarpsAcross * 4 + lane / 8) * 4;
  const unsigned column = (warp % kWarpsAcross * 8 + lane % 8) * 4;

  float sums[kThreadSide][kThreadSide] = {};
  float4 a_quads[Tile::kQuads], b_quads[Tile::kQuads];
  read_tile<kSide, kAByDepth>(a, a_matrix, first_row, c.depth, 0, a_quads);
  read_tile<kSide, kBByDepth>(b, b_matrix, first_column, c.depth, 0, b_quads);
  write_tile<kSide, kAByDepth>(tiles, a_quads);
  write_tile<kSide, kBByDepth>(tiles + kTileSize, b_quads);
  __syncthreads();
  unsigned now = 0;
  for (unsigned depth = 0; depth < c.depth; depth += kTileDepth) {
    const bool goes_on = depth + kTileDepth < c.depth;
    if (goes_on) {
      read_tile<kSide, kAByDepth>(a, a_matrix, first_row, c.depth, depth + kTileDepth, a_quads);
      read_tile<kSide, kBByDepth>(b, b_matrix, first_column, c.depth, depth + kTileDepth, b_quads);
    }
    const float* const a_tile = tiles + now * 2 * kTileSize;
    const float* const b_tile = a_tile + kTileSize;
#pragma unroll
    for (unsigned d = 0; d < kTileDepth; ++d) {
      float left[kThreadSide], right[kThreadSide];
      read_eight<kSide>(a_tile + d * Tile::kStride, row, left);
      read_eight<kSide>(b_tile + d * Tile::kStride, column, right);
#pragma unroll
      for (unsigned i = 0; i < kThreadSide; ++i) {
#pragma unroll
        for (unsigned j = 0; j < kThreadSide; ++j) sums[i][j] += left[i] * right[j];
      }
    }
    now ^= 1;
    // Nobody reads the other pair of tiles any more: all were past the last barrier.
    if (goes_on) {
      write_tile<kSide, kAByDepth>(tiles + now * 2 * kTileSize, a_quads);
      write_tile<kSide, kBByDepth>(tiles + now * 2 * kTileSize + kTileSize, b_quads);
      __syncthreads();
    }
  }

  float* const out = c.values + batch * c.rows * c.columns;
  const bool by_four = c.columns % 4 == 0;
#pragma unroll
  for (unsigned i = 0; i < kThreadSide; ++i) {
    const unsigned to_row = first_row + i / 4 * (kSide / 2) + row + i % 4;
    if (to_row >= c.rows) continue;
    float* const line = out + static_cast<std::size_t>(to_row) * c.columns;
#pragma unroll
    for (unsigned j = 0; j < kThreadSide; j += 4) {
      const unsigned to_column = first_column + j / 4 * (kSide / 2) + column;
      if (by_four && to_column < c.columns) {
        *reinterpret_cast<float4*>(line + to_column) = {sums[i][j], sums[i][j + 1], sums[i][j + 2],
                                                        sums[i][j + 3]};
      } else {
#pragma unroll
        for (unsigned n = 0; n < 4; ++n) {
          if (to_column + n < c.columns) line[to_column + n] = sums[i][j + n];
        }
      }
    }
  }
}

inline constexpr unsigned kSoftmaxThreads = 256;
inline constexpr unsigned kSoftmaxWarps = kSoftmaxThreads / kLanes;

// Softmax of rows, a block a row if kWide, else a warp. Each thread reads again what it alone
// writes: in place is right.
template <bool kWide>
LICHEN_KERNEL void soften_rows(const float* in, float* out, std::size_t rows, std::size_t columns) {
  LICHEN_SHARED(shared);
  float* const of_warps = reinterpret_cast<float*>(shared);
  const unsigned warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  const std::size_t row =
      kWide ? blockIdx.x : static_cast<std::size_t>(blockIdx.x) * kSoftmaxWarps + warp;
  if (row >= rows) return;
  const unsigned first = kWide ? threadIdx.x : lane;
  constexpr unsigned kStep = kWide ? kSoftmaxThreads : kLanes;
  const float* const from = in + row * columns;
  float* const to = out + row * columns;

  float greatest = -INFINITY;
  for (std::size_t i = first; i < columns; i += kStep) greatest = fmaxf(greatest, from[i]);
  greatest = warp_greatest(greatest);
  if (kWide) {
    if (lane == 0) of_warps[warp] = greatest;
    __syncthreads();
    for (unsigned w = 0; w < kSoftmaxWarps; ++w) greatest = fmaxf(greatest, of_warps[w]);
    __syncthreads();
  }
  float sum = 0;
  for (std::size_t i = first; i < columns; i += kStep) sum += expf(from[i] - greatest);
  sum = warp_add(sum);
  if (kWide) {
    if (lane == 0) of_warps[warp] = sum;
    __syncthreads();
    sum = 0;
    for (unsigned w = 0; w < kSoftmaxWarps; ++w) sum += of_warps[w];
  }
  for (std::size_t i = first; i < columns; i += kStep) to[i] = expf(from[i] - greatest) / sum;
}

inline constexpr unsigned kLargestThreads = 256;
inline constexpr unsigned kMostLargest = 1024;
// Values that a thread looks at between two looks at the room that is left.
inline constexpr unsigned kLargestEach = 4;
// Room for those kept and for all that may come until the next look.
inline constexpr unsigned kMostLargestKeys = 2048;
static_assert(kMostLargestKeys >= kMostLargest + kLargestThreads * kLargestEach);

// Ascends as values descend, of equals by column; NaN are the last.
LICHEN_DEVICE unsigned long long largest_key(float value, unsigned column) {
  if (value != value) return 0xFFFFFFFFull << 32 | column;
  return hit_key(-value, column);
}

// The k largest of each row, a block a row. `size` keys in shared memory, a power of two and
// kMostLargestKeys unless the row has no more columns than `size`, then the count of them. Values
// beyond the k-th best so far are passed over.
LICHEN_KERNEL void find_largest_of_rows(const float* in, unsigned columns, unsigned k,
                                        unsigned size, float* values, std::int32_t* indices) {
  LICHEN_SHARED(shared);
  auto* const keys = reinterpret_cast<unsigned long long*>(shared);
  auto* const count = reinterpret_cast<unsigned*>(keys + size);
  const std::size_t row = blockIdx.x;
  const float* const from = in + row * columns;
  constexpr unsigned kStep = kLargestThreads * kLargestEach;
  unsigned long long limit = kNoKey;
  if (threadIdx.x == 0) *count = 0;
  __syncthreads();
  for (std::size_t start = 0; start < columns; start += kStep) {
    for (unsigned i = 0; i < kLargestEach; ++i) {
      const std::size_t column = start + i * kLargestThreads + threadIdx.x;
      if (column >= columns) break;
      const unsigned long long key = largest_key(from[column], static_cast<unsigned>(column));
      if (key < limit) keys[atomicAdd(count, 1u)] = key;
    }
    __syncthreads();
    const unsigned filled = *count;
    __syncthreads();
    const bool is_last = start + kStep >= columns;
    if (!is_last && filled + kStep <= size) continue;
    for (unsigned i = filled + threadIdx.x; i < size; i += blockDim.x) keys[i] = kNoKey;
    sort_keys(keys, size);
    if (is_last) break;
    if (filled >= k) limit = keys[k - 1];
    if (threadIdx.x == 0) *count = filled < k ? filled : k;
    __syncthreads();
  }
  for (unsigned i = threadIdx.x; i < k; i += blockDim.x) {
    const unsigned column = static_cast<unsigned>(keys[i]);
    values[row * k + i] = from[column];
    indices[row * k + i] = static_cast<std::int32_t>(column);
  }
}

}  // namespace lichen::cuda
