// Steps of losses against their definitions in float64, and the same bits with one thread and with
// several.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/error.hpp"
#include "tensor/dropout.hpp"
#include "tensor/graph.hpp"
#include "tensor/sampled_softmax.hpp"
#include "tensor/unit_rows.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/on_threads.hpp"

namespace lichen {
namespace {

using test::uniform_floats;

// A step with arrays of its own.
struct Case {
  std::size_t rows, columns, targets, dim;
  float temperature = 0.3f;
  std::vector<float> users, negatives, target_rows, column_bias, pair_bias, weights;
  std::vector<std::int32_t> mask_offsets{0}, masked, pair_offsets{0}, pairs;

  Case(std::size_t row_count, std::size_t column_count, std::size_t target_count, std::size_t width)
      : rows(row_count), columns(column_count), targets(target_count), dim(width) {
    users = uniform_floats(1, rows * dim);
    negatives = uniform_floats(2, columns * dim);
    target_rows = uniform_floats(3, targets * dim);
    column_bias = uniform_floats(4, columns);
    weights = uniform_floats(5, rows);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < row % 4; ++i) {  // every fourth row has no pairs
        pairs.push_back(static_cast<std::int32_t>((row * 7 + i * 3) % targets));
      }
      pair_offsets.push_back(static_cast<std::int32_t>(pairs.size()));
      for (std::size_t column = row % 5; column < columns; column += 11) {
        masked.push_back(static_cast<std::int32_t>(column));
      }
      mask_offsets.push_back(static_cast<std::int32_t>(masked.size()));
    }
    pair_bias = uniform_floats(6, pairs.size());
  }

  // The loss, then the gradients of users, negatives and targets.
  std::vector<double> run() const {
    std::vector<float> out((rows + columns + targets) * dim, -77.0f);
    SampledSoftmax step;
    step.dim = dim;
    step.rows = rows;
    step.columns = columns;
    step.target_count = targets;
    step.users = users.data();
    step.negatives = negatives.data();
    step.targets = target_rows.data();
    step.temperature = temperature;
    step.column_bias = column_bias.data();
    step.masked = {mask_offsets.data(), masked.data(), masked.size()};
    step.pairs = {pair_offsets.data(), pairs.data(), pairs.size()};
    step.pair_bias = pair_bias.data();
    step.row_weights = weights.data();
    step.of_users = out.data();
    step.of_negatives = step.of_users + rows * dim;
    step.of_targets = step.of_negatives + columns * dim;
    std::vector<double> all{step_sampled_softmax(step)};
    all.insert(all.end(), out.begin(), out.end());
    return all;
  }

  std::vector<double> exact() const {
    std::vector<double> all(1 + (rows + columns + targets) * dim);
    double* const of_users = all.data() + 1;
    double* const of_negatives = of_users + rows * dim;
    double* const of_targets = of_negatives + columns * dim;
    const auto product = [this](const std::vector<float>& a, std::size_t i,
                                const std::vector<float>& b, std::size_t j) {
      double sum = 0.0;
      for (std::size_t d = 0; d < dim; ++d) {
        sum += static_cast<double>(a[i * dim + d]) * static_cast<double>(b[j * dim + d]);
      }
      return sum / static_cast<double>(temperature);
    };
    for (std::size_t row = 0; row < rows; ++row) {
      if (pair_offsets[row] == pair_offsets[row + 1]) continue;
      std::vector<double> scores(columns);
      for (std::size_t column = 0; column < columns; ++column) {
        scores[column] =
            product(users, row, negatives, column) + static_cast<double>(column_bias[column]);
      }
      for (std::int32_t at = mask_offsets[row]; at < mask_offsets[row + 1]; ++at) {
        scores[static_cast<std::size_t>(masked[static_cast<std::size_t>(at)])] = -INFINITY;
      }
      double total = 0.0;
      for (const double score : scores) total += std::exp(score);
      const auto first = static_cast<std::size_t>(pair_offsets[row]);
      const auto end = static_cast<std::size_t>(pair_offsets[row + 1]);
      std::vector<double> of_pairs;
      for (std::size_t at = first; at < end; ++at) {
        of_pairs.push_back(product(users, row, target_rows, static_cast<std::size_t>(pairs[at])) +
                           static_cast<double>(pair_bias[at]));
        total += std::exp(of_pairs.back());
      }
      const double weight = static_cast<double>(weights[row]);
      const double count = static_cast<double>(end - first);
      const auto pull = [&](double slope, const std::vector<float>& rows_of, std::size_t other,
                            double* of_other) {
        slope *= weight / static_cast<double>(temperature);
        for (std::size_t d = 0; d < dim; ++d) {
          of_users[row * dim + d] += slope * static_cast<double>(rows_of[other * dim + d]);
          of_other[other * dim + d] += slope * static_cast<double>(users[row * dim + d]);
        }
      };
      for (std::size_t column = 0; column < columns; ++column) {
        pull(count * std::exp(scores[column]) / total, negatives, column, of_negatives);
      }
      for (std::size_t i = 0; i < of_pairs.size(); ++i) {
        all[0] += weight * (std::log(total) - of_pairs[i]);
        pull(count * std::exp(of_pairs[i]) / total - 1.0, target_rows,
             static_cast<std::size_t>(pairs[first + i]), of_targets);
      }
    }
    return all;
  }
};

TEST_CASE("losses sampled softmax is near to float64, with any number of threads") {
  const std::size_t shapes[][4] = {
      {1, 1, 1, 1}, {5, 9, 4, 6}, {33, 70, 20, 64}, {40, 0, 12, 16}, {300, 700, 90, 33}};
  for (const auto& [rows, columns, targets, dim] : shapes) {
    const Case one(rows, columns, targets, dim);
    const std::vector<double> got = test::on_threads([&] { return one.run(); });
    const std::vector<double> exact = one.exact();
    CHECK(got.size() == exact.size());
    double greatest = 0.0;
    for (const double value : exact) greatest = std::max(greatest, std::fabs(value));
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(std::fabs(got[i] - exact[i]) <= 2e-5 * (greatest + 1e-3));
    }
  }
}

