// One query against many rows of f32, f16 or bf16.
//
// Rows are read one after the other, each to its end: eight rows side by side, as one would to hide
// the latency of the additions, reach a third of the memory's bandwidth, because no prefetcher
// follows eight streams within a page. Four sums a row hide the latency as well.

struct F32 {
  using Value = float;
  static Simd::Vector load(const Value* p) { return Simd::load(p); }
  static Simd::Vector load_first(const Value* p, std::size_t n) { return Simd::load_first(p, n); }
};

struct F16 {
  using Value = std::uint16_t;
  static Simd::Vector load(const Value* p) { return Simd::load_f16(p); }
  static Simd::Vector load_first(const Value* p, std::size_t n) {
    return Simd::load_f16_first(p, n);
  }
};

struct Bf16 {
  using Value = std::uint16_t;
  static Simd::Vector load(const Value* p) { return Simd::load_bf16(p); }
  static Simd::Vector load_first(const Value* p, std::size_t n) {
    return Simd::load_bf16_first(p, n);
  }
};

struct Dot {
  static constexpr float kSign = -1.0f;
  static Simd::Vector accumulate(Simd::Vector q, Simd::Vector x, Simd::Vector sum) {
    return Simd::multiply_add(q, x, sum);
  }
};

struct SquaredL2 {
  static constexpr float kSign = 1.0f;
  static Simd::Vector accumulate(Simd::Vector q, Simd::Vector x, Simd::Vector sum) {
    const Simd::Vector difference = Simd::subtract(q, x);
    return Simd::multiply_add(difference, difference, sum);
  }
};

// Up to so many vectors two sums will do: there is more to add up than to wait for.
constexpr std::size_t kShortVectors = 8;

template <class Metric, class Type>
inline Simd::Vector accumulate_row(const float* query, const typename Type::Value* row,
                                   std::size_t dim) {
  constexpr std::size_t kWidth = Simd::kWidth;
  Simd::Vector a = Simd::zero();
  Simd::Vector b = a;
  Simd::Vector c = a;
  Simd::Vector e = a;
  std::size_t d = 0;
  if (dim <= kShortVectors * kWidth) {
    for (; d + 2 * kWidth <= dim; d += 2 * kWidth) {
      a = Metric::accumulate(Simd::load(query + d), Type::load(row + d), a);
      b = Metric::accumulate(Simd::load(query + d + kWidth), Type::load(row + d + kWidth), b);
    }
  }
  for (; d + 4 * kWidth <= dim; d += 4 * kWidth) {
    a = Metric::accumulate(Simd::load(query + d), Type::load(row + d), a);
    b = Metric::accumulate(Simd::load(query + d + kWidth), Type::load(row + d + kWidth), b);
    c = Metric::accumulate(Simd::load(query + d + 2 * kWidth), Type::load(row + d + 2 * kWidth), c);
    e = Metric::accumulate(Simd::load(query + d + 3 * kWidth), Type::load(row + d + 3 * kWidth), e);
  }
  for (; d + kWidth <= dim; d += kWidth) {
    a = Metric::accumulate(Simd::load(query + d), Type::load(row + d), a);
  }
  if (d < dim) {
    b = Metric::accumulate(Simd::load_first(query + d, dim - d), Type::load_first(row + d, dim - d),
                           b);
  }
  return Simd::add(Simd::add(a, b), Simd::add(c, e));
}

