// The float kernels of every instruction set that runs here against float64.

#include "kernels/kernels.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen {
namespace {

enum class Type { kF32, kF16, kBf16 };

// The value of a half by its definition, not by the bits of a float.
double value_of_half(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

double value_of_bf16(std::uint16_t bits) {
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// Rows of one type and what they mean. Exactly as long as needed, so that a read past the end is a
// report of the address sanitizer.
struct Rows {
  Type type;
  std::vector<std::uint8_t> bytes;
  std::vector<double> values;

  std::size_t value_bytes() const { return type == Type::kF32 ? 4 : 2; }
};

Rows rows_of(Type type, const std::vector<float>& floats) {
  Rows rows{type, {}, {}};
  for (const float value : floats) {
    std::uint8_t bytes[4];
    std::memcpy(bytes, &value, 4);
    if (type == Type::kF32) {
      rows.bytes.insert(rows.bytes.end(), bytes, bytes + 4);
      rows.values.push_back(value);
      continue;
    }
    // Any bits do as a row, as long as the value is finite: the upper half of the float's.
    std::uint16_t bits;
    std::memcpy(&bits, bytes + 2, 2);
    if (type == Type::kF16 && (bits & 0x7C00) == 0x7C00) bits &= 0xBFFF;
    rows.bytes.insert(rows.bytes.end(), reinterpret_cast<std::uint8_t*>(&bits),
                      reinterpret_cast<std::uint8_t*>(&bits) + 2);
    rows.values.push_back(type == Type::kF16 ? value_of_half(bits) : value_of_bf16(bits));
  }
  return rows;
}

struct Expected {
  double distance;
  double magnitude;  // sum of the terms' absolute values
};

Expected reference(bool l2, const float* q, const double* x, std::size_t dim) {
  Expected expected{0.0, 0.0};
  for (std::size_t d = 0; d < dim; ++d) {
    const double difference = static_cast<double>(q[d]) - x[d];
    const double term = l2 ? difference * difference : -static_cast<double>(q[d]) * x[d];
    expected.distance += term;
    expected.magnitude += std::abs(term);
  }
  return expected;
}

const FloatKernels& kernels_of(const Kernels& table, Type type) {
  return type == Type::kF32 ? table.f32 : type == Type::kF16 ? table.f16 : table.bf16;
}

void require_near(const Kernels& table, float got, const Expected& expected, std::size_t dim,
                  double factor = 1.0) {
  // The bound that kernels.hpp states, and the smallest normal float for products that underflow.
  const double bound =
      factor * (dim / 4.0 + 8.0) * 0x1p-24 * expected.magnitude + dim * double{FLT_MIN};
  if (std::abs(got - expected.distance) <= bound) return;
  test::fail(__FILE__, __LINE__,
             std::string(table.isa) + " dim " + std::to_string(dim) + ": got " +
                 std::to_string(got) + ", expected " + std::to_string(expected.distance));
}

// Runs the four kernels of a type over the rows; checks each distance, that the two ways to name
// rows agree bit for bit, and that nothing else was written.
void check_rows(const Kernels& table, const float* query, const Rows& rows, std::size_t first_value,
                std::size_t stride, std::size_t count, std::size_t dim) {
  const FloatKernels& kernels = kernels_of(table, rows.type);
  const std::uint8_t* bytes = rows.bytes.data() + first_value * rows.value_bytes();
  const double* values = rows.values.data() + first_value;
  const std::size_t stride_bytes = stride * rows.value_bytes();
  std::vector<std::uint32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  for (const bool l2 : {false, true}) {
    std::vector<float> out(count + 1, -77.0f);
    (l2 ? kernels.l2_rows : kernels.dot_rows)(query, bytes, stride_bytes, count, dim, out.data());
    for (std::size_t i = 0; i < count; ++i) {
      require_near(table, out[i], reference(l2, query, values + i * stride, dim), dim);
    }
    CHECK(out[count] == -77.0f);
    std::vector<float> gathered(count + 1, -77.0f);
    (l2 ? kernels.l2_gather : kernels.dot_gather)(query, bytes, stride_bytes, ids.data(), count,
                                                  dim, gathered.data());
    for (std::size_t i = 0; i < count; ++i) CHECK(gathered[i] == out[ids[i]]);
    CHECK(gathered[count] == -77.0f);
  }
}

void check_seeded(const Kernels& table, std::uint64_t seed, std::size_t count, std::size_t dim) {
  const std::vector<float> query = test::uniform_floats(seed, dim);
  const std::vector<float> floats = test::uniform_floats(seed + 1, count * dim);
  for (const Type type : {Type::kF32, Type::kF16, Type::kBf16}) {
    check_rows(table, query.data(), rows_of(type, floats), 0, dim, count, dim);
  }
}

}  // namespace

TEST_CASE("kernels: every dimension from 1 to 4096") {
  for (const Kernels* table : runnable_kernels()) {
    for (std::size_t dim = 1; dim <= 300; ++dim) check_seeded(*table, dim, 11, dim);
    // Two rows each beyond: the tails are the same ones.
    for (std::size_t dim = 301; dim <= 4096; dim += dim < 1024 ? 1 : 37) {
      check_seeded(*table, dim, 2, dim);
    }
    for (const std::size_t dim : {4093, 4094, 4095, 4096}) check_seeded(*table, dim, 9, dim);
  }
}

TEST_CASE("kernels: every count from 0 to 40") {
  for (const Kernels* table : runnable_kernels()) {
    for (std::size_t count = 0; count <= 40; ++count) check_seeded(*table, count, count, 37);
  }
}

TEST_CASE("kernels: a row's distance does not depend on its place") {
  const std::vector<float> query = test::uniform_floats(1, 100);
  const std::vector<float> rows = test::uniform_floats(2, 2000);
  for (const Kernels* table : runnable_kernels()) {
    float all[20];
    float one;
    table->f32.l2_rows(query.data(), rows.data(), 400, 20, 100, all);
    for (std::size_t i = 0; i < 20; ++i) {
      table->f32.l2_rows(query.data(), rows.data() + 100 * i, 400, 1, 100, &one);
      CHECK(one == all[i]);
    }
  }
}

TEST_CASE("kernels: rows further apart than their length, and unaligned input") {
  const std::vector<float> values = test::uniform_floats(5, 4000);
  for (const Kernels* table : runnable_kernels()) {
    for (const Type type : {Type::kF32, Type::kF16, Type::kBf16}) {
      const Rows rows = rows_of(type, values);
      for (std::size_t offset = 0; offset < 16; ++offset) {
        check_rows(*table, values.data() + offset, rows, 1000 + offset, 70, 20, 50);
      }
    }
  }
}

TEST_CASE("kernels: zeros, denormals and extremes") {
  for (const Kernels* table : runnable_kernels()) {
    for (const float value : {0.0f, -0.0f, FLT_TRUE_MIN, FLT_MIN, 1e-20f, 1e15f, -1e18f}) {
      std::vector<float> query(100, value);
      std::vector<float> rows(1000, 1.0f);
      for (std::size_t i = 0; i < rows.size(); i += 3) rows[i] = value;
      for (std::size_t i = 1; i < rows.size(); i += 3) rows[i] = 0.0f;
      for (const Type type : {Type::kF32, Type::kF16, Type::kBf16}) {
        check_rows(*table, query.data(), rows_of(type, rows), 0, 100, 10, 100);
      }
    }
  }
}

TEST_CASE("kernels: every finite half is read as it is") {
  const float one = 1.0f;
  for (const Kernels* table : runnable_kernels()) {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
      if ((bits & 0x7C00) == 0x7C00) continue;
      const auto half = static_cast<std::uint16_t>(bits);
      float out;
      table->f16.dot_rows(&one, &half, 2, 1, 1, &out);
      CHECK(out == -value_of_half(half));
    }
  }
}

TEST_CASE("kernels: infinities come out where the sum overflows") {
  const std::vector<float> query(40, 1e30f);
  const std::vector<float> rows(80, 1e30f);
  for (const Kernels* table : runnable_kernels()) {
    float out[2];
    table->f32.dot_rows(query.data(), rows.data(), 160, 2, 40, out);
    CHECK(std::isinf(out[0]) && out[0] < 0);
    CHECK(std::isinf(out[1]) && out[1] < 0);
  }
}

TEST_CASE("kernels: tiles of floats let through what is not above the limit") {
  for (const Kernels* table : runnable_kernels()) {
    for (const std::size_t dim : {1, 3, 16, 63, 64, 65, 200, 1000}) {
      for (const std::size_t queries : {1, 2, 5, 6, 7, 13}) {
        const std::size_t rows_count = queries % 2 == 0 ? table->tile_rows : table->tile_rows - 1;
        const std::size_t stride = dim + queries % 3;
        const std::vector<float> query = test::uniform_floats(dim, queries * stride);
        const std::vector<float> floats = test::uniform_floats(dim + 1, rows_count * dim);
        for (const Type type : {Type::kF32, Type::kF16, Type::kBf16}) {
          const Rows rows = rows_of(type, floats);
          const FloatPackKernel pack = kernels_of(*table, type).pack;
          std::vector<float> packed((dim + 63) / 64 * 64 * table->tile_rows, 9.0f);
          std::vector<float> squares(table->tile_rows, 9.0f);
          pack(rows.bytes.data(), dim * rows.value_bytes(), rows_count, dim, packed.data(),
               squares.data());
          std::vector<float> limits(queries);
          for (std::size_t q = 0; q < queries; ++q) limits[q] = -0.1f + 0.1f * (q % 5);
          if (queries == 7) limits[3] = INFINITY;
          std::vector<TileHit> hits(queries * table->tile_rows);
          const std::size_t count = table->float_tile(
              query.data(), stride, queries, packed.data(), dim, -2.0f, squares.data(),
              limits.data(), rows.bytes.data(), rows.bytes.size(), hits.data());
          std::vector<bool> seen(queries * table->tile_rows);
          for (std::size_t h = 0; h < count; ++h) {
            const TileHit& hit = hits[h];
            CHECK(hit.query < queries && hit.row < table->tile_rows);
            CHECK(!(hit.distance > limits[hit.query]));
            CHECK(!seen[hit.query * table->tile_rows + hit.row]);
            seen[hit.query * table->tile_rows + hit.row] = true;
          }
          for (std::size_t q = 0; q < queries; ++q) {
            for (std::size_t r = 0; r < rows_count; ++r) {
              const double* x = rows.values.data() + r * dim;
              double square = 0.0;
              for (std::size_t d = 0; d < dim; ++d) square += x[d] * x[d];
              const Expected dot = reference(false, query.data() + q * stride, x, dim);
              const double distance = square + 2.0 * dot.distance;
              // The tile adds in one sum: dim roundings where the other kernels have dim / 4.
              const double bound = (dim + 8.0) * 0x1p-24 * (square + 2.0 * dot.magnitude) + 1e-30;
              const bool through = seen[q * table->tile_rows + r];
              CHECK(through ? distance <= limits[q] + bound : distance > limits[q] - bound);
            }
          }
          for (std::size_t h = 0; h < count; ++h) {
            if (hits[h].row >= rows_count) continue;
            const double* x = rows.values.data() + hits[h].row * dim;
            double square = 0.0;
            for (std::size_t d = 0; d < dim; ++d) square += x[d] * x[d];
            const Expected dot = reference(false, query.data() + hits[h].query * stride, x, dim);
            require_near(*table, hits[h].distance,
                         {square + 2.0 * dot.distance, square + 2.0 * dot.magnitude}, dim, 4.0);
          }
        }
      }
    }
  }
}

TEST_CASE("kernels: collect names the values that are not above the limit") {
  std::vector<float> values = test::uniform_floats(3, 133);
  values[5] = NAN;
  values[40] = INFINITY;
  values[41] = 0.25f;
  for (const Kernels* table : runnable_kernels()) {
    for (const float limit : {-2.0f, 0.25f, INFINITY}) {
      for (const std::size_t count : {0, 1, 7, 16, 50, 133}) {
        std::vector<std::uint32_t> positions(133);
        const std::size_t found = table->collect(values.data(), count, limit, positions.data());
        std::size_t expected = 0;
        for (std::size_t i = 0; i < count; ++i) {
          if (values[i] > limit) continue;
          CHECK(expected < found);
          CHECK_EQUAL(positions[expected], i);
          ++expected;
        }
        CHECK_EQUAL(found, expected);
      }
    }
  }
}

TEST_CASE("kernels: LICHEN_ISA chooses the table") {
  const char* wanted = std::getenv("LICHEN_ISA");
  const std::string expected =
      wanted != nullptr && *wanted != '\0' ? wanted : runnable_kernels().back()->isa;
  CHECK(kernels().isa == expected);
}

TEST_CASE("kernels: nearest sorts the least values") {
  for (const Kernels* table : runnable_kernels()) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const std::size_t most = 1 + splitmix64(seed, 1) % kMostNearest;
      const std::size_t count = splitmix64(seed, 2) % 3000;
      const std::uint64_t different = seed % 4 == 0 ? 40 : 1000000;
      std::vector<float> values(count);
      std::vector<std::uint32_t> expected;
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t random = splitmix64(seed + 3, i);
        values[i] = static_cast<float>(random % different) - 20.0f;
        if (random % 37 == 0) values[i] = std::nanf("");
        if (random % 41 == 0) values[i] = std::numeric_limits<float>::infinity();
        if (values[i] < std::numeric_limits<float>::infinity()) {
          expected.push_back(static_cast<std::uint32_t>(i));
        }
      }
      std::stable_sort(expected.begin(), expected.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return values[a] < values[b]; });
      expected.resize(std::min(expected.size(), most));
      std::vector<std::uint32_t> positions(count + 1);
      const std::size_t found = table->nearest(values.data(), count, most, positions.data());
      if (found == kTooManyNearest) {
        CHECK(different == 40);
        continue;
      }
      CHECK_EQUAL(found, expected.size());
      CHECK(std::equal(expected.begin(), expected.end(), positions.begin()));
    }
    const std::vector<float> alike(5000, 1.0f);
    std::vector<std::uint32_t> positions(alike.size());
    CHECK_EQUAL(table->nearest(alike.data(), 5000, 10, positions.data()), kTooManyNearest);
    CHECK_EQUAL(table->nearest(alike.data(), 100, 10, positions.data()), 10);
    CHECK_EQUAL(positions[9], 9);
  }
}

