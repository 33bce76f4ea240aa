#include <algorithm>

#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/files.hpp"
#include "test/index_calls.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

using test::add;
using test::rows_of;

constexpr std::size_t kDim = 24;

double recall(const VectorIndex& exact, const VectorIndex& index, std::size_t queries,
              std::size_t ef) {
  std::size_t found = 0;
  for (std::size_t q = 0; q < queries; ++q) {
    const std::vector<float> query = test::clustered(77 + q, 1, kDim, 1);
    const auto truth = rows_of(exact, query.data(), 10);
    const auto got = rows_of(index, query.data(), 10, ef);
    for (const std::uint32_t row : truth) {
      found += static_cast<std::size_t>(std::count(got.begin(), got.end(), row));
    }
  }
  return static_cast<double>(found) / static_cast<double>(queries * 10);
}

}  // namespace

TEST_CASE("flat: agrees with a float64 scan, whatever the batch") {
  const std::vector<float> vectors = test::uniform_floats(1, 700 * kDim);
  const std::vector<float> queries = test::uniform_floats(2, 50 * kDim);
  for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
    FlatIndex index(test::flat(kDim, metric));
    add(index, vectors.data(), 700);
    SearchOptions options;
    options.k = 5;
    std::vector<Hit> hits(50 * 5);
    std::vector<std::uint32_t> counts(50);
    index.search_range(queries.data(), 50, options, hits.data(), counts.data());
    for (std::size_t q = 0; q < 50; ++q) {
      CHECK_EQUAL(counts[q], 5);
      std::vector<std::pair<double, std::uint32_t>> scored;
      for (std::uint32_t r = 0; r < 700; ++r) {
        double dot = 0.0, l2 = 0.0, qq = 0.0, xx = 0.0;
        for (std::size_t d = 0; d < kDim; ++d) {
          const double a = queries[q * kDim + d];
          const double b = vectors[r * kDim + d];
          dot += a * b;
          l2 += (a - b) * (a - b);
          qq += a * a;
          xx += b * b;
        }
        scored.emplace_back(metric == Metric::kL2    ? l2
                            : metric == Metric::kDot ? -dot
                                                     : -dot / std::sqrt(qq * xx),
                            r);
      }
      std::sort(scored.begin(), scored.end());
      for (std::size_t i = 0; i < 5; ++i) {
        CHECK(std::abs(hits[q * 5 + i].distance - scored[i].first) < 1e-4);
        CHECK_EQUAL(hits[q * 5 + i].row, scored[i].second);
      }
    }
  }
}

TEST_CASE("flat: equal distances come in the order of the rows") {
  FlatIndex index(test::flat(kDim, Metric::kL2));
  const std::vector<float> same(100 * kDim, 0.5f);
  add(index, same.data(), 100);
  const auto rows = rows_of(index, same.data(), 7);
  for (std::uint32_t i = 0; i < 7; ++i) CHECK_EQUAL(rows[i], i);
}

TEST_CASE("hnsw: recall grows with ef and reaches the exact answer, for one thread and for three") {
  const std::size_t rows = test::is_full_run() ? 2500 : 1200;
  const std::vector<float> vectors = test::clustered(11, rows, kDim, 40);
  for (const Metric metric : {Metric::kDot, Metric::kCosine, Metric::kL2}) {
    FlatIndex exact(test::flat(kDim, metric));
    add(exact, vectors.data(), rows);
    for (const std::size_t threads : {1, 3}) {
      HnswIndex index(kDim, metric, {12, 100, 42});
      add(index, vectors.data(), rows, threads);
      CHECK(recall(exact, index, 50, 64) > 0.9);
      CHECK(recall(exact, index, 50, 600) > 0.98);
    }
  }
}

