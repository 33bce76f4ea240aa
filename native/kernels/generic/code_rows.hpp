// One query against many rows of integer codes, and the table look-ups of product quantization.

struct I8 {
  static constexpr std::size_t kCodesAByte = 1;
  static constexpr bool kHasShortRows = Simd::kHasShortRows;
  static constexpr std::size_t kShortest = 16;
  static Simd::Ints accumulate(const CodeQuery& query, const std::uint8_t* row, std::size_t bytes) {
    const std::int8_t* q = query.bytes;
    if (bytes < kVectorBytes) {
      return Simd::dot_u8(Simd::int_zero(), Simd::int_load_part(row, bytes),
                          Simd::int_load_part(q, bytes));
    }
    Simd::Ints a = Simd::int_zero();
    Simd::Ints b = a;
    std::size_t j = 0;
    for (; j + 2 * kVectorBytes <= bytes; j += 2 * kVectorBytes) {
      a = Simd::dot_u8(a, Simd::int_load(row + j), Simd::int_load(q + j));
      b = Simd::dot_u8(b, Simd::int_load(row + j + kVectorBytes),
                       Simd::int_load(q + j + kVectorBytes));
    }
    if (j < bytes) a = Simd::dot_u8(a, Simd::int_load(row + j), Simd::int_load(q + j));
    return Simd::int_add(a, b);
  }
  // Eight rows no longer than a vector, in order. A template, since not every S can.
  template <std::size_t bytes, class S = Simd>
  static LICHEN_INLINE void eight_short(const CodeQuery& query, const std::uint8_t* rows,
                                        std::int32_t* sums) {
    Simd::Ints lanes[kRowsAtOnce];
    const Simd::Ints q = S::int_repeat(query.bytes, bytes);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kRowsAtOnce * bytes / kVectorBytes; ++v) {
      lanes[v] = Simd::dot_u8(Simd::int_zero(), S::int_load_here(rows + v * kVectorBytes), q);
    }
    S::int_sum8_short(lanes, bytes, sums);
  }
};

struct I4 {
  static constexpr std::size_t kCodesAByte = 2;
  static constexpr bool kHasShortRows = Simd::kHasShortRows;
  static constexpr std::size_t kShortest = 16;
  static Simd::Ints accumulate(const CodeQuery& query, const std::uint8_t* row, std::size_t bytes) {
    const std::int8_t* low = query.bytes;
    const std::int8_t* high = query.bytes + bytes;
    Simd::Ints a = Simd::int_zero();
    Simd::Ints b = a;
    if (bytes < kVectorBytes) {
      const Simd::Ints codes = Simd::int_load_part(row, bytes);
      a = Simd::dot_u4(a, Simd::low_nibbles(codes), Simd::int_load_part(low, bytes));
      b = Simd::dot_u4(b, Simd::high_nibbles(codes), Simd::int_load_part(high, bytes));
      return Simd::int_add(a, b);
    }
    for (std::size_t j = 0; j < bytes; j += kVectorBytes) {
      const Simd::Ints codes = Simd::int_load(row + j);
      a = Simd::dot_u4(a, Simd::low_nibbles(codes), Simd::int_load(low + j));
      b = Simd::dot_u4(b, Simd::high_nibbles(codes), Simd::int_load(high + j));
    }
    return Simd::int_add(a, b);
  }
  template <std::size_t bytes, class S = Simd>
  static LICHEN_INLINE void eight_short(const CodeQuery& query, const std::uint8_t* rows,
                                        std::int32_t* sums) {
    Simd::Ints lanes[kRowsAtOnce];
    const Simd::Ints low = S::int_repeat(query.bytes, bytes);
    const Simd::Ints high = S::int_repeat(query.bytes + bytes, bytes);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kRowsAtOnce * bytes / kVectorBytes; ++v) {
      const Simd::Ints codes = S::int_load_here(rows + v * kVectorBytes);
      lanes[v] = Simd::dot_u4(Simd::int_zero(), Simd::low_nibbles(codes), low);
      lanes[v] = Simd::dot_u4(lanes[v], Simd::high_nibbles(codes), high);
    }
    S::int_sum8_short(lanes, bytes, sums);
  }
};