TEST_CASE("kernels: tests of 64 values give a bit each") {
  for (const Kernels* table : runnable_kernels()) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      std::vector<double> numbers(64);
      std::vector<std::uint32_t> codes(64);
      std::vector<std::uint64_t> sets(64);
      for (std::size_t i = 0; i < 64; ++i) {
        const std::uint64_t random = splitmix64(seed, i);
        numbers[i] = random % 11 == 0 ? NAN : static_cast<double>(random % 7) - 3.0;
        if (random % 13 == 0) numbers[i] = -INFINITY;
        codes[i] = static_cast<std::uint32_t>(random % 9);
        sets[i] = random & (random >> 7) & (random >> 19);
      }
      const double low = static_cast<double>(seed % 5) - 3.0;
      const double high = seed % 3 == 0 ? INFINITY : low + 2.0;
      const std::uint32_t few[4] = {1, static_cast<std::uint32_t>(seed % 9), 7, 7};
      const std::uint64_t signature = splitmix64(seed, 99) & splitmix64(seed, 98) & 0xF0F0;
      const std::uint64_t in_range = table->match.range(numbers.data(), low, high);
      const std::uint64_t is_few = table->match.few(codes.data(), few);
      const std::uint64_t any = table->match.any_bit(sets.data(), signature);
      const std::uint64_t all = table->match.all_bits(sets.data(), signature);
      for (std::size_t i = 0; i < 64; ++i) {
        CHECK_EQUAL(in_range >> i & 1, numbers[i] >= low && numbers[i] <= high);
        CHECK_EQUAL(is_few >> i & 1, std::count(few, few + 4, codes[i]) > 0);
        CHECK_EQUAL(any >> i & 1, (sets[i] & signature) != 0);
        CHECK_EQUAL(all >> i & 1, (sets[i] & signature) == signature);
      }
    }
  }
}

}  // namespace lichen
