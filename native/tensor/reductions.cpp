#include "tensor/reductions.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/error.hpp"
#include "runtime/shared_loop.hpp"

namespace lichen {
namespace {

constexpr std::size_t kReductionGrain = std::size_t{1} << 16;  // values of a thread, at least
constexpr std::size_t kColumns = 256;  // sums at once, so that they stay in the L1

double product_of(const float* x, std::size_t count, std::size_t step) {
  double product = 1.0;
  for (std::size_t i = 0; i < count; ++i) product *= x[i * step];
  return product;
}

// One value of the result, the values reduced lying side by side.
float reduce_row(Reduction reduction, const float* x, std::size_t count) {
  const Kernels& table = kernels();
  switch (reduction) {
    case Reduction::kSum:
      return static_cast<float>(table.prepare.sum(x, count));
    case Reduction::kMean:
      return static_cast<float>(table.prepare.sum(x, count) / static_cast<double>(count));
    case Reduction::kProduct:
      return static_cast<float>(product_of(x, count, 1));
    case Reduction::kMaximum:
      return table.tensor.maximum(x, count);
    default:
      return table.tensor.minimum(x, count);
  }
}

// Some columns of the result for one outer index; x is the first value of the first column.
void reduce_columns(Reduction reduction, const ReducedAxis& axis, const float* x,
                    std::size_t columns, float* out) {
  const TensorKernels& table = kernels().tensor;
  if (reduction == Reduction::kProduct) {
    for (std::size_t c = 0; c < columns; ++c) {
      out[c] = static_cast<float>(product_of(x + c, axis.length, axis.inner));
    }
    return;
  }
  if (reduction == Reduction::kSum || reduction == Reduction::kMean) {
    double sums[kColumns] = {};
    for (std::size_t i = 0; i < axis.length; ++i)
      table.accumulate(x + i * axis.inner, columns, sums);
    const double divisor = reduction == Reduction::kMean ? static_cast<double>(axis.length) : 1.0;
    for (std::size_t c = 0; c < columns; ++c) out[c] = static_cast<float>(sums[c] / divisor);
    return;
  }
  const Binary binary = reduction == Reduction::kMaximum ? Binary::kMaximum : Binary::kMinimum;
  const auto kernel = table.binary[static_cast<std::size_t>(binary)];
  std::copy(x, x + columns, out);
  for (std::size_t i = 1; i < axis.length; ++i) {
    kernel(out, 1, x + i * axis.inner, 1, columns, out);
  }
}

}  // namespace

void reduce(Reduction reduction, const ReducedAxis& axis, const float* x, float* out) {
  const auto [outer, length, inner] = axis;
  if (outer == 0 || inner == 0) return;
  if (inner == 1) {
    shared_ranges(outer,
                  std::max<std::size_t>(1, kReductionGrain / std::max<std::size_t>(1, length)),
                  [&](std::size_t first, std::size_t last) {
                    for (std::size_t i = first; i < last; ++i) {
                      out[i] = reduce_row(reduction, x + i * length, length);
                    }
                  });
    return;
  }
  const std::size_t blocks = (inner + kColumns - 1) / kColumns;
  const std::size_t each = std::max<std::size_t>(1, length * std::min(inner, kColumns));
  shared_ranges(outer * blocks, std::max<std::size_t>(1, kReductionGrain / each),
                [&, length = length, inner = inner](std::size_t first, std::size_t last) {
                  for (std::size_t i = first; i < last; ++i) {
                    const std::size_t at = i / blocks;
                    const std::size_t column = i % blocks * kColumns;
                    reduce_columns(reduction, axis, x + at * length * inner + column,
                                   std::min(kColumns, inner - column), out + at * inner + column);
                  }
                });
}

void reduce(Reduction reduction, const ReducedAxis& axis, const std::int32_t* x,
            std::int32_t* out) {
  if (reduction == Reduction::kMean) throw Error(Code::kUnsupported, "int32 has no mean");
  for (std::size_t o = 0; o < axis.outer; ++o) {
    for (std::size_t c = 0; c < axis.inner; ++c) {
      const std::int32_t* const from = x + o * axis.length * axis.inner + c;
      const auto at = [&](std::size_t i) { return from[i * axis.inner]; };
      std::uint32_t total = reduction == Reduction::kProduct ? 1u : 0u;
      if (reduction == Reduction::kMaximum || reduction == Reduction::kMinimum) {
        total = static_cast<std::uint32_t>(at(0));
      }
      for (std::size_t i = 0; i < axis.length; ++i) {
        const std::int32_t value = at(i);
        const auto so_far = static_cast<std::int32_t>(total);
        if (reduction == Reduction::kSum) {
          total += static_cast<std::uint32_t>(value);
        } else if (reduction == Reduction::kProduct) {
          total *= static_cast<std::uint32_t>(value);
        } else if (reduction == Reduction::kMaximum ? value > so_far : value < so_far) {
          total = static_cast<std::uint32_t>(value);
        }
      }
      out[o * axis.inner + c] = static_cast<std::int32_t>(total);
    }
  }
}

void find_extreme(bool greatest, const ReducedAxis& axis, const float* x, std::int32_t* out) {
  const auto [outer, length, inner] = axis;
  shared_ranges(
      outer, std::max<std::size_t>(1, kReductionGrain / std::max<std::size_t>(1, length * inner)),
      [&, length = length, inner = inner](std::size_t first, std::size_t last) {
        for (std::size_t o = first; o < last; ++o) {
          for (std::size_t c = 0; c < inner; ++c) {
            const float* const from = x + o * length * inner + c;
            float best = from[0];
            std::size_t place = 0;
            for (std::size_t i = 1; i < length; ++i) {
              const float value = from[i * inner];
              if (greatest ? value > best : value < best) {
                best = value;
                place = i;
              }
            }
            out[o * inner + c] = static_cast<std::int32_t>(place);
          }
        }
      });
}

void softmax(const float* x, std::size_t rows, std::size_t columns, float* out) {
  const auto kernel = kernels().tensor.softmax;
  if (columns == 0) return;
  shared_ranges(rows, std::max<std::size_t>(1, kReductionGrain / columns),
                [&](std::size_t first, std::size_t last) {
                  for (std::size_t i = first; i < last; ++i) {
                    kernel(x + i * columns, columns, out + i * columns);
                  }
                });
}

void top_k(const float* x, std::size_t rows, std::size_t columns, std::size_t k, float* values,
           std::int32_t* places) {
  shared_ranges(rows, std::max<std::size_t>(1, kReductionGrain / std::max<std::size_t>(1, columns)),
                [&](std::size_t first, std::size_t last) {
                  std::vector<std::int32_t> order(columns);
                  for (std::size_t row = first; row < last; ++row) {
                    const float* const from = x + row * columns;
                    std::iota(order.begin(), order.end(), 0);
                    // A strict order also with NaN, which comes last.
                    const auto before = [from](std::int32_t a, std::int32_t b) {
                      const float u = from[a];
                      const float v = from[b];
                      if (u > v || (u == u && v != v)) return true;
                      if (u < v || (v == v && u != u)) return false;
                      return a < b;
                    };
                    const auto end = order.begin() + static_cast<std::ptrdiff_t>(k);
                    std::partial_sort(order.begin(), end, order.end(), before);
                    for (std::size_t i = 0; i < k; ++i) {
                      places[row * k + i] = order[i];
                      values[row * k + i] = from[order[i]];
                    }
                  }
                });
}

}  // namespace lichen
