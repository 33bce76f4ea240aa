#include "tensor/sampled_softmax.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/kernels.hpp"
#include "runtime/aligned.hpp"
#include "runtime/shared_loop.hpp"
#include "tensor/matrix_product.hpp"
#include "tensor/row_lists.hpp"

namespace lichen {
namespace {

constexpr std::size_t kTileBytes = std::size_t{1} << 19;  // scores of a block of rows, in the L2
constexpr std::size_t kLeastBlock = 8;                    // rows
constexpr std::size_t kBlocksAThread = 4;
constexpr std::size_t kTargetGrain = 1024;                     // targets of a thread, at least
constexpr std::size_t kMostPullBytes = std::size_t{32} << 20;  // bytes
// Leaves a probability of exactly 0, and stays finite.
constexpr float kMasked = -1e9f;

// From one step to the next: fresh memory costs as much as a product.
thread_local AlignedBuffer<float> kept_pulls;

// What the rows of a block need.
struct RowMemory {
  std::vector<float> scores;  // of the negatives, then of the pairs
  std::vector<float> scaled_users;
};

class Softmax {
 public:
  Softmax(const SampledSoftmax& step, float* pulls)
      : step_(step),
        kernels_(kernels()),
        pulls_(pulls),
        slopes_(step.pairs.count),
        row_of_(step.pairs.count),
        losses_(step.rows) {
    for (std::size_t row = 0; row < step.rows; ++row) {
      std::fill(row_of_.begin() + step.pairs.offsets[row],
                row_of_.begin() + step.pairs.offsets[row + 1], static_cast<std::uint32_t>(row));
    }
  }

  double run() {
    const std::size_t block = block_rows();
    shared_loop((step_.rows + block - 1) / block, [&](std::size_t turn) {
      const std::size_t first = turn * block;
      work_rows(first, std::min(block, step_.rows - first));
    });
    pull_negatives();
    pull_targets();
    double loss = 0.0;
    for (const double of_row : losses_) loss += of_row;
    return loss;
  }

 private:
  std::size_t block_rows() const {
    const std::size_t fits = kTileBytes / (sizeof(float) * std::max<std::size_t>(1, step_.columns));
    const std::size_t shared = step_.rows / (loop_threads() * kBlocksAThread);
    return round_up(std::max(kLeastBlock, std::min(fits, shared)), kLeastBlock);
  }

  // Scores, loss and pulls of some rows, and what they mean for their users.
  void work_rows(std::size_t first, std::size_t rows) {
    const std::size_t dim = step_.dim;
    RowMemory memory;
    memory.scaled_users.resize(rows * dim);
    const float* const users = step_.users + first * dim;
    const float scale = 1.0f / step_.temperature;
    for (std::size_t i = 0; i < rows * dim; ++i) memory.scaled_users[i] = users[i] * scale;
    float* const tile = pulls_ + first * step_.columns;

    MatrixProduct scores;
    scores.rows = rows;
    scores.columns = step_.columns;
    scores.depth = dim;
    scores.a = memory.scaled_users.data();
    scores.b = step_.negatives;
    scores.transpose_b = true;
    scores.bias = step_.column_bias;
    scores.c = tile;
    multiply_matrices_alone(scores);

    for (std::size_t i = 0; i < rows; ++i) {
      work_row(first + i, memory.scaled_users.data() + i * dim, tile + i * step_.columns, memory);
    }

    MatrixProduct back;
    back.rows = rows;
    back.columns = dim;
    back.depth = step_.columns;
    back.a = tile;
    back.b = step_.negatives;
    back.c = step_.of_users + first * dim;
    multiply_matrices_alone(back);
    for (std::size_t i = 0; i < rows; ++i) pull_user(first + i);
  }

