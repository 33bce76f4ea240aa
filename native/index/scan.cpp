#include "index/scan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codecs/kernels_of.hpp"

namespace lichen {
namespace {

// Rows scored at a time. A block stays in the second-level cache while every query passes over it.
constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::size_t kMostBlockRows = 2048;
// From so many queries on, packing rows into tiles pays.
constexpr std::size_t kLeastForTiles = 4;
constexpr std::size_t kRowsBeforeTiles = 128;
// Where fewer than one row in so many is admitted, the admitted ones are scored by number.
constexpr std::size_t kSparse = 3;
constexpr std::size_t kSparseForTiles = 8;

std::size_t block_rows(const EmbeddingStore& store) {
  const std::size_t rows = kBlockBytes / std::max<std::size_t>(1, store.code_bytes(64) / 64);
  return std::clamp<std::size_t>(rows / kPqBlockRows * kPqBlockRows, kPqBlockRows, kMostBlockRows);
}

// ---- few queries

// Scores rows [first, last) block by block; calls visit(q, distance, row) for those admitted whose
// distance is not above limit(q).
template <class Limit, class Visit>
void score_blocks(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter* filter,
                  std::size_t first, std::size_t last, Limit&& limit, Visit&& visit) {
  const Kernels& table = kernels();
  const std::size_t block = block_rows(store);
  float scored[kMostBlockRows];
  std::uint32_t positions[kMostBlockRows];
  for (; first < last; first += block) {
    const std::size_t here = std::min(block, last - first);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      store.distances(queries[q], first, here, scored);
      const std::size_t found = table.collect(scored, here, limit(q), positions);
      for (std::size_t i = 0; i < found; ++i) {
        const std::size_t row = first + positions[i];
        if (filter != nullptr && !filter->admits(row)) continue;
        visit(q, scored[positions[i]], static_cast<std::uint32_t>(row));
      }
    }
  }
}

void scan_rows(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter* filter,
               std::size_t first, std::size_t last, std::vector<TopK>& best) {
  score_blocks(
      store, queries, filter, first, last, [&](std::size_t q) { return best[q].threshold(); },
      [&](std::size_t q, float distance, std::uint32_t row) { best[q].offer(distance, row); });
}

void scan_listed(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter& filter,
                 std::size_t first, std::size_t last, std::vector<TopK>& best) {
  constexpr std::size_t kRowsListed = 1 << 16;
  constexpr std::size_t kPiece = 512;
  float scored[kPiece];
  std::vector<std::uint32_t> ids;
  for (; first < last; first += kRowsListed) {
    ids.clear();
    filter.list(first, std::min(last, first + kRowsListed), ids);
    for (std::size_t from = 0; from < ids.size(); from += kPiece) {
      const std::size_t here = std::min(kPiece, ids.size() - from);
      for (std::size_t q = 0; q < queries.size(); ++q) {
        store.distances(queries[q], ids.data() + from, here, scored);
        for (std::size_t i = 0; i < here; ++i) {
          if (!(scored[i] > best[q].threshold())) best[q].offer(scored[i], ids[from + i]);
        }
      }
    }
  }
}

// ---- many queries

// What scanning by tiles needs besides, kept from scan to scan.
struct TileScratch {
  AlignedBuffer<std::uint32_t> packed;
  AlignedBuffer<float> queries;
  std::vector<CodeQuery> code_queries;
  std::vector<float> norms, thresholds, limits, squares;
  std::vector<TileHit> hits;
  std::vector<std::uint32_t> ids;
  std::vector<float> scored;

  template <class Buffer>
  static void fit(Buffer& buffer, std::size_t size) {
    if (buffer.size() < size) buffer.resize(size, {});
  }
};

class TileScan {
 public:
  TileScan(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter* filter,
           std::vector<TopK>& best, TileScratch& scratch)
      : table_(kernels()),
        store_(store),
        queries_(queries),
        filter_(filter),
        best_(best),
        scratch_(scratch) {
    scratch.limits.resize(queries.size());
    scratch.thresholds.resize(queries.size());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      scratch.limits[q] = scratch.thresholds[q] = best[q].threshold();
    }
    TileScratch::fit(scratch.hits, queries.size() * table_.tile_rows);
  }