// Sums of one row, and of eight: those of `rows` from `first` on.
template <class Code>
struct SumsOf {
  static std::int32_t one(const CodeQuery& query, const std::uint8_t* row, std::size_t bytes) {
    return Simd::int_sum1(Code::accumulate(query, row, bytes));
  }
  template <class Rows>
  static LICHEN_INLINE void eight(const CodeQuery& query, const Rows& rows, std::size_t first,
                                  std::size_t bytes, std::int32_t* sums) {
    Simd::Ints lanes[kRowsAtOnce];
    // Unrolled for the same reason as in float_rows.hpp.
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
      lanes[r] = Code::accumulate(query, rows(first + r), bytes);
    }
    Simd::int_sum8(lanes, sums);
  }
};

inline std::uint64_t load_word(const std::uint8_t* p) {
  std::uint64_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return word;
}

struct B1 {
  static constexpr std::size_t kCodesAByte = 8;
  static constexpr std::size_t kShortest = 8;
#ifdef LICHEN_WIDE_POPCOUNT
  static constexpr bool kHasShortRows = true;
  template <std::size_t bytes>
  static LICHEN_INLINE void eight_short(const CodeQuery& query, const std::uint8_t* rows,
                                        std::int32_t* sums) {
    popcount_short<bytes / 8>(query.planes, rows, sums);
  }
#else
  static constexpr bool kHasShortRows = false;
#endif
};

inline std::int32_t count_words(const std::uint64_t* planes, const std::uint8_t* row,
                                std::size_t words) {
  const std::size_t step = words < 8 ? 8 : words;
  std::int64_t sum = 0;
  for (std::size_t w = 0; w < words; ++w) {
    const std::uint64_t word = load_word(row + 8 * w);
    sum += __builtin_popcountll(word & planes[w]);
    sum += 2 * __builtin_popcountll(word & planes[step + w]);
    sum += 4 * __builtin_popcountll(word & planes[2 * step + w]);
    sum -= 8 * __builtin_popcountll(word & planes[3 * step + w]);
  }
  return static_cast<std::int32_t>(sum);
}

template <>
struct SumsOf<B1> {
  static std::int32_t one(const CodeQuery& query, const std::uint8_t* row, std::size_t bytes) {
#ifdef LICHEN_WIDE_POPCOUNT
    if (bytes >= kVectorBytes) {
      return Simd::int_sum1(count_row(query.planes, row, bytes / 8));
    }
#endif
    return count_words(query.planes, row, bytes / 8);
  }
  template <class Rows>
  static LICHEN_INLINE void eight(const CodeQuery& query, const Rows& rows, std::size_t first,
                                  std::size_t bytes, std::int32_t* sums) {
#ifdef LICHEN_WIDE_POPCOUNT
    const std::uint8_t* row[kRowsAtOnce];
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) row[r] = rows(first + r);
    popcount_eight(query.planes, row, bytes / 8, sums);
#else
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) sums[r] = one(query, rows(first + r), bytes);
#endif
  }
};

// Rows no longer than a vector, one after the other. What is known of the query is loaded before
// the loop over rows, which needs the length as a constant.
template <class Code, std::size_t bytes>
struct Short {};

template <class Code, std::size_t row_bytes>
struct SumsOf<Short<Code, row_bytes>> {
  static std::int32_t one(const CodeQuery& query, const std::uint8_t* row, std::size_t) {
    return SumsOf<Code>::one(query, row, row_bytes);
  }
  template <class Rows>
  static LICHEN_INLINE void eight(const CodeQuery& query, const Rows& rows, std::size_t first,
                                  std::size_t, std::int32_t* sums) {
    Code::template eight_short<row_bytes>(query, rows(first), sums);
  }
};

// The factors of the rows that are scored: those from `first` on, or by number.
struct FactorsInOrder {
  std::size_t first;
  float operator()(const float* factors, std::size_t i) const { return factors[first + i]; }
  void prefetch(const CodeRows&, std::size_t, std::size_t) const {}
};

struct FactorsById {
  const std::uint32_t* ids;
  std::size_t stride;
  float operator()(const float* factors, std::size_t i) const { return factors[ids[i] * stride]; }
  // Of rows [from, from + kRowsAtOnce) of `count`, where they are far.
  void prefetch(const CodeRows& rows, std::size_t from, std::size_t count) const {
    if (!rows.far) return;
    const std::size_t end = from + kRowsAtOnce < count ? from + kRowsAtOnce : count;
    for (std::size_t i = from; i < end; ++i) {
      Simd::prefetch(rows.scales + ids[i] * stride);
      if (stride > 1) continue;  // the others stand in the same line
      if (rows.offsets != nullptr) Simd::prefetch(rows.offsets + ids[i]);
      if (rows.squares != nullptr) Simd::prefetch(rows.squares + ids[i]);
    }
  }
};

