#pragma once
// The scoring kernels: one query against many rows, and a tile of queries against a tile of rows.
// One table of function pointers an instruction set; dispatch.cpp picks once for the process.
//
// All of them give distances, "smaller is nearer": −Σ q·x for the metric dot, Σ (q − x)² for l2.
//
// Floats. A row is `dim` values of type f32, f16 or bf16; row r starts at rows + r × stride bytes.
// No alignment is required and nothing past `dim` is read. A row's distance is the same, bit for
// bit, in every float kernel of one table; it agrees with a float64 sum over the stored values
// within (dim / 4 + 8) · 2^-24 · Σ|terms|.
//
// Codes. A row is unsigned integers, summed exactly against the query's signed ones; the sum
// becomes a distance by CodeQuery and the row's factors. Codes and query bytes lie as
// codecs/codec.hpp says.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/tensor_kernels.hpp"

namespace lichen {

inline constexpr std::size_t kCodePlanes = 4;    // bits of a query's value against b1 rows
inline constexpr std::size_t kPqBlockRows = 64;  // rows that lie interleaved in pq storage
inline constexpr std::size_t kPqCentroids = 16;
inline constexpr std::size_t kPackUnit = 64;  // values, or codes, that packing writes at once

// out[i] = distance of the query to row i, for i < count.
using FloatRowsKernel = void (*)(const float* query, const void* rows, std::size_t stride,
                                 std::size_t count, std::size_t dim, float* out);
// out[i] = distance of the query to row ids[i], for i < count; rows ahead are prefetched.
using FloatGatherKernel = void (*)(const float* query, const void* rows, std::size_t stride,
                                   const std::uint32_t* ids, std::size_t count, std::size_t dim,
                                   float* out);

// How the integer sum I of a row becomes its distance:
//   base + square + scale × (per_sum × I + per_row) + offset × per_offset
struct CodeQuery {
  const std::int8_t* bytes = nullptr;     // a signed value for each code of a row
  const std::uint64_t* planes = nullptr;  // b1: the same values, in bits; see code_query_bytes
  float base = 0.0f;
  float per_sum = 0.0f;
  float per_row = 0.0f;
  float per_offset = 0.0f;
};

// Rows of codes, row r at codes + r × row_bytes: a multiple of 64, or 8 (b1 only), 16 or 32.
struct CodeRows {
  const std::uint8_t* codes = nullptr;
  std::size_t row_bytes = 0;
  const float* scales = nullptr;
  const float* offsets = nullptr;  // null: all 0
  const float* squares = nullptr;  // null: all 0
  bool far = false;                // too many for the caches: gathering asks for factors ahead
  bool asked_for = false;          // gathering need not ask: who calls has done so
  std::size_t factor_stride = 1;   // of a row's factors from those of the row before
};

using CodeRowsKernel = void (*)(const CodeQuery& query, const CodeRows& rows, std::size_t first,
                                std::size_t count, float* out);
using CodeGatherKernel = void (*)(const CodeQuery& query, const CodeRows& rows,
                                  const std::uint32_t* ids, std::size_t count, float* out);

// Product quantization with 16 centroids a subspace, kPqBlockRows rows to a block. A block has 64
// bytes for each pair of subspaces (2p, 2p + 1): byte j holds row j's centroid of subspace 2p in
// its low half and of 2p + 1 in its high half. `table` has 16 bytes a subspace (an odd count is
// rounded up, with zeros). out[i] = base + scale × Σ table entries, for the rows of whole blocks.
// André, Kermarrec and Le Scouarnec, "Cache locality is not enough: High-performance nearest
// neighbor search with product quantization fast scan", VLDB 2015.
using PqBlocksKernel = void (*)(const std::uint8_t* table, std::size_t subspaces, float base,
                                float scale, const std::uint8_t* blocks, std::size_t count,
                                float* out);

// What a tile kernel lets through: distance of query `query` of the tile to row `row` of the tile.
struct TileHit {
  std::uint32_t query;
  std::uint32_t row;
  float distance;
};

// Rows as tiles want them: [dim][tile_rows] floats, or [codes / 4][tile_rows] words of four codes,
// with room for as many values or codes as the next multiple of kPackUnit; places without a row
// hold zeros. `squares` (tile_rows floats, may be null) gets Σ x² of each row.
using FloatPackKernel = void (*)(const void* rows, std::size_t stride, std::size_t count,
                                 std::size_t dim, float* packed, float* squares);
using CodePackKernel = void (*)(const std::uint8_t* rows, std::size_t row_bytes, std::size_t count,
                                std::uint32_t* packed);

// Every pair whose distance is not above limits[query], query by query; returns how many. The
// next_bytes bytes at `next` (may be null and 0), which the next tile will be packed from, are
// asked for meanwhile. Here the distance of floats is weight × Σ q·x + terms[row] (terms may be
// null), which differs from the other kernels' in rounding: who wants those scores the hits anew.
using FloatTileKernel = std::size_t (*)(const float* queries, std::size_t query_stride,
                                        std::size_t queries_count, const float* packed,
                                        std::size_t dim, float weight, const float* terms,
                                        const float* limits, const void* next,
                                        std::size_t next_bytes, TileHit* hits);
// The distances of codes are those of the other kernels. scales, offsets and squares begin with the
// tile's first row and are read for tile_rows rows; hits of places past the rows are the caller's
// to drop.
using CodeTileKernel = std::size_t (*)(const CodeQuery* queries, std::size_t queries_count,
                                       const std::uint32_t* packed, std::size_t words,
                                       const float* scales, const float* offsets,
                                       const float* squares, const float* limits, const void* next,
                                       std::size_t next_bytes, TileHit* hits);

// Of a float type.
struct FloatKernels {
  FloatRowsKernel dot_rows;
  FloatGatherKernel dot_gather;
  FloatRowsKernel l2_rows;
  FloatGatherKernel l2_gather;
  FloatPackKernel pack;
};

// Of a type of codes.
struct CodeKernels {
  CodeRowsKernel rows;
  CodeGatherKernel gather;
  CodePackKernel pack;
  std::size_t codes_a_byte;
};

// A rotation: see codecs/rotation.hpp.
struct RotationRounds {
  const float* signs;  // count × values
  std::size_t values;
  std::size_t block;  // the largest power of two within values
  std::size_t count;
};

// Preparing queries; values in, and sums in f64. The same bits on every instruction set.
struct PrepareKernels {
  // values = (query − mean) / most, which is the greatest magnitude and is returned; if that is 0,
  // 0. The mean may be null.
  double (*scale)(const float* query, const float* mean, std::size_t count, float* values);
  double (*sum)(const float* values, std::size_t count);
  double (*centred_square)(const float* query, const float* mean, std::size_t count);
  double (*product)(const float* a, const float* b, std::size_t count);
  // The nearest of −127 to 127 times most / 127, where most is the greatest magnitude; the sum of
  // what is written.
  double (*quantize)(const float* values, std::size_t count, std::int8_t* bytes, float* most);
  void (*rotate)(const RotationRounds& rounds, float* vector);
  void (*rotate_back)(const RotationRounds& rounds, float* vector);
};

// Of 64 values bit i says whether value i passes.
struct MatchKernels {
  std::uint64_t (*range)(const double* values, double low, double high);        // both among them
  std::uint64_t (*few)(const std::uint32_t* values, const std::uint32_t* few);  // is one of four
  std::uint64_t (*any_bit)(const std::uint64_t* values, std::uint64_t bits);
  std::uint64_t (*all_bits)(const std::uint64_t* values, std::uint64_t bits);
};

inline constexpr std::size_t kMostNearest = 64;
inline constexpr std::size_t kTooManyNearest = static_cast<std::size_t>(-1);

struct Kernels {
  const char* isa;  // "scalar", "avx2", "avx512", "avx512vnni", "neon", "neondot"
  FloatKernels f32, f16, bf16;
  CodeKernels i8, i4, b1;
  PqBlocksKernel pq_blocks;
  // positions[0..] = those i for which values[i] is not above the limit (NaN is not); how many.
  std::size_t (*collect)(const float* values, std::size_t count, float limit,
                         std::uint32_t* positions);
  // positions[0..] = those of the `most` least values, least first, of equal ones the first; NaN
  // and infinities are left out. `most` is 1 to kMostNearest, and there is room for `count`
  // positions. Returns how many there are, or kTooManyNearest if so many are alike that they were
  // not sorted.
  std::size_t (*nearest)(const float* values, std::size_t count, std::size_t most,
                         std::uint32_t* positions);
  std::size_t tile_rows;
  FloatTileKernel float_tile;
  CodeTileKernel code_tile;
  PrepareKernels prepare;
  MatchKernels match;
  TensorKernels tensor;
};

// The table in use: the best that this processor runs, or the one that LICHEN_ISA names. Throws
// Error(kUnsupported) if LICHEN_ISA names one that does not exist or cannot run here.
const Kernels& kernels();

// Every table that this processor can run, scalar first.
std::vector<const Kernels*> runnable_kernels();

}  // namespace lichen
