#pragma once
// LiveStore: an EmbeddingStore whose rows can be deleted. A deleted row keeps its number, and its
// memory, until it is overwritten; scans pass it over.
//
// Not synchronized.

#include <cstdint>
#include <string>
#include <vector>

#include "index/row_filter.hpp"
#include "index/top_k.hpp"
#include "storage/embedding_store.hpp"
#include "storage/snapshot.hpp"

namespace lichen {

class LiveStore {
 public:
  explicit LiveStore(const CodecOptions& options) : store_(options) {}

  const EmbeddingStore& store() const { return store_; }
  std::size_t rows() const { return store_.rows(); }
  std::size_t deleted() const { return deleted_; }
  std::size_t bytes() const { return store_.bytes() + live_.capacity(); }
  bool is_live(std::size_t row) const { return row < rows() && (live_[row / 8] >> (row % 8) & 1); }

  // Before the first row. Throws Error(kArgument) afterwards, and if the vectors are too few.
  void train(const float* vectors, std::size_t count);
  // These check their vectors, throw and change nothing.
  std::size_t append(const float* vectors, std::size_t count);
  void overwrite(std::size_t row, const float* vector);
  // Whether the row was there.
  bool remove(std::size_t row);

  // The k nearest live rows, or fewer; `filter` may be null.
  std::size_t scan(const float* query, std::size_t k, const RowFilter* filter, Hit* hits) const;
  // Distance of each row and, if `bounds` is not null, a bound of its error (see
  // Codec::error_bound).
  void distances(const float* query, const std::uint32_t* rows, std::size_t count, float* out,
                 float* bounds) const;

  // The same rows in another storage type.
  LiveStore converted(const CodecOptions& options) const;

  // Writes a snapshot; returns its size. Throws as write_snapshot.
  std::uint64_t save(const std::string& path, Progress& progress) const;
  // Throws as SnapshotReader.
  static LiveStore open(const std::string& path, Access access = Access::kRead);

 private:
  void require_row(std::size_t row) const;
  void set_live(std::size_t row, bool live);

  EmbeddingStore store_;
  std::vector<std::uint8_t> live_;
  std::size_t deleted_ = 0;
};

}  // namespace lichen
