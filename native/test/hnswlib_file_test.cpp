#include "index/hnswlib_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "index/hnsw_graph.hpp"
#include "test/check.hpp"
#include "test/files.hpp"

namespace lichen {
namespace {

using List = std::vector<std::uint32_t>;

struct Row {
  std::vector<float> vector;
  std::uint64_t label;
  std::uint32_t mark;       // upper half of the link word
  std::vector<List> links;  // a list a level
};

// An index as hnswlib keeps it, to be changed by a test and written field by field.
struct Index {
  std::uint64_t links_offset = 0, capacity = 8;
  std::uint64_t m = 2, max_m = 2, max_m0 = 4, ef_construction = 40;
  std::size_t dim = 3;
  std::int32_t max_level = 2;
  std::uint32_t entry_row = 2;
  double mult = 1 / std::log(2.0);
  std::vector<Row> rows = {
      {{1, 0, 0}, 10, 0, {{1, 2, 3}}},
      {{0, 1, 0}, 7, 0, {{0, 2}, {2}}},
      {{0, 0, 1}, 0, 0, {{0, 1, 3, 4}, {1, 4}, {}}},
      {{.5f, .5f, 0}, 9007199254740991, 1, {{0, 2}}},
      {{-1, -.25f, 2}, 4, 0, {{2}, {2}}},
  };

  std::vector<char> bytes() const {
    std::vector<char> out;
    const auto put = [&out](auto value) {
      const char* at = reinterpret_cast<const char*>(&value);
      out.insert(out.end(), at, at + sizeof value);
    };
    const auto put_list = [&put](const List& links, std::uint32_t mark, std::uint64_t capacity) {
      put(static_cast<std::uint32_t>(links.size()) | mark << 16);
      // Slots that are not used hold what was there before.
      for (std::size_t i = 0; i < capacity; ++i) put(i < links.size() ? links[i] : 0xABABABABu);
    };
    const std::uint64_t vector_offset = 4 + 4 * max_m0;
    const std::uint64_t label_offset = vector_offset + 4 * dim;
    put(links_offset);
    put(capacity);
    put(static_cast<std::uint64_t>(rows.size()));
    put(label_offset + 8);
    put(label_offset);
    put(vector_offset);
    put(max_level);
    put(entry_row);
    put(max_m);
    put(max_m0);
    put(m);
    put(mult);
    put(ef_construction);
    for (const Row& row : rows) {
      put_list(row.links[0], row.mark, max_m0);
      for (const float value : row.vector) put(value);
      put(row.label);
    }
    for (const Row& row : rows) {
      put(static_cast<std::uint32_t>((row.links.size() - 1) * 4 * (1 + max_m)));
      for (std::size_t level = 1; level < row.links.size(); ++level) {
        put_list(row.links[level], 0, max_m);
      }
    }
    return out;
  }
};

class Folder {
 public:
  HnswlibGraph read(const std::vector<char>& bytes, std::size_t dim = 3) const {
    test::write_file(path(), bytes);
    return read_hnswlib(path(), dim);
  }
  HnswlibGraph read(const Index& index, std::size_t dim = 3) const {
    return read(index.bytes(), dim);
  }
  std::string path() const { return folder_.file("index.hnsw"); }

