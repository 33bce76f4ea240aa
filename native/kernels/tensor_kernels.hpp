#pragma once
// The kernels of training: tiles of matrix products, and arithmetic on arrays of f32, a whole array
// or a row a call. Where nothing else is said an output may be one of the inputs, but must not
// overlap one otherwise.
//
// Products differ in rounding from one instruction set to another. All else is written without
// fused operations and with sums in a fixed order: the same bits on every one.

#include <cstddef>
#include <cstdint>

namespace lichen {

// c[i][j] = (adds ? c[i][j] : 0) + Σ a(i, k) b[k][j] for k < depth, summed in the order of k.
struct ProductTile {
  const float* a;  // a(i, k): by rows a[i × a_step + k], else a[k × a_step + i]
  std::size_t a_step;
  bool a_by_rows;
  const float* b;  // b[k][j] = b[k × b_step + j]; all of product_columns are read
  std::size_t b_step;
  std::size_t depth;
  float* c;
  std::size_t c_step;   // from a row to the next
  std::size_t rows;     // 1 to product_rows
  std::size_t columns;  // 1 to product_columns
  bool adds;
};

// Elementwise operations, in the order of their names.
enum class Binary : std::size_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kMaximum,
  kMinimum,
  kSquaredDifference,
  kPower,
  kFloorDivide,
  kModulo,
  kPrelu,    // a < 0 ? a b : a
  kEluGrad,  // b is an output of elu, a the gradient by it
  kCount
};
inline constexpr const char* kBinaryNames[] = {
    "add",   "subtract",    "multiply", "divide", "maximum", "minimum", "squaredDifference",
    "power", "floorDivide", "modulo",   "prelu",  "eluGrad"};

enum class Comparison : std::size_t {
  kEqual,
  kNotEqual,
  kGreater,
  kGreaterEqual,
  kLess,
  kLessEqual,
  kCount
};
inline constexpr const char* kComparisonNames[] = {"equal",        "notEqual", "greater",
                                                   "greaterEqual", "less",     "lessEqual"};

// p and q are the parameters of clip (least, most), leakyRelu (slope), step (what is below).
enum class Unary : std::size_t {
  kNegate,
  kAbsolute,
  kSign,
  kSquare,
  kSquareRoot,
  kInverseSquareRoot,
  kReciprocal,
  kExp,
  kExpm1,
  kLog,
  kLog1p,
  kSigmoid,
  kTanh,
  kErf,
  kSoftplus,
  kRelu,
  kRelu6,
  kLeakyRelu,
  kElu,
  kSelu,
  kStep,
  kClip,
  kFloor,
  kCeil,
  kRound,  // halves to even
  kCount
};
inline constexpr const char* kUnaryNames[] = {
    "negate",     "absolute", "sign",     "square", "squareRoot", "inverseSquareRoot",
    "reciprocal", "exp",      "expm1",    "log",    "log1p",      "sigmoid",
    "tanh",       "erf",      "softplus", "relu",   "relu6",      "leakyRelu",
    "elu",        "selu",     "step",     "clip",   "floor",      "ceil",
    "round"};

inline constexpr std::size_t kBinaryCount = static_cast<std::size_t>(Binary::kCount);
inline constexpr std::size_t kComparisonCount = static_cast<std::size_t>(Comparison::kCount);
inline constexpr std::size_t kUnaryCount = static_cast<std::size_t>(Unary::kCount);

// out[i] = op(a[i × a_step], b[i × b_step]) for i < count; steps are 0 or 1.
template <class Out>
using ElementwiseKernel = void (*)(const float* a, std::size_t a_step, const float* b,
                                   std::size_t b_step, std::size_t count, Out* out);
using UnaryKernel = void (*)(const float* x, std::size_t count, float p, float q, float* out);

// Adam's constants for one call.
struct AdamStep {
  double beta1, beta2, epsilon;
  double rate;          // learning rate, divided by 1 − beta1^t
  double square_scale;  // 1 / (1 − beta2^t)
  double keep;          // 1 − learning rate × weight decay, at least 0
};

struct TensorKernels {
  std::size_t product_rows;
  std::size_t product_columns;
  void (*product_tile)(const ProductTile& tile);
  // packed[k][product_columns] = rows[j × row_step + k] for j < columns, 0 for other columns;
  // k < depth, with room for as many as the next multiple of kPackUnit.
  void (*product_pack)(const float* rows, std::size_t row_step, std::size_t columns,
                       std::size_t depth, float* packed);

  ElementwiseKernel<float> binary[kBinaryCount];
  ElementwiseKernel<std::uint8_t> comparison[kComparisonCount];
  UnaryKernel unary[kUnaryCount];
  // out[i] = condition[i] ? a[i] : b[i]; a_step and b_step 0 or 1.
  void (*select)(const std::uint8_t* condition, const float* a, std::size_t a_step, const float* b,
                 std::size_t b_step, std::size_t count, float* out);

  // sums[i] += x[i]
  void (*accumulate)(const float* x, std::size_t count, double* sums);
  // Of at least one value; NaN if there is one.
  float (*maximum)(const float* x, std::size_t count);
  float (*minimum)(const float* x, std::size_t count);
  // Of one row of at least one value.
  void (*softmax)(const float* x, std::size_t count, float* out);

  // out[c × out_step + r] = x[r × x_step + c] for words of 32 bits; out is no input.
  void (*transpose)(const std::uint32_t* x, std::size_t x_step, std::size_t rows,
                    std::size_t columns, std::uint32_t* out, std::size_t out_step);

  // Moves values, the mean of gradients and that of their squares on by one step. In f64, rounded
  // to f32 once.
  void (*adam)(const AdamStep& step, const float* gradients, std::size_t count, float* values,
               float* means, float* squares);
  // values = keep × values − rate × gradient / (√(sum of squares) + epsilon), likewise.
  void (*adagrad)(double rate, double epsilon, double keep, const float* gradients,
                  std::size_t count, float* values, float* squares);
  // sums[i] += weight × x[i], rounded twice.
  void (*add_weighted)(float weight, const float* x, std::size_t count, float* sums);
};

}  // namespace lichen
