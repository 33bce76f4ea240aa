#pragma once
// Steps of optimizers: over whole arrays, and over the rows of a table of which a step touches a
// few. Arithmetic is in f64, rounded to f32 once a step; the result does not depend on the number
// of threads.

#include <cstddef>
#include <cstdint>

namespace lichen {

// Adam (Kingma and Ba, ICLR 2015) with decoupled weight decay (Loshchilov and Hutter, ICLR 2019):
// the share rate × weight_decay, at most all, of a value is taken off at each step.
struct AdamSettings {
  double rate;
  double beta1;
  double beta2;
  double epsilon;
  double weight_decay;
};

// Adagrad (Duchi, Hazan and Singer, JMLR 2011): value −= rate × gradient / (√(sum of squares) +
// epsilon).
struct AdagradSettings {
  double rate;
  double epsilon;
  double weight_decay;
};

// Gradients by rows of a table: row rows[i] gets weights[i] (null: 1) times a vector of
// `gradients`, vector i, or that of the bag to which i belongs: bag b has the places [offsets[b],
// offsets[b + 1]).
struct SparseGradients {
  const std::int32_t* rows;
  std::size_t places;
  const float* gradients;
  const std::int32_t* offsets = nullptr;  // null: no bags
  std::size_t bags = 0;
  const float* weights = nullptr;
};

struct EmbeddingTable {
  float* values;
  std::size_t rows;
  std::size_t dim;
};

// Step `step` (1 for the first) of `count` values.
void step_adam(const AdamSettings& settings, std::size_t step, const float* gradients,
               std::size_t count, float* values, float* means, float* squares);

// A step of the rows that are named alone ("lazy"): others keep their values and moments. Each row
// counts its own steps. Gradients of a row that is named several times are added up first, in order
// and in f32. Throws Error(kArgument), changing nothing, for a number that is no row and for
// offsets that do not rise from 0 to `places`.
void step_sparse_adam(const AdamSettings& settings, const SparseGradients& gradients,
                      const EmbeddingTable& table, float* means, float* squares,
                      std::int32_t* steps);
void step_sparse_adagrad(const AdagradSettings& settings, const SparseGradients& gradients,
                         const EmbeddingTable& table, float* squares);

// out[b] = Σ weights[i] × table[rows[i]] over the places of bag b, in order, in f32. Throws as
// above.
void sum_bags(const EmbeddingTable& table, const std::int32_t* offsets, std::size_t bags,
              const std::int32_t* rows, std::size_t places, const float* weights, float* out);

}  // namespace lichen
