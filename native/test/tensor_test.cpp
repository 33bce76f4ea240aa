// What training computes, on every instruction set that runs here, against float64, and the same
// bits with one thread and with several.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/shared_loop.hpp"
#include "tensor/elementwise.hpp"
#include "tensor/matrix_product.hpp"
#include "tensor/optimizers.hpp"
#include "tensor/reductions.hpp"
#include "tensor/row_lists.hpp"
#include "tensor/rows.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/on_threads.hpp"

namespace lichen {
namespace {

using test::on_threads;
using test::uniform_floats;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// How many floats lie between a value and the exact one.
double places_apart(float value, double exact) {
  const auto nearest = static_cast<float>(exact);
  if (value == nearest || (std::isnan(value) && std::isnan(exact))) return 0.0;
  if (!std::isfinite(value) || !std::isfinite(nearest)) return INFINITY;
  const float next = std::nextafter(std::fabs(nearest), INFINITY);
  return std::fabs(static_cast<double>(value) - exact) /
         (static_cast<double>(next) - std::fabs(static_cast<double>(nearest)));
}

struct Function {
  Unary unary;
  double (*exact)(double);
  double places;  // off at most
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(-std::fabs(x))) + std::max(x, 0.0); }

const Function kFunctions[] = {
    {Unary::kExp, std::exp, 2.0},         {Unary::kExpm1, std::expm1, 2.5},
    {Unary::kLog, std::log, 2.0},         {Unary::kLog1p, std::log1p, 3.0},
    {Unary::kSigmoid, sigmoid, 2.5},      {Unary::kTanh, std::tanh, 2.5},
    {Unary::kErf, std::erf, 4.0},         {Unary::kSoftplus, softplus, 3.0},
    {Unary::kSquareRoot, std::sqrt, 0.5},
};

// Floats of all magnitudes and both signs, and those where something changes.
std::vector<float> probes() {
  std::vector<float> values = {
      0.0f,      -0.0f,    1.0f,           -1.0f,         INFINITY,       -INFINITY,   NAN,
      88.72283f, 88.7229f, -87.3366f,      -103.97f,      -103.98f,       -104.5f,     -1e9f,
      1e9f,      1e-45f,   1.1754944e-38f, 3.4028235e38f, -3.4028235e38f, 0.70710677f, 0.70710683f,
      1.4142135f};
  const std::size_t count = test::is_full_run() ? 200000 : 20000;
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = static_cast<std::uint32_t>(splitmix64(7, i));
    float value;
    std::memcpy(&value, &bits, sizeof value);
    values.push_back(value);
    values.push_back(static_cast<float>(12.0 * test::uniform(8, i)));
    values.push_back(static_cast<float>(1.5 * test::uniform(9, i)));
  }
  return values;
}

}  // namespace

