// The part of the table that training uses.

template <class... Operations>
constexpr void fill_binary(ElementwiseKernel<float>* kernels, OperationList<Operations...>) {
  static_assert(sizeof...(Operations) == kBinaryCount);
  std::size_t at = 0;
  ((kernels[at++] = elementwise<Operations, float>), ...);
}

template <class... Operations>
constexpr void fill_comparison(ElementwiseKernel<std::uint8_t>* kernels,
                               OperationList<Operations...>) {
  static_assert(sizeof...(Operations) == kComparisonCount);
  std::size_t at = 0;
  ((kernels[at++] = elementwise<Operations, std::uint8_t>), ...);
}

template <class... Operations>
constexpr void fill_unary(UnaryKernel* kernels, OperationList<Operations...>) {
  static_assert(sizeof...(Operations) == kUnaryCount);
  std::size_t at = 0;
  ((kernels[at++] = unary<Operations>), ...);
}

constexpr TensorKernels tensor_kernels() {
  TensorKernels kernels{};
  kernels.product_rows = Simd::kProductRows;
  kernels.product_columns = kProductColumns;
  kernels.product_tile = product_tile;
  kernels.product_pack = product_pack;
  fill_binary(kernels.binary, BinaryOperations{});
  fill_comparison(kernels.comparison, ComparisonOperations{});
  fill_unary(kernels.unary, UnaryOperations{});
  kernels.select = select_values;
  kernels.accumulate = accumulate_values;
  kernels.maximum = maximum_value;
  kernels.minimum = minimum_value;
  kernels.softmax = softmax_row;
  kernels.transpose = transpose_words;
  kernels.adam = adam_step;
  kernels.adagrad = adagrad_step;
  kernels.add_weighted = add_weighted_values;
  return kernels;
}
