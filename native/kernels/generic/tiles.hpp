// A tile of queries against a tile of rows. Rows are packed so that a lane is a row: sums need no
// reduction, and what is left of each query's threshold is seen for a whole vector at once.

// ---- packing

// Vectors go from the rows through the transpose without a stop in memory: to load a vector that
// was stored a moment ago stalls where the hardware stores it in halves.

// packed[d][kLanes] = value d of row `lane`, 0 where there is no row.
template <class Type, std::size_t kLanes>
inline void pack_lanes(const void* rows, std::size_t stride, std::size_t count, std::size_t dim,
                       float* packed) {
  constexpr std::size_t kWidth = Simd::kWidth;
  for (std::size_t lane = 0; lane < kLanes; lane += kWidth) {
    const std::uint8_t* const group = static_cast<const std::uint8_t*>(rows) + lane * stride;
    const auto row = [&](std::size_t i) {
      return reinterpret_cast<const typename Type::Value*>(group + i * stride);
    };
    const std::size_t here = count < lane ? 0 : count - lane;
    std::size_t d = 0;
    const auto out = [&] { return reinterpret_cast<std::uint32_t*>(packed) + d * kLanes + lane; };
    for (; here >= kWidth && d + kWidth <= dim; d += kWidth) {
      Simd::transpose([&](std::size_t i) { return Simd::to_bits(Type::load(row(i) + d)); }, out(),
                      kLanes);
    }
    for (; d < dim; d += kWidth) {
      const auto part = [&](std::size_t i) {
        if (i >= here) return Simd::int_zero();
        return Simd::to_bits(dim - d < kWidth ? Type::load_first(row(i) + d, dim - d)
                                              : Type::load(row(i) + d));
      };
      Simd::transpose(part, out(), kLanes);
    }
  }
}

template <class Type>
void float_pack(const void* rows, std::size_t stride, std::size_t count, std::size_t dim,
                float* packed, float* squares) {
  pack_lanes<Type, kTileRows>(rows, stride, count, dim, packed);
  if (squares == nullptr) return;
  for (std::size_t lane = 0; lane < kTileRows; lane += Simd::kWidth) {
    Simd::Vector a = Simd::zero();
    Simd::Vector b = a;
    std::size_t d = 0;
    for (; d + 2 <= dim; d += 2) {
      const Simd::Vector x = Simd::load(packed + d * kTileRows + lane);
      const Simd::Vector y = Simd::load(packed + (d + 1) * kTileRows + lane);
      a = Simd::multiply_add(x, x, a);
      b = Simd::multiply_add(y, y, b);
    }
    if (d < dim) {
      const Simd::Vector x = Simd::load(packed + d * kTileRows + lane);
      a = Simd::multiply_add(x, x, a);
    }
    Simd::store(squares + lane, Simd::add(a, b));
  }
}

// A vector of a row's codes, one code a byte in the order of CodeQuery::bytes, from code `from` on.
inline Simd::Ints unpacked(I8, const std::uint8_t* row, std::size_t bytes, std::size_t from) {
  return bytes < kVectorBytes ? Simd::int_load_part(row, bytes) : Simd::int_load(row + from);
}

inline Simd::Ints unpacked(I4, const std::uint8_t* row, std::size_t bytes, std::size_t from) {
  if (bytes >= kVectorBytes) {
    return from < bytes ? Simd::low_nibbles(Simd::int_load(row + from))
                        : Simd::high_nibbles(Simd::int_load(row + from - bytes));
  }
  return Simd::nibbles_part(row, bytes);
}

inline Simd::Ints unpacked(B1, const std::uint8_t* row, std::size_t, std::size_t from) {
#ifdef LICHEN_BITS_TO_BYTES
  return bits_to_bytes(load_word(row + from / 8));
#else
  // Eight bits at a time: copies of a byte, a different bit kept in each, made 0 or 1.
  alignas(64) std::uint8_t codes[kVectorBytes < 8 ? 8 : kVectorBytes];
  const std::uint8_t* const bits = row + from / 8;
  for (std::size_t j = 0; j < sizeof codes / 8; ++j) {
    const std::uint64_t copies = bits[j] * 0x0101010101010101ull;
    const std::uint64_t kept = copies & 0x8040201008040201ull;
    const std::uint64_t ones = ((kept + 0x7F7F7F7F7F7F7F7Full) | kept) >> 7 & 0x0101010101010101ull;
    __builtin_memcpy(codes + 8 * j, &ones, sizeof ones);
  }
  return Simd::int_load(codes + from % 8);
#endif
}

