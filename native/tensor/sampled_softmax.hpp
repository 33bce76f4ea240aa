#pragma once
// One step of a sampled softmax: each pair of a row (a user and an item it goes with) against items
// drawn as negatives of all rows. Scores never lie in memory as a whole but for what the last
// product needs: a block of rows at a time is multiplied, exponentiated and multiplied back in the
// caches. The result is the same, bit for bit, with any number of threads.

#include <cstddef>
#include <cstdint>

namespace lichen {

// Lists, one a row: row r has the places [offsets[r], offsets[r + 1]).
struct RowPlaces {
  const std::int32_t* offsets;
  const std::int32_t* values;
  std::size_t count;
};

// The score of a row's negative c is users[r] · negatives[c] / temperature + column_bias[c], that
// of its pair p is users[r] · targets[pairs.values[p]] / temperature + pair_bias[p].
struct SampledSoftmax {
  std::size_t dim;
  std::size_t rows;
  std::size_t columns;
  std::size_t target_count;
  const float* users;      // rows × dim
  const float* negatives;  // columns × dim
  const float* targets;    // target_count × dim
  float temperature;
  const float* column_bias;
  RowPlaces masked;  // columns that are no negatives of the row
  RowPlaces pairs;   // targets
  const float* pair_bias;
  const float* row_weights;  // of each pair of the row

  float* of_users;  // gradients, overlapping nothing
  float* of_negatives;
  float* of_targets;
};

// Gives Σ row_weights × (log Σ exp(scores of the row's negatives and pairs) − score of the pair)
// and its gradients. Throws Error(kArgument), writing nothing, for offsets that do not rise from 0
// to the number of places and for places that are no column or no target.
double step_sampled_softmax(const SampledSoftmax& step);

}  // namespace lichen
