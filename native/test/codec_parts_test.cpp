// What codecs are made of: 16-bit floats, the rotation, product quantization.

#include "codecs/half.hpp"
#include "codecs/pq_codec.hpp"
#include "codecs/rotation.hpp"
#include "test/codecs_support.hpp"

namespace lichen::test::codecs {

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

}  // namespace lichen::test::codecs