TEST_CASE("tensor functions are near to float64, and the same everywhere") {
  const std::vector<float> values = probes();
  for (const Function& function : kFunctions) {
    std::vector<float> first;
    for (const Kernels* table : runnable_kernels()) {
      std::vector<float> results(values.size());
      table->tensor.unary[static_cast<std::size_t>(function.unary)](values.data(), values.size(),
                                                                    0.0f, 0.0f, results.data());
      if (first.empty()) {
        first = results;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double exact = function.exact(values[i]);
          const double off = places_apart(results[i], exact);
          if (off <= function.places) continue;
          test::fail(__FILE__, __LINE__,
                     std::string(kUnaryNames[static_cast<std::size_t>(function.unary)]) + " of " +
                         std::to_string(values[i]) + " is " + std::to_string(results[i]) +
                         ", not " + std::to_string(exact) + ", " + std::to_string(off) +
                         " places off");
        }
        continue;
      }
      for (std::size_t i = 0; i < values.size(); ++i) {
        const bool both_nan = std::isnan(first[i]) && std::isnan(results[i]);
        CHECK(both_nan || std::memcmp(&first[i], &results[i], sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("tensor kernels do the same with whatever lies beside") {
  // Counts around the widths of vectors; results in the middle of an array that stays as it is.
  for (std::size_t count = 1; count < 70; ++count) {
    const std::vector<float> a = uniform_floats(1, count);
    const std::vector<float> b = uniform_floats(2, count);
    std::vector<std::vector<float>> first(kBinaryCount);
    for (const Kernels* table : runnable_kernels()) {
      for (std::size_t op = 0; op < kBinaryCount; ++op) {
        std::vector<float> out(count + 2, 7.0f);
        table->tensor.binary[op](a.data(), 1, b.data(), 1, count, out.data() + 1);
        CHECK(out.front() == 7.0f && out.back() == 7.0f);
        std::vector<float> scalar(count + 2, 7.0f);
        for (std::size_t i = 0; i < count; ++i) {
          table->tensor.binary[op](a.data() + i, 0, b.data() + i, 0, 1, scalar.data() + 1 + i);
        }
        for (std::size_t i = 0; i < out.size(); ++i) {
          CHECK(out[i] == scalar[i] || (std::isnan(out[i]) && std::isnan(scalar[i])));
        }
      }
    }
  }
}

TEST_CASE("tensor products are near to float64, whatever is transposed") {
  struct Shape {
    std::size_t rows, depth, columns;
  };
  std::vector<Shape> shapes = {{1, 1, 1},    {2, 3, 5},     {8, 16, 32},  {9, 17, 33}, {7, 300, 31},
                               {65, 70, 64}, {130, 257, 1}, {1, 600, 40}, {40, 0, 7}};
  if (test::is_full_run()) {
    shapes.push_back({150, 520, 300});
    shapes.push_back({300, 64, 270});
  }
  for (const auto& [rows, depth, columns] : shapes) {
    for (int transposed = 0; transposed < 4; ++transposed) {
      MatrixProduct product;
      product.batch = 2;
      product.rows = rows;
      product.depth = depth;
      product.columns = columns;
      product.transpose_a = (transposed & 1) != 0;
      product.transpose_b = (transposed & 2) != 0;
      const std::vector<float> a = uniform_floats(1, 2 * rows * depth);
      const std::vector<float> b = uniform_floats(2, depth * columns);
      const std::vector<float> bias = uniform_floats(3, columns);
      product.a = a.data();
      product.b = b.data();
      product.bias = bias.data();
      product.a_batch_step = rows * depth;
      product.alpha = 0.5f;
      product.activation = Activation::kLeakyRelu;
      product.slope = 0.25f;
      const std::vector<float> c = on_threads([&] {
        std::vector<float> out(2 * rows * columns, NAN);
        product.c = out.data();
        multiply_matrices(product);
        return out;
      });
      for (std::size_t i = 0; i < c.size(); ++i) {
        const std::size_t m = i / (rows * columns);
        const std::size_t row = i / columns % rows;
        const std::size_t column = i % columns;
        double sum = 0.0;
        double magnitude = 1.0;
        for (std::size_t k = 0; k < depth; ++k) {
          const float x =
              a[m * rows * depth + (product.transpose_a ? k * rows + row : row * depth + k)];
          const float y = b[product.transpose_b ? column * depth + k : k * columns + column];
          sum += static_cast<double>(x) * y;
          magnitude += std::fabs(static_cast<double>(x) * y);
        }
        double expected = 0.5 * sum + bias[column];
        if (expected < 0.0) expected *= 0.25;
        CHECK(std::fabs(c[i] - expected) <= 1e-6 * magnitude);
      }
    }
  }
}

TEST_CASE("tensor products of a batch are those of its matrices") {
  const std::size_t batch = 40, rows = 33, depth = 50, columns = 47;
  const std::vector<float> a = uniform_floats(1, batch * rows * depth);
  const std::vector<float> b = uniform_floats(2, batch * depth * columns);
  MatrixProduct product;
  product.rows = rows;
  product.depth = depth;
  product.columns = columns;
  std::vector<float> each(batch * rows * columns);
  for (std::size_t i = 0; i < batch; ++i) {
    product.a = a.data() + i * rows * depth;
    product.b = b.data() + i * depth * columns;
    product.c = each.data() + i * rows * columns;
    multiply_matrices(product);
  }
  product.batch = batch;
  product.a = a.data();
  product.b = b.data();
  product.a_batch_step = rows * depth;
  product.b_batch_step = depth * columns;
  const auto together = on_threads([&] {
    std::vector<float> out(each.size());
    product.c = out.data();
    multiply_matrices(product);
    return out;
  });
  CHECK(same_bits(together, each));
}

TEST_CASE("tensor copies follow the steps of both views") {
  test::Dice dice(5);
  for (int round = 0; round < 200; ++round) {
    Axes<2> axes;
    axes.rank = 1 + dice.below(4);
    std::vector<std::size_t> order(axes.rank);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = axes.rank; i > 1; --i) std::swap(order[i - 1], order[dice.below(i)]);
    for (std::size_t axis = 0; axis < axes.rank; ++axis) {
      axes.extents[axis] = dice.one_in(8) ? dice.below(90) : 1 + dice.below(9);
    }
    // The source has the axes in another order, some without a step, some backwards.
    std::ptrdiff_t step = 1;
    std::size_t first = 0;
    for (const std::size_t axis : order) {
      const bool repeats = dice.one_in(6);
      const bool turns = dice.one_in(6);
      const std::size_t extent = std::max<std::size_t>(1, axes.extents[axis]);
      axes.steps[0][axis] = repeats ? 0 : turns ? -step : step;
      if (turns && !repeats) first += static_cast<std::size_t>(step) * (extent - 1);
      if (!repeats) step *= static_cast<std::ptrdiff_t>(extent);
    }
    std::vector<std::uint32_t> in(static_cast<std::size_t>(step));
    std::iota(in.begin(), in.end(), 1u);
    std::ptrdiff_t out_step = 1;
    for (std::size_t axis = axes.rank; axis-- > 0;) {
      axes.steps[1][axis] = out_step;
      out_step *= static_cast<std::ptrdiff_t>(axes.extents[axis]);
    }
    const auto out = on_threads([&] {
      std::vector<std::uint32_t> copy(axes.count() + 1, 0);
      copy_strided(axes, 4, in.data() + first, copy.data());
      return copy;
    });
    CHECK(out.back() == 0);
    const std::vector<std::uint8_t> bytes(in.begin(), in.end());
    std::vector<std::uint8_t> bytes_out(axes.count());
    copy_strided(axes, 1, bytes.data() + first, bytes_out.data());
    for (std::size_t i = 0; i < axes.count(); ++i) {
      std::ptrdiff_t at = static_cast<std::ptrdiff_t>(first);
      std::size_t rest = i;
      for (std::size_t axis = axes.rank; axis-- > 0;) {
        at += static_cast<std::ptrdiff_t>(rest % axes.extents[axis]) * axes.steps[0][axis];
        rest /= axes.extents[axis];
      }
      CHECK_EQUAL(out[i], in[static_cast<std::size_t>(at)]);
      CHECK_EQUAL(bytes_out[i], bytes[static_cast<std::size_t>(at)]);
    }
  }
}

TEST_CASE("tensor copies transpose large matrices on threads") {
  const std::size_t rows = 1030, columns = 777;
  std::vector<std::uint32_t> in(rows * columns);
  std::iota(in.begin(), in.end(), 0u);
  Axes<2> axes;
  axes.rank = 2;
  axes.extents = {columns, rows};
  axes.steps[0] = {1, static_cast<std::ptrdiff_t>(columns)};
  axes.steps[1] = {static_cast<std::ptrdiff_t>(rows), 1};
  const auto out = on_threads([&] {
    std::vector<std::uint32_t> copy(in.size());
    copy_strided(axes, 4, in.data(), copy.data());
    return copy;
  });
  for (std::size_t i = 0; i < in.size(); ++i) {
    CHECK(out[i] == in[i % rows * columns + i / rows]);
  }
}

TEST_CASE("tensor reductions agree with float64") {
  for (const ReducedAxis axis :
       {ReducedAxis{3, 5, 7}, ReducedAxis{1, 100003, 1}, ReducedAxis{300, 257, 1},
        ReducedAxis{2, 300, 513}, ReducedAxis{4, 1, 9}, ReducedAxis{1, 9, 100000}}) {
    const auto [outer, length, inner] = axis;
    const std::vector<float> x = uniform_floats(3, outer * length * inner);
    for (const Reduction kind :
         {Reduction::kSum, Reduction::kMean, Reduction::kMaximum, Reduction::kMinimum}) {
      const auto out = on_threads([&] {
        std::vector<float> result(outer * inner);
        reduce(kind, axis, x.data(), result.data());
        return result;
      });
      for (std::size_t i = 0; i < out.size(); ++i) {
        const float* const from = x.data() + i / inner * length * inner + i % inner;
        double sum = 0.0;
        float most = from[0];
        float least = from[0];
        for (std::size_t k = 0; k < length; ++k) {
          sum += from[k * inner];
          most = std::max(most, from[k * inner]);
          least = std::min(least, from[k * inner]);
        }
        if (kind == Reduction::kMean) sum /= static_cast<double>(length);
        if (kind == Reduction::kMaximum) sum = most;
        if (kind == Reduction::kMinimum) sum = least;
        CHECK(std::fabs(out[i] - sum) <= 1e-6 * std::max(1.0, std::fabs(sum)));
      }
    }
  }
}

TEST_CASE("tensor softmax of rows sums to one, and drops what is masked") {
  const std::size_t rows = 200, columns = 700;
  std::vector<float> x = uniform_floats(4, rows * columns);
  for (std::size_t i = 0; i < x.size(); i += 13) x[i] = -1e9f;
  for (float& value : x) value *= 20.0f;
  const auto out = on_threads([&] {
    std::vector<float> result(x.size());
    softmax(x.data(), rows, columns, result.data());
    return result;
  });
  for (std::size_t row = 0; row < rows; ++row) {
    const float* const from = x.data() + row * columns;
    const double most = *std::max_element(from, from + columns);
    double sum = 0.0;
    for (std::size_t c = 0; c < columns; ++c) sum += std::exp(from[c] - most);
    for (std::size_t c = 0; c < columns; ++c) {
      const double expected = std::exp(from[c] - most) / sum;
      // Differences of up to 40 are rounded to 2e-6 before the exponential.
      CHECK(std::fabs(out[row * columns + c] - expected) <= 3e-6 * expected + 1e-40);
      if ((row * columns + c) % 13 == 0) CHECK(out[row * columns + c] == 0.0f);
    }
  }
}

TEST_CASE("tensor segments and lists of rows") {
  test::Dice dice(6);
  const std::size_t places = 5000, segments = 700, width = 19;
  std::vector<std::int32_t> ids(places);
  for (auto& id : ids) id = static_cast<std::int32_t>(dice.below(segments + 40)) - 20;
  const RowLists lists(ids.data(), places, segments);
  std::size_t listed = 0;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    CHECK(lists.begin(i) < lists.end(i));
    for (const std::uint32_t* at = lists.begin(i); at != lists.end(i); ++at) {
      CHECK(static_cast<std::size_t>(ids[*at]) == lists.row(i));
      CHECK(at == lists.begin(i) || at[-1] < *at);
      ++listed;
    }
  }
  const auto is_row = [&](std::int32_t id) {
    return id >= 0 && static_cast<std::size_t>(id) < segments;
  };
  CHECK_EQUAL(listed, std::count_if(ids.begin(), ids.end(), is_row));

  const std::vector<float> x = uniform_floats(7, places * width);
  std::vector<double> expected(segments * width);
  for (std::size_t i = 0; i < places; ++i) {
    for (std::size_t c = 0; c < width && is_row(ids[i]); ++c) {
      expected[static_cast<std::size_t>(ids[i]) * width + c] += x[i * width + c];
    }
  }
  const auto out = on_threads([&] {
    std::vector<float> result(segments * width, NAN);
    sum_segments(x.data(), ids.data(), places, width, segments, result.data());
    return result;
  });
  for (std::size_t i = 0; i < out.size(); ++i) {
    CHECK(std::fabs(out[i] - expected[i]) <= 1e-6 * std::max(1.0, std::fabs(expected[i])));
  }
}

TEST_CASE("tensor gathering checks before it writes") {
  const std::vector<float> x = uniform_floats(8, 2 * 3 * 5 * 4);
  const std::vector<std::int32_t> indices = {4, 0, 2, 1, 1, 3};
  std::vector<float> out(2 * 3 * 3 * 4, 9.0f);
  const Gathering gathering{2, 3, 5, 3, 4 * sizeof(float)};
  for (const std::int32_t bad : {-1, 5}) {
    std::vector<std::int32_t> wrong = indices;
    wrong.back() = bad;
    CHECK_THROWS(Code::kArgument, gather_rows(gathering, x.data(), wrong.data(), out.data()));
    CHECK(std::all_of(out.begin(), out.end(), [](float value) { return value == 9.0f; }));
  }
  gather_rows(gathering, x.data(), indices.data(), out.data());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t b = i / 36, o = i / 12 % 3, at = i / 4 % 3, c = i % 4;
    const auto row = static_cast<std::size_t>(indices[b * 3 + at]);
    CHECK(out[i] == x[((b * 3 + o) * 5 + row) * 4 + c]);
  }
}

TEST_CASE("tensor optimizers give the same with any number of threads") {
  test::Dice dice(9);
  const std::size_t rows = 3000, dim = 48, places = 4000, bags = 1500;
  const std::vector<float> start = uniform_floats(10, rows * dim);
  const std::vector<float> gradients = uniform_floats(11, bags * dim);
  const std::vector<float> weights = uniform_floats(12, places);
  std::vector<std::int32_t> named(places);
  for (auto& row : named) row = static_cast<std::int32_t>(dice.below(rows));
  std::vector<std::int32_t> offsets(bags + 1, 0);
  for (std::size_t b = 0; b < bags; ++b) {
    offsets[b + 1] = static_cast<std::int32_t>((b + 1) * places / bags);
  }
  const SparseGradients sparse{named.data(),   places, gradients.data(),
                               offsets.data(), bags,   weights.data()};
  const AdamSettings adam{0.01, 0.9, 0.999, 1e-8, 0.1};
  const auto moved = on_threads([&] {
    std::vector<float> values = start;
    std::vector<float> means(values.size()), squares(values.size());
    std::vector<std::int32_t> steps(rows);
    for (int step = 0; step < 2; ++step) {
      step_sparse_adam(adam, sparse, {values.data(), rows, dim}, means.data(), squares.data(),
                       steps.data());
    }
    step_sparse_adagrad({0.1, 1e-8, 0.0}, sparse, {values.data(), rows, dim}, squares.data());
    step_adam(adam, 3, start.data(), values.size(), values.data(), means.data(), squares.data());
    return values;
  });
  CHECK(!same_bits(moved, start));
  const auto sums = on_threads([&] {
    std::vector<float> values = start;
    std::vector<float> out(bags * dim);
    sum_bags({values.data(), rows, dim}, offsets.data(), bags, named.data(), places, weights.data(),
             out.data());
    return out;
  });
  for (std::size_t i = 0; i < sums.size(); ++i) {
    double expected = 0.0;
    const std::size_t b = i / dim;
    for (std::int32_t at = offsets[b]; at < offsets[b + 1]; ++at) {
      const auto place = static_cast<std::size_t>(at);
      expected += static_cast<double>(weights[place]) *
                  start[static_cast<std::size_t>(named[place]) * dim + i % dim];
    }
    CHECK(std::fabs(sums[i] - expected) <= 1e-6);
  }
}

TEST_CASE("tensor loops hand on what a turn throws, after all turns") {
  for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
    set_loop_threads(threads);
    std::vector<int> done(100, 0);
    CHECK_THROWS(Code::kArgument, shared_loop(done.size(), [&](std::size_t i) {
                   done[i] = 1;
                   if (i == 50) throw Error(Code::kArgument, "turn");
                 }));
    const auto turns = std::count(done.begin(), done.end(), 1);
    CHECK(threads == 1 ? turns == 51 : turns == 100);
    std::vector<int> ranges(1000, 0);
    shared_ranges(ranges.size(), 7, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) ++ranges[i];
    });
    CHECK(std::all_of(ranges.begin(), ranges.end(), [](int times) { return times == 1; }));
  }
  set_loop_threads(0);
}

}  // namespace lichen
