// The codecs: what decoding gives back, what the kernels' formula makes of codes and factors, and
// whether the estimates are unbiased and within their bounds. The formula is computed here plainly,
// from the layouts that the headers document.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "codecs/codec.hpp"
#include "codecs/half.hpp"
#include "codecs/pq_codec.hpp"
#include "codecs/rotation.hpp"
#include "runtime/aligned.hpp"
#include "test/check.hpp"
#include "test/data.hpp"

using namespace lichen;
using namespace lichen::test;

namespace {

constexpr std::array<std::size_t, 24> kDims = {1,   2,   3,   7,   8,   15,   16,   17,
                                               31,  32,  33,  63,  64,  65,   96,   100,
                                               127, 128, 200, 384, 784, 1000, 1536, 4096};
constexpr std::array<StorageType, 3> kCodeTypes = {StorageType::kI8, StorageType::kI4,
                                                   StorageType::kB1};
constexpr std::array<Metric, 2> kMetrics = {Metric::kDot, Metric::kL2};

using Vector = std::vector<float>;

Vector normals(std::uint64_t seed, std::size_t count) {
  Vector values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(std::sqrt(-2.0 * std::log(uniform_open(seed, 2 * i))) *
                                   std::cos(6.283185307179586 * uniform_open(seed, 2 * i + 1)));
  }
  return values;
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += static_cast<double>(a[d]) * b[d];
  return sum;
}

double norm(const Vector& a) { return std::sqrt(dot(a, a)); }

double square_distance(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t d = 0; d < a.size(); ++d) {
    const double difference = static_cast<double>(a[d]) - b[d];
    sum += difference * difference;
  }
  return sum;
}

double distance(Metric metric, const Vector& a, const Vector& b) {
  return metric == Metric::kL2 ? square_distance(a, b) : -dot(a, b);
}

std::unique_ptr<Codec> make(StorageType type, std::size_t dim, Metric metric = Metric::kDot,
                            std::uint64_t seed = 42) {
  CodecOptions options;
  options.type = type;
  options.dim = dim;
  options.metric = metric;
  options.seed = seed;
  return Codec::make(options);
}

struct Row {
  std::vector<std::uint8_t> code;
  RowFactors factors;
};

Row encode(const Codec& codec, const Vector& vector) {
  Row row;
  row.code.assign(codec.row_bytes(), 0xAA);
  codec.encode(vector.data(), row.code.data(), row.factors);
  CHECK(std::isfinite(row.factors.scale) && std::isfinite(row.factors.offset) &&
        std::isfinite(row.factors.square));
  return row;
}