TEST_CASE("hnsw: a graph of rows beyond the caches") {
  if (!test::is_full_run()) return;
  // Few rows, but long ones.
  constexpr std::size_t kRows = 150;
  constexpr std::size_t kQueries = 6;
  for (const StorageType type : {StorageType::kF32, StorageType::kI8}) {
    const bool codes = type == StorageType::kI8;
    const std::size_t dim = codes ? 57344 : 14336;
    const std::vector<float> vectors = test::clustered(13, kRows + kQueries, dim, 8);
    HnswIndex index(test::flat(dim, codes ? Metric::kL2 : Metric::kDot, type), {4, 20, 42});
    add(index, vectors.data(), kRows);
    std::size_t right = 0;
    for (std::size_t q = 0; q < kQueries; ++q) {
      SearchOptions options;
      options.may_scan = false;
      std::vector<Hit> found(10);
      std::vector<Hit> exact(10);
      const float* const query = vectors.data() + (kRows + q) * dim;
      index.search(query, options, found.data());
      options.exact = true;
      index.search(query, options, exact.data());
      for (const Hit& hit : found) {
        const auto same = std::find_if(exact.begin(), exact.end(),
                                       [&](const Hit& other) { return other.row == hit.row; });
        if (same == exact.end()) continue;
        CHECK(same->distance == hit.distance);
        ++right;
      }
    }
    CHECK(right >= 54);
  }
}

TEST_CASE("hnsw: what the graph finds within a distance is there, and most of what is there") {
  const std::size_t rows = test::is_full_run() ? 3000 : 1500;
  const std::vector<float> vectors = test::clustered(14, rows + 20, kDim, 12);
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    for (const bool codes : {false, true}) {
      StorageOptions storage =
          test::flat(kDim, metric, codes ? StorageType::kI4 : StorageType::kF32);
      if (codes) storage.rerank = StorageType::kF32;
      HnswIndex index(storage, {12, 60, 42});
      add(index, vectors.data(), rows);
      std::vector<std::uint8_t> bits((rows + 7) / 8, 0x55);
      const RowFilter even(bits.data(), bits.size());
      std::size_t found = 0;
      std::size_t there = 0;
      for (std::size_t q = 0; q < 20; ++q) {
        const float* const query = vectors.data() + (rows + q) * kDim;
        SearchOptions options;
        options.may_scan = false;
        if (q % 2 == 1) options.filter = &even;
        SearchOptions exactly = options;
        exactly.exact = true;
        // As far as the first, the tenth, ... row.
        exactly.k = std::size_t{1} << (q / 2);
        std::vector<Hit> nearest(exactly.k);
        index.search(query, exactly, nearest.data());
        const float limit = nearest.back().distance;
        const float score = metric == Metric::kL2 ? limit : -limit;
        const std::vector<Hit> truth = index.search_within(query, score, exactly);
        CHECK(truth.size() >= exactly.k);
        const std::vector<Hit> hits = index.search_within(query, score, options);
        CHECK(std::includes(truth.begin(), truth.end(), hits.begin(), hits.end(), nearer));
        found += hits.size();
        there += truth.size();
      }
      CHECK(static_cast<double>(found) > 0.97 * static_cast<double>(there));
      CHECK(index.search_within(vectors.data(), metric == Metric::kL2 ? -1.0f : 1e9f, {}).empty());
    }
  }
}

TEST_CASE("hnsw: distances that are no numbers do no harm to a search within a distance") {
  const std::size_t rows = 1500;
  std::vector<float> vectors = test::clustered(16, rows + 1, kDim, 6);
  for (std::size_t i = 0; i < vectors.size(); i += 3) vectors[i] *= 1e38f;
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    HnswIndex index(kDim, metric, {8, 40, 42});
    add(index, vectors.data(), rows);
    SearchOptions options;
    options.may_scan = false;
    for (const float score : {-1e38f, 0.0f, 1e38f, 3e38f}) {
      for (const std::size_t ef : {10, 500}) {
        options.ef = ef;
        const float* const query = vectors.data() + rows * kDim;
        for (const Hit& hit : index.search_within(query, score, options)) {
          CHECK(metric == Metric::kL2 ? hit.distance <= score : -hit.distance >= score);
        }
      }
    }
  }
}

TEST_CASE("hnsw: one thread and one seed give one graph") {
  const test::ScratchFolder folder;
  const std::vector<float> vectors = test::clustered(12, 800, kDim, 10);
  for (const char* name : {"a", "b"}) {
    HnswIndex index(kDim, Metric::kL2, {8, 50, 3});
    add(index, vectors.data(), 500);
    add(index, vectors.data() + 500 * kDim, 300);
    test::save(index, folder.file(name));
  }
  CHECK(test::read_file(folder.file("a")) == test::read_file(folder.file("b")));
}

