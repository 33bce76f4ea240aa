#include "codecs/principal.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "codecs/numeric.hpp"
#include "kernels/kernels.hpp"
#include "runtime/random.hpp"

namespace lichen {
namespace {

// Each brings a direction that holds a share r of a kept one's energy down to r of what it was:
// after some, what is left of lesser ones lies among those that hold as much as the last kept.
constexpr int kSubspaceIterations = 8;
// Of a direction less than this is left when those before it are taken off: it is one of them.
constexpr double kDependent = 1e-4;

// Rows of `width` values, and products of a vector with them.
struct Rows {
  std::vector<float> values;
  std::size_t width;

  Rows(std::size_t count, std::size_t width) : values(count * width), width(width) {}
  float* operator[](std::size_t row) { return values.data() + row * width; }
  const float* operator[](std::size_t row) const { return values.data() + row * width; }

  void products(const float* vector, std::size_t count, float* out) const {
    kernels().f32.dot_rows(vector, values.data(), width * sizeof(float), count, width, out);
    for (std::size_t i = 0; i < count; ++i) out[i] = -out[i];
  }
};

void subtract(float* from, const float* direction, float times, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) from[i] -= times * direction[i];
}

double norm_of(const float* values, std::size_t count) {
  return std::sqrt(
      lane_sum(count, [&](std::size_t i) { return static_cast<double>(values[i]) * values[i]; }));
}

void divide(float* values, double by, std::size_t count) {
  const double inverse = 1.0 / by;
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(values[i] * inverse);
}

class Directions {
 public:
  Directions(std::size_t count, std::size_t width, std::uint64_t seed)
      : rows_(count, width), count_(count), seed_(seed), along_(count) {
    for (std::size_t j = 0; j < count; ++j) draw(rows_[j]);
  }

  float* operator[](std::size_t j) { return rows_[j]; }
  std::vector<float> take() { return std::move(rows_.values); }

  // Gram-Schmidt, twice for each direction, so that rounding leaves nothing of those before it.
  void make_orthonormal() {
    for (std::size_t j = 0; j < count_; ++j) {
      float* const direction = rows_[j];
      while (!stands_alone(direction, j)) draw(direction);
    }
  }

 private:
  void draw(float* direction) {
    for (std::size_t i = 0; i < rows_.width; ++i) {
      direction[i] = static_cast<float>(uniform_open(seed_, drawn_++) - 0.5);
    }
  }

  bool stands_alone(float* direction, std::size_t before) {
    for (int round = 0; round < 2; ++round) {
      const double whole = norm_of(direction, rows_.width);
      if (!(whole > 0.0)) return false;
      divide(direction, whole, rows_.width);
      rows_.products(direction, before, along_.data());
      for (std::size_t b = 0; b < before; ++b) {
        subtract(direction, rows_[b], along_[b], rows_.width);
      }
      if (norm_of(direction, rows_.width) < kDependent) return false;
    }
    divide(direction, norm_of(direction, rows_.width), rows_.width);
    return true;
  }

  Rows rows_;
  std::size_t count_;
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  std::vector<float> along_;
};

// The products of all rows with one another.
Rows squared(const Rows& rows, std::size_t count) {
  Rows products(count, count);
  for (std::size_t i = 0; i < count; ++i) {
    rows.products(rows[i], i + 1, products[i]);
    for (std::size_t j = 0; j < i; ++j) products[j][i] = products[i][j];
  }
  return products;
}

}  // namespace

std::vector<float> principal_directions(const float* vectors, std::size_t count, std::size_t dim,
                                        std::size_t wanted, std::uint64_t seed) {
  // Values from −1 to 1: their products can neither overflow nor vanish.
  const float most =
      lane_max(count * dim, 0.0f, [&](std::size_t i) { return std::fabs(vectors[i]); });
  const double scale = most > 0.0f ? 1.0 / most : 0.0;
  const auto value = [&](std::size_t i, std::size_t d) {
    return static_cast<float>(vectors[i * dim + d] * scale);
  };
  const bool by_values = dim <= count;
  Rows rows = by_values ? Rows(dim, count) : Rows(count, dim);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t d = 0; d < dim; ++d) (by_values ? rows[d][i] : rows[i][d]) = value(i, d);
  }

  const std::size_t side = std::min(count, dim);
  const std::size_t found = std::min(wanted, side);
  const Rows products = squared(rows, side);
  Directions directions(found, side, seed);
  directions.make_orthonormal();
  std::vector<float> next(side);
  for (int iteration = 0; iteration < kSubspaceIterations; ++iteration) {
    for (std::size_t j = 0; j < found; ++j) {
      products.products(directions[j], side, next.data());
      std::copy(next.begin(), next.end(), directions[j]);
    }
    directions.make_orthonormal();
  }
  if (by_values) return directions.take();

  // A combination of vectors for each; those beyond the vectors' number stay as they were drawn.
  Directions of_values(wanted, dim, seed);
  for (std::size_t j = 0; j < found; ++j) {
    std::fill(of_values[j], of_values[j] + dim, 0.0f);
    for (std::size_t i = 0; i < count; ++i) {
      subtract(of_values[j], rows[i], -directions[j][i], dim);
    }
  }
  of_values.make_orthonormal();
  return of_values.take();
}

}  // namespace lichen
