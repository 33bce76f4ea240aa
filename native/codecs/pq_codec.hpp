#pragma once
// pq: product quantization with 16 centroids a subspace.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/codec.hpp"

namespace lichen {

class PqCodec final : public Codec {
 public:
  explicit PqCodec(const CodecOptions& options);

  std::size_t subspaces() const { return options_.subspaces; }

  bool must_train() const override { return learned_.empty(); }
  bool trained() const override { return !learned_.empty(); }
  void train(const float* vectors, std::size_t count) override;
  // No values: not trained.
  void restore(std::vector<float> learned) override;

  void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const override;
  void decode(const std::uint8_t* code, const RowFactors& factors, float* vector) const override;
  double error_bound(const std::uint8_t* code, const RowFactors& factors, double query_norm,
                     double deviations) const override;

  std::size_t prepared_bytes() const override;
  PreparedQuery prepare(const float* query, void* buffer) const override;

 private:
  std::size_t start(std::size_t subspace) const { return starts_[subspace]; }
  std::size_t nearest(const float* vector, std::size_t subspace) const;
  void require_trained() const;
  void transpose();

  std::vector<std::size_t> starts_;  // the first value of each subspace: runs as even as can be
  std::vector<float> columns_;       // the centroids again: 16 values for each value of a vector
};

}  // namespace lichen
