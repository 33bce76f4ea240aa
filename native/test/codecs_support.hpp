#pragma once
// What tests of codecs share: seeded vectors, codecs of every type, and the kernels' formula
// computed plainly from the layouts that the headers document.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "codecs/codec.hpp"
#include "runtime/aligned.hpp"
#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen::test::codecs {

inline constexpr std::array<std::size_t, 24> kDims = {1,   2,   3,   7,   8,   15,   16,   17,
                                                      31,  32,  33,  63,  64,  65,   96,   100,
                                                      127, 128, 200, 384, 784, 1000, 1536, 4096};
inline constexpr std::array<StorageType, 3> kCodeTypes = {StorageType::kI8, StorageType::kI4,
                                                          StorageType::kB1};
inline constexpr std::array<Metric, 2> kMetrics = {Metric::kDot, Metric::kL2};

using Vector = std::vector<float>;

inline Vector normals(std::uint64_t seed, std::size_t count) {
  Vector values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(std::sqrt(-2.0 * std::log(uniform_open(seed, 2 * i))) *
                                   std::cos(6.283185307179586 * uniform_open(seed, 2 * i + 1)));
  }
  return values;
}

inline double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += static_cast<double>(a[d]) * b[d];
  return sum;
}

inline double norm(const Vector& a) { return std::sqrt(dot(a, a)); }

inline double square_distance(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t d = 0; d < a.size(); ++d) {
    const double difference = static_cast<double>(a[d]) - b[d];
    sum += difference * difference;
  }
  return sum;
}

inline double distance(Metric metric, const Vector& a, const Vector& b) {
  return metric == Metric::kL2 ? square_distance(a, b) : -dot(a, b);
}

inline std::unique_ptr<Codec> make(StorageType type, std::size_t dim, Metric metric = Metric::kDot,
                                   std::uint64_t seed = 42, std::size_t components = 0) {
  CodecOptions options;
  options.type = type;
  options.dim = dim;
  options.metric = metric;
  options.seed = seed;
  options.components = components;
  return Codec::make(options);
}

struct Row {
  std::vector<std::uint8_t> code;
  RowFactors factors;
};

inline Row encode(const Codec& codec, const Vector& vector) {
  Row row;
  row.code.assign(codec.row_bytes(), 0xAA);
  codec.encode(vector.data(), row.code.data(), row.factors);
  CHECK(std::isfinite(row.factors.scale) && std::isfinite(row.factors.offset) &&
        std::isfinite(row.factors.square));
  return row;
}

inline Vector decode(const Codec& codec, const Row& row) {
  Vector vector(codec.dim());
  codec.decode(row.code.data(), row.factors, vector.data());
  return vector;
}

class Query {
 public:
  Query(const Codec& codec, const Vector& query) {
    buffer_.resize(codec.prepared_bytes(), 0xAA);
    prepared = codec.prepare(query.data(), buffer_.data());
  }

  PreparedQuery prepared;

 private:
  AlignedBuffer<std::uint8_t> buffer_;
};

inline long long sum_of_codes(const Codec& codec, const CodeQuery& query, const Row& row) {
  const std::size_t bytes = codec.row_bytes();
  long long sum = 0;
  if (codec.type() == StorageType::kI8) {
    for (std::size_t j = 0; j < bytes; ++j) sum += row.code[j] * query.bytes[j];
  } else if (codec.type() == StorageType::kI4) {
    for (std::size_t j = 0; j < bytes; ++j) {
      sum += (row.code[j] & 15) * query.bytes[j] + (row.code[j] >> 4) * query.bytes[bytes + j];
    }
  } else {
    for (std::size_t i = 0; i < 8 * bytes; ++i) {
      if ((row.code[i / 8] >> (i % 8) & 1) != 0) sum += query.bytes[i];
    }
    // Bit by bit; a short row is repeated in the planes and counts as often.
    const std::size_t words = bytes / 8;
    const std::size_t plane_words = std::max<std::size_t>(words, 8);
    long long repeated = 0;
    for (std::size_t p = 0; p < kCodePlanes; ++p) {
      for (std::size_t w = 0; w < plane_words; ++w) {
        std::uint64_t word;
        std::memcpy(&word, row.code.data() + w % words * 8, sizeof word);
        const long long weight = p == 3 ? -8 : 1 << p;
        repeated += weight * std::popcount(word & query.planes[p * plane_words + w]);
      }
    }
    CHECK_EQUAL(repeated, sum * static_cast<long long>(plane_words / words));
  }
  return sum;
}

inline double estimate(const Codec& codec, const CodeQuery& query, const Row& row) {
  const double sum = static_cast<double>(sum_of_codes(codec, query, row));
  const double square = codec.adds_square() ? row.factors.square : 0.0;
  return query.base + square + row.factors.scale * (query.per_sum * sum + query.per_row) +
         row.factors.offset * static_cast<double>(query.per_offset);
}

inline Vector mean_of(const Codec& codec) {
  return codec.learned().empty() ? Vector(codec.dim(), 0.0f) : codec.learned();
}

inline Vector minus(const Vector& a, const Vector& b) {
  Vector result(a.size());
  for (std::size_t d = 0; d < a.size(); ++d) result[d] = a[d] - b[d];
  return result;
}

// |x̂ − x| must be within this (times a little for rounding).
inline double decoding_error(const Codec& codec, const Row& row, const Vector& vector) {
  const double root = std::sqrt(static_cast<double>(codec.dim()));
  const double slack = 1e-6 * (norm(vector) + norm(mean_of(codec))) + 1e-30;
  switch (codec.type()) {
    case StorageType::kF32:
      return 0.0;
    case StorageType::kF16:
      return 0x1p-11 * norm(vector) + 0x1p-25 * root;
    case StorageType::kBf16:
      return 0x1p-8 * norm(vector) + 0x1p-134 * root;
    case StorageType::kI8:
      return 0.5 * row.factors.scale * root + slack;
    default: {
      // |x̂ − c|² = |r|² + |x̂ − x|², and no more than the worst angle of the code allows.
      const double r = norm(minus(vector, mean_of(codec)));
      return (codec.type() == StorageType::kI4 ? 0.17 : 1.3) * r + slack;
    }
  }
}

inline std::vector<Vector> vectors_of(std::size_t dim) {
  std::vector<Vector> all;
  for (std::uint64_t seed = 0; seed < 3; ++seed) all.push_back(normals(seed, dim));
  all.push_back(uniform_floats(9, dim));
  all.emplace_back(dim, 0.0f);
  all.emplace_back(dim, 0.7f);
  all.emplace_back(dim, -3.0f);
  for (const std::size_t hot : {std::size_t{0}, dim / 2, dim - 1}) {
    all.emplace_back(dim, 0.0f);
    all.back()[hot] = 2.5f;
  }
  all.emplace_back(dim, 100.0f);
  all.back()[dim - 1] = 100.001f;
  return all;
}

// A codec of every type with dim values, once as made and once trained (with a mean).
template <class Body>
inline void for_codecs(std::size_t dim, Metric metric, Body body) {
  for (const StorageType type : {StorageType::kF32, StorageType::kF16, StorageType::kBf16,
                                 StorageType::kI8, StorageType::kI4, StorageType::kB1}) {
    auto codec = make(type, dim, metric);
    body(*codec);
    Vector training = normals(77, 5 * dim);
    for (float& value : training) value += 0.5f;
    codec->train(training.data(), 5);
    if (!codec->learned().empty()) body(*codec);
  }
}
}  // namespace lichen::test::codecs
