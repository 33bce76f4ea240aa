// Changes of an index that searches run beside, or that are given up.

#include <algorithm>
#include <set>
#include <thread>

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

}  // namespace

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

}  // namespace lichen
