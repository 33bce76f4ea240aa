// Principal directions, and codes of components.

#include "codecs/principal.hpp"
#include "test/codecs_support.hpp"

namespace lichen::test::codecs {
namespace {

// `count` vectors of length `dim` that are combinations of `rank` random ones, later ones less so.
Vector of_rank(std::uint64_t seed, std::size_t count, std::size_t dim, std::size_t rank) {
  const Vector directions = normals(seed, rank * dim);
  const Vector weights = normals(seed + 1, count * rank);
  Vector vectors(count * dim, 0.0f);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t r = 0; r < rank; ++r) {
      const double weight = weights[i * rank + r] / (1.0 + static_cast<double>(r));
      for (std::size_t d = 0; d < dim; ++d) {
        vectors[i * dim + d] += static_cast<float>(weight * directions[r * dim + d]);
      }
    }
  }
  return vectors;
}

Vector row_of(const Vector& rows, std::size_t row, std::size_t width) {
  const auto from = rows.begin() + static_cast<std::ptrdiff_t>(row * width);
  return Vector(from, from + static_cast<std::ptrdiff_t>(width));
}

void check_orthonormal(const Vector& directions, std::size_t count, std::size_t dim) {
  CHECK_EQUAL(directions.size(), count * dim);
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      const double product = dot(row_of(directions, a, dim), row_of(directions, b, dim));
      CHECK(std::fabs(product - (a == b ? 1.0 : 0.0)) < 1e-4);
    }
  }
}

double energy_along(const Vector& vectors, const Vector& directions, std::size_t dim) {
  double sum = 0.0;
  for (std::size_t i = 0; i < vectors.size() / dim; ++i) {
    const Vector vector = row_of(vectors, i, dim);
    for (std::size_t j = 0; j < directions.size() / dim; ++j) {
      const double along = dot(vector, row_of(directions, j, dim));
      sum += along * along;
    }
  }
  return sum;
}

// The eigenvalues of the matrix of second moments, greatest first, by Jacobi's rotations.
std::vector<double> energies(const Vector& vectors, std::size_t dim) {
  std::vector<double> m(dim * dim, 0.0);
  for (std::size_t i = 0; i < vectors.size() / dim; ++i) {
    for (std::size_t a = 0; a < dim; ++a) {
      for (std::size_t b = 0; b < dim; ++b) {
        m[a * dim + b] += static_cast<double>(vectors[i * dim + a]) * vectors[i * dim + b];
      }
    }
  }
  for (int sweep = 0; sweep < 30; ++sweep) {
    for (std::size_t p = 0; p < dim; ++p) {
      for (std::size_t q = p + 1; q < dim; ++q) {
        if (m[p * dim + q] == 0.0) continue;
        const double angle =
            0.5 * std::atan2(2.0 * m[p * dim + q], m[p * dim + p] - m[q * dim + q]);
        const double c = std::cos(angle);
        const double s = std::sin(angle);
        const auto turn = [&](double& x, double& y) {
          const double before = x;
          x = c * x + s * y;
          y = c * y - s * before;
        };
        for (std::size_t k = 0; k < dim; ++k) turn(m[k * dim + p], m[k * dim + q]);
        for (std::size_t k = 0; k < dim; ++k) turn(m[p * dim + k], m[q * dim + k]);
      }
    }
  }
  std::vector<double> values(dim);
  for (std::size_t d = 0; d < dim; ++d) values[d] = m[d * dim + d];
  std::sort(values.rbegin(), values.rend());
  return values;
}

std::unique_ptr<Codec> projected(StorageType type, std::size_t dim, std::size_t components,
                                 Metric metric = Metric::kL2) {
  return make(type, dim, metric, 42, components);
}

}  // namespace

TEST_CASE("principal directions: a subspace that holds the vectors is found") {
  struct Shape {
    std::size_t count, dim, rank;
  };
  for (const Shape shape : {Shape{300, 40, 5}, Shape{30, 200, 7}, Shape{64, 64, 1}, Shape{5, 3, 3},
                            Shape{1, 9, 1}, Shape{50, 1, 1}}) {
    const Vector vectors = of_rank(shape.dim, shape.count, shape.dim, shape.rank);
    const Vector found =
        principal_directions(vectors.data(), shape.count, shape.dim, shape.rank, 3);
    check_orthonormal(found, shape.rank, shape.dim);
    CHECK(energy_along(vectors, found, shape.dim) > (1.0 - 1e-5) * dot(vectors, vectors));
  }
}

