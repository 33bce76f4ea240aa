#pragma once
// Scores rows against queries tile by tile on the tensor cores, and keeps what is nearer than each
// query's threshold while the scores are still in registers: no score is written that is not among
// the candidates.
//
// A block has a tile of queries and passes over tiles of 128 rows, 128 bytes of each at a time,
// three of which are in shared memory or on their way there. Blocks that run at the same time pass
// over the same rows with different queries, so that rows come from device memory once.

#include "cuda/device.cuh"

namespace lichen::cuda {

inline constexpr int kTileRows = 128;
inline constexpr int kThreads = 256;
inline constexpr int kStages = 3;
inline constexpr int kSliceBytes = 128;
// Rows of shared memory begin 16 bytes apart of a multiple of 128, so that eight of them lie in
// different banks.
inline constexpr int kPitch = kSliceBytes + 16;
inline constexpr int kStageBytes = kTileRows * kPitch;

// Rows on the device: codes of `row_bytes` each, and factors, any of which may be null.
struct RowsView {
  const std::uint8_t* codes;
  const float* scales;
  const float* offsets;
  const float* squares;
  unsigned long long row_bytes;
};

// Queries on the device, padded to whole tiles; the codes of a query lie as those of a row (b1: a
// byte a bit).
struct QueriesView {
  const std::uint8_t* codes;
  unsigned long long bytes;  // of a query: a multiple of kSliceBytes
  const float* base;
  const float* per_sum;
  const float* per_row;
  const float* per_offset;
  unsigned count;
};

// Candidates of each query, `capacity` places each. `counts` goes on counting where there is no
// place left.
struct Candidates {
  unsigned long long* keys;
  unsigned* counts;
  unsigned long long* limits;  // only keys below it are candidates
  unsigned capacity;
};

struct ScoreArguments {
  RowsView rows;
  QueriesView queries;
  Candidates candidates;
  unsigned first, last;  // rows that are scored, as they lie here
  unsigned number;       // of row 0
  const unsigned* bits;  // rows that may be found, by number; null: all
  unsigned long long bits_count;
  unsigned query_tiles;
  bool first_piece;  // each row has the place of its number among the candidates
  bool resident;     // whether all of a tile of queries is in shared memory
};

LICHEN_DEVICE bool is_admitted(const ScoreArguments& a, unsigned row) {
  if (a.bits == nullptr) return true;
  const unsigned number = a.number + row;
  return number < a.bits_count && (a.bits[number / 32] >> (number % 32) & 1u) != 0;
}

// In the first piece, where nearly all are candidates, nobody counts.
LICHEN_DEVICE void offer(const ScoreArguments& a, unsigned query, float distance, unsigned row) {
  const Candidates& to = a.candidates;
  const unsigned long long key = hit_key(distance, a.number + row);
  if (key >= to.limits[query]) return;
  const unsigned at = a.first_piece ? row - a.first : atomicAdd(&to.counts[query], 1u);
  if (at < to.capacity) to.keys[static_cast<std::size_t>(query) * to.capacity + at] = key;
}

// Limits as distances; what is not above one is looked at more closely.
LICHEN_DEVICE float limit_distance(unsigned long long limit) {
  return limit == kNoKey ? __uint_as_float(0x7F800000u) : key_distance(limit);
}

// 16 bytes, each a bit.
LICHEN_DEVICE void spread_bits(void* to, unsigned bits) {
  auto* const words = static_cast<unsigned*>(to);
  for (int w = 0; w < 4; ++w) {
    const unsigned four = bits >> (4 * w) & 15u;
    words[w] = (four * 0x00204081u) & 0x01010101u;
  }
}

template <class Product, int kQueries>
struct ScoreTile {
  static constexpr int kWarpsAcross = kQueries >= 64 ? 2 : 1;
  static constexpr int kWarpsDown = kThreads / kLanes / kWarpsAcross;
  static constexpr int kM = kTileRows / kWarpsDown / 16;  // 16 rows each
  static constexpr int kN = kQueries / kWarpsAcross / 8;  // 8 queries each
  using Sum = typename Product::Sum;
};

// Brings one slice of a tile of rows, and of the queries if they are not resident, into a stage.
template <bool kBits, int kQueries>
LICHEN_DEVICE void bring(const ScoreArguments& a, unsigned tile, unsigned slice,
                         unsigned query_tile, unsigned char* rows, unsigned char* queries) {
  constexpr int kPieces = kSliceBytes / 16;
  const unsigned row0 = a.first + tile * kTileRows;
  for (int i = threadIdx.x; i < kTileRows * kPieces; i += kThreads) {
    const unsigned r = i / kPieces, piece = i % kPieces;
    const unsigned row = row0 + r;
    unsigned char* const to = rows + r * kPitch + piece * 16;
    if constexpr (kBits) {
      const unsigned long long at =
          (slice * static_cast<unsigned long long>(kSliceBytes) + piece * 16) / 8;
      const bool is_there = row < a.last && at < a.rows.row_bytes;
      spread_bits(to, is_there ? *reinterpret_cast<const std::uint16_t*>(
                                     a.rows.codes + row * a.rows.row_bytes + at)
                               : 0u);
    } else {
      const unsigned long long at =
          slice * static_cast<unsigned long long>(kSliceBytes) + piece * 16;
      const bool is_there = row < a.last && at < a.rows.row_bytes;
      copy_16(to, is_there ? a.rows.codes + row * a.rows.row_bytes + at : a.rows.codes, is_there);
    }
  }
  if (queries == nullptr) return;
  const std::uint8_t* const from =
      a.queries.codes + static_cast<std::size_t>(query_tile) * kQueries * a.queries.bytes +
      slice * static_cast<std::size_t>(kSliceBytes);
  for (int i = threadIdx.x; i < kQueries * kPieces; i += kThreads) {
    const unsigned q = i / kPieces, piece = i % kPieces;
    copy_16(queries + q * kPitch + piece * 16, from + q * a.queries.bytes + piece * 16, true);
  }
}

// Shared memory: the stages of rows, those of queries or all of the queries, then four numbers a
// query.
template <class Product, bool kCodes, bool kBits, int kQueries>
LICHEN_KERNEL void __launch_bounds__(kThreads, kCodes&& kQueries == 128 ? 1 : 2)
    score_rows(ScoreArguments a) {
  using Tile = ScoreTile<Product, kQueries>;
  LICHEN_SHARED(shared);
  const unsigned slices = static_cast<unsigned>(a.queries.bytes / kSliceBytes);
  const unsigned query_tile = blockIdx.x % a.query_tiles;
  const unsigned lane_of_rows = blockIdx.x / a.query_tiles;
  const unsigned lanes_of_rows = gridDim.x / a.query_tiles;
  const unsigned tiles = (a.last - a.first + kTileRows - 1) / kTileRows;
  const unsigned mine = tiles > lane_of_rows ? (tiles - lane_of_rows - 1) / lanes_of_rows + 1 : 0;
  const unsigned steps = mine * slices;

  unsigned char* const row_stages = shared;
  unsigned char* const query_stages = shared + kStages * kStageBytes;
  const unsigned resident_pitch = static_cast<unsigned>(a.queries.bytes) + 16;
  const unsigned query_bytes = a.resident ? kQueries * resident_pitch : kStages * kQueries * kPitch;
  float* const limits = reinterpret_cast<float*>(query_stages + query_bytes);
  float* const per_sums = limits + kQueries;
  float* const bases = per_sums + kQueries;
  float* const per_rows = bases + kQueries;
  float* const per_offsets = per_rows + kQueries;

  const int lane = threadIdx.x % kLanes;
  const int warp = threadIdx.x / kLanes;
  const int warp_row = warp / Tile::kWarpsAcross * (16 * Tile::kM);
  const int warp_query = warp % Tile::kWarpsAcross * (8 * Tile::kN);

  for (int q = threadIdx.x; q < kQueries; q += kThreads) {
    const unsigned query = query_tile * kQueries + q;
    const bool is_there = query < a.queries.count;
    // Nothing is at most NaN.
    limits[q] =
        is_there ? limit_distance(a.candidates.limits[query]) : __uint_as_float(0x7FC00000u);
    per_sums[q] = is_there ? a.queries.per_sum[query] : 0.0f;
    if constexpr (kCodes) {
      bases[q] = is_there ? a.queries.base[query] : 0.0f;
      per_rows[q] = is_there ? a.queries.per_row[query] : 0.0f;
      per_offsets[q] = is_there ? a.queries.per_offset[query] : 0.0f;
    }
  }
  if (a.resident) {
    const unsigned pieces = static_cast<unsigned>(a.queries.bytes / 16);
    const std::uint8_t* const from =
        a.queries.codes + static_cast<std::size_t>(query_tile) * kQueries * a.queries.bytes;
    for (unsigned i = threadIdx.x; i < kQueries * pieces; i += kThreads) {
      const unsigned q = i / pieces, piece = i % pieces;
      copy_16(query_stages + q * resident_pitch + piece * 16,
              from + q * a.queries.bytes + piece * 16, true);
    }
  }

  const auto bring_step = [&](unsigned step) {
    if (step < steps) {
      const unsigned stage = step % kStages;
      bring<kBits, kQueries>(a, lane_of_rows + step / slices * lanes_of_rows, step % slices,
                             query_tile, row_stages + stage * kStageBytes,
                             a.resident ? nullptr : query_stages + stage * kQueries * kPitch);
    }
    // A group for every step, so that as many are under way as steps are ahead.
    end_copies();
  };
  for (int s = 0; s < kStages - 1; ++s) bring_step(s);

  typename Tile::Sum sums[Tile::kM][Tile::kN][4];
  float squares[Tile::kM][2] = {}, scales[Tile::kM][2] = {}, offsets[Tile::kM][2] = {};
  for (unsigned step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();
    bring_step(step + kStages - 1);
    const unsigned slice = step % slices;
    const unsigned row0 =
        a.first + (lane_of_rows + step / slices * lanes_of_rows) * kTileRows + warp_row;
    if (slice == 0) {
#pragma unroll
      for (int m = 0; m < Tile::kM; ++m) {
#pragma unroll
        for (int n = 0; n < Tile::kN; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) sums[m][n][i] = 0;
        }
      }
    }
    if (slice + 1 == slices) {
#pragma unroll
      for (int m = 0; m < Tile::kM; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const unsigned row = row0 + 16 * m + 8 * half + lane / 4;
          const bool counts = row < a.last && is_admitted(a, row);
          // What is NaN is below no limit.
          squares[m][half] = !counts                     ? __uint_as_float(0x7FC00000u)
                             : a.rows.squares != nullptr ? a.rows.squares[row]
                                                         : 0.0f;
          if constexpr (kCodes) {
            scales[m][half] = counts && a.rows.scales != nullptr ? a.rows.scales[row] : 1.0f;
            offsets[m][half] = counts && a.rows.offsets != nullptr ? a.rows.offsets[row] : 0.0f;
          }
        }
      }
    }
    const unsigned char* const rows = row_stages + step % kStages * kStageBytes;
    const unsigned query_pitch = a.resident ? resident_pitch : kPitch;
    const unsigned char* const queries = a.resident
                                             ? query_stages + slice * kSliceBytes
                                             : query_stages + step % kStages * (kQueries * kPitch);
#pragma unroll
    for (int at = 0; at < kSliceBytes; at += kStepBytes) {
      std::uint32_t left[Tile::kM][4];
#pragma unroll
      for (int m = 0; m < Tile::kM; ++m) {
        load_matrices(left[m],
                      rows + (warp_row + 16 * m + lane % 16) * kPitch + at + lane / 16 * 16);
      }
#pragma unroll
      for (int n = 0; n < Tile::kN; n += 2) {
        std::uint32_t right[4];
        load_matrices(right, queries +
                                 (warp_query + 8 * n + lane % 8 + lane / 16 * 8) * query_pitch +
                                 at + lane / 8 % 2 * 16);
#pragma unroll
        for (int m = 0; m < Tile::kM; ++m) {
          Product::add(sums[m][n], left[m], right);
          Product::add(sums[m][n + 1], left[m], right + 2);
        }
      }
    }
    if (slice + 1 < slices) continue;
#pragma unroll
    for (int n = 0; n < Tile::kN; ++n) {
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const int q = warp_query + 8 * n + 2 * (lane % 4) + side;
        const float limit = limits[q];
        const float per_sum = per_sums[q];
#pragma unroll
        for (int m = 0; m < Tile::kM; ++m) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const auto sum = static_cast<float>(sums[m][n][2 * half + side]);
            float distance;
            if constexpr (kCodes) {
              distance = bases[q] + squares[m][half] +
                         scales[m][half] * (per_sum * sum + per_rows[q]) +
                         offsets[m][half] * per_offsets[q];
            } else {
              distance = squares[m][half] + per_sum * sum;
            }
            if (distance <= limit) {
              const unsigned row = row0 + 16 * m + 8 * half + lane / 4;
              offer(a, query_tile * kQueries + q, distance, row);
            }
          }
        }
      }
    }
  }
}

inline std::size_t score_shared_bytes(int queries, std::size_t query_bytes, bool resident) {
  const std::size_t of_queries = resident ? queries * (query_bytes + 16)
                                          : static_cast<std::size_t>(kStages) * queries * kPitch;
  return static_cast<std::size_t>(kStages) * kStageBytes + of_queries + 5 * sizeof(float) * queries;
}

}  // namespace lichen::cuda
