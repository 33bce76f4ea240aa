// Which of 64 values pass a test: a byte a value, for the compiler to vectorize, then eight bytes
// to eight bits by a multiplication.

template <class T, class Test>
std::uint64_t bits_of(const T* values, const Test& test) {
  alignas(64) std::uint8_t flags[64];
  for (std::size_t i = 0; i < 64; ++i) flags[i] = test(values[i]) ? 1 : 0;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    std::uint64_t eight;
    __builtin_memcpy(&eight, flags + 8 * i, 8);
    bits |= (eight * 0x0102040810204080ull >> 56) << (8 * i);
  }
  return bits;
}

std::uint64_t match_range(const double* values, double low, double high) {
  return bits_of(values, [=](double value) { return (value >= low) & (value <= high); });
}

std::uint64_t match_few(const std::uint32_t* values, const std::uint32_t* few) {
  const std::uint32_t a = few[0], b = few[1], c = few[2], d = few[3];
  return bits_of(values, [=](std::uint32_t value) {
    return (value == a) | (value == b) | (value == c) | (value == d);
  });
}

std::uint64_t match_any_bit(const std::uint64_t* values, std::uint64_t bits) {
  return bits_of(values, [=](std::uint64_t value) { return (value & bits) != 0; });
}

std::uint64_t match_all_bits(const std::uint64_t* values, std::uint64_t bits) {
  return bits_of(values, [=](std::uint64_t value) { return (value & bits) == bits; });
}
