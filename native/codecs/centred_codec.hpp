#pragma once
// What the integer codecs share. CentredCodec (i8, i4, b1): the mean that is taken off vectors, and
// off queries for l2. RotatedCodec (i4, b1): the rotation of what is left.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codecs/codec.hpp"
#include "codecs/rotation.hpp"

namespace lichen {

class CentredCodec : public Codec {
 public:
  void train(const float* vectors, std::size_t count) override;
  void restore(std::vector<float> learned) override;

 protected:
  explicit CentredCodec(const CodecOptions& options) : Codec(options), mean_(options.dim, 0.0f) {}

  // What ⟨x̂ − c, v⟩ counts in a distance.
  double weight() const { return options_.metric == Metric::kL2 ? -2.0 : -1.0; }
  double residual(const float* vector, std::size_t d) const {
    return static_cast<double>(vector[d]) - mean_[d];
  }
  // The distance of the query to a row whose code stands for the mean.
  float base(const float* query) const;
  // v = q, or q − c for l2, as values from −1 to 1 times what is returned.
  double scaled_query(const float* query, float* values) const;

  std::vector<float> mean_;  // zeros before training
};

class RotatedCodec : public CentredCodec {
 public:
  double error_bound(const std::uint8_t* code, const RowFactors& factors, double query_norm,
                     double deviations) const override;

 protected:
  // `slots`: values after rotation. Those beyond dim, zeros before it, fill the row's padding.
  RotatedCodec(const CodecOptions& options, std::size_t slots);

  // Pr / |r| (zeros if r is 0); returns |r|.
  double rotated_residual(const float* vector, float* rotated) const;
  // Pv as scaled_query gives it, before rotation within −1 to 1; returns what to multiply with.
  double rotated_query(const float* query, float* rotated) const;
  // scale and square from |r| and ⟨code, Pr / |r|⟩.
  static RowFactors unbiased_factors(double norm, double product);
  // x̂ = c + Pᵀ(scale × values); overwrites the values.
  void decode_rotated(float* values, double scale, float* vector) const;
  // |code|², of the centred code.
  virtual double code_square(const std::uint8_t* code) const = 0;

  std::size_t slots_;
  Rotation rotation_;
};

}  // namespace lichen
