// The table of an instruction set, made of everything before.

constexpr Kernels make_table(const char* isa) {
  return {isa,
          float_kernels<F32>(),
          float_kernels<F16>(),
          float_kernels<Bf16>(),
          code_rows<I8>,
          code_gather<I8>,
          code_rows<I4>,
          code_gather<I4>,
          code_rows<B1>,
          code_gather<B1>,
          pq_blocks,
          collect,
          kTileRows,
          float_pack<F32>,
          float_pack<F16>,
          float_pack<Bf16>,
          code_pack<I8, 1>,
          code_pack<I4, 2>,
          code_pack<B1, 8>,
          float_tile,
          code_tile};
}