// `count` long rows side by side, each with the sums of accumulate_row: rows that lie anywhere
// arrive sooner when several are on their way.
template <class Metric, class Type, std::size_t count>
LICHEN_INLINE void accumulate_rows(const float* query, const typename Type::Value* const* rows,
                                   std::size_t dim, Simd::Vector* out) {
  constexpr std::size_t kWidth = Simd::kWidth;
  Simd::Vector sums[count][4];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < count; ++r) {
#pragma GCC unroll 4
    for (std::size_t s = 0; s < 4; ++s) sums[r][s] = Simd::zero();
  }
  std::size_t d = 0;
  for (; d + 4 * kWidth <= dim; d += 4 * kWidth) {
#pragma GCC unroll 4
    for (std::size_t s = 0; s < 4; ++s) {
      const Simd::Vector q = Simd::load(query + d + s * kWidth);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < count; ++r) {
        sums[r][s] = Metric::accumulate(q, Type::load(rows[r] + d + s * kWidth), sums[r][s]);
      }
    }
  }
  for (; d + kWidth <= dim; d += kWidth) {
    const Simd::Vector q = Simd::load(query + d);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < count; ++r) {
      sums[r][0] = Metric::accumulate(q, Type::load(rows[r] + d), sums[r][0]);
    }
  }
  if (d < dim) {
    const Simd::Vector q = Simd::load_first(query + d, dim - d);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < count; ++r) {
      sums[r][1] = Metric::accumulate(q, Type::load_first(rows[r] + d, dim - d), sums[r][1]);
    }
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r < count; ++r) {
    out[r] = Simd::add(Simd::add(sums[r][0], sums[r][1]), Simd::add(sums[r][2], sums[r][3]));
  }
}

// A query of any length, read again for each row.
template <class Metric, class Type>
struct LongQuery {
  const float* values;
  std::size_t dim;

  Simd::Vector sum(const typename Type::Value* row) const {
    return accumulate_row<Metric, Type>(values, row, dim);
  }
};

// A query of `vectors` whole vectors, kept in registers; the sums are those of accumulate_row.
template <class Metric, class Type, std::size_t vectors>
struct ShortQuery {
  Simd::Vector values[vectors];

  explicit ShortQuery(const float* query) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < vectors; ++v) values[v] = Simd::load(query + v * Simd::kWidth);
  }
  LICHEN_INLINE Simd::Vector sum(const typename Type::Value* row) const {
    static_assert(vectors % 2 == 0 && vectors <= kShortVectors);
    Simd::Vector sums[2] = {Simd::zero(), Simd::zero()};
#pragma GCC unroll 8
    for (std::size_t v = 0; v < vectors; ++v) {
      sums[v % 2] = Metric::accumulate(values[v], Type::load(row + v * Simd::kWidth), sums[v % 2]);
    }
    return Simd::add(sums[0], sums[1]);
  }
};

template <class Metric, class Type, class Query, class Rows>
LICHEN_INLINE void score_floats(const Query query, const Rows rows, std::size_t count,
                                std::size_t bytes, float* out) {
  prefetch_group(rows, 0, count, bytes);
  const auto sum_of = [&](std::size_t i) {
    return query.sum(reinterpret_cast<const typename Type::Value*>(rows(i)));
  };
  std::size_t i = 0;
  for (; i + kRowsAtOnce <= count; i += kRowsAtOnce) {
    prefetch_group(rows, i + kRowsAtOnce, count, bytes);
    // Unrolled, so that the sums stay in registers: to load a vector that was stored a moment ago
    // stalls where the hardware stores it in halves.
    Simd::Vector sums[kRowsAtOnce];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
      sums[r] = sum_of(i + r);
      // The compiler would mix the loads of several rows, and prefetchers follow the order of
      // loads.
      if constexpr (!Rows::kGathers) asm volatile("" : : : "memory");
    }
    float totals[kRowsAtOnce];
    Simd::sum8(sums, totals);
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) out[i + r] = Metric::kSign * totals[r];
  }
  // sum1 adds in the order of sum8, so that a row's distance does not depend on its place.
  for (; i < count; ++i) out[i] = Metric::kSign * Simd::sum1(sum_of(i));
}