Vector decode(const Codec& codec, const Row& row) {
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

long long sum_of_codes(const Codec& codec, const CodeQuery& query, const Row& row) {
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

double estimate(const Codec& codec, const CodeQuery& query, const Row& row) {
  const double sum = static_cast<double>(sum_of_codes(codec, query, row));
  const double square = codec.options().metric == Metric::kL2 ? row.factors.square : 0.0;
  return query.base + square + row.factors.scale * (query.per_sum * sum + query.per_row) +
         row.factors.offset * static_cast<double>(query.per_offset);
}

Vector mean_of(const Codec& codec) {
  return codec.learned().empty() ? Vector(codec.dim(), 0.0f) : codec.learned();
}

Vector minus(const Vector& a, const Vector& b) {
  Vector result(a.size());
  for (std::size_t d = 0; d < a.size(); ++d) result[d] = a[d] - b[d];
  return result;
}

// |x̂ − x| must be within this (times a little for rounding).
double decoding_error(const Codec& codec, const Row& row, const Vector& vector) {
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

std::vector<Vector> vectors_of(std::size_t dim) {
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
void for_codecs(std::size_t dim, Metric metric, Body body) {
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

}  // namespace

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

TEST_CASE("half: all 65536 halves and bfloats make the round trip") {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float half = float_from_half(bits);
    const int exponent = static_cast<int>(i >> 10 & 31);
    const double fraction = static_cast<double>(i & 1023) / 1024.0;
    const double sign = (i & 0x8000u) != 0 ? -1.0 : 1.0;
    if (exponent == 31) {
      CHECK(fraction == 0.0 ? std::isinf(half) : std::isnan(half));
    } else {
      CHECK(half == sign * (exponent == 0 ? std::ldexp(fraction, -14)
                                          : std::ldexp(1.0 + fraction, exponent - 15)));
    }
    CHECK(std::signbit(half) == (sign < 0.0));
    const bool nan = std::isnan(half);
    CHECK_EQUAL(half_from_float(half), nan ? bits | 0x200u : bits);
    const float bfloat = float_from_bfloat(bits);
    CHECK_EQUAL(bfloat_from_float(bfloat), std::isnan(bfloat) ? bits | 0x40u : bits);
  }
}

// Between two neighbours that a type holds: the middle goes to the even one, all else to the
// nearer.
TEST_CASE("half: rounding is to nearest, ties to even") {
  for (std::uint32_t i = 0; i < 0x7BFF; ++i) {
    const float low = float_from_half(static_cast<std::uint16_t>(i));
    const float high = float_from_half(static_cast<std::uint16_t>(i + 1));
    const float middle = 0.5f * (low + high);
    const std::uint32_t even = i % 2 == 0 ? i : i + 1;
    CHECK_EQUAL(half_from_float(middle), even);
    CHECK_EQUAL(half_from_float(-middle), even | 0x8000u);
    CHECK_EQUAL(half_from_float(std::nextafter(middle, 0.0f)), i);
    CHECK_EQUAL(half_from_float(std::nextafter(middle, 1e6f)), i + 1);
  }
  CHECK_EQUAL(half_from_float(std::nextafter(65520.0f, 0.0f)), 0x7BFF);
  CHECK_EQUAL(half_from_float(65520.0f), 0x7C00);
  CHECK_EQUAL(half_from_float(1e-45f), 0);
  for (std::uint32_t i = 0; i < 0x7F7F; ++i) {
    const float low = float_from_bfloat(static_cast<std::uint16_t>(i));
    const float high = float_from_bfloat(static_cast<std::uint16_t>(i + 1));
    const auto middle = static_cast<float>(0.5 * (static_cast<double>(low) + high));
    CHECK_EQUAL(bfloat_from_float(middle), i % 2 == 0 ? i : i + 1);
    CHECK_EQUAL(bfloat_from_float(-middle), (i % 2 == 0 ? i : i + 1) | 0x8000u);
    CHECK_EQUAL(bfloat_from_float(std::nextafter(middle, 0.0f)), i);
    CHECK_EQUAL(bfloat_from_float(std::nextafter(middle, high)), i + 1);
  }
}

TEST_CASE("codecs: f16 refuses what would be infinite, bf16 takes its largest") {
  const auto f16 = make(StorageType::kF16, 9);
  Vector vector(9, 1.0f);
  vector[8] = std::nextafter(-65520.0f, 0.0f);
  CHECK(decode(*f16, encode(*f16, vector))[8] == -65504.0f);
  vector[8] = -65520.0f;
  try {
    encode(*f16, vector);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == Code::kArgument);
    const std::string message = error.what();
    CHECK(message.find("-65520") != std::string::npos);
    CHECK(message.find("position 8") != std::string::npos);
    CHECK(message.find("bf16") != std::string::npos);
  }
  const auto bf16 = make(StorageType::kBf16, 9);
  vector[8] = -std::numeric_limits<float>::max();
  CHECK(decode(*bf16, encode(*bf16, vector))[8] == -float_from_bfloat(kBfloatMax));
}

TEST_CASE("rotation: keeps norms and inner products, and has an inverse") {
  for (const std::size_t values : {8u, 16u, 24u, 32u, 40u, 64u, 72u, 120u, 128u, 256u, 384u, 896u,
                                   1000u, 1024u, 1536u, 4096u}) {
    const Rotation rotation(values, 11);
    const Vector a = normals(values, values);
    Vector b = normals(values + 1, values);
    b[0] += 10.0f;
    Vector pa = a;
    Vector pb = b;
    rotation.forward(pa.data());
    rotation.forward(pb.data());
    CHECK(std::fabs(norm(pa) / norm(a) - 1.0) < 2e-6);
    CHECK(std::fabs(norm(pb) / norm(b) - 1.0) < 2e-6);
    CHECK(std::fabs(dot(pa, pb) - dot(a, b)) < 3e-6 * norm(a) * norm(b));
    CHECK(square_distance(pa, a) > 0.1 * dot(a, a));
    rotation.inverse(pb.data());
    CHECK(std::sqrt(square_distance(pb, b)) < 3e-6 * norm(b));
    // Another seed, another rotation; the same seed, the same one.
    Vector other = a;
    Rotation(values, 12).forward(other.data());
    CHECK(other != pa);
    other = a;
    Rotation(values, 11).forward(other.data());
    CHECK(other == pa);
  }
}

TEST_CASE("rotation: a single value reaches every place about evenly") {
  for (const std::size_t values : {64u, 96u, 384u, 896u}) {
    for (const std::size_t hot : {std::size_t{0}, values / 2, values - 1}) {
      Vector energy(values, 0.0f);
      constexpr int kSeeds = 200;
      for (int seed = 0; seed < kSeeds; ++seed) {
        Vector vector(values, 0.0f);
        vector[hot] = 1.0f;
        Rotation(values, static_cast<std::uint64_t>(seed)).forward(vector.data());
        for (std::size_t i = 0; i < values; ++i) energy[i] += vector[i] * vector[i];
      }
      for (std::size_t i = 0; i < values; i += 8) {
        double run = 0.0;
        for (std::size_t j = 0; j < 8; ++j) run += energy[i + j];
        const double even = 8.0 * kSeeds / static_cast<double>(values);
        CHECK(run > 0.8 * even && run < 1.2 * even);
      }
    }
  }
}

namespace {

std::unique_ptr<Codec> make_pq(std::size_t dim, std::size_t subspaces, Metric metric,
                               std::uint64_t seed = 42) {
  CodecOptions options;
  options.type = StorageType::kPq;
  options.dim = dim;
  options.subspaces = subspaces;
  options.metric = metric;
  options.seed = seed;
  return Codec::make(options);
}

double mean_error(const Codec& codec, const Vector& rows) {
  const std::size_t dim = codec.dim();
  double sum = 0.0;
  for (std::size_t r = 0; r < rows.size() / dim; ++r) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(r * dim);
    const Vector vector(first, first + static_cast<std::ptrdiff_t>(dim));
    sum += square_distance(decode(codec, encode(codec, vector)), vector);
  }
  return sum / static_cast<double>(rows.size() / dim);
}

}  // namespace

TEST_CASE("pq: training, and what comes without it") {
  const std::size_t dim = 11;
  const auto codec = make_pq(dim, 0, Metric::kL2);
  const auto& pq = dynamic_cast<const PqCodec&>(*codec);
  CHECK_EQUAL(pq.subspaces(), 6);
  CHECK_EQUAL(codec->row_bytes(), 3);
  const Vector rows = clustered(3, 600, dim, 20);
  CHECK(codec->must_train() && !codec->trained() && codec->learned().empty());
  CHECK_THROWS(Code::kArgument, encode(*codec, rows));
  CHECK_THROWS(Code::kArgument, Query(*codec, rows));
  CHECK_THROWS(Code::kArgument, codec->train(rows.data(), 15));
  CHECK(codec->must_train());
  codec->train(rows.data(), 16);
  const double few = mean_error(*codec, rows);
  codec->train(rows.data(), 600);
  CHECK(!codec->must_train() && codec->trained());
  const double many = mean_error(*codec, rows);
  CHECK(many < few);
  const auto mean = make(StorageType::kI8, dim, Metric::kL2);
  mean->train(rows.data(), 600);
  double variance = 0.0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double difference = rows[i] - mean->learned()[i % dim];
    variance += difference * difference / 600.0;
  }
  CHECK(many < 0.2 * variance);
  CHECK_THROWS(Code::kArgument, make_pq(4, 5, Metric::kDot));
  const Row row = encode(*codec, Vector(dim, 0.1f));
  CHECK(std::isnan(codec->error_bound(row.code.data(), row.factors, 1.0, 3.0)));
}

