#pragma once
// Products of matrices of f32, blocked for the caches (Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", TOMS 2008). The result is the same, bit for bit, with
// any number of threads and in a batch of any size.

#include <cstddef>

namespace lichen {

enum class Activation { kNone, kRelu, kRelu6, kSigmoid, kTanh, kElu, kLeakyRelu };
inline constexpr const char* kActivationNames[] = {"none", "relu", "relu6",    "sigmoid",
                                                   "tanh", "elu",  "leakyRelu"};

// c = activation(alpha × op(a) op(b) + bias) for each of a batch.
struct MatrixProduct {
  std::size_t batch = 1;
  std::size_t rows = 0;     // of op(a) and c
  std::size_t columns = 0;  // of op(b) and c
  std::size_t depth = 0;
  const float* a = nullptr;  // rows × depth, or depth × rows if transposed
  const float* b = nullptr;  // depth × columns, or columns × depth if transposed
  bool transpose_a = false;
  bool transpose_b = false;
  std::size_t a_batch_step = 0;  // from one matrix of the batch to the next; 0 for the same
  std::size_t b_batch_step = 0;
  float alpha = 1.0f;
  const float* bias = nullptr;  // `columns` values, or null
  Activation activation = Activation::kNone;
  float slope = 0.0f;  // of leakyRelu
  float* c = nullptr;  // batch × rows × columns; overlaps no input
};

void multiply_matrices(const MatrixProduct& product);
// On the calling thread alone, for turns of a shared loop; the batch is one matrix.
void multiply_matrices_alone(const MatrixProduct& product);

}  // namespace lichen
