// The codecs: what decoding gives back, what the kernels' formula makes of codes and factors, and
// whether the estimates are unbiased and within their bounds.

#include "test/codecs_support.hpp"

namespace lichen::test::codecs {

TEST_CASE("codecs: rows lie as the kernels want them") {
  for (const std::size_t dim : kDims) {
    for_codecs(dim, Metric::kL2, [&](const Codec& codec) {
      const std::size_t bytes = codec.row_bytes();
      CHECK(bytes % 64 == 0 || bytes == 8 || bytes == 16 || bytes == 32);
      if (codec.type() <= StorageType::kBf16) CHECK_EQUAL(bytes % 64, 0);
      if (codec.type() == StorageType::kI8) CHECK(bytes >= dim && bytes >= 16);
      if (codec.type() == StorageType::kI4) CHECK(2 * bytes >= dim && bytes >= 16);
      if (codec.type() == StorageType::kB1) CHECK(8 * bytes >= dim);
      CHECK(!codec.must_train() && codec.trained());
    });
  }
  CHECK_EQUAL(padded_row_bytes(1, 8), 8);
  CHECK_EQUAL(padded_row_bytes(1, 16), 16);
  CHECK_EQUAL(padded_row_bytes(9, 8), 16);
  CHECK_EQUAL(padded_row_bytes(17, 8), 32);
  CHECK_EQUAL(padded_row_bytes(32, 8), 32);
  CHECK_EQUAL(padded_row_bytes(33, 8), 64);
  CHECK_EQUAL(padded_row_bytes(65, 16), 128);
  CHECK_THROWS(Code::kArgument, make(StorageType::kI8, 0));
  CHECK_THROWS(Code::kArgument, make(static_cast<StorageType>(7), 4));
}

TEST_CASE("codecs: decoding gives the vector back within the error of the type") {
  for (const std::size_t dim : kDims) {
    const std::vector<Vector> vectors = vectors_of(dim);
    for_codecs(dim, Metric::kL2, [&](const Codec& codec) {
      for (const Vector& vector : vectors) {
        const Row row = encode(codec, vector);
        const double error = std::sqrt(square_distance(decode(codec, row), vector));
        CHECK(error <= decoding_error(codec, row, vector));
      }
    });
  }
}

TEST_CASE("codecs: values that a type holds exactly come back exactly") {
  for (const std::size_t dim : {1u, 5u, 64u, 100u}) {
    const Vector zeros(dim, 0.0f);
    for_codecs(dim, Metric::kDot, [&](const Codec& codec) {
      if (!codec.learned().empty()) return;
      CHECK(decode(codec, encode(codec, zeros)) == zeros);
    });
    const Vector constant(dim, 0.1f);
    CHECK(decode(*make(StorageType::kI8, dim), encode(*make(StorageType::kI8, dim), constant)) ==
          constant);
  }
}

TEST_CASE("codecs: padding of codes and queries is zero") {
  for (const std::size_t dim : {1u, 17u, 33u, 100u}) {
    for (const Metric metric : kMetrics) {
      for_codecs(dim, metric, [&](const Codec& codec) {
        const Vector vector = normals(3, dim);
        const Row row = encode(codec, vector);
        const Query query(codec, vector);
        if (codec.type() == StorageType::kI8) {
          for (std::size_t j = dim; j < codec.row_bytes(); ++j) {
            CHECK(row.code[j] == 0 && query.prepared.code.bytes[j] == 0);
          }
        } else if (codec.type() <= StorageType::kBf16) {
          const std::size_t size = codec.type() == StorageType::kF32 ? 4 : 2;
          for (std::size_t j = dim * size; j < codec.row_bytes(); ++j) CHECK(row.code[j] == 0);
          CHECK(std::memcmp(query.prepared.values, vector.data(), dim * sizeof(float)) == 0);
          for (std::size_t d = dim; d < codec.row_bytes() / size; ++d) {
            CHECK(query.prepared.values[d] == 0.0f);
          }
        }
      });
    }
  }
}

TEST_CASE("codecs: extremes make finite factors and finite vectors") {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (const std::size_t dim : {1u, 2u, 16u, 100u, 1000u}) {
    for (const float size : {1e38f, kMost, 1e-38f, 1e-42f, 1.5e-45f}) {
      Vector vector = uniform_floats(5, dim);
      for (std::size_t d = 0; d < dim; ++d) vector[d] = d % 3 == 0 ? -size : size * vector[d];
      for (const Metric metric : kMetrics) {
        for (const float centre : {0.0f, -size}) {
          for_codecs(dim, metric, [&](Codec& codec) {
            if (codec.type() == StorageType::kF16 && size > 1.0f) return;
            if (!codec.learned().empty()) codec.restore(Vector(dim, centre));
            const Row row = encode(codec, vector);
            const Vector decoded = decode(codec, row);
            for (const float value : decoded) CHECK(std::isfinite(value));
            if (codec.type() == StorageType::kI8 && centre == 0.0f) {
              for (std::size_t d = 0; d < dim; ++d) {
                CHECK(std::fabs(decoded[d] - static_cast<double>(vector[d])) <=
                      0.5001 * row.factors.scale + 1e-7 * size);
              }
            }
            CHECK(codec.error_bound(row.code.data(), row.factors, 1.0, 3.0) >= 0.0);
            const Query query(codec, vector);
            const CodeQuery& code = query.prepared.code;
            CHECK(std::isfinite(code.base) && std::isfinite(code.per_sum) &&
                  std::isfinite(code.per_row) && std::isfinite(code.per_offset));
          });
        }
      }
    }
  }
}

TEST_CASE("codecs: i8 keeps each vector's own precision, from norm 1e-6 to 1e6") {
  for (const std::size_t dim : {8u, 96u, 384u}) {
    const auto codec = make(StorageType::kI8, dim, Metric::kL2);
    for (int exponent = -6; exponent <= 6; ++exponent) {
      Vector vector = normals(static_cast<std::uint64_t>(exponent + 50), dim);
      const double factor = std::pow(10.0, exponent) / norm(vector);
      for (float& value : vector) value = static_cast<float>(value * factor);
      const Vector decoded = decode(*codec, encode(*codec, vector));
      CHECK(std::sqrt(square_distance(decoded, vector)) < 0.012 * norm(vector));
    }
  }
}

// The formula against float64 with the decoded vector. Off it is by what the query's rounding does:
// |⟨x̂ − c, v − step × integers⟩| ≤ |code part of x̂ − c| × step / 2 × √values for the 8-bit queries;
// for the 4-bit ones, which are clipped, the rounding is measured.
TEST_CASE("codecs: base, sums and factors make the distance to the decoded vector") {
  for (const std::size_t dim : kDims) {
    const std::vector<Vector> vectors = vectors_of(dim);
    Vector far = normals(31, dim);
    for (float& value : far) value *= 7.0f;
    for (const Metric metric : kMetrics) {
      for_codecs(dim, metric, [&](const Codec& codec) {
        if (codec.type() <= StorageType::kBf16) return;
        const bool l2 = metric == Metric::kL2;
        const double weight = l2 ? 2.0 : 1.0;
        const Vector mean = mean_of(codec);
        for (const Vector& query_vector : {vectors[0], vectors[3], vectors[7], far}) {
          const Query query(codec, query_vector);
          const CodeQuery& code = query.prepared.code;
          const double v = l2 ? norm(minus(query_vector, mean)) : norm(query_vector);
          for (const Vector& vector : vectors) {
            const Row row = encode(codec, vector);
            const Vector decoded = decode(codec, row);
            const double length = norm(minus(decoded, mean));
            double expected = distance(metric, decoded, query_vector);
            if (l2) expected += row.factors.square - length * length;
            double spread = length;
            double slots = static_cast<double>(dim);
            double step = std::fabs(code.per_sum) / weight;
            if (codec.type() == StorageType::kI8) {
              spread = row.factors.scale * 127.5 * std::sqrt(slots);
            } else if (codec.type() == StorageType::kI4) {
              slots = 2.0 * static_cast<double>(codec.row_bytes());
              // The code decodes to dim values, but meets the query in all slots.
              spread = row.factors.scale * 7.5 * std::sqrt(slots);
            } else {
              slots = 8.0 * static_cast<double>(codec.row_bytes());
              spread = row.factors.scale * std::sqrt(slots);
              // Clipped values are off by more than half a step, but by less than all is.
              step = std::max(step, 0.7 * v / std::sqrt(slots));
            }
            const double sizes = norm(mean) + length + norm(query_vector);
            const double bound =
                weight * spread * 0.5 * step * std::sqrt(slots) + 4e-6 * sizes * sizes + 1e-12;
            CHECK(std::fabs(estimate(codec, code, row) - expected) <= bound);
          }
        }
      });
    }
  }
}

TEST_CASE("codecs: error bounds of f16, bf16 and i8 hold for every pair") {
  for (const std::size_t dim : {1u, 3u, 16u, 100u, 384u}) {
    const std::vector<Vector> vectors = vectors_of(dim);
    for (const Metric metric : kMetrics) {
      for_codecs(dim, metric, [&](const Codec& codec) {
        if (codec.type() > StorageType::kI8) return;
        const bool l2 = metric == Metric::kL2;
        const Vector mean = mean_of(codec);
        for (const Vector& query : vectors) {
          const double v = l2 ? norm(minus(query, mean)) : norm(query);
          for (const Vector& vector : vectors) {
            const Row row = encode(codec, vector);
            const Vector decoded = decode(codec, row);
            double estimated = distance(metric, decoded, query);
            if (l2 && codec.has_square()) {
              const double length = norm(minus(decoded, mean));
              estimated += row.factors.square - length * length;
            }
            const double error = std::fabs(estimated - distance(metric, vector, query));
            const double bound = codec.error_bound(row.code.data(), row.factors, v, 3.0);
            const double sizes = norm(mean) + norm(vector) + norm(query);
            CHECK(error <= (l2 ? 2.0 : 1.0) * bound + 1e-6 * sizes * sizes);
          }
        }
      });
    }
  }
}

TEST_CASE("codecs: i4 and b1 estimates are unbiased and within 3 deviations") {
  for (const StorageType type : {StorageType::kI4, StorageType::kB1}) {
    for (const std::size_t dim : {12u, 64u, 100u}) {
      for (const Metric metric : kMetrics) {
        const Vector vector = normals(1, dim);
        Vector query_vector = normals(2, dim);
        for (std::size_t d = 0; d < dim; ++d) query_vector[d] += 0.5f * vector[d];
        const double exact = distance(metric, vector, query_vector);
        constexpr int kSeeds = 600;
        double sum = 0.0;
        double squares = 0.0;
        int within = 0;
        for (int seed = 0; seed < kSeeds; ++seed) {
          const auto codec = make(type, dim, metric, static_cast<std::uint64_t>(seed));
          const Row row = encode(*codec, vector);
          const Query query(*codec, query_vector);
          const double error = estimate(*codec, query.prepared.code, row) - exact;
          const double bound =
              codec->error_bound(row.code.data(), row.factors, norm(query_vector), 3.0);
          within += std::fabs(error) <= bound * (metric == Metric::kL2 ? 2.0 : 1.0);
          sum += error;
          squares += error * error;
        }
        const double mean = sum / kSeeds;
        const double deviation = std::sqrt(squares / kSeeds - mean * mean);
        CHECK(std::fabs(mean) <= 4.0 * deviation / std::sqrt(static_cast<double>(kSeeds)));
        CHECK(within > kSeeds * 98 / 100);
      }
    }
  }
}

TEST_CASE("codecs: estimates follow the exact distances") {
  constexpr std::size_t kRows = 200;
  for (const std::size_t dim : {96u, 200u}) {
    for (const Metric metric : kMetrics) {
      for (const StorageType type : kCodeTypes) {
        const auto codec = make(type, dim, metric);
        const Vector rows = clustered(7, kRows, dim, 10);
        codec->train(rows.data(), kRows);
        const Vector query_vector(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(dim));
        const Query query(*codec, query_vector);
        double xy = 0.0, xx = 0.0, yy = 0.0, x = 0.0, y = 0.0;
        for (std::size_t r = 0; r < kRows; ++r) {
          const auto first = rows.begin() + static_cast<std::ptrdiff_t>(r * dim);
          const Vector vector(first, first + static_cast<std::ptrdiff_t>(dim));
          const double a = distance(metric, vector, query_vector);
          const double b = estimate(*codec, query.prepared.code, encode(*codec, vector));
          xy += a * b, xx += a * a, yy += b * b, x += a, y += b;
        }
        const double correlation =
            (kRows * xy - x * y) / std::sqrt((kRows * xx - x * x) * (kRows * yy - y * y));
        CHECK(correlation > (type == StorageType::kI8   ? 0.9999
                             : type == StorageType::kI4 ? 0.998
                                                        : 0.9));
      }
    }
  }
}

TEST_CASE("codecs: the mean comes back from restore, and bad ones are refused") {
  for (const StorageType type : kCodeTypes) {
    const std::size_t dim = 20;
    const auto trained = make(type, dim, Metric::kL2);
    const Vector training = normals(4, 50 * dim);
    trained->train(training.data(), 50);
    CHECK_EQUAL(trained->learned().size(), dim);
    const auto restored = make(type, dim, Metric::kL2);
    restored->restore(trained->learned());
    const Vector vector = normals(5, dim);
    CHECK(encode(*trained, vector).code == encode(*restored, vector).code);
    restored->restore({});
    CHECK(restored->learned().empty());
    CHECK(encode(*make(type, dim, Metric::kL2), vector).code == encode(*restored, vector).code);
    CHECK_THROWS(Code::kFormat, restored->restore(Vector(dim - 1, 0.0f)));
    Vector bad(dim, 0.0f);
    bad[3] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS(Code::kFormat, restored->restore(bad));
    CHECK_THROWS(Code::kArgument, restored->train(training.data(), 0));
  }
  CHECK_THROWS(Code::kFormat, make(StorageType::kF16, 4)->restore(Vector(4, 0.0f)));
  make(StorageType::kF32, 4)->restore({});
}

}  // namespace lichen::test::codecs