 private:
  test::ScratchFolder folder_;
};

template <class T>
AlignedBuffer<T> copy_of(const AlignedBuffer<T>& from) {
  AlignedBuffer<T> copy;
  copy.resize(from.size(), T{});
  if (from.size() > 0) std::memcpy(copy.data(), from.data(), from.size() * sizeof(T));
  return copy;
}

void check_list(const std::uint32_t* list, std::size_t capacity, std::size_t row) {
  std::set<std::uint32_t> seen;
  for (std::size_t i = 0; i < capacity && list[i] != kNoRow; ++i) {
    CHECK(list[i] != row);
    CHECK(seen.insert(list[i]).second);
  }
}

// What whoever takes the graph relies on.
void check_invariants(const HnswlibGraph& graph) {
  CHECK(graph.m >= 2 && graph.m <= 512 && graph.max_m0 == 2 * graph.m);
  CHECK(graph.ef_construction >= 1 && graph.ef_construction <= 65536);
  CHECK_EQUAL(graph.vectors.size(), graph.rows * graph.dim);
  CHECK_EQUAL(graph.labels.size(), graph.rows);
  CHECK_EQUAL(graph.levels.size(), graph.rows);
  CHECK_EQUAL(graph.deleted.size(), graph.rows);
  CHECK_EQUAL(graph.base.size(), graph.rows * graph.max_m0);
  CHECK_EQUAL(graph.upper.size(), HnswGraph::upper_lists(graph.levels) * graph.m);
  for (const float value : graph.vectors) CHECK(std::isfinite(value));
  for (const std::uint8_t deleted : graph.deleted) CHECK(deleted <= 1);
  std::set<std::int64_t> labels;
  for (std::size_t row = 0; row < graph.rows; ++row) {
    CHECK(graph.labels[row] >= 0 && graph.labels[row] <= 9007199254740991);
    CHECK(labels.insert(graph.labels[row]).second);
    CHECK(graph.levels[row] <= graph.max_level);
    check_list(graph.base.data() + row * graph.max_m0, graph.max_m0, row);
  }
  if (graph.rows > 0) {
    CHECK(graph.entry_row < graph.rows);
    CHECK_EQUAL(graph.levels[graph.entry_row], graph.max_level);
  }
  HnswGraph loaded(graph.m);
  loaded.load(
      copy_of(graph.levels), copy_of(graph.base), copy_of(graph.upper),
      {graph.rows == 0 ? kNoRow : graph.entry_row, static_cast<std::uint32_t>(graph.max_level)});
  for (std::uint32_t row = 0; row < graph.rows; ++row) {
    for (std::size_t level = 1; level <= graph.levels[row]; ++level) {
      check_list(loaded.links(row, level), graph.m, row);
    }
  }
}

template <class Change>
Code code_after(Change&& change, std::size_t dim = 3) {
  const Folder folder;
  Index index;
  change(index);
  return test::code_of(__FILE__, __LINE__, [&] { folder.read(index, dim); });
}

}  // namespace

TEST_CASE("hnswlib file: every field comes out as it was written") {
  const Folder folder;
  const HnswlibGraph graph = folder.read(Index());
  check_invariants(graph);
  CHECK_EQUAL(graph.rows, 5);
  CHECK_EQUAL(graph.dim, 3);
  CHECK_EQUAL(graph.m, 2);
  CHECK_EQUAL(graph.ef_construction, 40);
  CHECK_EQUAL(graph.capacity, 8);
  CHECK_EQUAL(graph.entry_row, 2);
  CHECK_EQUAL(graph.max_level, 2);
  const Index written;
  for (std::size_t row = 0; row < 5; ++row) {
    const Row& expected = written.rows[row];
    CHECK(std::equal(expected.vector.begin(), expected.vector.end(),
                     graph.vectors.begin() + static_cast<std::ptrdiff_t>(3 * row)));
    CHECK_EQUAL(graph.labels[row], expected.label);
    CHECK_EQUAL(graph.deleted[row], expected.mark);
    CHECK_EQUAL(graph.levels[row], expected.links.size() - 1);
  }
  HnswGraph loaded(2);
  loaded.load(
      copy_of(graph.levels), copy_of(graph.base), copy_of(graph.upper),
      {graph.rows == 0 ? kNoRow : graph.entry_row, static_cast<std::uint32_t>(graph.max_level)});
  for (std::uint32_t row = 0; row < 5; ++row) {
    for (std::size_t level = 0; level <= graph.levels[row]; ++level) {
      const std::uint32_t* list = loaded.links(row, level);
      List links;
      for (std::size_t i = 0; i < loaded.capacity(level) && list[i] != kNoRow; ++i) {
        links.push_back(list[i]);
      }
      CHECK(links == written.rows[row].links[level]);
    }
  }
}

TEST_CASE("hnswlib file: links to a row itself and second links are left out") {
  const Folder folder;
  Index index;
  index.rows[2].links[0] = {0, 2, 0, 4};
  index.rows[2].links[1] = {2, 4};
  index.rows[4].links[1] = {2, 2};
  const HnswlibGraph graph = folder.read(index);
  check_invariants(graph);
  const List base(graph.base.data() + 8, graph.base.data() + 12);
  CHECK(base == List({0, 4, kNoRow, kNoRow}));
  // One list of row 1, two of row 2, one of row 4.
  const List upper(graph.upper.data(), graph.upper.data() + graph.upper.size());
  CHECK(upper == List({2, kNoRow, 4, kNoRow, kNoRow, kNoRow, 2, kNoRow}));
}

TEST_CASE("hnswlib file: an index without rows") {
  const Folder folder;
  Index index;
  index.rows.clear();
  index.max_level = -1;
  index.entry_row = 0xFFFFFFFFu;
  const HnswlibGraph graph = folder.read(index);
  check_invariants(graph);
  CHECK_EQUAL(graph.rows, 0);
  CHECK_EQUAL(graph.entry_row, 0);
  index.max_level = 0;
  CHECK_THROWS(Code::kFormat, folder.read(index));
}

TEST_CASE("hnswlib file: cut off anywhere, or longer, it is refused") {
  const Folder folder;
  const std::vector<char> whole = Index().bytes();
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    const std::vector<char> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    CHECK_THROWS(Code::kFormat, folder.read(part));
  }
  std::vector<char> longer = whole;
  longer.push_back(0);
  CHECK_THROWS(Code::kFormat, folder.read(longer));
}

