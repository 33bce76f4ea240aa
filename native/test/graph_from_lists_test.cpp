// Graphs that are started from lists of neighbors.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "index/flat_index.hpp"
#include "index/graph_builder.hpp"
#include "index/hnsw_index.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/files.hpp"
#include "test/index_calls.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

constexpr std::size_t kDim = 12;

// Those that an exact search finds, each row itself among them.
NeighborLists exact_lists(const std::vector<float>& vectors, std::size_t rows, std::size_t k,
                          Metric metric) {
  FlatIndex flat(test::flat(kDim, metric));
  test::add(flat, vectors.data(), rows);
  SearchOptions options;
  options.k = k;
  std::vector<Hit> hits(rows * k);
  std::vector<std::uint32_t> counts(rows);
  flat.search_range(vectors.data(), rows, options, hits.data(), counts.data());
  NeighborLists lists;
  lists.k = k;
  for (const Hit& hit : hits) lists.rows.push_back(hit.row);
  return lists;
}

void add_with(VectorIndex& index, const std::vector<float>& vectors, NeighborLists lists,
              std::size_t threads = 1) {
  const std::size_t rows = vectors.size() / kDim;
  Progress progress;
  index.append({}, vectors.data(), rows, KeyMode::kAdd, nullptr, std::move(lists));
  index.link(threads, progress);
  CHECK(progress.done.load() >= rows);
}

// A graph by itself, so that its lists can be looked at.
struct Built {
  EmbeddingStore store;
  HnswGraph graph;

  Built(const std::vector<float>& vectors, Metric metric, std::size_t m, const NeighborLists& lists,
        std::size_t threads = 1)
      : store(test::codec(StorageType::kF32, kDim, metric)), graph(m) {
    const std::size_t rows = vectors.size() / kDim;
    store.append(vectors.data(), rows);
    graph.append(rows, 7);
    lists.check(rows);
    std::vector<std::uint32_t> all(rows);
    std::iota(all.begin(), all.end(), 0u);
    Progress progress;
    GraphBuilder builder(graph, store, store, nullptr, 0, 40);
    CHECK(builder.link_lists(lists, all, threads, progress));
    CHECK_EQUAL(progress.done.load(), rows);
  }

  std::vector<std::uint32_t> links(std::uint32_t row, std::size_t level) const {
    std::vector<std::uint32_t> list(graph.capacity(level));
    list.resize(graph.copy_list(row, level, list.data()));
    return list;
  }

  // Every list leads to other rows of its level, to each once, and is packed to the front.
  void check() const {
    for (std::uint32_t row = 0; row < graph.rows(); ++row) {
      for (std::size_t level = 0; level <= graph.level_of(row); ++level) {
        const std::vector<std::uint32_t> list = links(row, level);
        const std::set<std::uint32_t> distinct(list.begin(), list.end());
        CHECK_EQUAL(distinct.size(), list.size());
        CHECK_EQUAL(distinct.count(row), 0);
        for (const std::uint32_t other : list) CHECK(graph.level_of(other) >= level);
        for (std::size_t i = list.size(); i < graph.capacity(level); ++i) {
          CHECK(graph.links(row, level)[i] == kNoRow);
        }
      }
    }
    const HnswGraph::Entry entry = graph.entry();
    CHECK(entry.row < graph.rows());
    CHECK_EQUAL(graph.level_of(entry.row), entry.level);
  }

  // Rows that links of level 0 lead to from the entry, itself among them.
  std::size_t reached() const {
    std::set<std::uint32_t> met = {graph.entry().row};
    std::vector<std::uint32_t> open(met.begin(), met.end());
    while (!open.empty()) {
      const std::uint32_t row = open.back();
      open.pop_back();
      for (const std::uint32_t other : links(row, 0)) {
        if (met.insert(other).second) open.push_back(other);
      }
    }
    return met.size();
  }
};

double recall(const VectorIndex& index, const std::vector<float>& queries, std::size_t ef) {
  std::size_t found = 0;
  const std::size_t count = queries.size() / kDim;
  for (std::size_t q = 0; q < count; ++q) {
    const float* const query = queries.data() + q * kDim;
    SearchOptions options;
    options.exact = true;
    std::vector<Hit> truth(options.k);
    index.search(query, options, truth.data());
    const auto got = test::rows_of(index, query, options.k, ef);
    for (const Hit& hit : truth) found += std::find(got.begin(), got.end(), hit.row) != got.end();
  }
  return static_cast<double>(found) / static_cast<double>(count * 10);
}

}  // namespace