template <class Code>
void code_pack(const std::uint8_t* rows, std::size_t row_bytes, std::size_t count,
               std::uint32_t* packed) {
  const std::size_t codes = row_bytes * Code::kCodesAByte;
  for (std::size_t lane = 0; lane < kTileRows; lane += Simd::kWidth) {
    const std::size_t here = count < lane ? 0 : count - lane;
    for (std::size_t from = 0; from < codes; from += kVectorBytes) {
      const auto part = [&](std::size_t i) {
        return unpacked(Code{}, rows + (lane + i) * row_bytes, row_bytes, from);
      };
      std::uint32_t* const out = packed + from / 4 * kTileRows + lane;
      if (here >= Simd::kWidth) {
        Simd::transpose(part, out, kTileRows);
      } else {
        Simd::transpose([&](std::size_t i) { return i < here ? part(i) : Simd::int_zero(); }, out,
                        kTileRows);
      }
    }
  }
}

// ---- scoring

// The rows of the next tile, asked for a line at a time while this one is at work: packing reads
// them side by side, which no prefetcher follows.
struct Ahead {
  const std::uint8_t* at;
  const std::uint8_t* end;
  void step() {
    if (at >= end) return;
    Simd::prefetch(at);
    at += kLine;
  }
};

inline TileHit* emit(Simd::Vector distances, float limit, std::size_t query, std::size_t row,
                     TileHit* hits) {
  unsigned lanes = Simd::not_above(distances, limit);
  if (__builtin_expect(lanes == 0, 1)) return hits;
  float values[Simd::kWidth];
  Simd::store(values, distances);
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(__builtin_ctz(lanes));
    *hits++ = {static_cast<std::uint32_t>(query), static_cast<std::uint32_t>(row + lane),
               values[lane]};
  }
  return hits;
}

// What a tile multiplies and adds: floats, or four codes at a time.
template <std::size_t queries_count>
struct FloatProducts {
  using Sum = Simd::Vector;
  const float* query;
  std::size_t stride;

  static Sum zero() { return Simd::zero(); }
  static Sum rows(const std::uint32_t* packed) {
    return Simd::load(reinterpret_cast<const float*>(packed));
  }
  Sum value(std::size_t q, std::size_t step) const { return Simd::set(query[q * stride + step]); }
  static Sum add(Sum value, Sum rows, Sum sum) { return Simd::multiply_add(value, rows, sum); }
};

template <std::size_t queries_count>
struct CodeProducts {
  using Sum = Simd::Ints;
  const std::int8_t* bytes[queries_count];

  explicit CodeProducts(const CodeQuery* queries) {
    for (std::size_t q = 0; q < queries_count; ++q) bytes[q] = queries[q].bytes;
  }
  static Sum zero() { return Simd::int_zero(); }
  static Sum rows(const std::uint32_t* packed) { return Simd::int_load(packed); }
  Sum value(std::size_t q, std::size_t step) const {
    std::int32_t four;
    __builtin_memcpy(&four, bytes[q] + 4 * step, sizeof four);
    return Simd::int_set(four);
  }
  static Sum add(Sum value, Sum rows, Sum sum) { return Simd::dot_u8(sum, rows, value); }
};

// sums[q][v]: of query q and the rows of vector v.
template <std::size_t queries_count, class Products>
LICHEN_INLINE void tile_sums(const Products& products, std::size_t steps,
                             const std::uint32_t* packed, Ahead& ahead,
                             typename Products::Sum (*sums)[Simd::kTileVectors]) {
  constexpr std::size_t kVectors = Simd::kTileVectors;
  // Not `sums` itself: whoever goes through that with a running index keeps it in memory, and it
  // would be written in every step.
  typename Products::Sum running[queries_count][kVectors];
#pragma GCC unroll 16
  for (std::size_t q = 0; q < queries_count; ++q) {
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) running[q][v] = Products::zero();
  }
  for (std::size_t step = 0; step < steps; ++step) {
    ahead.step();
    typename Products::Sum rows[kVectors];
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) {
      rows[v] = Products::rows(packed + step * kTileRows + v * Simd::kWidth);
    }