TEST_CASE("principal directions: no other subspace of so many holds much more") {
  for (const std::size_t count : {400u, 20u}) {
    const std::size_t dim = 24;
    const Vector vectors = of_rank(8, count, dim, dim);
    const std::vector<double> most = energies(vectors, dim);
    double best = 0.0;
    for (std::size_t wanted = 1; wanted <= dim; ++wanted) {
      best += most[wanted - 1];
      const Vector found = principal_directions(vectors.data(), count, dim, wanted, 3);
      check_orthonormal(found, wanted, dim);
      const double held = energy_along(vectors, found, dim);
      CHECK(held > 0.99 * best && held < 1.0001 * best);
    }
  }
}

TEST_CASE("principal directions: vectors that have fewer, or are all alike, zero, huge or tiny") {
  const std::size_t dim = 12;
  for (const std::size_t count : {3u, 40u}) {
    for (const float value : {0.0f, 1.0f, 3e38f, 1e-42f}) {
      const Vector alike(count * dim, value);
      const Vector found = principal_directions(alike.data(), count, dim, 5, 3);
      check_orthonormal(found, 5, dim);
      if (value != 1.0f) continue;
      CHECK(energy_along(alike, found, dim) > (1.0 - 1e-5) * dot(alike, alike));
    }
  }
}

TEST_CASE("codes of components: distances within the subspace") {
  const std::size_t dim = 70;
  const std::size_t components = 20;
  for (const StorageType type : kCodeTypes) {
    for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
      const auto codec = projected(type, dim, components, metric);
      const Vector training = of_rank(4, 500, dim, components);
      codec->train(training.data(), 500);
      CHECK(codec->trained() && codec->learned().size() == components * dim + components);
      // As a codec of so many values keeps the projections.
      const auto plain = make(type, components, metric == Metric::kDot ? metric : Metric::kL2);
      CHECK_EQUAL(codec->row_bytes(), plain->row_bytes());
      double off = 0.0;
      double size = 0.0;
      for (std::size_t i = 0; i < 60; ++i) {
        const Vector vector = row_of(training, i, dim);
        const Vector query = row_of(training, 499 - i, dim);
        const Row row = encode(*codec, vector);
        const double exact = distance(metric, query, vector);
        off += std::pow(estimate(*codec, Query(*codec, query).prepared.code, row) - exact, 2);
        size += std::pow(norm(query) * norm(vector), 2);
        const double error = norm(minus(decode(*codec, row), vector)) / norm(vector);
        CHECK(error < (type == StorageType::kI8 ? 0.05 : type == StorageType::kI4 ? 0.25 : 1.5));
        CHECK(std::isnan(codec->error_bound(row.code.data(), row.factors, 1.0, 3.0)));
      }
      const double bound = type == StorageType::kI8 ? 0.02 : type == StorageType::kI4 ? 0.08 : 0.5;
      CHECK(std::sqrt(off / size) < bound);
    }
  }
}

TEST_CASE("codes of components: of what lies outside of the subspace the length counts") {
  const std::size_t dim = 32;
  const Vector training = of_rank(4, 100, dim, 4);
  const Vector inside[] = {row_of(training, 3, dim), row_of(training, 4, dim)};
  for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
    const auto codec = projected(StorageType::kI8, dim, 4, metric);
    codec->train(training.data(), 100);
    Vector both[2];
    double lengths = 0.0;
    for (const std::size_t which : {0u, 1u}) {
      Vector outside = normals(9 + which, dim);
      // Twice: what rounding leaves of the directions is taken off as well.
      for (std::size_t n = 0; n < 8; ++n) {
        const Vector direction = row_of(codec->learned(), n % 4, dim);
        const double along = dot(outside, direction) / dot(direction, direction);
        for (std::size_t d = 0; d < dim; ++d) {
          outside[d] -= static_cast<float>(along * direction[d]);
        }
      }
      both[which] = inside[which];
      for (std::size_t d = 0; d < dim; ++d) both[which][d] += outside[d];
      lengths += dot(outside, outside);
    }
    const Row row = encode(*codec, both[0]);
    CHECK(norm(minus(decode(*codec, row), inside[0])) < 0.05 * norm(inside[0]));
    const double weight = metric == Metric::kL2 ? 0.5 : metric == Metric::kCosine ? -0.25 : 0.0;
    const double wanted = distance(metric, inside[1], inside[0]) + weight * lengths;
    const double found = estimate(*codec, Query(*codec, both[1]).prepared.code, row);
    CHECK(std::fabs(found - wanted) < 0.03 * norm(both[0]) * norm(both[1]));
  }
}

