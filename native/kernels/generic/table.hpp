// The table of an instruction set, made of everything before.

template <class Type>
constexpr FloatKernels float_kernels() {
  return {float_rows<Dot, Type>, float_gather<Dot, Type>, float_rows<SquaredL2, Type>,
          float_gather<SquaredL2, Type>, float_pack<Type>};
}

constexpr Kernels make_table(const char* isa) {
  return {isa,
          float_kernels<F32>(),
          float_kernels<F16>(),
          float_kernels<Bf16>(),
          code_kernels<I8>(),
          code_kernels<I4>(),
          code_kernels<B1>(),
          pq_blocks,
          collect,
          nearest,
          kTileRows,
          float_tile,
          code_tile,
          {scale_query, sum_values, centred_square, product, quantize_query, rotate, rotate_back},
          {match_range, match_few, match_any_bit, match_all_bits},
          tensor_kernels()};
}
