#include "tensor/unit_rows.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {
namespace {

constexpr double kLeastSquare = 1e-24;  // keeps the length of a zero row from dividing by zero
constexpr std::size_t kUnitGrain = std::size_t{1} << 15;  // values of a thread, at least

std::size_t rows_a_thread(std::size_t dim) {
  return std::max<std::size_t>(1, kUnitGrain / std::max<std::size_t>(1, dim));
}

}  // namespace

void make_unit_rows(const float* x, std::size_t rows, std::size_t dim, float* unit,
                    float* inverse) {
  const auto product = kernels().prepare.product;
  shared_ranges(rows, rows_a_thread(dim), [&](std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last; ++row) {
      const float* const from = x + row * dim;
      const double square = product(from, from, dim);
      // Not std::max, which would hide a NaN.
      const auto scale =
          static_cast<float>(1.0 / std::sqrt(square < kLeastSquare ? kLeastSquare : square));
      inverse[row] = scale;
      for (std::size_t at = 0; at < dim; ++at) unit[row * dim + at] = from[at] * scale;
    }
  });
}

void pull_back_unit_rows(const float* unit, const float* inverse, std::size_t rows, std::size_t dim,
                         float* gradients) {
  const auto product = kernels().prepare.product;
  shared_ranges(rows, rows_a_thread(dim), [&](std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last; ++row) {
      float* const gradient = gradients + row * dim;
      const float* const of_row = unit + row * dim;
      // Only what stands at a right angle to a row changes its direction.
      const auto along = static_cast<float>(product(gradient, of_row, dim));
      for (std::size_t at = 0; at < dim; ++at) {
        gradient[at] = (gradient[at] - along * of_row[at]) * inverse[row];
      }
    }
  });
}

}  // namespace lichen