  // Turns the scores of a row's negatives into the loss by them.
  void work_row(std::size_t row, const float* scaled_user, float* tile, RowMemory& memory) {
    for (std::int32_t at = step_.masked.offsets[row]; at < step_.masked.offsets[row + 1]; ++at) {
      tile[step_.masked.values[at]] = kMasked;
    }
    const auto first = static_cast<std::size_t>(step_.pairs.offsets[row]);
    const std::size_t pairs = static_cast<std::size_t>(step_.pairs.offsets[row + 1]) - first;
    const std::size_t columns = step_.columns;
    if (pairs == 0) {
      std::fill(tile, tile + columns, 0.0f);
      return;
    }
    memory.scores.resize(columns + pairs);
    float* const scores = memory.scores.data();
    std::memcpy(scores, tile, columns * sizeof(float));
    float* const of_pairs = scores + columns;
    kernels_.f32.dot_gather(scaled_user, step_.targets, step_.dim * sizeof(float),
                            reinterpret_cast<const std::uint32_t*>(step_.pairs.values) + first,
                            pairs, step_.dim, of_pairs);
    double total = 0.0;
    for (std::size_t i = 0; i < pairs; ++i) {
      of_pairs[i] = step_.pair_bias[first + i] - of_pairs[i];  // the kernel gives distances
      total += static_cast<double>(of_pairs[i]);
    }
    const std::size_t all = columns + pairs;
    const TensorKernels& tensor = kernels_.tensor;
    const double greatest = static_cast<double>(tensor.maximum(scores, all));
    tensor.softmax(scores, all, scores);
    // The greatest score has the probability 1 / Σ exp(score − greatest).
    const double surprise = greatest - std::log(static_cast<double>(tensor.maximum(scores, all)));
    const float weight = step_.row_weights[row];
    losses_[row] = static_cast<double>(weight) * (static_cast<double>(pairs) * surprise - total);
    const float slope = weight / step_.temperature;
    const float factor = static_cast<float>(pairs) * slope;
    tensor.binary[static_cast<std::size_t>(Binary::kMultiply)](scores, 1, &factor, 0, columns,
                                                               tile);
    for (std::size_t i = 0; i < pairs; ++i) slopes_[first + i] = factor * of_pairs[i] - slope;
  }

  void pull_user(std::size_t row) {
    const std::size_t dim = step_.dim;
    for (std::int32_t at = step_.pairs.offsets[row]; at < step_.pairs.offsets[row + 1]; ++at) {
      const auto target = static_cast<std::size_t>(step_.pairs.values[at]);
      kernels_.tensor.add_weighted(slopes_[static_cast<std::size_t>(at)],
                                   step_.targets + target * dim, dim, step_.of_users + row * dim);
    }
  }

  void pull_negatives() const {
    MatrixProduct product;
    product.rows = step_.columns;
    product.columns = step_.dim;
    product.depth = step_.rows;
    product.a = pulls_;
    product.transpose_a = true;
    product.b = step_.users;
    product.c = step_.of_negatives;
    multiply_matrices(product);
  }

  void pull_targets() const {
    const std::size_t dim = step_.dim;
    std::fill(step_.of_targets, step_.of_targets + step_.target_count * dim, 0.0f);
    const RowLists lists(step_.pairs.values, step_.pairs.count, step_.target_count);
    shared_ranges(lists.size(), kTargetGrain, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        for (const std::uint32_t* pair = lists.begin(i); pair != lists.end(i); ++pair) {
          kernels_.tensor.add_weighted(slopes_[*pair], step_.users + row_of_[*pair] * dim, dim,
                                       step_.of_targets + lists.row(i) * dim);
        }
      }
    });
  }

  const SampledSoftmax& step_;
  const Kernels& kernels_;
  float* pulls_;                       // rows × columns: scores, then the loss by them
  std::vector<float> slopes_;          // the loss by the product of each pair
  std::vector<std::uint32_t> row_of_;  // of each pair
  std::vector<double> losses_;         // of each row
};

}  // namespace

double step_sampled_softmax(const SampledSoftmax& step) {
  check_offsets(step.masked.offsets, step.rows, step.masked.count, "masked columns");
  check_offsets(step.pairs.offsets, step.rows, step.pairs.count, "pairs");
  check_places(step.masked.values, step.masked.count, step.columns, "masked columns");
  check_places(step.pairs.values, step.pairs.count, step.target_count, "pairs");
  kept_pulls.reserve(step.rows * step.columns);
  const double loss = Softmax(step, kept_pulls.data()).run();
  if (kept_pulls.bytes() > kMostPullBytes) kept_pulls = AlignedBuffer<float>();
  return loss;
}

}  // namespace lichen