TEST_CASE("hnsw: an exact search is the scan of a flat index") {
  const std::vector<float> vectors = test::clustered(15, 600, kDim, 6);
  FlatIndex flat(test::flat(kDim, Metric::kL2));
  HnswIndex index(kDim, Metric::kL2, {2, 4, 1});
  add(flat, vectors.data(), 600);
  add(index, vectors.data(), 600);
  SearchOptions options;
  options.k = 20;
  options.exact = true;
  for (std::size_t q = 0; q < 20; ++q) {
    std::vector<Hit> hits(20);
    const std::vector<float> query = test::clustered(500 + q, 1, kDim, 1);
    CHECK_EQUAL(index.search(query.data(), options, hits.data()), 20);
    const auto expected = rows_of(flat, query.data(), 20);
    for (std::size_t i = 0; i < 20; ++i) CHECK_EQUAL(hits[i].row, expected[i]);
  }
}

TEST_CASE("hnsw: rows that are all the same are all found") {
  HnswIndex index(kDim, Metric::kL2, {4, 20, 1});
  const std::vector<float> same(30 * kDim, 1.0f);
  add(index, same.data(), 30);
  CHECK_EQUAL(rows_of(index, same.data(), 30, 30).size(), 30);
}

TEST_CASE("index: a search for more than there is finds all of it, whatever the batch") {
  const std::vector<float> vectors = test::uniform_floats(1, 40 * kDim);
  FlatIndex flat(test::flat(kDim, Metric::kL2));
  HnswIndex graph(kDim, Metric::kL2, {});
  add(flat, vectors.data(), 40);
  add(graph, vectors.data(), 40);
  SearchOptions options;
  options.k = 55;
  std::vector<Hit> hits(3 * options.k);
  for (const VectorIndex* index :
       {static_cast<VectorIndex*>(&flat), static_cast<VectorIndex*>(&graph)}) {
    std::uint32_t counts[3] = {};
    index->search_range(vectors.data(), 3, options, hits.data(), counts);
    for (std::size_t q = 0; q < 3; ++q) {
      CHECK_EQUAL(counts[q], 40);
      // Each vector is nearest to itself.
      CHECK_EQUAL(hits[q * options.k].row, q);
      for (std::size_t i = 1; i < 40; ++i) {
        CHECK_EQUAL(hits[q * options.k + i - 1].distance <= hits[q * options.k + i].distance, true);
      }
    }
  }
}

TEST_CASE("index: bad arguments are refused and change nothing") {
  CHECK_THROWS(Code::kArgument, FlatIndex(test::flat(0, Metric::kDot)));
  CHECK_THROWS(Code::kArgument, FlatIndex(test::flat(kMaxDim + 1, Metric::kDot)));
  CHECK_THROWS(Code::kArgument, HnswIndex(4, Metric::kDot, {1, 10, 0}));
  CHECK_THROWS(Code::kArgument, HnswIndex(4, Metric::kDot, {kMaxM + 1, 10, 0}));
  CHECK_THROWS(Code::kArgument, HnswIndex(4, Metric::kDot, {16, 0, 0}));
  HnswIndex index(kDim, Metric::kDot, {});
  std::vector<float> vectors = test::uniform_floats(1, 3 * kDim);
  SearchOptions options;
  Hit hit;
  CHECK_EQUAL(index.search(vectors.data(), options, &hit), 0);
  options.k = 0;
  CHECK_THROWS(Code::kArgument, index.search(vectors.data(), options, &hit));
  options.k = 1;
  vectors[kDim + 2] = std::nanf("");
  CHECK_THROWS(Code::kNotFinite, index.append({}, vectors.data(), 3));
  CHECK_EQUAL(index.rows(), 0);
  KeyBatch keys;
  keys.kind = KeyKind::kInteger;
  keys.integers = {1, 2, 1};
  vectors[kDim + 2] = 0.0f;
  CHECK_THROWS(Code::kDuplicateKey, index.append(keys, vectors.data(), 3));
  CHECK_EQUAL(index.rows(), 0);
  add(index, vectors.data(), 3);
  CHECK_EQUAL(index.rows(), 3);
}

}  // namespace lichen