TEST_CASE("graph from lists: it finds what a graph of searches finds") {
  constexpr std::size_t rows = 1200;
  const std::vector<float> all = test::clustered(21, rows + 100, kDim, 60);
  const std::vector<float> vectors(all.begin(), all.begin() + rows * kDim);
  const std::vector<float> queries(all.begin() + rows * kDim, all.end());
  for (const Metric metric : test::kMetrics) {
    const NeighborLists lists = exact_lists(vectors, rows, 24, metric);
    for (const StorageType type : test::kTypes) {
      const bool codes = type != StorageType::kF32;
      if (codes && !test::is_full_run()) continue;
      StorageOptions storage = test::flat(kDim, metric, type);
      if (codes) storage.rerank = StorageType::kF32;
      HnswIndex searched(storage, {8, 60, 42});
      test::add(searched, vectors.data(), rows);
      for (const std::size_t threads : {1, 3}) {
        if (codes && threads == 1) continue;
        HnswIndex index(storage, {8, 60, 42});
        add_with(index, vectors, lists, threads);
        for (const std::size_t ef : {16, 64}) {
          CHECK(recall(index, queries, ef) > recall(searched, queries, ef) - 0.03);
        }
      }
    }
  }
}

TEST_CASE("graph from lists: groups of rows that name only one another are reached all the same") {
  constexpr std::size_t kGroups = 80;
  constexpr std::size_t kOfEach = 12;
  std::vector<float> vectors;
  const std::vector<float> centres = test::uniform_floats(5, kGroups * kDim);
  const std::vector<float> noise = test::uniform_floats(6, kGroups * kOfEach * kDim);
  for (std::size_t i = 0; i < noise.size(); ++i) {
    const std::size_t group = i / (kOfEach * kDim);
    vectors.push_back(centres[group * kDim + i % kDim] + 1e-3f * noise[i]);
  }
  const std::size_t rows = kGroups * kOfEach;
  for (std::size_t row = 0; row < rows; ++row) {
    float* const vector = vectors.data() + row * kDim;
    const float square = std::inner_product(vector, vector + kDim, vector, 0.0f);
    std::for_each(vector, vector + kDim, [&](float& value) { value /= std::sqrt(square); });
  }
  for (const Metric metric : test::kMetrics) {
    const NeighborLists lists = exact_lists(vectors, rows, 6, metric);
    for (const std::size_t threads : {1, 3}) {
      const Built built(vectors, metric, 16, lists, threads);
      built.check();
      CHECK_EQUAL(built.reached(), rows);
    }
  }
}

TEST_CASE("graph from lists: rows that no list leads to are searched for") {
  constexpr std::size_t kRows = 600;
  constexpr std::size_t kPlaces = 16;
  const std::vector<float> vectors = test::clustered(41, kRows, kDim, 20);
  for (const bool all_name_one : {false, true}) {
    NeighborLists lists;
    lists.k = kPlaces;
    for (std::uint32_t row = 0; row < kRows; ++row) {
      lists.rows.insert(lists.rows.end(), kPlaces, all_name_one ? 5 : row);
    }
    for (const Metric metric : {Metric::kCosine, Metric::kL2}) {
      for (const std::size_t threads : {1, 3}) {
        const Built built(vectors, metric, 8, lists, threads);
        built.check();
        CHECK_EQUAL(built.reached(), kRows);
      }
    }
  }
}

