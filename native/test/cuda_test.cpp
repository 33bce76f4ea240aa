// The kernels for NVIDIA devices, on a simulated one: what they find against the distances of the
// store itself, with memory watched by sanitizers.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cuda/lichen_cuda.h"
#include "index/device_scan.hpp"
#include "index/query_batch.hpp"
#include "index/top_k.hpp"
#include "storage/embedding_store.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

const LichenCudaApi& api() {
  const LichenCudaApi* const table = lichen_cuda_api(LICHEN_CUDA_ABI);
  CHECK(table != nullptr);
  return *table;
}

struct Rows {
  LichenCudaRows* handle = nullptr;
  ~Rows() { api().rows_destroy(handle); }
};

LichenCudaSpec spec_of(const EmbeddingStore& store) {
  return {0, static_cast<std::int32_t>(store.type()), store.metric() == Metric::kL2 ? 1 : 0,
          store.dim(), store.row_bytes()};
}

struct Found {
  std::vector<Hit> hits;
  std::vector<std::uint32_t> counts;
  std::vector<std::uint8_t> certain;
};

int search(const Rows& rows, const EmbeddingStore& store, const QueryBatch& queries, std::size_t k,
           const std::vector<std::uint8_t>* bits, Found& found) {
  const std::vector<LichenCudaQuery> prepared = device_queries(queries);
  found.hits.assign(queries.size() * k, Hit{});
  found.counts.assign(queries.size(), 0);
  found.certain.assign(queries.size(), 2);
  LichenCudaSearch search = {};
  search.queries = prepared.data();
  search.count = prepared.size();
  search.k = k;
  search.rows = store.rows();
  search.source = device_source(store);
  search.bits = bits == nullptr ? nullptr : bits->data();
  search.bits_bytes = bits == nullptr ? 0 : bits->size();
  search.hits = reinterpret_cast<LichenCudaHit*>(found.hits.data());
  search.counts = found.counts.data();
  search.certain = found.certain.data();
  return api().rows_search(rows.handle, &search);
}

// Distances of what was found, against those of as many rows as are nearest by the store's own
// kernels.
void check_found(const EmbeddingStore& store, const QueryBatch& queries, std::size_t k,
                 const std::vector<std::uint8_t>* bits, const Found& found) {
  std::vector<float> all(store.rows());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    store.distances(queries[q], std::size_t{0}, store.rows(), all.data());
    std::vector<float> wanted;
    float most = 1.0f;
    for (std::size_t r = 0; r < all.size(); ++r) {
      most = std::max(most, std::fabs(all[r]));
      if (bits == nullptr || ((*bits)[r / 8] >> (r % 8) & 1) != 0) wanted.push_back(all[r]);
    }
    std::sort(wanted.begin(), wanted.end());
    CHECK_EQUAL(found.counts[q], std::min(k, wanted.size()));
    for (std::size_t i = 0; i < found.counts[q]; ++i) {
      const Hit& hit = found.hits[q * k + i];
      CHECK(hit.row < all.size());
      CHECK(std::fabs(hit.distance - all[hit.row]) <= 1e-5f * most);
      CHECK(found.certain[q] == 0 || std::fabs(hit.distance - wanted[i]) <= 1e-5f * most);
      CHECK(i == 0 || nearer(found.hits[q * k + i - 1], hit));
    }
  }
}

constexpr StorageType kTypes[] = {StorageType::kF32, StorageType::kF16, StorageType::kBf16,
                                  StorageType::kI8, StorageType::kB1};

EmbeddingStore store_of(StorageType type, Metric metric, std::size_t dim,
                        const std::vector<float>& vectors) {
  EmbeddingStore store(test::codec(type, dim, metric));
  store.append(vectors.data(), vectors.size() / dim);
  return store;
}

