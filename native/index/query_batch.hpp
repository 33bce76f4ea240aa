#pragma once
// QueryBatch: queries as a store's kernels want them, side by side in memory that is kept from use
// to use.

#include <cstddef>
#include <vector>

#include "runtime/aligned.hpp"
#include "storage/embedding_store.hpp"

namespace lichen {

class QueryBatch {
 public:
  void prepare(const EmbeddingStore& store, const float* queries, std::size_t count) {
    const std::size_t bytes = store.prepared_bytes();
    memory_.resize(std::max(memory_.size(), count * bytes), 0);
    prepared_.resize(count);
    for (std::size_t q = 0; q < count; ++q) {
      prepared_[q] = store.prepare(queries + q * store.dim(), memory_.data() + q * bytes);
    }
  }

  // Only these, in this order, of which each stands no earlier than its new place.
  void keep(const std::vector<std::uint32_t>& queries) {
    for (std::size_t i = 0; i < queries.size(); ++i) prepared_[i] = prepared_[queries[i]];
    prepared_.resize(queries.size());
  }

  // One query: what a row stands for. `vector` is room for dim values.
  void prepare_row(const EmbeddingStore& store, std::size_t row, float* vector) {
    memory_.resize(std::max(memory_.size(), store.prepared_bytes()), 0);
    prepared_.resize(1);
    prepared_[0] = store.prepare_row(row, vector, memory_.data());
  }

  std::size_t size() const { return prepared_.size(); }
  const PreparedQuery& operator[](std::size_t q) const { return prepared_[q]; }

 private:
  AlignedBuffer<std::uint8_t> memory_;
  std::vector<PreparedQuery> prepared_;
};

}  // namespace lichen
