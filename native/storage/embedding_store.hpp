#pragma once
// EmbeddingStore: the rows of an index, f32, each row starting on a cache line and padded with
// zeros to a whole number of lines (zeros change neither a dot product nor a squared distance, so
// kernels may run over the padding and need no tail). For the cosine metric rows are kept
// normalized.
//
// Not synchronized: the index that owns it says who may append while others read.

#include <cstddef>
#include <cstdint>

#include "runtime/aligned.hpp"

namespace lichen {

enum class Metric : std::uint32_t { kDot = 0, kCosine = 1, kL2 = 2 };

inline constexpr std::size_t kMaxDim = 65536;
// Row numbers are 32 bits with the highest one kept as "no row".
inline constexpr std::uint32_t kNoRow = 0xFFFFFFFFu;
inline constexpr std::size_t kMaxRows = 0x7FFFFFFFu;

class EmbeddingStore {
 public:
  EmbeddingStore(std::size_t dim, Metric metric);

  std::size_t dim() const { return dim_; }
  std::size_t stride() const { return stride_; }  // floats from one row to the next
  Metric metric() const { return metric_; }
  std::size_t rows() const { return rows_; }
  std::size_t bytes() const { return data_.bytes(); }
  const float* data() const { return data_.data(); }
  const float* row(std::size_t r) const { return data_.data() + r * stride_; }

  // Appends `count` vectors of dim() floats. They must be finite (see require_finite). May move the
  // rows.
  void append(const float* vectors, std::size_t count);
  void truncate(std::size_t rows);
  // Takes rows as a snapshot holds them, stride() floats each.
  void adopt(AlignedBuffer<float> data, std::size_t rows);

  // Writes the query as the kernels want it: padded to stride(), normalized for the cosine metric.
  void prepare_query(const float* query, float* prepared) const;

 private:
  void place(const float* vector, float* row) const;

  std::size_t dim_;
  std::size_t stride_;
  Metric metric_;
  std::size_t rows_ = 0;
  AlignedBuffer<float> data_;
};

// Throws Error(kNotFinite) naming the first value of `vectors` (count × dim) that is NaN or
// infinite.
void require_finite(const float* vectors, std::size_t count, std::size_t dim, const char* what);

}  // namespace lichen
