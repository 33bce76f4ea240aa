#pragma once
// Codec: the encoder of one storage type. It turns a vector into a row's code and factors and
// back, and a query into what the kernels want. A codec is immutable once trained and holds no
// rows; storage/embedding_store.hpp keeps them.
//
// How codes lie (what the kernels rely on):
//   f32, f16, bf16  dim values, then zeros up to row_bytes()
//   i8   a byte a value, then zeros
//   i4   byte j holds value 2j in its low half and 2j + 1 in its high half
//   b1   bit d % 64 of 64-bit word d / 64 is value d
//   pq   as i4, a centroid number a subspace (EmbeddingStore interleaves the rows)
//
// Vectors handed to train, encode and prepare are finite; for the cosine metric they are already
// normalized. Σ runs over the values of a vector, c is the mean of the training vectors, r = x − c,
// P the random orthogonal rotation of i4 and b1 (codecs/rotation.hpp).
//
//   i8   x̂ = c + offset + scale × code (local quantization with a vector's own range, after
//        Aguerrebere et al., "Similarity search in the blink of an eye with compressed indices",
//        VLDB 2023), query in 8 bits
//   i4   x̂ = c + Pᵀ(scale × (code − 7.5)): Gao et al., "Practical and asymptotically optimal
//        quantization of high-dimensional vectors in Euclidean space for approximate nearest
//        neighbor search" (extended RaBitQ), SIGMOD 2025; query in 8 bits
//   b1   x̂ = c + Pᵀ(scale × (2 code − 1)): Gao and Long, "RaBitQ: quantizing high-dimensional
//        vectors with a theoretical error bound for approximate nearest neighbor search",
//        SIGMOD 2024; query in 4 bits
// For i4 and b1 scale = |r|² / ⟨code, Pr⟩, which makes ⟨x̂, q⟩ an unbiased estimate over rotations.
// square = 2⟨x̂ − c, r⟩ − |r|² (|r|² where the estimate is unbiased), which makes the estimate of
// the squared distance to the query off by 2⟨x̂ − x, x − q⟩ alone: little for the nearest.
//
// With `components`, i8, i4 and b1 are codes of that many values: of Wx instead of x and Wq instead
// of q, where the rows of W are the principal directions of the training vectors
// (codecs/principal.hpp). x̂ is Wᵀ times what the code stands for. Of what x and q have outside of
// the subspace, u and v, a distance knows the lengths alone, by way of `square`, and takes ⟨u, v⟩
// for half of what it is at most, (|u|² + |v|²) / 4; for dot, whose queries are of another kind,
// for 0. For cosine it is that of l2, made an inner product: more exact for what is near.
//
//   pq   a subspace's part of x is replaced by the nearest of 16 centroids (k-means over the
//        training vectors); Jégou, Douze and Schmid, "Product quantization for nearest neighbor
//        search", TPAMI 2011

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "codecs/storage_type.hpp"
#include "kernels/kernels.hpp"

namespace lichen {

struct CodecOptions {
  StorageType type = StorageType::kF32;
  std::size_t dim = 0;
  Metric metric = Metric::kL2;
  std::uint64_t seed = 42;    // of rotation and k-means
  std::size_t subspaces = 0;  // pq: 1 to dim; 0 = one for every two values
  // i8, i4, b1: principal components of which codes are kept, 1 to dim; 0 = of the values
  // themselves
  std::size_t components = 0;
};

struct RowFactors {
  float scale = 1.0f;
  float offset = 0.0f;
  float square = 0.0f;
};

// A query as the kernels of its storage type want it. Its memory belongs to the caller's buffer.
struct PreparedQuery {
  const float* values = nullptr;        // float types: dim values, then zeros for the row's padding
  CodeQuery code;                       // i8, i4, b1
  const std::uint8_t* table = nullptr;  // pq
  float base = 0.0f;                    // pq
  float scale = 0.0f;                   // pq
};

class Codec {
 public:
  // Throws Error(kArgument) for options out of range.
  static std::unique_ptr<Codec> make(const CodecOptions& options);
  virtual ~Codec() = default;

  const CodecOptions& options() const { return options_; }
  StorageType type() const { return options_.type; }
  std::size_t dim() const { return options_.dim; }
  // Bytes of a row's code: a multiple of 64, or 8, 16 or 32. pq: ⌈subspaces / 2⌉.
  std::size_t row_bytes() const { return row_bytes_; }
  bool has_scale() const { return has_scale_; }    // i8, i4, b1
  bool has_offset() const { return has_offset_; }  // i8
  bool has_square() const { return has_square_; }  // i4, b1; i8 for l2; components but for dot
  // Whether the square counts in distances.
  virtual bool adds_square() const { return has_square_ && options_.metric == Metric::kL2; }

  // Whether train must come before encode (pq and codes of components); i8, i4 and b1 take a mean
  // if they are trained.
  virtual bool must_train() const { return false; }
  virtual bool trained() const { return true; }
  // Learns from count × dim() values; deterministic. Throws Error(kArgument) if there are too few.
  virtual void train(const float* vectors, std::size_t count);
  // What training learned, as a snapshot keeps it (empty if it learned nothing): the mean (dim()
  // values), or the centroids (16 × dim(): subspace by subspace, centroid by centroid), or the
  // directions (components × dim() values) and the mean of components.
  const std::vector<float>& learned() const { return learned_; }
  // Throws Error(kFormat) if the count is wrong or a value is not finite.
  virtual void restore(std::vector<float> learned);

  // Writes row_bytes() bytes. Throws Error(kArgument) if a value is beyond the type's range (f16).
  virtual void encode(const float* vector, std::uint8_t* code, RowFactors& factors) const = 0;
  // The vector that a code stands for: dim() values.
  virtual void decode(const std::uint8_t* code, const RowFactors& factors, float* vector) const = 0;
  // A bound on |estimated − exact| inner product (for l2 twice that bounds the squared distance's
  // error) between the row and a query of norm `query_norm` (for l2: at that distance from the
  // mean): deterministic for f16, bf16 and i8 (quantization of the row alone); for i4 and b1 it
  // holds with the probability of a normal variable within `deviations`. NaN for pq and codes of
  // components, which have none.
  virtual double error_bound(const std::uint8_t* code, const RowFactors& factors, double query_norm,
                             double deviations) const = 0;

  // Bytes of buffer that prepare wants, 64-byte aligned.
  virtual std::size_t prepared_bytes() const = 0;
  virtual PreparedQuery prepare(const float* query, void* buffer) const = 0;
  // The vector that a code stands for as a query; `vector` is room for dim() values.
  virtual PreparedQuery prepare_code(const std::uint8_t* code, const RowFactors& factors,
                                     float* vector, void* buffer) const;

 protected:
  explicit Codec(const CodecOptions& options) : options_(options) {}

  CodecOptions options_;
  std::size_t row_bytes_ = 0;
  bool has_scale_ = false;
  bool has_offset_ = false;
  bool has_square_ = false;
  std::vector<float> learned_;
};

// The least row of `bytes` bytes that lies well: a multiple of a cache line, or the next power of
// two at least `least`.
std::size_t padded_row_bytes(std::size_t bytes, std::size_t least);

}  // namespace lichen