void check_all(StorageType type, Metric metric, std::size_t dim, std::size_t rows,
               std::size_t count, std::size_t k, std::uint64_t most_bytes = 0) {
  const EmbeddingStore store = store_of(type, metric, dim, test::uniform_floats(1, rows * dim));
  const std::vector<float> given = test::uniform_floats(2, count * dim);
  QueryBatch queries;
  queries.prepare(store, given.data(), count);
  Rows on_device;
  const LichenCudaSpec spec = spec_of(store);
  CHECK_EQUAL(api().rows_create(&spec, most_bytes, &on_device.handle), LICHEN_CUDA_OK);
  const LichenCudaSource source = device_source(store);
  // In two parts, of which the second has no room yet.
  CHECK_EQUAL(api().rows_put(on_device.handle, &source, 0, rows / 3), LICHEN_CUDA_OK);
  CHECK_EQUAL(api().rows_put(on_device.handle, &source, rows / 3, rows - rows / 3), LICHEN_CUDA_OK);
  Found found;
  CHECK_EQUAL(search(on_device, store, queries, k, nullptr, found), LICHEN_CUDA_OK);
  check_found(store, queries, k, nullptr, found);
  std::vector<std::uint8_t> bits((rows + 7) / 8, 0);
  for (std::size_t r = 0; r < rows; r += 3) bits[r / 8] |= static_cast<std::uint8_t>(1u << (r % 8));
  CHECK_EQUAL(search(on_device, store, queries, k, &bits, found), LICHEN_CUDA_OK);
  check_found(store, queries, k, &bits, found);
}

}  // namespace

TEST_CASE("cuda: every type, metric and tile of queries") {
  for (const StorageType type : kTypes) {
    check_all(type, Metric::kL2, 20, 300, 1, 10);
    check_all(type, Metric::kDot, 70, 150, 9, 5);
  }
  // Tiles of 64 and 128 queries.
  check_all(StorageType::kBf16, Metric::kDot, 70, 140, 17, 5);
  check_all(StorageType::kF16, Metric::kCosine, 33, 140, 66, 3);
  check_all(StorageType::kI8, Metric::kL2, 33, 140, 66, 3);
  check_all(StorageType::kB1, Metric::kL2, 33, 140, 66, 3);
}

TEST_CASE("cuda: tiles of queries that shared memory has no room for, a k of hundreds, one row") {
  check_all(StorageType::kF32, Metric::kL2, 300, 130, 65, 4);
  check_all(StorageType::kF16, Metric::kDot, 16, 1100, 1, 150);
  check_all(StorageType::kI8, Metric::kL2, 1, 1, 1, 1);
  check_all(StorageType::kB1, Metric::kDot, 9, 1, 3, 1);
}

TEST_CASE("cuda: in passes") {
  for (const StorageType type : {StorageType::kF16, StorageType::kI8, StorageType::kB1}) {
    check_all(type, Metric::kL2, 24, 300, 2, 7, 6'000);
  }
}

TEST_CASE("cuda: refusals") {
  const EmbeddingStore store =
      store_of(StorageType::kF32, Metric::kL2, 8, test::uniform_floats(1, 50 * 8));
  Rows rows;
  LichenCudaSpec spec = spec_of(store);
  spec.device = 1;
  CHECK_EQUAL(api().rows_create(&spec, 0, &rows.handle), LICHEN_CUDA_NO_DEVICE);
  CHECK(std::strlen(api().message()) > 0);
  spec = spec_of(store);
  spec.type = 6;
  CHECK_EQUAL(api().rows_create(&spec, 0, &rows.handle), LICHEN_CUDA_UNSUPPORTED);
  spec = spec_of(store);
  spec.row_bytes = 17;
  CHECK_EQUAL(api().rows_create(&spec, 0, &rows.handle), LICHEN_CUDA_UNSUPPORTED);
  spec = spec_of(store);
  CHECK_EQUAL(api().rows_create(&spec, 0, &rows.handle), LICHEN_CUDA_OK);
  const LichenCudaSource source = device_source(store);
  CHECK_EQUAL(api().rows_put(rows.handle, &source, 3, 1), LICHEN_CUDA_ARGUMENT);
  CHECK_EQUAL(api().rows_put(rows.handle, &source, 0, 50), LICHEN_CUDA_OK);
  QueryBatch queries;
  queries.prepare(store, test::uniform_floats(2, 1 * 8).data(), 1);
  Found found;
  CHECK_EQUAL(search(rows, store, queries, 0, nullptr, found), LICHEN_CUDA_ARGUMENT);
  CHECK_EQUAL(api().rows_truncate(rows.handle, 20), LICHEN_CUDA_OK);
  CHECK_EQUAL(search(rows, store, queries, 5, nullptr, found), LICHEN_CUDA_ARGUMENT);
  CHECK(lichen_cuda_api(LICHEN_CUDA_ABI + 1) == nullptr);
}

}  // namespace lichen
