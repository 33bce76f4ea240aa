#pragma once
// Rows made of length 1, and gradients taken back through that. Sums are in f64, in a fixed order.

#include <cstddef>

namespace lichen {

// unit = x / |x| row by row, inverse = 1 / |x|; rows of zeros stay zeros.
void make_unit_rows(const float* x, std::size_t rows, std::size_t dim, float* unit, float* inverse);

// Turns gradients by unit rows into those by the rows they were made of, in place.
void pull_back_unit_rows(const float* unit, const float* inverse, std::size_t rows, std::size_t dim,
                         float* gradients);

}  // namespace lichen