  void floats(std::size_t first, std::size_t last) {
    gather_float_queries();
    const std::size_t dim = store_.dim();
    TileScratch::fit(scratch_.packed, round_up(dim, kPackUnit) * table_.tile_rows);
    TileScratch::fit(scratch_.squares, table_.tile_rows);
    const bool l2 = store_.metric() == Metric::kL2;
    const FloatPackKernel pack = float_kernels(table_, store_.type()).pack;
    auto* const packed = reinterpret_cast<float*>(scratch_.packed.data());
    for (; first < last; first += table_.tile_rows) {
      const std::size_t rows = std::min(table_.tile_rows, last - first);
      pack(store_.codes() + first * store_.row_bytes(), store_.row_bytes(), rows, dim, packed,
           scratch_.squares.data());
      set_float_limits(rows, l2);
      const std::size_t found = table_.float_tile(
          scratch_.queries.data(), dim, queries_.size(), packed, dim, l2 ? -2.0f : -1.0f,
          l2 ? scratch_.squares.data() : nullptr, scratch_.limits.data(), next_rows(first, last),
          next_bytes(first, last), scratch_.hits.data());
      rescore(first, rows, found);
    }
  }

  void codes(std::size_t first, std::size_t last) {
    scratch_.code_queries.resize(queries_.size());
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      scratch_.code_queries[q] = queries_[q].code;
    }
    const CodeKernels& of_type = code_kernels(table_, store_.type());
    const std::size_t words = store_.row_bytes() * of_type.codes_a_byte / 4;
    TileScratch::fit(scratch_.packed, round_up(words, kPackUnit / 4) * table_.tile_rows);
    for (; first < last; first += table_.tile_rows) {
      const std::size_t rows = std::min(table_.tile_rows, last - first);
      of_type.pack(store_.codes() + first * store_.row_bytes(), store_.row_bytes(), rows,
                   scratch_.packed.data());
      const CodeRows all = store_.code_rows();
      const std::size_t found = table_.code_tile(
          scratch_.code_queries.data(), queries_.size(), scratch_.packed.data(), words,
          tile_factors(all.scales, first, rows, 0), tile_factors(all.offsets, first, rows, 1),
          tile_factors(all.squares, first, rows, 2), scratch_.limits.data(), next_rows(first, last),
          next_bytes(first, last), scratch_.hits.data());
      for (std::size_t h = 0; h < found; ++h) {
        const TileHit& hit = scratch_.hits[h];
        if (hit.row >= rows || !admits(first + hit.row)) continue;
        TopK& best = best_[hit.query];
        best.offer(hit.distance, static_cast<std::uint32_t>(first + hit.row));
        scratch_.limits[hit.query] = best.threshold();
      }
    }
  }

 private:
  // Where the rows of the tile after the one at `first` lie, and how many bytes they are.
  const std::uint8_t* next_rows(std::size_t first, std::size_t last) const {
    return store_.codes() + std::min(first + table_.tile_rows, last) * store_.row_bytes();
  }
  std::size_t next_bytes(std::size_t first, std::size_t last) const {
    const std::size_t from = std::min(first + table_.tile_rows, last);
    return (std::min(from + table_.tile_rows, last) - from) * store_.row_bytes();
  }
  bool admits(std::size_t row) const { return filter_ == nullptr || filter_->admits(row); }

  void gather_float_queries() {
    const std::size_t dim = store_.dim();
    TileScratch::fit(scratch_.queries, queries_.size() * dim);
    scratch_.norms.resize(queries_.size());
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      const float* values = queries_[q].values;
      std::copy(values, values + dim, scratch_.queries.data() + q * dim);
      double square = 0.0;
      for (std::size_t d = 0; d < dim; ++d) square += static_cast<double>(values[d]) * values[d];
      scratch_.norms[q] = static_cast<float>(std::sqrt(square));
    }
  }

  // What a tile lets through is scored anew by the kernels that score single queries, so the tile
  // must let through whatever could be near enough by theirs: limits are widened by what rounding
  // can make of it, a bound in which the longest row stands for all of the tile.
  void set_float_limits(std::size_t rows, bool l2) {
    float most = 0.0f;
    for (std::size_t r = 0; r < rows; ++r) most = std::max(most, scratch_.squares[r]);
    const float longest = std::sqrt(most);
    const float rounding = 2.5f * (1.25f * static_cast<float>(store_.dim()) + 16.0f) * 0x1p-24f;
    const float l2_part = l2 ? 1.0f : 0.0f;
    const float* const norms = scratch_.norms.data();
    const float* const thresholds = scratch_.thresholds.data();
    float* const limits = scratch_.limits.data();
    const std::size_t count = queries_.size();
    for (std::size_t q = 0; q < count; ++q) {
      const float norm = norms[q];
      // l2: |q|² + |x|² + 2 |q| |x|, and |q|² itself, which is not part of the tile's distances.
      const float scale = (1.0f + l2_part) * norm * longest + l2_part * (2.0f * norm * norm + most);
      // Infinities and what is no number let everything through.
      limits[q] = thresholds[q] - l2_part * norm * norm + rounding * scale + 1e-30f;
    }
  }

  void rescore(std::size_t first, std::size_t rows, std::size_t found) {
    const TileHit* hit = scratch_.hits.data();
    const TileHit* const end = hit + found;
    while (hit != end) {
      const std::uint32_t query = hit->query;
      scratch_.ids.clear();
      for (; hit != end && hit->query == query; ++hit) {
        if (hit->row < rows && admits(first + hit->row)) {
          scratch_.ids.push_back(static_cast<std::uint32_t>(first + hit->row));
        }
      }
      TileScratch::fit(scratch_.scored, scratch_.ids.size());
      store_.distances(queries_[query], scratch_.ids.data(), scratch_.ids.size(),
                       scratch_.scored.data());
      for (std::size_t i = 0; i < scratch_.ids.size(); ++i) {
        best_[query].offer(scratch_.scored[i], scratch_.ids[i]);
      }
      scratch_.thresholds[query] = best_[query].threshold();
    }
  }

  // The factors of a tile's rows; of a tile that is not full, a copy that is.
  const float* tile_factors(const float* factors, std::size_t first, std::size_t rows,
                            std::size_t slot) {
    if (factors == nullptr) return nullptr;
    if (rows == table_.tile_rows) return factors + first;
    std::vector<float>& copy = last_factors_[slot];
    copy.assign(table_.tile_rows, 0.0f);
    std::copy(factors + first, factors + first + rows, copy.begin());
    return copy.data();
  }

  const Kernels& table_;
  const EmbeddingStore& store_;
  const QueryBatch& queries_;
  const RowFilter* filter_;
  std::vector<TopK>& best_;
  TileScratch& scratch_;
  std::vector<float> last_factors_[3];
};

}  // namespace