// No fused multiply-adds here and in tiles.hpp: so distances of codes are the same, bit for bit, on
// every instruction set.
template <bool has_offset, bool has_square, class Factors>
LICHEN_INLINE float finish(const CodeQuery& query, const CodeRows& rows, const Factors& factor,
                           std::size_t i, std::int32_t sum) {
  const float inner = query.per_sum * static_cast<float>(sum) + query.per_row;
  float rest = query.base;
  if constexpr (has_square) rest += factor(rows.squares, i);
  if constexpr (has_offset) rest += factor(rows.offsets, i) * query.per_offset;
  return factor(rows.scales, i) * inner + rest;
}

// What is given by value or copied cannot be written through `out`, so it stays in registers.
template <class Code, bool has_offset, bool has_square, class Rows, class Factors>
__attribute__((noinline)) void score_codes(const CodeQuery& given_query,
                                           const CodeRows& given_codes, const Rows rows,
                                           const Factors factors, std::size_t count,
                                           float* __restrict out) {
  const CodeQuery query = given_query;
  const CodeRows codes = given_codes;
  const auto ask_from = [&](std::size_t from) {
    if (codes.asked_for) return;
    prefetch_group(rows, from, count, codes.row_bytes);
    factors.prefetch(codes, from, count);
  };
  ask_from(0);
  std::size_t i = 0;
  for (; i + kRowsAtOnce <= count; i += kRowsAtOnce) {
    ask_from(i + kRowsAtOnce);
    std::int32_t sums[kRowsAtOnce];
    SumsOf<Code>::eight(query, rows, i, codes.row_bytes, sums);
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
      out[i + r] = finish<has_offset, has_square>(query, codes, factors, i + r, sums[r]);
    }
  }
  if constexpr (Rows::kGathers) {
    // A few rows are scored sooner as eight, the last one again and again, than one by one.
    if (count - i >= 3) {
      std::uint32_t ids[kRowsAtOnce];
      for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
        ids[r] = rows.ids[i + r < count ? i + r : count - 1];
      }
      std::int32_t sums[kRowsAtOnce];
      const Gathered rest{rows.rows, rows.stride, ids};
      SumsOf<Code>::eight(query, rest, 0, codes.row_bytes, sums);
      for (std::size_t r = 0; i < count; ++i, ++r) {
        out[i] = finish<has_offset, has_square>(query, codes, factors, i, sums[r]);
      }
    }
  }
  for (; i < count; ++i) {
    const std::int32_t sum = SumsOf<Code>::one(query, rows(i), codes.row_bytes);
    out[i] = finish<has_offset, has_square>(query, codes, factors, i, sum);
  }
}

template <class Code, class Rows, class Factors>
inline void score_codes_of(const CodeQuery& query, const CodeRows& codes, const Rows& rows,
                           const Factors& factors, std::size_t count, float* out) {
  if (codes.offsets != nullptr && codes.squares != nullptr) {
    score_codes<Code, true, true>(query, codes, rows, factors, count, out);
  } else if (codes.offsets != nullptr) {
    score_codes<Code, true, false>(query, codes, rows, factors, count, out);
  } else if (codes.squares != nullptr) {
    score_codes<Code, false, true>(query, codes, rows, factors, count, out);
  } else {
    score_codes<Code, false, false>(query, codes, rows, factors, count, out);
  }
}

// One row, without what many need to set up.
template <class Code>
inline void score_code(const CodeQuery& query, const CodeRows& codes, std::size_t row, float* out) {
  const std::int32_t sum =
      SumsOf<Code>::one(query, codes.codes + row * codes.row_bytes, codes.row_bytes);
  const FactorsInOrder factors{row};
  *out = codes.offsets != nullptr && codes.squares != nullptr
             ? finish<true, true>(query, codes, factors, 0, sum)
         : codes.offsets != nullptr ? finish<true, false>(query, codes, factors, 0, sum)
         : codes.squares != nullptr ? finish<false, true>(query, codes, factors, 0, sum)
                                    : finish<false, false>(query, codes, factors, 0, sum);
}

