// The kernels are written once over a small SIMD vocabulary. An instruction set's file defines
// `Simd` in its own unnamed namespace and then includes generic/*.hpp inside it; so nothing here
// has external linkage, and code compiled for a wide instruction set cannot be picked by the linker
// for a function that others call. For the same reason no standard header with inline functions
// may be included by such a file.
//
// Simd has, with Vector = kWidth floats and Ints = kWidth 32-bit integers or 4 × kWidth bytes:
//
// clang-format off
//   zero() set(x) load(p) load_first(p, n)   n < kWidth, the rest 0; also load_f16, load_bf16
//   add(a, b) subtract(a, b) multiply(a, b)
//   multiply_add(a, b, c)                    a b + c
//   store(p, v) sum1(v) sum8(v[8], out[8])   sum8 adds in the order of sum1
//   not_above(v, limit)                      bits of the lanes that are not > limit
//   int_zero() int_set(x) int_load(p)
//   int_load_part(p, bytes)                  16 or 32 bytes, the rest 0
//   low_nibbles(v) high_nibbles(v)           of each byte
//   nibbles_part(p, bytes)                   the low ones of 16 or 32 bytes, then the high ones
//   dot_u8(sum, u, s) dot_u4(sum, u, s)      lane += 4 products of unsigned and signed bytes; exact
//   to_float(v) to_bits(v) int_sum1(v) int_sum8(v[8], out[8])
//   table16(p) -> Table, lookup(table, v)    v: bytes below 16
//   add16(a, b) subtract16(a, b) odd_bytes(v) shift_up_byte(v)   on 16-bit lanes
//   transpose(load, out, out_stride)         kWidth × kWidth words, row i is load(i)
//   prefetch(p)
//   with kHasShortRows: int_load_here(p) is not moved by the compiler; int_repeat(p, bytes),
//   int_sum8_short(v, bytes, out[8]) for rows of 16, 32 or 64 bytes, several to a vector
// clang-format on
//
// and kTileQueries, kTileVectors: the accumulators of a tile fit the registers; kRowsSideBySide: so
// do four for each of so many rows.

#define LICHEN_INLINE inline __attribute__((always_inline))

constexpr std::size_t kRowsAtOnce = 8;
constexpr std::size_t kVectorBytes = 4 * Simd::kWidth;
constexpr std::size_t kTileRows = Simd::kTileVectors * Simd::kWidth;
constexpr std::size_t kLine = 64;

// Asks for the first lines of a row; the hardware's own prefetcher follows a longer one.
inline void prefetch_row(const std::uint8_t* row, std::size_t bytes) {
  constexpr std::size_t kMostBytes = 8 * kLine;
  for (std::size_t at = 0; at < bytes && at < kMostBytes; at += kLine) Simd::prefetch(row + at);
}

// Row i of those to be scored: they follow one another, or are named by number.
struct Contiguous {
  const std::uint8_t* rows;
  std::size_t stride;
  static constexpr bool kGathers = false;
  const std::uint8_t* operator()(std::size_t i) const { return rows + i * stride; }
};

struct Gathered {
  const std::uint8_t* rows;
  std::size_t stride;
  const std::uint32_t* ids;
  static constexpr bool kGathers = true;
  const std::uint8_t* operator()(std::size_t i) const { return rows + ids[i] * stride; }
};

// Rows [from, from + kRowsAtOnce) of `count`, if they have to be asked for.
template <class Rows>
inline void prefetch_group(const Rows& rows, std::size_t from, std::size_t count,
                           std::size_t bytes) {
  if constexpr (Rows::kGathers) {
    const std::size_t end = from + kRowsAtOnce < count ? from + kRowsAtOnce : count;
    for (std::size_t i = from; i < end; ++i) prefetch_row(rows(i), bytes);
  }
}