void scan(const EmbeddingStore& store, const QueryBatch& queries, const RowFilter* filter,
          std::size_t first, std::size_t last, std::vector<TopK>& best) {
  const bool tiles = queries.size() >= kLeastForTiles && store.type() != StorageType::kPq;
  if (filter != nullptr &&
      filter->selected() < store.rows() / (tiles ? kSparseForTiles : kSparse)) {
    return scan_listed(store, queries, *filter, first, last, best);
  }
  if (!tiles) {
    return scan_rows(store, queries, filter, first, last, best);
  }
  // The first rows have no threshold to fail: single queries' kernels score them for less.
  const std::size_t head = std::min(last - std::min(first, last), kRowsBeforeTiles);
  scan_rows(store, queries, filter, first, first + head, best);
  first += head;
  thread_local TileScratch scratch;
  TileScan tile_scan(store, queries, filter, best, scratch);
  if (is_float(store.type())) {
    tile_scan.floats(first, last);
  } else {
    tile_scan.codes(first, last);
  }
}

std::vector<Hit> scan_within(const EmbeddingStore& store, const QueryBatch& query, float limit,
                             const RowFilter* filter) {
  std::vector<Hit> hits;
  score_blocks(
      store, query, filter, 0, store.rows(), [&](std::size_t) { return limit; },
      [&](std::size_t, float distance, std::uint32_t row) {
        if (distance == distance) hits.push_back({distance, row});
      });
  std::sort(hits.begin(), hits.end(), nearer);
  return hits;
}

}  // namespace lichen
