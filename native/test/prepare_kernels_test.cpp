// The kernels that prepare queries: near to plain arithmetic in f64, and the same bits on every
// instruction set.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/kernels.hpp"
#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen {
namespace {

const std::size_t kCounts[] = {1, 2, 7, 8, 15, 16, 17, 64, 100, 784, 1027};

std::vector<float> values_of(std::uint64_t seed, std::size_t count, float scale) {
  std::vector<float> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(scale * static_cast<float>(test::uniform(seed, i)));
  }
  return values;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("prepare kernels: a query is centred and scaled to its greatest magnitude") {
  for (const std::size_t count : kCounts) {
    // The last ones' differences lie beyond the range of floats, and below that of normal ones.
    for (const float scale : {1.0f, 1e-3f, 3e4f, 3.3e38f, 1e-44f, 0.0f}) {
      const std::vector<float> query = values_of(count, count, scale);
      const std::vector<float> mean = values_of(count + 1, count, scale);
      for (const bool centres : {false, true}) {
        double most = 0.0;
        for (std::size_t d = 0; d < count; ++d) {
          most = std::max(most, std::fabs(static_cast<double>(query[d]) - (centres ? mean[d] : 0)));
        }
        std::vector<float> first;
        for (const Kernels* table : runnable_kernels()) {
          std::vector<float> values(count);
          const double got = table->prepare.scale(query.data(), centres ? mean.data() : nullptr,
                                                  count, values.data());
          CHECK(std::fabs(got - most) <= 1e-6 * most);
          for (std::size_t d = 0; d < count; ++d) {
            const double difference = static_cast<double>(query[d]) - (centres ? mean[d] : 0);
            const double expected = most > 0.0 ? difference / most : 0.0;
            if (!(std::fabs(values[d] - expected) <= 1e-6)) CHECK_EQUAL(values[d], expected);
          }
          if (first.empty()) first = values;
          CHECK(same_bits(values, first));
        }
      }
    }
  }
}

TEST_CASE("prepare kernels: a query becomes the nearest of 255 integers") {
  for (const std::size_t count : kCounts) {
    for (const float scale : {1.0f, 1e-3f, 1e30f, 0.0f}) {
      const std::vector<float> values = values_of(7 * count, count, scale);
      float most = 0.0f;
      for (const float value : values) most = std::max(most, std::fabs(value));
      std::vector<std::int8_t> first;
      for (const Kernels* table : runnable_kernels()) {
        std::vector<std::int8_t> bytes(count);
        float got = -1.0f;
        double sum = table->prepare.quantize(values.data(), count, bytes.data(), &got);
        CHECK_EQUAL(got, most);
        for (std::size_t i = 0; i < count; ++i) {
          sum -= bytes[i];
          const double exact = most > 0.0f ? 127.0 * values[i] / most : 0.0;
          if (!(std::fabs(bytes[i] - exact) <= 0.5001)) CHECK_EQUAL(+bytes[i], exact);
        }
        CHECK_EQUAL(sum, 0.0);
        if (first.empty()) first = bytes;
        CHECK(bytes == first);
      }
    }
  }
}

TEST_CASE("prepare kernels: sums and products") {
  for (const std::size_t count : kCounts) {
    const std::vector<float> a = values_of(3 * count, count, 2.0f);
    const std::vector<float> b = values_of(3 * count + 1, count, 5.0f);
    double sum = 0.0;
    double product = 0.0;
    double square = 0.0;
    for (std::size_t d = 0; d < count; ++d) {
      const double difference = static_cast<double>(a[d]) - b[d];
      sum += a[d];
      product += static_cast<double>(a[d]) * b[d];
      square += difference * difference;
    }
    const double slack = 1e-12 * static_cast<double>(count);
    const PrepareKernels& scalar = runnable_kernels()[0]->prepare;
    for (const Kernels* table : runnable_kernels()) {
      const PrepareKernels& prepare = table->prepare;
      CHECK(std::fabs(prepare.sum(a.data(), count) - sum) <= slack);
      CHECK(std::fabs(prepare.product(a.data(), b.data(), count) - product) <= 10 * slack);
      CHECK(std::fabs(prepare.centred_square(a.data(), b.data(), count) - square) <= 49 * slack);
      CHECK(prepare.sum(a.data(), count) == scalar.sum(a.data(), count));
      CHECK(prepare.product(a.data(), b.data(), count) ==
            scalar.product(a.data(), b.data(), count));
      CHECK(prepare.centred_square(a.data(), b.data(), count) ==
            scalar.centred_square(a.data(), b.data(), count));
    }
  }
}

TEST_CASE("prepare kernels: a rotation is the same everywhere, and is undone") {
  for (const std::size_t values : {8, 16, 24, 64, 104, 512, 784}) {
    const std::vector<float> vector = values_of(values, values, 1.0f);
    std::size_t block = 8;
    while (2 * block <= values) block *= 2;
    const float size = 1.0f / std::sqrt(static_cast<float>(block));
    const std::size_t count = block == values ? 2 : 4;
    std::vector<float> signs(count * values, 1.0f);
    for (std::size_t r = 0; r < count; ++r) {
      const std::size_t first = r % 2 == 0 ? 0 : values - block;
      for (std::size_t i = 0; i < values; ++i) {
        float& sign = signs[r * values + i];
        if (i >= first && i - first < block) sign = size;
        if (splitmix64(r, i) & 1) sign = -sign;
      }
    }
    std::vector<float> first;
    for (const Kernels* table : runnable_kernels()) {
      std::vector<float> rotated = vector;
      table->prepare.rotate({signs.data(), values, block, count}, rotated.data());
      if (first.empty()) first = rotated;
      CHECK(same_bits(rotated, first));
      table->prepare.rotate_back({signs.data(), values, block, count}, rotated.data());
      for (std::size_t i = 0; i < values; ++i) {
        if (!(std::fabs(rotated[i] - vector[i]) <= 1e-5)) CHECK_EQUAL(rotated[i], vector[i]);
      }
    }
  }
}

}  // namespace lichen