TEST_CASE("hnswlib file: whatever is damaged, it is refused or safe to follow") {
  const Folder folder;
  const std::vector<char> whole = Index().bytes();
  std::size_t refused = 0;
  const auto read = [&](const std::vector<char>& bytes) {
    try {
      check_invariants(folder.read(bytes));
    } catch (const Error&) {
      ++refused;
    }
  };
  const std::size_t step = test::is_full_run() ? 1 : 9;
  for (std::size_t bit = 0; bit < 8 * whole.size(); bit += step) {
    std::vector<char> bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    read(bytes);
  }
  // Of the header hardly a bit can change unnoticed.
  CHECK(refused > 8 * 70 / step);
  for (std::size_t at = 0; at + 8 <= whole.size(); at += 4 * step) {
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 31, std::uint64_t{1} << 32,
          std::uint64_t{1} << 62, std::uint64_t{1} << 63, ~std::uint64_t{0},
          ~std::uint64_t{0} - 7}) {
      std::vector<char> bytes = whole;
      std::memcpy(bytes.data() + at, &value, sizeof value);
      read(bytes);
    }
  }
}

TEST_CASE("hnswlib file: says what is wrong") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(code_after([](Index&) {}, 4) == Code::kDimension);
  CHECK(code_after([](Index&) {}, 0) == Code::kArgument);
  CHECK(code_after([](Index&) {}, kMaxDim + 1) == Code::kArgument);
  CHECK(code_after([](Index& i) { i.links_offset = 4; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.capacity = 4; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.max_m0 = 5; }) == Code::kUnsupported);
  CHECK(code_after([](Index& i) { i.m = i.max_m = 1, i.max_m0 = 2; }) == Code::kUnsupported);
  CHECK(code_after([](Index& i) { i.m = i.max_m = 513, i.max_m0 = 1026; }) == Code::kUnsupported);
  CHECK(code_after([](Index& i) { i.max_m = 3; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.ef_construction = 65537; }) == Code::kUnsupported);
  CHECK(code_after([](Index& i) { i.ef_construction = 0; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.mult = 1e30; }) == Code::kFormat);
  CHECK(code_after([&](Index& i) { i.mult = nan; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.max_level = 3; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.max_level = 1; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.max_level = 32; }) == Code::kUnsupported);
  CHECK(code_after([](Index& i) { i.entry_row = 5; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.entry_row = 1; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.rows[1].label = 10; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.rows[1].label = std::uint64_t{1} << 53; }) ==
        Code::kUnsupported);
  CHECK(code_after([](Index& i) { i.rows[1].mark = 2; }) == Code::kFormat);
  CHECK(code_after([&](Index& i) { i.rows[3].vector[1] = nan; }) == Code::kNotFinite);
  CHECK(code_after([&](Index& i) { i.rows[3].vector[1] = -infinity; }) == Code::kNotFinite);
  CHECK(code_after([](Index& i) { i.rows[0].links[0] = {5}; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.rows[0].links[0] = {1, kNoRow, 2}; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.rows[2].links[1] = {3}; }) == Code::kFormat);
  CHECK(code_after([](Index& i) { i.rows[2].links[2] = {1}; }) == Code::kFormat);
  const Folder folder;
  CHECK_THROWS(Code::kNotFound, read_hnswlib(folder.path() + ".none", 3));
  CHECK_THROWS(Code::kFormat, read_hnswlib("/tmp", 3));
  CHECK_THROWS(Code::kFormat, read_hnswlib("/dev/zero", 3));
}

}  // namespace lichen