TEST_CASE("graph from lists: any lists give a graph without faults") {
  test::Dice dice(31);
  for (std::size_t round = 0; round < 60; ++round) {
    const std::size_t rows = 1 + dice.below(dice.one_in(3) ? 4 : 300);
    const std::size_t k = 1 + dice.below(20);
    std::vector<float> vectors = test::clustered(100 + round, rows, kDim, 1 + dice.below(9));
    if (dice.one_in(6)) std::fill(vectors.begin(), vectors.end(), 1.0f);
    // Distances overflow.
    if (dice.one_in(6)) std::for_each(vectors.begin(), vectors.end(), [](float& v) { v *= 1e38f; });
    NeighborLists lists;
    lists.k = k;
    const std::size_t kind = dice.below(5);
    const auto one = static_cast<std::uint32_t>(dice.below(rows));
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t length = dice.one_in(2) ? k : dice.below(k + 1);
      for (std::size_t i = 0; i < k; ++i) {
        const std::uint32_t named = kind == 0   ? one
                                    : kind == 1 ? static_cast<std::uint32_t>(row)
                                    : kind == 2 ? kNoRow
                                    : kind == 3 ? static_cast<std::uint32_t>(dice.below(5) % rows)
                                                : static_cast<std::uint32_t>(dice.below(rows));
        lists.rows.push_back(i < length ? named : kNoRow);
      }
    }
    const Metric metric = test::kMetrics[dice.below(3)];
    const std::size_t m = 2 + dice.below(6);
    const Built built(vectors, metric, m, lists, 1 + 2 * dice.below(2));
    built.check();
  }
}

TEST_CASE("graph from lists: lists that do not fit are refused, and nothing changes") {
  constexpr std::size_t kRows = 20;
  const std::vector<float> vectors = test::uniform_floats(3, kRows * kDim);
  const NeighborLists good = exact_lists(vectors, kRows, 4, Metric::kL2);
  const auto changed = [&](const auto& change) {
    NeighborLists lists = good;
    change(lists);
    return lists;
  };
  const std::vector<NeighborLists> bad = {
      changed([](NeighborLists& lists) { lists.k = 0; }),
      changed([](NeighborLists& lists) { lists.k = 5; }),
      changed([](NeighborLists& lists) { lists.k = NeighborLists::kMost + 1; }),
      changed([](NeighborLists& lists) { lists.rows.pop_back(); }),
      changed([](NeighborLists& lists) { lists.rows.clear(); }),
      changed([](NeighborLists& lists) { lists.rows[7] = kRows; }),
      changed([](NeighborLists& lists) { lists.rows[7] = kNoRow - 1; }),
      changed([](NeighborLists& lists) { lists.rows[5] = kNoRow; }),
  };
  HnswIndex index(kDim, Metric::kL2, {4, 20, 1});
  const auto append = [&](VectorIndex& to, const NeighborLists& lists, KeyMode mode) {
    KeyBatch keys;
    keys.kind = KeyKind::kInteger;
    for (std::size_t row = 0; row < kRows; ++row) keys.integers.push_back(100 + row);
    to.append(keys, vectors.data(), kRows, mode, nullptr, lists);
  };
  for (const NeighborLists& lists : bad) {
    CHECK_THROWS(Code::kArgument, append(index, lists, KeyMode::kAdd));
    CHECK_EQUAL(index.rows(), 0);
  }
  CHECK_THROWS(Code::kArgument, append(index, good, KeyMode::kUpsert));
  FlatIndex flat(test::flat(kDim, Metric::kL2));
  CHECK_THROWS(Code::kArgument, append(flat, good, KeyMode::kAdd));
  // Lists of an add that was given up, or failed, are not those of the next.
  Progress progress;
  progress.cancel.store(true);
  append(index, good, KeyMode::kAdd);
  CHECK_THROWS(Code::kAborted, index.link(1, progress));
  CHECK_EQUAL(index.rows(), 0);
  test::add(index, vectors.data(), 3);
  CHECK_THROWS(Code::kArgument, append(index, good, KeyMode::kAdd));
  CHECK_EQUAL(index.rows(), 3);
}

TEST_CASE("graph from lists: one thread gives one graph") {
  const test::ScratchFolder folder;
  const std::vector<float> vectors = test::clustered(22, 1500, kDim, 30);
  const NeighborLists lists = exact_lists(vectors, 1500, 16, Metric::kDot);
  for (const char* name : {"a", "b"}) {
    HnswIndex index(kDim, Metric::kDot, {8, 50, 3});
    add_with(index, vectors, lists);
    test::save(index, folder.file(name));
  }
  CHECK(test::read_file(folder.file("a")) == test::read_file(folder.file("b")));
}

}  // namespace lichen
