// Products, softmax and top k of tensors on a simulated device, with memory watched by sanitizers.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cuda/lichen_cuda.h"
#include "test/check.hpp"
#include "test/data.hpp"

namespace lichen {
namespace {

const LichenCudaApi& api() { return *lichen_cuda_api(LICHEN_CUDA_ABI); }

struct Tensor {
  explicit Tensor(std::size_t length_) : length(length_) {
    CHECK_EQUAL(api().tensor_create(0, length, &handle), LICHEN_CUDA_OK);
  }
  explicit Tensor(const std::vector<float>& values) : Tensor(values.size()) {
    CHECK_EQUAL(api().tensor_put(handle, values.data()), LICHEN_CUDA_OK);
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() { api().tensor_destroy(handle); }

  std::vector<float> values() const {
    std::vector<float> out(length);
    CHECK_EQUAL(api().tensor_get(handle, out.data()), LICHEN_CUDA_OK);
    return out;
  }

  std::size_t length;
  LichenCudaTensor* handle = nullptr;
};

struct Sizes {
  std::size_t batch, m, k, n;
};

void check_product(const Sizes& sizes, bool transpose_a, bool transpose_b, bool one_b) {
  const auto [batch, m, k, n] = sizes;
  const std::vector<float> a = test::uniform_floats(1, batch * m * k);
  const std::vector<float> b = test::uniform_floats(2, (one_b ? 1 : batch) * k * n);
  const Tensor left(a), right(b), out(batch * m * n);
  LichenCudaProduct product = {};
  product.a = left.handle;
  product.b = right.handle;
  product.c = out.handle;
  product.batch = batch;
  product.m = m;
  product.n = n;
  product.k = k;
  product.a_stride = m * k;
  product.b_stride = one_b ? 0 : k * n;
  product.transpose_a = transpose_a;
  product.transpose_b = transpose_b;
  CHECK_EQUAL(api().matrix_product(&product), LICHEN_CUDA_OK);
  const std::vector<float> found = out.values();
  for (std::size_t at = 0; at < found.size(); ++at) {
    const std::size_t z = at / (m * n), i = at / n % m, j = at % n;
    const float* const x = a.data() + z * m * k;
    const float* const y = b.data() + (one_b ? 0 : z * k * n);
    double sum = 0;
    for (std::size_t d = 0; d < k; ++d) {
      sum += static_cast<double>(x[transpose_a ? d * m + i : i * k + d]) *
             y[transpose_b ? j * k + d : d * n + j];
    }
    CHECK(std::fabs(found[at] - sum) <= 2e-7 * static_cast<double>(k + 1));
  }
}

TEST_CASE("cuda tensor: products") {
  const Sizes all[] = {{1, 1, 1, 1},  {2, 63, 9, 65},   {3, 64, 8, 64},
                       {1, 5, 40, 7}, {1, 130, 17, 66}, {2, 132, 12, 129}};
  for (const Sizes& sizes : all) {
    for (int way = 0; way < 8; ++way) {
      check_product(sizes, (way & 1) != 0, (way & 2) != 0, (way & 4) != 0);
    }
  }
}

TEST_CASE("cuda tensor: refusals of products") {
  const Tensor a(12), b(20), c(15);
  LichenCudaProduct product = {};
  product.a = a.handle;
  product.b = b.handle;
  product.c = c.handle;
  product.batch = 1;
  product.m = 3;
  product.k = 4;
  product.n = 5;
  CHECK_EQUAL(api().matrix_product(&product), LICHEN_CUDA_OK);
  const auto refused = [&](auto change) {
    LichenCudaProduct wrong = product;
    change(wrong);
    return api().matrix_product(&wrong) == LICHEN_CUDA_ARGUMENT;
  };
  CHECK(refused([](LichenCudaProduct& of) { of.m = 4; }));
  CHECK(refused([](LichenCudaProduct& of) { of.k = 5; }));
  CHECK(refused([](LichenCudaProduct& of) { of.batch = 2; }));
  CHECK(refused([](LichenCudaProduct& of) { of.m = of.n = std::size_t{1} << 40; }));
  CHECK(refused([](LichenCudaProduct& of) { of.k = std::size_t{1} << 62; }));
  CHECK(refused([](LichenCudaProduct& of) { of.c = const_cast<LichenCudaTensor*>(of.a); }));
  CHECK(refused([](LichenCudaProduct& of) { of.b = nullptr; }));
  // With strides of 1 the matrices of a batch overlap, which does no harm; the last one must fit.
  const Tensor four(4 * 2);
  product.c = four.handle;
  product.batch = 4;
  product.m = 1;
  product.n = 2;
  product.k = 9;
  product.a_stride = 1;
  CHECK_EQUAL(api().matrix_product(&product), LICHEN_CUDA_OK);
  CHECK(refused([](LichenCudaProduct& of) { of.a_stride = 2; }));
  CHECK(refused([](LichenCudaProduct& of) { of.a_stride = ~std::size_t{0}; }));
}

TEST_CASE("cuda tensor: softmax in place") {
  for (const std::size_t columns : {1, 31, 33, 512, 513, 1100}) {
    const std::size_t rows = columns > 100 ? 2 : 19;
    const std::vector<float> given = test::uniform_floats(3, rows * columns);
    const Tensor tensor(given);
    CHECK_EQUAL(api().softmax(tensor.handle, tensor.handle, rows, columns), LICHEN_CUDA_OK);
    const std::vector<float> found = tensor.values();
    for (std::size_t row = 0; row < rows; ++row) {
      double sum = 0;
      for (std::size_t j = 0; j < columns; ++j) sum += std::exp(given[row * columns + j]);
      for (std::size_t j = 0; j < columns; ++j) {
        const double expected = std::exp(given[row * columns + j]) / sum;
        CHECK(std::fabs(found[row * columns + j] - expected) <= 1e-6);
      }
    }
    CHECK_EQUAL(api().softmax(tensor.handle, tensor.handle, rows + 1, columns),
                LICHEN_CUDA_ARGUMENT);
  }
}

TEST_CASE("cuda tensor: the largest") {
  for (const std::size_t columns : {1, 2, 65, 1024, 1025, 2048, 2049, 4000}) {
    const std::size_t rows = 2;
    std::vector<float> given = test::uniform_floats(4, rows * columns);
    given[columns / 2] = NAN;
    given[columns + columns / 3] = given[columns];
    const Tensor tensor(given);
    for (const std::size_t k :
         {std::size_t{1}, columns / 2, std::min<std::size_t>(columns, 1024)}) {
      std::vector<float> values(rows * k);
      std::vector<std::int32_t> places(rows * k);
      CHECK_EQUAL(api().top_k(tensor.handle, rows, columns, k, values.data(), places.data()),
                  k > 1024 ? LICHEN_CUDA_UNSUPPORTED : LICHEN_CUDA_OK);
      for (std::size_t row = 0; k <= 1024 && row < rows; ++row) {
        const float* const from = given.data() + row * columns;
        std::vector<std::int32_t> order(columns);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t x, std::int32_t y) {
          return from[x] > from[y] || (from[x] == from[x] && from[y] != from[y]);
        });
        for (std::size_t i = 0; i < k; ++i) CHECK_EQUAL(places[row * k + i], order[i]);
      }
    }
  }
}

}  // namespace
}  // namespace lichen
