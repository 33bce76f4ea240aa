// Every instruction set that runs here against float64.

#include "kernels/kernels.hpp"

#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <string>

#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen {
namespace {

struct Expected {
  double sum;
  double magnitude;  // sum of the terms' absolute values
};

Expected reference(bool l2, const float* q, const float* x, std::size_t dim) {
  Expected expected{0.0, 0.0};
  for (std::size_t d = 0; d < dim; ++d) {
    const double difference = static_cast<double>(q[d]) - x[d];
    const double term = l2 ? difference * difference : static_cast<double>(q[d]) * x[d];
    expected.sum += term;
    expected.magnitude += std::abs(term);
  }
  return expected;
}

void require_near(const Kernels& table, float got, const Expected& expected, std::size_t dim) {
  // The bound that kernels.hpp states, and the smallest normal float for products that underflow.
  const double bound = (dim / 4.0 + 8.0) * 0x1p-24 * expected.magnitude + dim * double{FLT_MIN};
  if (std::abs(got - expected.sum) <= bound) return;
  test::fail(__FILE__, __LINE__,
             std::string(table.isa) + " dim " + std::to_string(dim) + ": got " +
                 std::to_string(got) + ", expected " + std::to_string(expected.sum));
}

// Runs all four kernels of a table over the given rows, and checks each score and that nothing else
// was written.
void check_all(const Kernels& table, const float* query, const float* rows, std::size_t stride,
               std::size_t count, std::size_t dim) {
  std::vector<std::uint32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::uint32_t>((i * 7 + 3) % count);
  for (const bool l2 : {false, true}) {
    std::vector<float> out(count + 1, -77.0f);
    (l2 ? table.l2_rows : table.dot_rows)(query, rows, stride, count, dim, out.data());
    for (std::size_t i = 0; i < count; ++i) {
      require_near(table, out[i], reference(l2, query, rows + i * stride, dim), dim);
    }
    CHECK(out[count] == -77.0f);
    std::fill(out.begin(), out.end(), -77.0f);
    (l2 ? table.l2_gather : table.dot_gather)(query, rows, stride, ids.data(), count, dim,
                                              out.data());
    for (std::size_t i = 0; i < count; ++i) {
      require_near(table, out[i], reference(l2, query, rows + ids[i] * stride, dim), dim);
    }
    CHECK(out[count] == -77.0f);
  }
}

// Exactly as long as needed, so that a read past the end is a report of the address sanitizer.
struct Input {
  Input(std::uint64_t seed, std::size_t count, std::size_t dim)
      : query(test::uniform_floats(seed, dim)), rows(test::uniform_floats(seed + 1, count * dim)) {}
  std::vector<float> query;
  std::vector<float> rows;
};

}  // namespace

TEST_CASE("kernels: every dimension from 1 to 300, and larger ones") {
  for (const Kernels* table : runnable_kernels()) {
    for (std::size_t dim = 1; dim <= 300; ++dim) {
      const Input input(dim, 11, dim);
      check_all(*table, input.query.data(), input.rows.data(), dim, 11, dim);
    }
    for (const std::size_t dim : {511, 512, 513, 768, 1000, 1024, 1536, 4095, 4096}) {
      const Input input(dim, 9, dim);
      check_all(*table, input.query.data(), input.rows.data(), dim, 9, dim);
    }
  }
}

TEST_CASE("kernels: every count from 0 to 40") {
  for (const Kernels* table : runnable_kernels()) {
    for (std::size_t count = 0; count <= 40; ++count) {
      const Input input(count, count, 37);
      check_all(*table, input.query.data(), input.rows.data(), 37, count, 37);
    }
  }
}

TEST_CASE("kernels: rows further apart than their length, and unaligned input") {
  const std::vector<float> values = test::uniform_floats(5, 4000);
  for (const Kernels* table : runnable_kernels()) {
    for (std::size_t offset = 0; offset < 16; ++offset) {
      check_all(*table, values.data() + offset, values.data() + 1000 + offset, 70, 20, 50);
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
      check_all(*table, query.data(), rows.data(), 100, 10, 100);
    }
  }
}

TEST_CASE("kernels: infinities come out where the sum overflows") {
  const std::vector<float> query(40, 1e30f);
  const std::vector<float> rows(80, 1e30f);
  for (const Kernels* table : runnable_kernels()) {
    float out[2];
    table->dot_rows(query.data(), rows.data(), 40, 2, 40, out);
    CHECK(std::isinf(out[0]) && out[0] > 0);
    CHECK(std::isinf(out[1]) && out[1] > 0);
  }
}

TEST_CASE("kernels: LICHEN_ISA chooses the table") {
  const char* wanted = std::getenv("LICHEN_ISA");
  const std::string expected =
      wanted != nullptr && *wanted != '\0' ? wanted : runnable_kernels().back()->isa;
  CHECK(kernels().isa == expected);
}

}  // namespace lichen
