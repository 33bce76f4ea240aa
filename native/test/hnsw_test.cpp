#include <algorithm>
#include <set>
#include <thread>

#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/files.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

constexpr std::size_t kDim = 24;

void add(VectorIndex& index, const float* vectors, std::size_t count, std::size_t threads = 1) {
  Progress progress;
  index.append({}, vectors, count);
  index.link(threads, progress);
}

std::vector<std::uint32_t> rows_of(const VectorIndex& index, const float* query, std::size_t k,
                                   std::size_t ef = 0) {
  std::vector<Hit> hits(k);
  SearchOptions options;
  options.k = k;
  options.ef = ef;
  options.may_scan = ef == 0;
  hits.resize(index.search(query, options, hits.data()));
  std::vector<std::uint32_t> rows;
  for (const Hit& hit : hits) rows.push_back(hit.row);
  return rows;
}

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
  const std::size_t rows = 2500;
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
  const std::size_t rows = 3000;
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

TEST_CASE("hnsw: an aborted add leaves the index exactly as it was") {
  const test::ScratchFolder folder;
  const std::vector<float> vectors = test::clustered(13, 1500, kDim, 10);
  for (const std::size_t before : {0, 1000}) {
    for (const std::size_t threads : {1, 3}) {
      HnswIndex index(kDim, Metric::kDot, {6, 40, 5});
      if (before > 0) add(index, vectors.data(), before);
      test::save(index, folder.file("before"));
      Progress progress;
      index.append({}, vectors.data() + before * kDim, 500);
      std::thread canceller([&] {
        while (progress.done.load() < 60) std::this_thread::yield();
        progress.cancel.store(true);
      });
      bool aborted = false;
      try {
        index.link(threads, progress);
      } catch (const Error& error) {
        aborted = error.code() == Code::kAborted;
      }
      canceller.join();
      // A very quick machine may link all rows before it sees the wish; then there is nothing to
      // compare.
      if (!aborted) continue;
      CHECK_EQUAL(index.rows(), before);
      test::save(index, folder.file("after"));
      CHECK(test::read_file(folder.file("before")) == test::read_file(folder.file("after")));
      add(index, vectors.data() + before * kDim, 500);
      CHECK_EQUAL(index.rows(), before + 500);
    }
  }
}

TEST_CASE("hnsw: searches run beside an add and a second add is refused") {
  const std::vector<float> vectors = test::clustered(14, 3000, kDim, 20);
  HnswIndex index(kDim, Metric::kL2, {8, 60, 5});
  add(index, vectors.data(), 500);
  std::atomic<bool> done{false};
  std::atomic<std::size_t> searches{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&, t] {
      for (std::uint64_t q = 0; !done.load(); ++q) {
        const std::vector<float> query = test::clustered(90 + q + t * 1000, 1, kDim, 1);
        const auto rows = rows_of(index, query.data(), 10);
        CHECK_EQUAL(rows.size(), 10);
        CHECK_EQUAL(std::set<std::uint32_t>(rows.begin(), rows.end()).size(), 10);
        ++searches;
      }
    });
  }
  while (searches.load() < 10) std::this_thread::yield();
  Progress progress;
  index.append({}, vectors.data() + 500 * kDim, 2500);
  CHECK_THROWS(Code::kBusy, index.append({}, vectors.data(), 1));
  CHECK_THROWS(Code::kBusy, test::save(index, "/tmp/lichen-never-written"));
  index.link(2, progress);
  CHECK_EQUAL(progress.done.load(), 2500);
  done = true;
  for (auto& reader : readers) reader.join();
  CHECK_EQUAL(index.rows(), 3000);
}

