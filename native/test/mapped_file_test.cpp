// Snapshots that are mapped: shared, never written to, and safe whatever stands in them.

#include <cstring>
#include <string>

#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "index/live_store.hpp"
#include "test/attribute_data.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/files.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

using test::Dice;

constexpr std::size_t kDim = 12;

void add(VectorIndex& index, const KeyBatch& keys, const std::vector<float>& vectors,
         const AttributeBatch* attributes = nullptr) {
  Progress progress;
  index.append(keys, vectors.data(), vectors.size() / index.dim(), KeyMode::kAdd, attributes);
  index.link(1, progress);
}

// A graph with everything that a file can hold: hubs, attributes, string keys, dead rows, a label.
std::unique_ptr<VectorIndex> rich_index(Metric metric, StorageType type) {
  StorageOptions storage = test::flat(kDim, metric, type);
  if (type != StorageType::kF32) storage.rerank = StorageType::kF16;
  storage.attributes = test::model_schema();
  auto index = std::make_unique<HnswIndex>(storage, HnswParameters{4, 20, 7});
  constexpr std::size_t kRows = 1200;
  KeyBatch keys;
  keys.kind = KeyKind::kString;
  for (std::size_t i = 0; i < kRows; ++i) keys.strings.push_back("key-" + std::to_string(i * i));
  Dice dice(5);
  const AttributeBatch attributes = test::batch_of(test::random_rows(dice, kRows, 90));
  add(*index, keys, test::clustered(3, kRows, kDim, 8), &attributes);
  KeyBatch gone;
  gone.kind = KeyKind::kString;
  for (std::size_t i = 0; i < kRows; i += 9) gone.strings.push_back(keys.strings[i]);
  index->remove(gone);
  return index;
}

// Whatever is asked, so that everything in a file is followed once.
std::size_t use(VectorIndex& index) {
  const std::vector<float> queries = test::clustered(4, 6, kDim, 8);
  std::size_t found = 0;
  std::vector<Hit> hits(10);
  std::vector<float> vector(kDim);
  Dice dice(9);
  for (std::size_t q = 0; q < 6; ++q) {
    const float* const query = queries.data() + q * kDim;
    SearchOptions options;
    options.k = std::min<std::size_t>(10, index.rows());
    if (options.k == 0) return found;
    options.ef = 10 + 20 * q;
    options.may_scan = q % 2 == 0;
    std::vector<std::uint8_t> bits((index.row_numbers() + 7) / 8, q == 1 ? 0x11 : 0xF7);
    const RowFilter filter(bits.data(), bits.size());
    if (q % 3 > 0) options.filter = &filter;
    const std::size_t count = index.search(query, options, hits.data());
    found += count;
    for (std::size_t i = 0; i < count; ++i) index.vector_of(hits[i].row, vector.data());
    if (q == 0) found += index.search_within(query, 20.0f, options).size();
  }
  index.with_keys([&](const KeyMap& keys) {
    for (std::size_t row = 0; row < keys.size(); row += 7) {
      if (keys.kind() == KeyKind::kString) found += keys.string(row).size();
    }
  });
  found += index.find(std::string("key-49")) != kNoRow;
  return found;
}

std::vector<std::uint32_t> rows_found(const VectorIndex& index) {
  const std::vector<float> queries = test::clustered(4, 20, kDim, 8);
  std::vector<std::uint32_t> rows;
  std::vector<Hit> hits(5);
  SearchOptions options;
  options.k = 5;
  for (std::size_t q = 0; q < 20; ++q) {
    const std::size_t count = index.search(queries.data() + q * kDim, options, hits.data());
    for (std::size_t i = 0; i < count; ++i) rows.push_back(hits[i].row);
  }
  return rows;
}

}  // namespace

TEST_CASE("mapped file: answers as the index did, takes changes, and stays as it is on disk") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("index.lichen");
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    for (const StorageType type : {StorageType::kI8, StorageType::kI4, StorageType::kF32}) {
      const auto index = rich_index(metric, type);
      Progress progress;
      index->save(path, {"towers-7", 12}, progress);
      const std::vector<char> bytes = test::read_file(path);
      for (const Access access : {Access::kRead, Access::kMap, Access::kMapVerified}) {
        const auto opened = VectorIndex::open(path, access);
        CHECK(opened->label().model == "towers-7");
        CHECK_EQUAL(opened->label().version, 12);
        CHECK_EQUAL(opened->rows(), index->rows());
        CHECK_EQUAL(opened->dead(), index->dead());
        CHECK(rows_found(*opened) == rows_found(*index));
        CHECK_EQUAL(opened->find(std::string("key-0")), kNoRow);
        CHECK_EQUAL(opened->find(std::string("key-1")), 1);
        KeyBatch keys;
        keys.kind = KeyKind::kString;
        for (int i = 0; i < 40; ++i) keys.strings.push_back("new-" + std::to_string(i));
        add(*opened, keys, test::clustered(6, 40, kDim, 8));
        keys.strings.resize(10);
        opened->remove(keys);
        CHECK(opened->compact(1, progress));
        CHECK_EQUAL(opened->rows(), index->rows() + 30);
        CHECK(use(*opened) > 0);
      }
      CHECK(test::read_file(path) == bytes);
    }
  }
}

