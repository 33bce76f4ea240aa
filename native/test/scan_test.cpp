// Exhaustive search on every storage type: against float64 over what the rows stand for, and one
// query against many, many against few, filtered against not.

#include "index/scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "index/flat_index.hpp"
#include "index/live_store.hpp"
#include "runtime/error.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

bool same(const Hit& a, const Hit& b) { return a.row == b.row && a.distance == b.distance; }

// The k nearest by distances that the store itself gives for single rows.
std::vector<Hit> sorted_distances(const EmbeddingStore& store, const float* query,
                                  const RowFilter* filter) {
  QueryBatch prepared;
  prepared.prepare(store, query, 1);
  std::vector<Hit> hits;
  for (std::uint32_t row = 0; row < store.rows(); ++row) {
    if (filter != nullptr && !filter->admits(row)) continue;
    Hit hit{0.0f, row};
    store.distances(prepared[0], &row, 1, &hit.distance);
    hits.push_back(hit);
  }
  std::sort(hits.begin(), hits.end(), nearer);
  return hits;
}

std::vector<std::vector<Hit>> scan_all(const EmbeddingStore& store, const float* queries,
                                       std::size_t count, std::size_t k, const RowFilter* filter) {
  QueryBatch prepared;
  prepared.prepare(store, queries, count);
  std::vector<std::vector<Hit>> hits(count, std::vector<Hit>(k));
  std::vector<TopK> best;
  for (std::size_t q = 0; q < count; ++q) best.emplace_back(hits[q].data(), k);
  scan(store, prepared, filter, 0, store.rows(), best);
  for (std::size_t q = 0; q < count; ++q) hits[q].resize(best[q].finish());
  return hits;
}

struct Filled {
  Filled(StorageType type, Metric metric, std::size_t rows, std::size_t dim)
      : vectors(test::clustered(dim, rows, dim, 12)), store(test::codec(type, dim, metric)) {
    // Some rows alike: ties go to the lower row.
    for (std::size_t r = 5; r < rows; r += 11) {
      std::copy(vectors.begin(), vectors.begin() + dim, vectors.begin() + r * dim);
    }
    store.append(vectors.data(), rows);
  }
  std::vector<float> vectors;
  EmbeddingStore store;
};

}  // namespace

TEST_CASE("scan: distances are those to what a row stands for") {
  for (const StorageType type : test::kTypes) {
    for (const Metric metric : test::kMetrics) {
      for (const std::size_t dim : {3, 20, 64, 100}) {
        const Filled filled(type, metric, 150, dim);
        const std::vector<float> query = test::uniform_floats(9, dim);
        QueryBatch prepared;
        prepared.prepare(filled.store, query.data(), 1);
        std::vector<float> scored(150);
        filled.store.distances(prepared[0], std::size_t{0}, 150, scored.data());
        double norm = 0.0;
        for (const float value : query) norm += static_cast<double>(value) * value;
        norm = std::sqrt(norm);
        const double unit = metric == Metric::kCosine ? 1.0 / norm : 1.0;
        std::vector<float> decoded(dim);
        double sum_of_errors = 0.0;
        double sum_of_scales = 0.0;
        for (std::size_t r = 0; r < 150; ++r) {
          filled.store.decode(r, decoded.data());
          double distance = 0.0;
          double scale = 0.0;
          for (std::size_t d = 0; d < dim; ++d) {
            const double q = query[d] * unit;
            distance += metric == Metric::kL2 ? std::pow(q - decoded[d], 2.0) : -q * decoded[d];
            scale += std::abs(q * decoded[d]) + (metric == Metric::kL2 ? q * q : 0.0);
          }
          sum_of_errors += std::abs(scored[r] - distance);
          sum_of_scales += scale;
        }
        // Of the query's rounding: none, 8 bits, 4 bits, 8 bits a table entry. For l2, i4 and b1
        // correct the distance for their known error, which the decoded vector does not.
        const bool corrects = metric == Metric::kL2 && !is_float(type);
        const double allowed = is_float(type)             ? 1e-6
                               : corrects                 ? 1.0
                               : type == StorageType::kB1 ? 0.1
                                                          : 0.02;
        CHECK(sum_of_errors <= allowed * sum_of_scales);
      }
    }
  }
}