TEST_CASE("index: searches run beside updates, removals and compactions") {
  const std::size_t rows = 1200;
  const std::vector<float> vectors = test::clustered(16, 2 * rows, kDim, 20);
  for (const bool graph : {true, false}) {
    std::unique_ptr<VectorIndex> index;
    const StorageOptions storage =
        test::flat(kDim, Metric::kL2, StorageType::kI8, StorageType::kF32);
    if (graph) {
      index = std::make_unique<HnswIndex>(storage, HnswParameters{8, 60, 5});
    } else {
      index = std::make_unique<FlatIndex>(storage);
    }
    add(*index, vectors.data(), rows);
    std::atomic<bool> done{false};
    std::atomic<std::size_t> searches{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 2; ++t) {
      readers.emplace_back([&, t] {
        std::vector<float> copy(kDim);
        for (std::uint64_t q = 0; !done.load(); ++q) {
          const std::vector<float> query = test::clustered(90 + q + t * 1000, 1, kDim, 1);
          const auto found = rows_of(*index, query.data(), 10);
          CHECK_EQUAL(found.size(), 10);
          CHECK_EQUAL(std::set<std::uint32_t>(found.begin(), found.end()).size(), 10);
          const std::uint32_t row = index->find(static_cast<std::int64_t>(rows - 1 - q % 50));
          CHECK(row != kNoRow);
          index->vector_of(row, copy.data());
          ++searches;
        }
      });
    }
    while (searches.load() < 10) std::this_thread::yield();
    for (std::int64_t round = 0; round < 8; ++round) {
      KeyBatch removed{KeyKind::kInteger, {}, {}};
      KeyBatch updated = removed;
      for (std::int64_t key = round * 60; key < round * 60 + 60; ++key) {
        removed.integers.push_back(key);
        updated.integers.push_back(key + 600);
      }
      index->remove(removed);
      Progress progress;
      index->append(updated, vectors.data() + (rows + round * 60) * kDim, 60, KeyMode::kUpdate);
      CHECK_THROWS(Code::kBusy, index->remove(updated));
      index->link(2, progress);
      CHECK_EQUAL(index->dead(), static_cast<std::size_t>(120 * (round % 3 + 1)));
      if (round % 3 == 2) CHECK(index->compact(2, progress));
    }
    done = true;
    for (auto& reader : readers) reader.join();
    CHECK_EQUAL(index->rows(), rows - 8 * 60);
    Progress progress;
    CHECK(index->compact(1, progress));
    CHECK_EQUAL(index->dead(), 0);
    CHECK_EQUAL(index->row_numbers(), rows - 8 * 60);
    for (std::int64_t key = 0; key < 480; ++key) CHECK_EQUAL(index->find(key), kNoRow);
    std::vector<float> copy(kDim);
    for (std::int64_t key = 600; key < 1080; ++key) {
      index->vector_of(index->find(key), copy.data());
      const float* const expected =
          vectors.data() + (rows + static_cast<std::size_t>(key) - 600) * kDim;
      CHECK(std::equal(copy.begin(), copy.end(), expected));
    }
  }
}

TEST_CASE("hnsw: an add that is aborted at its end leaves hubs and calibration as they were") {
  const std::size_t rows = 1400;
  const test::ScratchFolder folder;
  std::vector<float> vectors = test::clustered(18, 3 * rows, kDim, 10);
  HnswIndex index(kDim, Metric::kDot, {6, 40, 5});
  add(index, vectors.data(), rows);
  // Greater norms, so that the add would bring hubs.
  for (std::size_t i = rows * kDim; i < vectors.size(); ++i) vectors[i] *= 3.0f;
  test::save(index, folder.file("before"));
  const auto found = rows_of(index, vectors.data(), 10);
  Progress progress;
  index.append({}, vectors.data() + rows * kDim, 2 * rows);
  std::thread canceller([&] {
    // The last rows wait for calibration.
    while (progress.done.load() < 2 * rows - kCalibrationQueries) std::this_thread::yield();
    progress.cancel.store(true);
  });
  bool aborted = false;
  try {
    index.link(1, progress);
  } catch (const Error& error) {
    aborted = error.code() == Code::kAborted;
  }
  canceller.join();
  if (!aborted) return;
  CHECK_EQUAL(index.rows(), rows);
  CHECK(rows_of(index, vectors.data(), 10) == found);
  test::save(index, folder.file("after"));
  CHECK(test::read_file(folder.file("before")) == test::read_file(folder.file("after")));
}

TEST_CASE("index: an aborted update or compaction changes nothing") {
  const std::size_t rows = 600;
  const std::vector<float> vectors = test::clustered(17, rows, kDim, 10);
  HnswIndex index(kDim, Metric::kL2, {8, 60, 5});
  add(index, vectors.data(), rows);
  KeyBatch keys{KeyKind::kInteger, {5, 6, 7}, {}};
  Progress cancelled;
  cancelled.cancel.store(true);
  index.append(keys, vectors.data(), 3, KeyMode::kUpdate);
  CHECK_EQUAL(index.find(std::int64_t{6}), 6);
  CHECK_THROWS(Code::kAborted, index.link(1, cancelled));
  CHECK_EQUAL(index.rows(), rows);
  CHECK_EQUAL(index.dead(), 0);
  CHECK_EQUAL(index.find(std::int64_t{6}), 6);
  keys.integers = {5, 10000};
  CHECK_THROWS(Code::kUnknownKey, index.append(keys, vectors.data(), 2, KeyMode::kUpdate));
  CHECK_THROWS(Code::kUnknownKey, index.remove(keys));
  keys.integers = {5, 9};
  index.remove(keys);
  CHECK(!index.compact(1, cancelled));
  CHECK_EQUAL(index.dead(), 2);
  CHECK_EQUAL(index.rows(), rows - 2);
  CHECK_EQUAL(rows_of(index, vectors.data(), rows - 2, rows).size(), rows - 2);
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
  CHECK_THROWS(Code::kArgument, index.search(vectors.data(), options, &hit));
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