#pragma GCC unroll 16
    for (std::size_t q = 0; q < queries_count; ++q) {
      const typename Products::Sum value = products.value(q, step);
#pragma GCC unroll 16
      for (std::size_t v = 0; v < kVectors; ++v) {
        running[q][v] = Products::add(value, rows[v], running[q][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t q = 0; q < queries_count; ++q) {
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) sums[q][v] = running[q][v];
  }
}

template <std::size_t queries_count>
inline TileHit* float_block(const float* queries, std::size_t stride, std::size_t first,
                            const float* packed, std::size_t dim, float weight, const float* terms,
                            const float* limits, Ahead& ahead, TileHit* hits) {
  Simd::Vector sums[queries_count][Simd::kTileVectors];
  tile_sums<queries_count>(FloatProducts<queries_count>{queries + first * stride, stride}, dim,
                           reinterpret_cast<const std::uint32_t*>(packed), ahead, sums);
  const Simd::Vector weights = Simd::set(weight);
  for (std::size_t q = 0; q < queries_count; ++q) {
    for (std::size_t v = 0; v < Simd::kTileVectors; ++v) {
      const Simd::Vector term =
          terms == nullptr ? Simd::zero() : Simd::load(terms + v * Simd::kWidth);
      hits = emit(Simd::multiply_add(weights, sums[q][v], term), limits[first + q], first + q,
                  v * Simd::kWidth, hits);
    }
  }
  return hits;
}

template <std::size_t queries_count>
inline TileHit* code_block(const CodeQuery* queries, std::size_t first, const std::uint32_t* packed,
                           std::size_t words, const float* scales, const float* offsets,
                           const float* squares, const float* limits, Ahead& ahead, TileHit* hits) {
  Simd::Ints sums[queries_count][Simd::kTileVectors];
  tile_sums<queries_count>(CodeProducts<queries_count>(queries + first), words, packed, ahead,
                           sums);
  for (std::size_t q = 0; q < queries_count; ++q) {
    const CodeQuery& query = queries[first + q];
    for (std::size_t v = 0; v < Simd::kTileVectors; ++v) {
      // As finish, in the same order of operations.
      const std::size_t lane = v * Simd::kWidth;
      const Simd::Vector inner =
          Simd::add(Simd::multiply(Simd::set(query.per_sum), Simd::to_float(sums[q][v])),
                    Simd::set(query.per_row));
      Simd::Vector rest = Simd::set(query.base);
      if (squares != nullptr) rest = Simd::add(rest, Simd::load(squares + lane));
      if (offsets != nullptr) {
        rest = Simd::add(rest,
                         Simd::multiply(Simd::load(offsets + lane), Simd::set(query.per_offset)));
      }
      const Simd::Vector distances =
          Simd::add(Simd::multiply(Simd::load(scales + lane), inner), rest);
      hits = emit(distances, limits[first + q], first + q, lane, hits);
    }
  }
  return hits;
}

// Calls block(count, first) for all queries, kTileQueries at a time; the count is a type.
template <std::size_t n>
struct Count {
  static constexpr std::size_t value = n;
};

template <std::size_t n, class Block>
inline void run_rest(std::size_t rest, std::size_t first, Block&& block) {
  if constexpr (n > 0) {
    if (rest == n) return block(Count<n>{}, first);
    run_rest<n - 1>(rest, first, block);
  }
}

template <class Block>
inline void run_blocks(std::size_t count, Block&& block) {
  std::size_t first = 0;
  for (; first + Simd::kTileQueries <= count; first += Simd::kTileQueries) {
    block(Count<Simd::kTileQueries>{}, first);
  }
  run_rest<Simd::kTileQueries - 1>(count - first, first, block);
}

[[maybe_unused]] std::size_t float_tile(const float* queries, std::size_t stride, std::size_t count,
                                        const float* packed, std::size_t dim, float weight,
                                        const float* terms, const float* limits, const void* next,
                                        std::size_t next_bytes, TileHit* hits) {
  TileHit* end = hits;
  const auto* const start = static_cast<const std::uint8_t*>(next);
  Ahead ahead{start, start + next_bytes};
  run_blocks(count, [&](auto size, std::size_t first) {
    end = float_block<size.value>(queries, stride, first, packed, dim, weight, terms, limits, ahead,
                                  end);
  });
  return static_cast<std::size_t>(end - hits);
}

std::size_t code_tile(const CodeQuery* queries, std::size_t count, const std::uint32_t* packed,
                      std::size_t words, const float* scales, const float* offsets,
                      const float* squares, const float* limits, const void* next,
                      std::size_t next_bytes, TileHit* hits) {
  TileHit* end = hits;
  const auto* const start = static_cast<const std::uint8_t*>(next);
  Ahead ahead{start, start + next_bytes};
  run_blocks(count, [&](auto size, std::size_t first) {
    end = code_block<size.value>(queries, first, packed, words, scales, offsets, squares, limits,
                                 ahead, end);
  });
  return static_cast<std::size_t>(end - hits);
}

[[maybe_unused]] std::size_t collect(const float* values, std::size_t count, float limit,
                                     std::uint32_t* positions) {
  std::size_t found = 0;
  std::size_t i = 0;
  for (; i + Simd::kWidth <= count; i += Simd::kWidth) {
    for (unsigned lanes = Simd::not_above(Simd::load(values + i), limit); lanes != 0;
         lanes &= lanes - 1) {
      positions[found++] =
          static_cast<std::uint32_t>(i + static_cast<unsigned>(__builtin_ctz(lanes)));
    }
  }
  for (; i < count; ++i) {
    if (!(values[i] > limit)) positions[found++] = static_cast<std::uint32_t>(i);
  }
  return found;
}
