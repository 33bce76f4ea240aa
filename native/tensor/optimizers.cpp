#include "tensor/optimizers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/aligned.hpp"
#include "runtime/shared_loop.hpp"
#include "tensor/row_lists.hpp"

namespace lichen {
namespace {

constexpr std::size_t kStepGrain = std::size_t{1} << 15;  // values of a thread, at least
constexpr std::size_t kRowsAhead = 4;                     // asked for while a row is at work
constexpr std::size_t kLineFloats = kCacheLine / sizeof(float);

AdamStep adam_step_of(const AdamSettings& settings, double steps) {
  AdamStep step;
  step.beta1 = settings.beta1;
  step.beta2 = settings.beta2;
  step.epsilon = settings.epsilon;
  step.rate = settings.rate / (1.0 - std::pow(settings.beta1, steps));
  step.square_scale = 1.0 / (1.0 - std::pow(settings.beta2, steps));
  step.keep = std::max(0.0, 1.0 - settings.rate * settings.weight_decay);
  return step;
}

// Those of a number of steps: rows have few different ones, and the powers cost more than a row.
class AdamSteps {
 public:
  explicit AdamSteps(const AdamSettings& settings) : settings_(settings) {}

  const AdamStep& operator()(std::int32_t steps) {
    Entry& entry = entries_[static_cast<std::size_t>(steps) % entries_.size()];
    if (entry.steps != steps) entry = {steps, adam_step_of(settings_, steps)};
    return entry.step;
  }

 private:
  struct Entry {
    std::int32_t steps = 0;  // of no row that has been stepped
    AdamStep step;
  };
  const AdamSettings& settings_;
  std::array<Entry, 64> entries_{};
};

// Calls update(row, gradient) for each row that is named; each thread makes itself updates. `state`
// are the arrays of a value for each one of the table that an update changes, the table among them.
template <class MakeUpdate>
void for_touched_rows(const SparseGradients& gradients, const EmbeddingTable& table,
                      std::initializer_list<float*> state, const MakeUpdate& make_update) {
  check_places(gradients.rows, gradients.places, table.rows, "rows");
  std::vector<std::uint32_t> bag_of;
  if (gradients.offsets != nullptr) {
    check_offsets(gradients.offsets, gradients.bags, gradients.places, "offsets");
    bag_of.resize(gradients.places);
    for (std::size_t b = 0; b < gradients.bags; ++b) {
      std::fill(bag_of.begin() + gradients.offsets[b], bag_of.begin() + gradients.offsets[b + 1],
                static_cast<std::uint32_t>(b));
    }
  }
  const RowLists lists(gradients.rows, gradients.places, table.rows);
  const auto add = kernels().tensor.add_weighted;
  const std::size_t dim = table.dim;
  const auto step = [&](std::size_t first, std::size_t last) {
    auto update = make_update();
    std::vector<float> sum(dim);
    for (std::size_t i = first; i < last; ++i) {
      if (i + kRowsAhead < last) {
        const std::size_t ahead = lists.row(i + kRowsAhead) * dim;
        for (const float* array : state) {
          for (std::size_t at = 0; at < dim; at += kLineFloats) {
            __builtin_prefetch(array + ahead + at, 1);
          }
        }
      }
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (const std::uint32_t* at = lists.begin(i); at != lists.end(i); ++at) {
        const std::size_t vector = gradients.offsets == nullptr ? *at : bag_of[*at];
        const float weight = gradients.weights == nullptr ? 1.0f : gradients.weights[*at];
        add(weight, gradients.gradients + vector * dim, dim, sum.data());
      }
      update(lists.row(i), sum.data());
    }
  };
  shared_ranges(lists.size(), std::max<std::size_t>(1, kStepGrain / std::max<std::size_t>(1, dim)),
                step);
}

}  // namespace

void step_adam(const AdamSettings& settings, std::size_t step, const float* gradients,
               std::size_t count, float* values, float* means, float* squares) {
  const AdamStep constants = adam_step_of(settings, static_cast<double>(step));
  const auto kernel = kernels().tensor.adam;
  shared_ranges(count, kStepGrain, [&](std::size_t first, std::size_t last) {
    kernel(constants, gradients + first, last - first, values + first, means + first,
           squares + first);
  });
}

void step_sparse_adam(const AdamSettings& settings, const SparseGradients& gradients,
                      const EmbeddingTable& table, float* means, float* squares,
                      std::int32_t* steps) {
  const auto kernel = kernels().tensor.adam;
  for_touched_rows(gradients, table, {table.values, means, squares}, [&] {
    return [&, constants = AdamSteps(settings)](std::size_t row, const float* gradient) mutable {
      // Beyond so many steps the correction is 1 anyway.
      if (steps[row] < INT32_MAX) ++steps[row];
      const std::size_t at = row * table.dim;
      kernel(constants(steps[row]), gradient, table.dim, table.values + at, means + at,
             squares + at);
    };
  });
}

void step_sparse_adagrad(const AdagradSettings& settings, const SparseGradients& gradients,
                         const EmbeddingTable& table, float* squares) {
  const auto kernel = kernels().tensor.adagrad;
  const double keep = std::max(0.0, 1.0 - settings.rate * settings.weight_decay);
  for_touched_rows(gradients, table, {table.values, squares}, [&] {
    return [&](std::size_t row, const float* gradient) {
      const std::size_t at = row * table.dim;
      kernel(settings.rate, settings.epsilon, keep, gradient, table.dim, table.values + at,
             squares + at);
    };
  });
}

void sum_bags(const EmbeddingTable& table, const std::int32_t* offsets, std::size_t bags,
              const std::int32_t* rows, std::size_t places, const float* weights, float* out) {
  check_places(rows, places, table.rows, "rows");
  check_offsets(offsets, bags, places, "offsets");
  const auto add = kernels().tensor.add_weighted;
  const std::size_t dim = table.dim;
  const std::size_t each = std::max<std::size_t>(1, dim * places / std::max<std::size_t>(1, bags));
  shared_ranges(bags, std::max<std::size_t>(1, kStepGrain / each),
                [&](std::size_t first, std::size_t last) {
                  for (std::size_t b = first; b < last; ++b) {
                    float* const sum = out + b * dim;
                    std::memset(sum, 0, dim * sizeof(float));
                    for (std::int32_t i = offsets[b]; i < offsets[b + 1]; ++i) {
                      add(weights == nullptr ? 1.0f : weights[i],
                          table.values + static_cast<std::size_t>(rows[i]) * dim, dim, sum);
                    }
                  }
                });
}

}  // namespace lichen
