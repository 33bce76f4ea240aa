// Included inside the unnamed namespace of an instruction set's file, after its Simd. The order
// matters.
// clang-format off
#include "kernels/generic/codes.hpp"
#include "kernels/generic/prepare.hpp"
#include "kernels/generic/nearest.hpp"
#include "kernels/generic/match.hpp"
#include "kernels/generic/product.hpp"
#include "kernels/generic/functions.hpp"
#include "kernels/generic/elementwise.hpp"
#include "kernels/generic/rows_of_arrays.hpp"
#include "kernels/generic/tensor_table.hpp"
#include "kernels/generic/table.hpp"