TEST_CASE("codes of components: a row as a query is what it stands for") {
  const std::size_t dim = 50;
  for (const StorageType type : kCodeTypes) {
    const auto codec = projected(type, dim, 9);
    const Vector training = of_rank(4, 100, dim, 9);
    codec->train(training.data(), 100);
    const Row row = encode(*codec, row_of(training, 5, dim));
    const Row other = encode(*codec, row_of(training, 6, dim));
    AlignedBuffer<std::uint8_t> buffer;
    buffer.resize(codec->prepared_bytes(), 0xAA);
    Vector room(dim);
    const PreparedQuery by_code =
        codec->prepare_code(row.code.data(), row.factors, room.data(), buffer.data());
    const Query decoded(*codec, decode(*codec, row));
    const double wanted = estimate(*codec, decoded.prepared.code, other);
    const double size = dot(decode(*codec, row), decode(*codec, row)) +
                        dot(decode(*codec, other), decode(*codec, other));
    // What lies outside of the subspace is not known of a code; there is none here.
    const double slack = type == StorageType::kI8 ? 0.03 : type == StorageType::kI4 ? 0.06 : 0.4;
    CHECK(std::fabs(estimate(*codec, by_code.code, other) - wanted) < slack * size);
  }
}

TEST_CASE("codes of components: vectors near the largest float stay finite") {
  const std::size_t dim = 16;
  const Vector training = of_rank(4, 50, dim, 3);
  for (const StorageType type : kCodeTypes) {
    for (const Metric metric : kMetrics) {
      const auto codec = projected(type, dim, 3, metric);
      codec->train(training.data(), 50);
      for (const float value : {3.4e38f, -3.4e38f, 1e-45f}) {
        const Vector extreme(dim, value);
        const Row row = encode(*codec, extreme);
        for (const float decoded : decode(*codec, row)) CHECK(std::isfinite(decoded));
        CHECK(!std::isnan(Query(*codec, extreme).prepared.code.base));
      }
    }
  }
}

TEST_CASE("codes of components: trained once, and restored from what was learned") {
  const std::size_t dim = 20;
  const Vector training = of_rank(4, 40, dim, 6);
  for (const StorageType type : kCodeTypes) {
    const auto codec = projected(type, dim, 6);
    CHECK(codec->must_train() && !codec->trained());
    CHECK_THROWS(Code::kArgument, encode(*codec, row_of(training, 0, dim)));
    CHECK_THROWS(Code::kArgument, Query(*codec, row_of(training, 0, dim)));
    CHECK_THROWS(Code::kArgument, codec->train(training.data(), 5));
    CHECK(!codec->trained());
    codec->train(training.data(), 40);
    const auto again = projected(type, dim, 6);
    again->restore(codec->learned());
    CHECK(again->learned() == codec->learned());
    for (std::size_t i = 0; i < 40; ++i) {
      const Row row = encode(*codec, row_of(training, i, dim));
      CHECK(encode(*again, row_of(training, i, dim)).code == row.code);
      CHECK(decode(*again, row) == decode(*codec, row));
    }
    Vector learned = codec->learned();
    for (const float wrong : {0.0f, 2.0f, 1e38f, std::numeric_limits<float>::quiet_NaN()}) {
      Vector bad = learned;
      std::fill(bad.begin(), bad.begin() + static_cast<std::ptrdiff_t>(dim), wrong);
      CHECK_THROWS(Code::kFormat, again->restore(bad));
    }
    Vector bad = learned;
    bad.back() = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS(Code::kFormat, again->restore(bad));
    learned.pop_back();
    CHECK_THROWS(Code::kFormat, again->restore(learned));
    CHECK(again->learned() == codec->learned());
    again->restore({});
    CHECK(!again->trained());
  }
  CHECK_THROWS(Code::kArgument, projected(StorageType::kI8, dim, 21));
  for (const StorageType type : {StorageType::kF32, StorageType::kF16, StorageType::kPq}) {
    CHECK_THROWS(Code::kArgument, projected(type, dim, 6));
  }
}

}  // namespace lichen::test::codecs
