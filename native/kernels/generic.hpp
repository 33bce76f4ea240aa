// The kernels, written once over a small SIMD vocabulary. An instruction set's file defines `Simd`
// in its own unnamed namespace and then includes this text inside it; so nothing here has external
// linkage, and code compiled for a wide instruction set cannot be picked by the linker for a
// function that others call. For the same reason no standard header with inline functions may be
// included by such a file.
//
// Simd has: Vector, kWidth, zero(), load(p), load_first(p, n) (n < kWidth, the rest 0), add,
// subtract, multiply_add(a, b, sum), sum(v), sum8(v[8], out[8]), prefetch(p).

// Eight rows at a time: eight independent sums hide the latency of the multiply-adds (4 cycles, 2 a
// cycle).
constexpr std::size_t kRowsAtOnce = 8;

struct Dot {
  static Simd::Vector accumulate(Simd::Vector q, Simd::Vector x, Simd::Vector sum) {
    return Simd::multiply_add(q, x, sum);
  }
};

struct SquaredL2 {
  static Simd::Vector accumulate(Simd::Vector q, Simd::Vector x, Simd::Vector sum) {
    const Simd::Vector difference = Simd::subtract(q, x);
    return Simd::multiply_add(difference, difference, sum);
  }
};

template <class Metric>
inline void score_eight(const float* query, const float* const* row, std::size_t dim, float* out) {
  Simd::Vector sums[kRowsAtOnce];
  for (std::size_t r = 0; r < kRowsAtOnce; ++r) sums[r] = Simd::zero();
  std::size_t d = 0;
  for (; d + Simd::kWidth <= dim; d += Simd::kWidth) {
    const Simd::Vector q = Simd::load(query + d);
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
      sums[r] = Metric::accumulate(q, Simd::load(row[r] + d), sums[r]);
    }
  }
  if (d < dim) {
    const Simd::Vector q = Simd::load_first(query + d, dim - d);
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
      sums[r] = Metric::accumulate(q, Simd::load_first(row[r] + d, dim - d), sums[r]);
    }
  }
  Simd::sum8(sums, out);
}

// One row: four sums take turns, again for the latency.
template <class Metric>
inline float score_one(const float* query, const float* row, std::size_t dim) {
  Simd::Vector sums[4] = {Simd::zero(), Simd::zero(), Simd::zero(), Simd::zero()};
  std::size_t d = 0;
  for (; d + 4 * Simd::kWidth <= dim; d += 4 * Simd::kWidth) {
    for (std::size_t s = 0; s < 4; ++s) {
      const std::size_t at = d + s * Simd::kWidth;
      sums[s] = Metric::accumulate(Simd::load(query + at), Simd::load(row + at), sums[s]);
    }
  }
  for (; d + Simd::kWidth <= dim; d += Simd::kWidth) {
    sums[0] = Metric::accumulate(Simd::load(query + d), Simd::load(row + d), sums[0]);
  }
  if (d < dim) {
    sums[1] = Metric::accumulate(Simd::load_first(query + d, dim - d),
                                 Simd::load_first(row + d, dim - d), sums[1]);
  }
  return Simd::sum(Simd::add(Simd::add(sums[0], sums[1]), Simd::add(sums[2], sums[3])));
}

template <class Metric>
void score_rows(const float* query, const float* rows, std::size_t stride, std::size_t count,
                std::size_t dim, float* out) {
  std::size_t i = 0;
  for (; i + kRowsAtOnce <= count; i += kRowsAtOnce) {
    const float* row[kRowsAtOnce];
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) row[r] = rows + (i + r) * stride;
    score_eight<Metric>(query, row, dim, out + i);
  }
  for (; i < count; ++i) out[i] = score_one<Metric>(query, rows + i * stride, dim);
}

// Asks for the first lines of a row; the hardware's own prefetcher follows a longer one.
inline void prefetch_row(const float* row, std::size_t dim) {
  constexpr std::size_t kFloatsALine = 16;
  constexpr std::size_t kMostLines = 8;
  const std::size_t lines = (dim + kFloatsALine - 1) / kFloatsALine;
  for (std::size_t line = 0; line < lines && line < kMostLines; ++line) {
    Simd::prefetch(row + line * kFloatsALine);
  }
}

template <class Metric>
void score_gather(const float* query, const float* rows, std::size_t stride,
                  const std::uint32_t* ids, std::size_t count, std::size_t dim, float* out) {
  const std::size_t first = count < kRowsAtOnce ? count : kRowsAtOnce;
  for (std::size_t i = 0; i < first; ++i) prefetch_row(rows + ids[i] * stride, dim);
  std::size_t i = 0;
  for (; i + kRowsAtOnce <= count; i += kRowsAtOnce) {
    const float* row[kRowsAtOnce];
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) row[r] = rows + ids[i + r] * stride;
    for (std::size_t r = i + kRowsAtOnce; r < i + 2 * kRowsAtOnce && r < count; ++r) {
      prefetch_row(rows + ids[r] * stride, dim);
    }
    score_eight<Metric>(query, row, dim, out + i);
  }
  for (; i < count; ++i) out[i] = score_one<Metric>(query, rows + ids[i] * stride, dim);
}
