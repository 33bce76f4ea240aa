#include "storage/embedding_store.hpp"

#include <cmath>
#include <cstring>
#include <string>

#include "runtime/error.hpp"

namespace lichen {
namespace {

bool all_finite(const float* values, std::size_t count) {
  // An exponent of all ones is NaN or infinity. Integer arithmetic, so that the loop vectorizes.
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= static_cast<std::uint32_t>((bits & 0x7F800000u) == 0x7F800000u);
  }
  return bad == 0;
}

}  // namespace

void require_finite(const float* vectors, std::size_t count, std::size_t dim, const char* what) {
  if (all_finite(vectors, count * dim)) return;
  for (std::size_t i = 0; i < count * dim; ++i) {
    if (std::isfinite(vectors[i])) continue;
    std::string where = " at position " + std::to_string(i % dim);
    if (count > 1) where += " of row " + std::to_string(i / dim);
    throw Error(Code::kNotFinite, std::string(what) + " has the value " +
                                      (std::isnan(vectors[i]) ? "NaN" : "Infinity") + where +
                                      "; every value must be finite");
  }
}

EmbeddingStore::EmbeddingStore(std::size_t dim, Metric metric) : dim_(dim), metric_(metric) {
  if (dim == 0 || dim > kMaxDim) {
    throw Error(Code::kArgument, "dim must be an integer from 1 to " + std::to_string(kMaxDim) +
                                     ", got " + std::to_string(dim));
  }
  constexpr std::size_t kFloatsALine = kCacheLine / sizeof(float);
  stride_ = (dim + kFloatsALine - 1) / kFloatsALine * kFloatsALine;
}

void EmbeddingStore::place(const float* vector, float* row) const {
  std::memcpy(row, vector, dim_ * sizeof(float));
  std::memset(row + dim_, 0, (stride_ - dim_) * sizeof(float));
  if (metric_ != Metric::kCosine) return;
  double squares = 0.0;
  for (std::size_t d = 0; d < dim_; ++d) squares += static_cast<double>(row[d]) * row[d];
  if (squares == 0.0) return;  // the zero vector has no direction: it scores 0 against everything
  const double scale = 1.0 / std::sqrt(squares);
  for (std::size_t d = 0; d < dim_; ++d) row[d] = static_cast<float>(row[d] * scale);
}

void EmbeddingStore::append(const float* vectors, std::size_t count) {
  if (count > kMaxRows - rows_) {
    throw Error(Code::kUnsupported, "an index holds at most " + std::to_string(kMaxRows) + " rows");
  }
  data_.resize((rows_ + count) * stride_, 0.0f);
  for (std::size_t i = 0; i < count; ++i) {
    place(vectors + i * dim_, data_.data() + (rows_ + i) * stride_);
  }
  rows_ += count;
}

void EmbeddingStore::truncate(std::size_t rows) {
  rows_ = rows;
  data_.resize(rows * stride_, 0.0f);
}

void EmbeddingStore::adopt(AlignedBuffer<float> data, std::size_t rows) {
  data_ = std::move(data);
  rows_ = rows;
}

void EmbeddingStore::prepare_query(const float* query, float* prepared) const {
  place(query, prepared);
}

}  // namespace lichen