TEST_CASE("pq: one seed, one result; restore gives it back and refuses what is wrong") {
  const std::size_t dim = 10;
  const Vector rows = clustered(3, 300, dim, 20);
  const auto first = make_pq(dim, 3, Metric::kL2, 5);
  const auto again = make_pq(dim, 3, Metric::kL2, 5);
  const auto other = make_pq(dim, 3, Metric::kL2, 6);
  first->train(rows.data(), 300);
  again->train(rows.data(), 300);
  other->train(rows.data(), 300);
  CHECK_EQUAL(first->learned().size(), 160);
  CHECK(first->learned() == again->learned());
  CHECK(first->learned() != other->learned());
  const auto restored = make_pq(dim, 3, Metric::kL2, 9);
  CHECK_THROWS(Code::kFormat, restored->restore(Vector(159, 0.0f)));
  Vector bad = first->learned();
  bad[100] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS(Code::kFormat, restored->restore(bad));
  CHECK(restored->must_train());
  restored->restore(first->learned());
  CHECK(mean_error(*restored, rows) == mean_error(*first, rows));
}

TEST_CASE("pq: few distinct vectors, equal vectors and extremes") {
  const Vector equal(20 * 6, 1.5f);
  const auto codec = make_pq(6, 3, Metric::kL2);
  codec->train(equal.data(), 20);
  CHECK(mean_error(*codec, equal) == 0.0);
  CHECK(Query(*codec, Vector(6, 0.25f)).prepared.scale == 0.0f);
  Vector two = equal;
  std::fill(two.begin(), two.begin() + 60, -2.0f);
  codec->train(two.data(), 20);
  CHECK(mean_error(*codec, two) == 0.0);
  for (const float size : {3e38f, 1e20f, 1e-30f, 1e-40f}) {
    Vector rows = clustered(4, 200, 6, 12);
    for (float& value : rows) value = std::clamp(value, -1.0f, 1.0f) * size;
    codec->train(rows.data(), 200);
    double power = 0.0;
    for (const float value : rows) power += static_cast<double>(value) * value / 200.0;
    CHECK(mean_error(*codec, rows) < 0.1 * power);
    const Query query(*codec, Vector(rows.begin(), rows.begin() + 6));
    CHECK(std::isfinite(query.prepared.base) && std::isfinite(query.prepared.scale));
  }
}

