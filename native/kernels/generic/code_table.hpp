// The part of the table that scores codes.

template <class Code>
constexpr CodeKernels code_kernels() {
  return {code_rows<Code>, code_gather<Code>, code_pack<Code>, Code::kCodesAByte};
}

[[maybe_unused]] constexpr CodeTable make_code_table(const char* isa) {
  return {isa, code_kernels<I8>(), code_kernels<I4>(), code_kernels<B1>(), code_tile};
}