TEST_CASE("losses sampled softmax refuses places that are none and writes nothing") {
  const auto refuses = [](const auto& spoil) {
    Case one(9, 20, 6, 8);
    spoil(one);
    bool refused = false;
    try {
      one.run();
    } catch (const Error& error) {
      refused = error.code() == Code::kArgument;
    }
    CHECK(refused);
  };
  refuses([](Case& one) { one.pairs[2] = 6; });
  refuses([](Case& one) { one.pairs[0] = -1; });
  refuses([](Case& one) { one.masked[1] = 20; });
  refuses([](Case& one) { one.masked[1] = INT32_MIN; });
  refuses([](Case& one) {
    one.pair_offsets[1] = 3;
    one.pair_offsets[2] = 1;
  });
  refuses([](Case& one) { one.pair_offsets.back() -= 1; });
  refuses([](Case& one) { one.mask_offsets[0] = -4; });
  refuses([](Case& one) { one.mask_offsets.back() += 1; });
}

TEST_CASE("losses sampled softmax tells of values that are none") {
  Case one(6, 30, 5, 16);
  one.users[40] = NAN;
  CHECK(std::isnan(one.run()[0]));
}

TEST_CASE("losses smoothing and dropout are the same with any number of threads") {
  const std::size_t nodes = 1500;
  const std::size_t dim = 19;
  std::vector<std::int32_t> offsets{0};
  std::vector<std::int32_t> neighbours;
  for (std::size_t node = 0; node < nodes; ++node) {
    for (std::size_t i = 0; i < node % 7; ++i) {
      neighbours.push_back(static_cast<std::int32_t>((node * 31 + i * 17) % nodes));
    }
    offsets.push_back(static_cast<std::int32_t>(neighbours.size()));
  }
  const std::vector<float> weights = uniform_floats(1, neighbours.size());
  const std::vector<float> x = uniform_floats(2, nodes * dim);
  const std::vector<float> base = uniform_floats(3, nodes * dim);
  const Graph graph{nodes, offsets.data(), neighbours.data(), weights.data(), neighbours.size()};
  const std::vector<float> out = test::on_threads([&] {
    std::vector<float> smoothed(nodes * dim);
    smooth_rows(graph, dim, x.data(), base.data(), 0.25f, smoothed.data());
    return smoothed;
  });
  for (std::size_t node = 0; node < nodes; ++node) {
    for (std::size_t d = 0; d < dim; ++d) {
      double sum = static_cast<double>(base[node * dim + d]);
      for (std::int32_t edge = offsets[node]; edge < offsets[node + 1]; ++edge) {
        const auto at = static_cast<std::size_t>(edge);
        sum += static_cast<double>(weights[at]) *
               static_cast<double>(x[static_cast<std::size_t>(neighbours[at]) * dim + d]);
      }
      CHECK(std::fabs(static_cast<double>(out[node * dim + d]) - sum / 4) < 1e-6);
    }
  }
  const std::vector<float> mask = test::on_threads([] {
    std::vector<float> values(200001);
    fill_dropout(7, 0.3, values.size(), values.data());
    return values;
  });
  const auto dropped = std::count(mask.begin(), mask.end(), 0.0f);
  CHECK(std::fabs(static_cast<double>(dropped) / 200001.0 - 0.3) < 0.01);
}

TEST_CASE("losses unit rows have length 1, and gradients at right angles to them") {
  for (const std::size_t dim : {1, 3, 8, 65}) {
    const std::size_t rows = 700;
    std::vector<float> x = uniform_floats(9, rows * dim);
    std::fill(x.begin() + static_cast<std::ptrdiff_t>(5 * dim),
              x.begin() + static_cast<std::ptrdiff_t>(6 * dim), 0.0f);
    const std::vector<float> out = test::on_threads([&] {
      std::vector<float> both(rows * dim + rows);
      make_unit_rows(x.data(), rows, dim, both.data(), both.data() + rows * dim);
      return both;
    });
    const std::vector<float> start = uniform_floats(10, rows * dim);
    const std::vector<float> gradients = test::on_threads([&] {
      std::vector<float> at = start;
      pull_back_unit_rows(out.data(), out.data() + rows * dim, rows, dim, at.data());
      return at;
    });
    for (std::size_t row = 0; row < rows; ++row) {
      double square = 0.0;
      double along = 0.0;
      double unit_square = 0.0;
      for (std::size_t d = row * dim; d < (row + 1) * dim; ++d) {
        square += static_cast<double>(x[d]) * static_cast<double>(x[d]);
        along += static_cast<double>(start[d]) * static_cast<double>(out[d]);
        unit_square += static_cast<double>(out[d]) * static_cast<double>(out[d]);
      }
      const double inverse = static_cast<double>(out[rows * dim + row]);
      if (row == 5) {
        CHECK(unit_square == 0.0);
        continue;
      }
      CHECK(std::fabs(unit_square - 1.0) < 1e-6);
      CHECK(std::fabs(inverse * std::sqrt(square) - 1.0) < 1e-6);
      for (std::size_t d = row * dim; d < (row + 1) * dim; ++d) {
        const double exact =
            (static_cast<double>(start[d]) - along * static_cast<double>(out[d])) * inverse;
        CHECK(std::fabs(static_cast<double>(gradients[d]) - exact) < 1e-6 * (1.0 + inverse));
      }
    }
  }
}

}  // namespace
}  // namespace lichen