TEST_CASE("mapped file: whatever stands in it, searching it is safe") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("index.lichen");
  Progress progress;
  for (const Metric metric : {Metric::kDot, Metric::kL2}) {
    rich_index(metric, StorageType::kI8)->save(path, {}, progress);
    const std::vector<char> sound = test::read_file(path);
    SnapshotHeader header;
    std::memcpy(&header, sound.data(), sizeof header);
    const std::size_t start = sizeof header + header.sections * sizeof(SectionEntry);
    std::vector<SectionEntry> unchecked;
    const SnapshotReader reader(path);
    for (const SectionEntry& section : reader.sections()) {
      for (const SectionType type :
           {SectionType::kVectors, SectionType::kBaseLinks, SectionType::kScales,
            SectionType::kFactors, SectionType::kFactorPairs, SectionType::kKeyCharacters}) {
        if (section.type == static_cast<std::uint32_t>(type)) unchecked.push_back(section);
      }
    }
    CHECK(unchecked.size() == 5);
    Dice dice(1 + static_cast<std::uint64_t>(metric));
    std::size_t opened = 0;
    std::size_t refused = 0;
    for (int round = 0; round < 150; ++round) {
      std::vector<char> bytes = sound;
      const auto change = [&](std::size_t from, std::size_t count) {
        bytes[from + dice.below(count)] ^= static_cast<char>(1 + dice.below(255));
      };
      // Some bytes anywhere, or very many where nothing is looked at beforehand.
      if (round % 2 == 0) {
        for (std::size_t i = 1 + dice.below(8); i > 0; --i) change(start, bytes.size() - start);
      } else {
        for (const SectionEntry& section : unchecked) {
          for (int i = 0; i < 500; ++i) change(section.offset, section.bytes);
        }
      }
      test::write_file(path, bytes);
      CHECK_THROWS(Code::kFormat, VectorIndex::open(path, Access::kMapVerified));
      CHECK_THROWS(Code::kFormat, VectorIndex::open(path));
      try {
        const auto index = VectorIndex::open(path, Access::kMap);
        ++opened;
        use(*index);
        KeyBatch keys;
        keys.kind = KeyKind::kString;
        keys.strings = {"one", "two", "three"};
        add(*index, keys, test::clustered(6, 3, kDim, 8));
        use(*index);
      } catch (const Error& error) {
        CHECK(error.code() == Code::kFormat);
        ++refused;
      }
    }
    CHECK(opened >= 75);
    CHECK(refused > 10);
  }
}

TEST_CASE("mapped file: a store comes back with what was deleted, and can be written to") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("store.lichen");
  for (const StorageType type : test::kTypes) {
    LiveStore store(test::codec(type, kDim, Metric::kL2));
    const std::vector<float> vectors = test::clustered(8, 203, kDim, 8);
    store.append(vectors.data(), 203);
    for (const std::size_t row : {0, 7, 8, 202}) CHECK(store.remove(row));
    Progress progress;
    store.save(path, progress);
    const std::vector<char> bytes = test::read_file(path);
    for (const Access access : {Access::kRead, Access::kMap, Access::kMapVerified}) {
      LiveStore opened = LiveStore::open(path, access);
      CHECK_EQUAL(opened.rows(), 203);
      CHECK_EQUAL(opened.deleted(), 4);
      std::vector<Hit> a(9);
      std::vector<Hit> b(9);
      CHECK_EQUAL(store.scan(vectors.data(), 9, nullptr, a.data()), 9);
      CHECK_EQUAL(opened.scan(vectors.data(), 9, nullptr, b.data()), 9);
      for (std::size_t i = 0; i < 9; ++i) CHECK_EQUAL(a[i].row, b[i].row);
      opened.overwrite(7, vectors.data());
      CHECK(opened.is_live(7));
      opened.append(vectors.data(), 5);
      CHECK_EQUAL(opened.rows(), 208);
    }
    CHECK(test::read_file(path) == bytes);
    CHECK_THROWS(Code::kFormat, VectorIndex::open(path));
  }
}

}  // namespace lichen