template <class Metric, class Type, std::size_t vectors, class Rows>
__attribute__((noinline)) void score_short(const float* query, const Rows rows, std::size_t count,
                                           float* out) {
  const ShortQuery<Metric, Type, vectors> prepared(query);
  score_floats<Metric, Type>(prepared, rows, count,
                             vectors * Simd::kWidth * sizeof(typename Type::Value), out);
}

template <class Metric, class Type, class Rows>
__attribute__((noinline)) void score_long(const float* query, const Rows rows, std::size_t count,
                                          std::size_t dim, float* out) {
  score_floats<Metric, Type>(LongQuery<Metric, Type>{query, dim}, rows, count,
                             dim * sizeof(typename Type::Value), out);
}

template <class Metric, class Type>
__attribute__((noinline)) void score_long_gathered(const float* query, const Gathered rows,
                                                   std::size_t count, std::size_t dim, float* out) {
  constexpr std::size_t kSide = Simd::kRowsSideBySide;
  const std::size_t bytes = dim * sizeof(typename Type::Value);
  prefetch_group(rows, 0, count, bytes);
  const auto row = [&](std::size_t i) {
    return reinterpret_cast<const typename Type::Value*>(rows(i));
  };
  std::size_t i = 0;
  for (; i + kSide <= count; i += kSide) {
    if (i % kRowsAtOnce == 0) prefetch_group(rows, i + kRowsAtOnce, count, bytes);
    const typename Type::Value* side[kSide];
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kSide; ++r) side[r] = row(i + r);
    Simd::Vector sums[kSide];
    accumulate_rows<Metric, Type, kSide>(query, side, dim, sums);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kSide; ++r) out[i + r] = Metric::kSign * Simd::sum1(sums[r]);
  }
  for (; i < count; ++i) {
    out[i] = Metric::kSign * Simd::sum1(accumulate_row<Metric, Type>(query, row(i), dim));
  }
}

template <class Metric, class Type, class Rows>
inline void score_any(const float* query, const Rows& rows, std::size_t count, std::size_t dim,
                      float* out) {
  if (Simd::kWidth > 1 && dim % (2 * Simd::kWidth) == 0) {
    switch (dim / Simd::kWidth) {
      case 2:
        return score_short<Metric, Type, 2>(query, rows, count, out);
      case 4:
        return score_short<Metric, Type, 4>(query, rows, count, out);
      case 6:
        return score_short<Metric, Type, 6>(query, rows, count, out);
      case 8:
        return score_short<Metric, Type, 8>(query, rows, count, out);
      default:
        break;
    }
  }
  if constexpr (Rows::kGathers) {
    if (dim > kShortVectors * Simd::kWidth) {
      return score_long_gathered<Metric, Type>(query, rows, count, dim, out);
    }
  }
  score_long<Metric, Type>(query, rows, count, dim, out);
}

// One row, without what many need to set up.
template <class Metric, class Type>
inline void float_one(const float* query, const void* row, std::size_t dim, float* out) {
  *out = Metric::kSign * Simd::sum1(accumulate_row<Metric, Type>(
                             query, static_cast<const typename Type::Value*>(row), dim));
}

template <class Metric, class Type>
void float_rows(const float* query, const void* rows, std::size_t stride, std::size_t count,
                std::size_t dim, float* out) {
  if (count == 1) return float_one<Metric, Type>(query, rows, dim, out);
  const Contiguous contiguous{static_cast<const std::uint8_t*>(rows), stride};
  score_any<Metric, Type>(query, contiguous, count, dim, out);
}

template <class Metric, class Type>
void float_gather(const float* query, const void* rows, std::size_t stride,
                  const std::uint32_t* ids, std::size_t count, std::size_t dim, float* out) {
  if (count == 1) {
    return float_one<Metric, Type>(query, static_cast<const std::uint8_t*>(rows) + ids[0] * stride,
                                   dim, out);
  }
  const Gathered gathered{static_cast<const std::uint8_t*>(rows), stride, ids};
  score_any<Metric, Type>(query, gathered, count, dim, out);
}