TEST_CASE("scan: rows by number and in order, one query and many agree bit for bit") {
  for (const StorageType type : test::kTypes) {
    for (const Metric metric : test::kMetrics) {
      for (const std::size_t rows : {16, 64, 65, 333}) {
        const std::size_t dim = rows == 64 ? 130 : 24;
        const Filled filled(type, metric, rows, dim);
        const std::vector<float> queries = test::uniform_floats(77, 19 * dim);
        for (const std::size_t k : {1, 7, 16}) {
          for (const std::size_t count : {1, 3, 4, 19}) {
            const auto hits = scan_all(filled.store, queries.data(), count, k, nullptr);
            for (std::size_t q = 0; q < count; ++q) {
              const auto expected =
                  sorted_distances(filled.store, queries.data() + q * dim, nullptr);
              CHECK_EQUAL(hits[q].size(), std::min(k, rows));
              for (std::size_t i = 0; i < hits[q].size(); ++i) CHECK(same(hits[q][i], expected[i]));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("scan: filters, sparse and dense, on one query and many") {
  constexpr std::size_t kRows = 700;
  constexpr std::size_t kDim = 24;
  for (const StorageType type : test::kTypes) {
    const Filled filled(type, Metric::kDot, kRows, kDim);
    const std::vector<float> queries = test::uniform_floats(78, 9 * kDim);
    for (const std::size_t one_in : {1, 2, 9, 100, 1000}) {
      std::vector<std::uint8_t> bits((kRows + 7) / 8);
      for (std::size_t r = 0; r < kRows; ++r) {
        if (one_in != 1000 && r % one_in == one_in - 1) bits[r / 8] |= 1 << r % 8;
      }
      if (one_in == 9) bits.resize(bits.size() / 2);  // rows past the bits are not admitted
      const RowFilter filter(bits.data(), bits.size());
      for (const std::size_t count : {1, 9}) {
        const auto hits = scan_all(filled.store, queries.data(), count, 10, &filter);
        for (std::size_t q = 0; q < count; ++q) {
          const auto expected = sorted_distances(filled.store, queries.data() + q * kDim, &filter);
          CHECK_EQUAL(hits[q].size(), std::min<std::size_t>(10, expected.size()));
          for (std::size_t i = 0; i < hits[q].size(); ++i) CHECK(same(hits[q][i], expected[i]));
        }
      }
    }
  }
}

TEST_CASE("scan: tiles hold to single queries where rounding decides and where sums overflow") {
  constexpr std::size_t kDim = 100;
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    for (const float scale : {1e-30f, 1.0f, 1e10f, 3e18f, 1e25f}) {
      // Rows that differ by a few units in the last place of a large common part.
      std::vector<float> vectors(300 * kDim);
      for (std::size_t i = 0; i < vectors.size(); ++i) {
        vectors[i] = scale * (1.0f + 0x1p-22f * static_cast<float>(splitmix64(1, i) % 8));
      }
      EmbeddingStore store(test::codec(StorageType::kF32, kDim, metric));
      store.append(vectors.data(), 300);
      std::vector<float> queries(8 * kDim);
      for (std::size_t i = 0; i < queries.size(); ++i) {
        queries[i] = scale * (1.0f + 0x1p-21f * static_cast<float>(splitmix64(2, i) % 4));
      }
      const auto hits = scan_all(store, queries.data(), 8, 20, nullptr);
      for (std::size_t q = 0; q < 8; ++q) {
        const auto alone = scan_all(store, queries.data() + q * kDim, 1, 20, nullptr);
        CHECK_EQUAL(hits[q].size(), 20);
        for (std::size_t i = 0; i < 20; ++i) CHECK(same(hits[q][i], alone[0][i]));
      }
    }
  }
}

TEST_CASE("scan: within a distance") {
  for (const StorageType type : {StorageType::kF32, StorageType::kI8, StorageType::kPq}) {
    const Filled filled(type, Metric::kL2, 333, 24);
    const std::vector<float> query = test::uniform_floats(5, 24);
    const auto all = sorted_distances(filled.store, query.data(), nullptr);
    QueryBatch prepared;
    prepared.prepare(filled.store, query.data(), 1);
    const auto hits = scan_within(filled.store, prepared, all[40].distance, nullptr);
    CHECK(hits.size() >= 41);
    for (std::size_t i = 0; i < hits.size(); ++i) CHECK(same(hits[i], all[i]));
    CHECK(hits.size() == all.size() || all[hits.size()].distance > all[40].distance);
    CHECK(scan_within(filled.store, prepared, -1e9f, nullptr).empty());
  }
}

TEST_CASE("flat index: parts of the rows together give what one search gives") {
  constexpr std::size_t kRows = 500;
  constexpr std::size_t kDim = 24;
  const std::vector<float> vectors = test::clustered(3, kRows, kDim, 12);
  const std::vector<float> query = test::uniform_floats(4, kDim);
  for (const StorageType type : test::kTypes) {
    for (const bool rerank : {false, true}) {
      if (rerank && type == StorageType::kF32) continue;
      FlatIndex index(test::flat(kDim, Metric::kL2, type,
                                 rerank ? std::optional(StorageType::kF32) : std::nullopt));
      Progress progress;
      index.append({}, vectors.data(), kRows);
      index.link(2, progress);
      SearchOptions options;
      std::vector<Hit> expected(10);
      CHECK_EQUAL(index.search(query.data(), options, expected.data()), 10);
      for (const std::size_t parts : {1, 2, 3, 16}) {
        const SearchParts shares = index.parts_of(options, parts);
        std::vector<Hit> all(parts * shares.hits);
        std::size_t count = 0;
        for (std::size_t p = 0; p < parts; ++p) {
          count += index.search_part(query.data(), options, shares, p, all.data() + count);
        }
        std::vector<Hit> hits(10);
        CHECK_EQUAL(
            index.merge_parts(query.data(), options, shares, all.data(), count, hits.data()), 10);
        for (std::size_t i = 0; i < 10; ++i) CHECK(same(hits[i], expected[i]));
      }
    }
  }
}

TEST_CASE("flat index: rows that come between the parts of a search change neither part nor room") {
  constexpr std::size_t kDim = 24;
  const std::vector<float> vectors = test::clustered(3, 3000, kDim, 12);
  const std::vector<float> query = test::uniform_floats(4, kDim);
  // So few rows that all of them are candidates: with more rows there would be more.
  for (const std::size_t rows : {15, 500}) {
    FlatIndex index(test::flat(kDim, Metric::kL2, StorageType::kB1, StorageType::kF32));
    Progress progress;
    index.append({}, vectors.data(), rows);
    index.link(1, progress);
    SearchOptions options;
    std::vector<Hit> expected(10);
    CHECK_EQUAL(index.search(query.data(), options, expected.data()), 10);
    const SearchParts shares = index.parts_of(options, 2);
    std::vector<Hit> first(shares.hits), second(shares.hits);
    const std::size_t here = index.search_part(query.data(), options, shares, 0, first.data());
    Progress more;
    index.append({}, vectors.data() + rows * kDim, 2000);
    index.link(1, more);
    const std::size_t there = index.search_part(query.data(), options, shares, 1, second.data());
    std::vector<Hit> all(first.begin(), first.begin() + here);
    all.insert(all.end(), second.begin(), second.begin() + there);
    std::vector<Hit> hits(10);
    CHECK_EQUAL(
        index.merge_parts(query.data(), options, shares, all.data(), all.size(), hits.data()), 10);
    for (std::size_t i = 0; i < 10; ++i) CHECK(same(hits[i], expected[i]));
  }
}

TEST_CASE("flat index: an aborted first add leaves nothing, not even what it learned") {
  const std::vector<float> vectors = test::clustered(3, 400, 16, 5);
  const std::vector<float> others = test::clustered(8, 400, 16, 5);
  const std::vector<float> query = test::uniform_floats(4, 16);
  for (const StorageType type : test::kTypes) {
    FlatIndex index(test::flat(16, Metric::kL2, type));
    FlatIndex fresh(test::flat(16, Metric::kL2, type));
    Progress cancelled;
    cancelled.cancel.store(true);
    index.append({}, others.data(), 400);
    CHECK_THROWS(Code::kAborted, index.link(2, cancelled));
    CHECK_EQUAL(index.rows(), 0);
    for (FlatIndex* one : {&index, &fresh}) {
      Progress progress;
      one->append({}, vectors.data(), 400);
      one->link(1, progress);
    }
    std::vector<Hit> a(10), b(10);
    CHECK_EQUAL(index.search(query.data(), {}, a.data()), 10);
    CHECK_EQUAL(fresh.search(query.data(), {}, b.data()), 10);
    for (std::size_t i = 0; i < 10; ++i) CHECK(same(a[i], b[i]));
  }
}

TEST_CASE("live store: append, overwrite, remove, scan against a plain list") {
  constexpr std::size_t kDim = 20;
  for (const StorageType type : test::kTypes) {
    LiveStore store(test::codec(type, kDim, Metric::kL2));
    const std::vector<float> first = test::clustered(1, 100, kDim, 5);
    CHECK_EQUAL(store.append(first.data(), 100), 0);
    std::vector<bool> live(100, true);
    for (std::uint64_t step = 0; step < 60; ++step) {
      const std::vector<float> vector = test::uniform_floats(100 + step, kDim);
      const std::size_t row = splitmix64(3, step) % live.size();
      if (step % 3 == 0) {
        CHECK_EQUAL(store.append(vector.data(), 1), live.size());
        live.push_back(true);
      } else if (step % 3 == 1) {
        CHECK(store.remove(row) == live[row]);
        live[row] = false;
      } else {
        store.overwrite(row, vector.data());
        live[row] = true;
        std::vector<float> decoded(kDim), again(kDim);
        store.store().decode(row, decoded.data());
        LiveStore other(test::codec(type, kDim, Metric::kL2));
        if (type == StorageType::kF32) CHECK(decoded == vector);
      }
      std::size_t dead = 0;
      for (const bool one : live) dead += !one;
      CHECK_EQUAL(store.deleted(), dead);
      std::vector<Hit> hits(200);
      const std::size_t count = store.scan(vector.data(), 200, nullptr, hits.data());
      CHECK_EQUAL(count, live.size() - dead);
      for (std::size_t i = 0; i < count; ++i) CHECK(live[hits[i].row]);
    }
    CHECK_THROWS(Code::kUnknownKey, store.overwrite(live.size(), first.data()));
    CHECK_THROWS(Code::kArgument, store.train(first.data(), 100));
    CHECK(!store.remove(100000));
  }
}

TEST_CASE("live store: a vector that is refused changes nothing") {
  constexpr std::size_t kDim = 8;
  LiveStore store(test::codec(StorageType::kF16, kDim, Metric::kDot));
  std::vector<float> vectors = test::uniform_floats(1, 4 * kDim);
  store.append(vectors.data(), 4);
  std::vector<float> before(kDim), after(kDim);
  store.store().decode(2, before.data());
  vectors[3 * kDim + 1] = 1e6f;  // beyond f16
  CHECK_THROWS(Code::kArgument, store.append(vectors.data(), 4));
  CHECK_THROWS(Code::kArgument, store.overwrite(2, vectors.data() + 3 * kDim));
  CHECK_EQUAL(store.rows(), 4);
  store.store().decode(2, after.data());
  CHECK(before == after);
}

}  // namespace lichen