template <class Code>
__attribute__((noinline)) void many_code_rows(const CodeQuery& query, const CodeRows& codes,
                                              std::size_t first, std::size_t count, float* out) {
  const Contiguous rows{codes.codes + first * codes.row_bytes, codes.row_bytes};
  const FactorsInOrder factors{first};
  if constexpr (Code::kHasShortRows) {
    switch (codes.row_bytes) {
      case 8:
        if constexpr (Code::kShortest == 8) {
          return score_codes_of<Short<Code, 8>>(query, codes, rows, factors, count, out);
        }
        break;
      case 16:
        return score_codes_of<Short<Code, 16>>(query, codes, rows, factors, count, out);
      case 32:
        return score_codes_of<Short<Code, 32>>(query, codes, rows, factors, count, out);
      case 64:
        return score_codes_of<Short<Code, 64>>(query, codes, rows, factors, count, out);
      default:
        break;
    }
  }
  score_codes_of<Code>(query, codes, rows, factors, count, out);
}

template <class Code>
void code_rows(const CodeQuery& query, const CodeRows& codes, std::size_t first, std::size_t count,
               float* out) {
  if (count == 1) return score_code<Code>(query, codes, first, out);
  many_code_rows<Code>(query, codes, first, count, out);
}

template <class Code>
void code_gather(const CodeQuery& query, const CodeRows& codes, const std::uint32_t* ids,
                 std::size_t count, float* out) {
  if (count == 1 && codes.factor_stride == 1) {
    return score_code<Code>(query, codes, ids[0], out);
  }
  const Gathered rows{codes.codes, codes.row_bytes, ids};
  score_codes_of<Code>(query, codes, rows, FactorsById{ids, codes.factor_stride}, count, out);
}

// Sums of 8-bit table entries over at most 128 pairs of subspaces, so that 16 bits hold them. The
// entry of an even row stands in the low byte of a 16-bit lane: a lane's sum is that of its even
// row plus 256 times that of its odd one, which is summed apart and taken away at the end.
inline void pq_block_sums(const std::uint8_t* table, std::size_t pairs, const std::uint8_t* block,
                          std::uint16_t* even, std::uint16_t* odd) {
  for (std::size_t part = 0; part < kPqBlockRows; part += kVectorBytes) {
    Simd::Ints both_low = Simd::int_zero();
    Simd::Ints both_high = both_low;
    Simd::Ints odd_low = both_low;
    Simd::Ints odd_high = both_low;
    for (std::size_t p = 0; p < pairs; ++p) {
      const Simd::Ints codes = Simd::int_load(block + p * kPqBlockRows + part);
      const Simd::Ints low = Simd::lookup(Simd::table16(table + 32 * p), Simd::low_nibbles(codes));
      const Simd::Ints high =
          Simd::lookup(Simd::table16(table + 32 * p + 16), Simd::high_nibbles(codes));
      both_low = Simd::add16(both_low, low);
      both_high = Simd::add16(both_high, high);
      odd_low = Simd::add16(odd_low, Simd::odd_bytes(low));
      odd_high = Simd::add16(odd_high, Simd::odd_bytes(high));
    }
    const Simd::Ints odds = Simd::add16(odd_low, odd_high);
    const Simd::Ints evens =
        Simd::subtract16(Simd::add16(both_low, both_high), Simd::shift_up_byte(odds));
    Simd::int_store(even + part / 2, evens);
    Simd::int_store(odd + part / 2, odds);
  }
}

[[maybe_unused]] void pq_blocks(const std::uint8_t* table, std::size_t subspaces, float base,
                                float scale, const std::uint8_t* blocks, std::size_t count,
                                float* out) {
  constexpr std::size_t kPairsAtOnce = 128;
  const std::size_t pairs = (subspaces + 1) / 2;
  for (std::size_t b = 0; b < count; ++b, out += kPqBlockRows) {
    std::uint32_t sums[kPqBlockRows] = {};
    for (std::size_t p = 0; p < pairs; p += kPairsAtOnce) {
      const std::size_t here = pairs - p < kPairsAtOnce ? pairs - p : kPairsAtOnce;
      std::uint16_t even[kPqBlockRows / 2];
      std::uint16_t odd[kPqBlockRows / 2];
      pq_block_sums(table + 32 * p, here, blocks, even, odd);
      blocks += here * kPqBlockRows;
      for (std::size_t i = 0; i < kPqBlockRows / 2; ++i) {
        sums[2 * i] += even[i];
        sums[2 * i + 1] += odd[i];
      }
    }
    for (std::size_t i = 0; i < kPqBlockRows; ++i) {
      out[i] = scale * static_cast<float>(sums[i]) + base;
    }
  }
}