TEST_CASE("pq: the table gives the distance to the decoded vector within its rounding") {
  for (const std::size_t dim : {1u, 2u, 5u, 16u, 33u, 100u}) {
    for (const std::size_t subspaces : {std::size_t{0}, std::size_t{1}, dim, (dim + 2) / 3}) {
      for (const Metric metric : kMetrics) {
        const auto codec = make_pq(dim, subspaces, metric);
        const Vector rows = clustered(5, 64, dim, 10);
        codec->train(rows.data(), 64);
        const std::size_t count = dynamic_cast<const PqCodec&>(*codec).subspaces();
        const Vector query_vector = normals(6, dim);
        const Query query(*codec, query_vector);
        const PreparedQuery& prepared = query.prepared;
        for (std::size_t i = count * 16; i < (count + count % 2) * 16; ++i) {
          CHECK_EQUAL(prepared.table[i], 0);
        }
        for (std::size_t r = 0; r < 8; ++r) {
          const auto first = rows.begin() + static_cast<std::ptrdiff_t>(r * dim);
          const Row row = encode(*codec, Vector(first, first + static_cast<std::ptrdiff_t>(dim)));
          if (count % 2 == 1) CHECK_EQUAL(row.code.back() >> 4, 0);
          long long sum = 0;
          for (std::size_t s = 0; s < count; ++s) {
            sum += prepared.table[s * 16 + (row.code[s / 2] >> (s % 2 * 4) & 15)];
          }
          const double estimated = prepared.base + static_cast<double>(prepared.scale) * sum;
          const double exact = distance(metric, decode(*codec, row), query_vector);
          CHECK(std::fabs(estimated - exact) <=
                0.501 * prepared.scale * static_cast<double>(count) +
                    1e-5 * (1.0 + std::fabs(exact)));
        }
      }
    }
  }
}
