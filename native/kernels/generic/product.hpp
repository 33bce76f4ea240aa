// Tiles of matrix products. The sums of a tile stay in registers; b is read a vector at a time and
// a a value at a time, spread over the lanes.

constexpr std::size_t kProductColumns = Simd::kProductVectors * Simd::kWidth;

template <std::size_t kRows, bool kByRows>
LICHEN_INLINE void product_rows_of(const ProductTile& tile) {
  constexpr std::size_t kVectors = Simd::kProductVectors;
  constexpr std::size_t kWidth = Simd::kWidth;
  Simd::Vector sums[kRows][kVectors];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) sums[i][v] = Simd::zero();
  }
  const float* a = tile.a;
  const float* b = tile.b;
  const std::size_t a_step = tile.a_step;
  const std::size_t b_step = tile.b_step;
  for (std::size_t k = 0; k < tile.depth; ++k) {
    Simd::Vector x[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) x[v] = Simd::load(b + v * kWidth);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kRows; ++i) {
      const Simd::Vector weight = Simd::set(kByRows ? a[i * a_step] : a[i]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) {
        sums[i][v] = Simd::multiply_add(weight, x[v], sums[i][v]);
      }
    }
    a += kByRows ? 1 : a_step;
    b += b_step;
  }
  if (tile.columns == kProductColumns) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kRows; ++i) {
      float* const c = tile.c + i * tile.c_step;
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) {
        float* const at = c + v * kWidth;
        Simd::store(at, tile.adds ? Simd::add(Simd::load(at), sums[i][v]) : sums[i][v]);
      }
    }
    return;
  }
  alignas(64) float row[kProductColumns];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kRows; ++i) {
    float* const c = tile.c + i * tile.c_step;
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) Simd::store(row + v * kWidth, sums[i][v]);
    for (std::size_t j = 0; j < tile.columns; ++j) c[j] = tile.adds ? c[j] + row[j] : row[j];
  }
}

// As many rows as the tile has, of at most kRows.
template <std::size_t kRows>
inline void product_tile_of(const ProductTile& tile) {
  if constexpr (kRows > 1) {
    if (tile.rows < kRows) return product_tile_of<kRows - 1>(tile);
  }
  if (tile.a_by_rows) return product_rows_of<kRows, true>(tile);
  product_rows_of<kRows, false>(tile);
}

void product_tile(const ProductTile& tile) { product_tile_of<Simd::kProductRows>(tile); }

void product_pack(const float* rows, std::size_t row_step, std::size_t columns, std::size_t depth,
                  float* packed) {
  pack_lanes<F32, kProductColumns>(rows, row_step * sizeof(float), columns, depth, packed);
}
