#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "runtime/crc32c.hpp"
#include "storage/embedding_store.hpp"
#include "storage/key_map.hpp"
#include "storage/snapshot.hpp"
#include "test/check.hpp"
#include "test/data.hpp"
#include "test/files.hpp"
#include "test/options.hpp"

namespace lichen {
namespace {

KeyBatch integers(std::vector<std::int64_t> keys) {
  KeyBatch batch;
  batch.kind = KeyKind::kInteger;
  batch.integers = std::move(keys);
  return batch;
}

KeyBatch strings(std::vector<std::string> keys) {
  KeyBatch batch;
  batch.kind = KeyKind::kString;
  batch.strings = std::move(keys);
  return batch;
}

void add(VectorIndex& index, const KeyBatch& keys, const std::vector<float>& vectors) {
  Progress progress;
  index.append(keys, vectors.data(), vectors.size() / index.dim());
  index.link(1, progress);
}

std::unique_ptr<VectorIndex> sample(bool hnsw, KeyKind kind) {
  std::unique_ptr<VectorIndex> index;
  if (hnsw) {
    index = std::make_unique<HnswIndex>(10, Metric::kL2, HnswParameters{4, 20, 7});
  } else {
    index = std::make_unique<FlatIndex>(test::flat(10, Metric::kL2));
  }
  const std::size_t rows = 300;
  KeyBatch keys;
  keys.kind = kind;
  for (std::size_t i = 0; i < rows; ++i) {
    if (kind == KeyKind::kInteger) keys.integers.push_back(static_cast<std::int64_t>(i) * 3 - 400);
    if (kind == KeyKind::kString) keys.strings.push_back("key-" + std::to_string(i * i));
  }
  add(*index, keys, test::clustered(3, rows, 10, 8));
  return index;
}

std::vector<Hit> search(const VectorIndex& index, const std::vector<float>& query, std::size_t k) {
  std::vector<Hit> hits(k);
  SearchOptions options;
  options.k = k;
  hits.resize(index.search(query.data(), options, hits.data()));
  return hits;
}

}  // namespace

TEST_CASE("embedding store: rows are aligned, padded with zeros, normalized for cosine") {
  for (const std::size_t dim : {1, 15, 16, 17, 100}) {
    EmbeddingStore store(test::codec(StorageType::kF32, dim, Metric::kCosine));
    const std::vector<float> vectors = test::uniform_floats(dim, 5 * dim);
    store.append(vectors.data(), 5);
    for (std::size_t r = 0; r < 5; ++r) {
      CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(store.row(r)) % kCacheLine, 0);
      double squares = 0.0;
      for (std::size_t d = 0; d < dim; ++d) squares += std::pow(store.row(r)[d], 2.0);
      CHECK(std::abs(squares - 1.0) < 1e-6);
      for (std::size_t d = dim; d < store.stride(); ++d) CHECK(store.row(r)[d] == 0.0f);
    }
  }
}

TEST_CASE("embedding store: the zero vector stays zero under cosine") {
  EmbeddingStore store(test::codec(StorageType::kF32, 3, Metric::kCosine));
  const float zero[3] = {0.0f, 0.0f, 0.0f};
  store.append(zero, 1);
  for (std::size_t d = 0; d < 3; ++d) CHECK(store.row(0)[d] == 0.0f);
}

TEST_CASE("finite: the first bad value is found") {
  std::vector<float> values(20, 1.0f);
  require_finite(values.data(), 4, 5, "vectors");
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    values[13] = bad;
    try {
      require_finite(values.data(), 4, 5, "vectors");
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.code() == Code::kNotFinite);
      CHECK(std::string(error.what()).find("position 3 of row 2") != std::string::npos);
    }
  }
}

TEST_CASE("key map: agrees with std::map over random appends, integers and strings") {
  for (const KeyKind kind : {KeyKind::kInteger, KeyKind::kString}) {
    KeyMap keys;
    std::map<std::int64_t, std::uint32_t> expected;
    std::size_t rows = 0;
    for (std::uint64_t step = 0; step < 300; ++step) {
      KeyBatch batch;
      batch.kind = kind;
      std::map<std::int64_t, std::uint32_t> added;
      bool duplicate = false;
      const std::size_t count = 1 + splitmix64(step, 0) % 7;
      for (std::size_t i = 0; i < count; ++i) {
        const auto key = static_cast<std::int64_t>(splitmix64(step, i + 1) % 4000) - 2000;
        duplicate = duplicate || expected.count(key) > 0 || added.count(key) > 0;
        added[key] = static_cast<std::uint32_t>(rows + i);
        batch.integers.push_back(key);
        batch.strings.push_back("k" + std::to_string(key));
      }
      if (duplicate) {
        CHECK_THROWS(Code::kDuplicateKey, keys.append(batch, count));
      } else {
        keys.append(batch, count);
        expected.insert(added.begin(), added.end());
        rows += count;
      }
      CHECK_EQUAL(keys.size(), rows);
    }
    CHECK(rows > 300);
    for (std::int64_t key = -2100; key < 2100; ++key) {
      const auto at = expected.find(key);
      const std::uint32_t row = at == expected.end() ? kNoRow : at->second;
      CHECK_EQUAL(kind == KeyKind::kInteger ? keys.find(key) : keys.find("k" + std::to_string(key)),
                  row);
    }
    keys.truncate(100);
    for (const auto& [key, row] : expected) {
      CHECK_EQUAL(kind == KeyKind::kInteger ? keys.find(key) : keys.find("k" + std::to_string(key)),
                  row < 100 ? row : kNoRow);
    }
  }
}

TEST_CASE("key map: kinds do not mix, and bad keys change nothing") {
  KeyMap keys;
  keys.append(integers({5, 6}), 2);
  CHECK_THROWS(Code::kArgument, keys.append(strings({"a"}), 1));
  CHECK_THROWS(Code::kArgument, keys.append(KeyBatch{}, 1));
  CHECK_THROWS(Code::kDuplicateKey, keys.append(integers({7, 7}), 2));
  CHECK_EQUAL(keys.find(7), kNoRow);
  CHECK_THROWS(Code::kArgument, keys.append(integers({std::int64_t{1} << 53}), 1));
  KeyMap named;
  CHECK_THROWS(Code::kArgument, named.append(strings({""}), 1));
  CHECK_THROWS(Code::kArgument, named.append(strings({std::string(kMaxKeyBytes + 1, 'x')}), 1));
  named.append(strings({std::string(kMaxKeyBytes, 'x'), "y"}), 2);
  CHECK_EQUAL(named.find("y"), 1);
}

TEST_CASE("snapshot: what was saved comes back, for each kind of index and key") {
  const test::ScratchFolder folder;
  for (const bool hnsw : {false, true}) {
    for (const KeyKind kind : {KeyKind::kRow, KeyKind::kInteger, KeyKind::kString}) {
      const auto index = sample(hnsw, kind);
      const std::string path = folder.file("index.lichen");
      const std::uint64_t bytes = test::save(*index, path);
      CHECK_EQUAL(test::read_file(path).size(), bytes);
      const auto opened = VectorIndex::open(path);
      CHECK_EQUAL(opened->rows(), 300);
      CHECK(opened->key_kind() == kind);
      for (std::uint64_t q = 0; q < 20; ++q) {
        const std::vector<float> query = test::uniform_floats(q + 50, 10);
        const std::vector<Hit> before = search(*index, query, 10);
        const std::vector<Hit> after = search(*opened, query, 10);
        CHECK_EQUAL(before.size(), after.size());
        for (std::size_t i = 0; i < before.size(); ++i) {
          CHECK_EQUAL(before[i].row, after[i].row);
          CHECK(before[i].distance == after[i].distance);
        }
      }
      if (kind == KeyKind::kInteger) CHECK_EQUAL(opened->find(std::int64_t{-397}), 1);
      if (kind == KeyKind::kString) CHECK_EQUAL(opened->find("key-49"), 7);
      // Saving is deterministic, and an opened index takes further rows.
      CHECK_EQUAL(test::save(*opened, folder.file("again.lichen")), bytes);
      CHECK(test::read_file(path) == test::read_file(folder.file("again.lichen")));
      KeyBatch more;
      more.kind = kind;
      more.integers = {123456};
      more.strings = {"new"};
      add(*opened, more, test::uniform_floats(9, 10));
      CHECK_EQUAL(opened->rows(), 301);
    }
  }
  CHECK_EQUAL(folder.names().size(), 2);
}

TEST_CASE("snapshot: an empty index can be saved and opened") {
  const test::ScratchFolder folder;
  const std::unique_ptr<VectorIndex> indexes[] = {
      std::make_unique<HnswIndex>(3, Metric::kDot, HnswParameters{}),
      std::make_unique<FlatIndex>(test::flat(3, Metric::kDot))};
  for (const auto& index : indexes) {
    test::save(*index, folder.file("empty.lichen"));
    const auto opened = VectorIndex::open(folder.file("empty.lichen"));
    CHECK_EQUAL(opened->rows(), 0);
    add(*opened, {}, {1.0f, 2.0f, 3.0f});
    CHECK_EQUAL(search(*opened, {1.0f, 1.0f, 1.0f}, 1).size(), 1);
  }
}

TEST_CASE("snapshot: every truncation and every flipped byte is noticed") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("index.lichen");
  test::save(*sample(true, KeyKind::kString), path);
  const std::vector<char> good = test::read_file(path);
  for (std::size_t length = 0; length < good.size(); length += length < 600 ? 1 : 997) {
    test::write_file(path, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
    CHECK_THROWS(Code::kFormat, VectorIndex::open(path));
  }
  std::size_t harmless = 0;
  for (std::size_t at = 0; at < good.size(); at += at < 600 ? 1 : 61) {
    std::vector<char> bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    test::write_file(path, bad);
    try {
      VectorIndex::open(path);
      ++harmless;  // a gap between sections, which no checksum covers and nobody reads
    } catch (const Error& error) {
      CHECK(error.code() == Code::kFormat || error.code() == Code::kUnsupported);
    }
  }
  CHECK(harmless < 40);
}

// A file whose checksums hold but whose content is hostile.
TEST_CASE("snapshot: hostile content behind sound checksums is refused or harmless") {
  const test::ScratchFolder folder;
  const std::string path = folder.file("index.lichen");
  test::save(*sample(true, KeyKind::kString), path);
  const std::vector<char> good = test::read_file(path);
  for (std::uint64_t round = 0; round < 4000; ++round) {
    std::vector<char> bad = good;
    SnapshotHeader header;
    std::memcpy(&header, bad.data(), sizeof header);
    std::vector<SectionEntry> table(header.sections);
    std::memcpy(table.data(), bad.data() + sizeof header, table.size() * sizeof(SectionEntry));
    if (round % 4 == 0) {
      auto* bytes = reinterpret_cast<unsigned char*>(&header) + 32;
      bytes[splitmix64(1, round) % 56] ^= 1u << (splitmix64(2, round) % 8);
    } else if (round % 4 == 1) {
      auto* bytes = reinterpret_cast<unsigned char*>(table.data());
      bytes[splitmix64(3, round) % (table.size() * sizeof(SectionEntry))] ^=
          1u << (splitmix64(4, round) % 8);
    } else {
      // Any section but the vectors: their values cannot do harm.
      const SectionEntry& section = table[1 + splitmix64(5, round) % (table.size() - 1)];
      if (section.bytes == 0) continue;
      const std::uint64_t at = section.offset + splitmix64(6, round) % section.bytes;
      bad[at] = static_cast<char>(splitmix64(7, round));
    }
    for (SectionEntry& section : table) {
      if (section.offset > bad.size() || section.bytes > bad.size() - section.offset) continue;
      section.checksum = crc32c(0, bad.data() + section.offset, section.bytes);
    }
    header.checksum = 0;
    header.checksum = crc32c(crc32c(0, &header, sizeof header), table.data(),
                             table.size() * sizeof(SectionEntry));
    std::memcpy(bad.data(), &header, sizeof header);
    std::memcpy(bad.data() + sizeof header, table.data(), table.size() * sizeof(SectionEntry));
    test::write_file(path, bad);
    try {
      const auto opened = VectorIndex::open(path);
      if (opened->rows() > 0) search(*opened, test::uniform_floats(round, opened->dim()), 1);
    } catch (const Error& error) {
      CHECK(error.code() == Code::kFormat || error.code() == Code::kUnsupported);
    }
  }
}

TEST_CASE("snapshot: a save that fails leaves nothing behind and the old file as it was") {
  const test::ScratchFolder folder;
  const auto index = sample(false, KeyKind::kRow);
  CHECK_THROWS(Code::kNotFound, test::save(*index, folder.file("missing/index.lichen")));
  CHECK_EQUAL(folder.names().size(), 0);
  CHECK_THROWS(Code::kIo, test::save(*index, "/tmp"));       // a folder
  CHECK_THROWS(Code::kIo, test::save(*index, "/dev/null"));  // a rename would replace the device
  CHECK_THROWS(Code::kNotFound, VectorIndex::open(folder.file("missing.lichen")));

  const std::string path = folder.file("index.lichen");
  test::save(*index, path);
  const std::vector<char> before = test::read_file(path);
  Progress cancelled;
  cancelled.cancel.store(true);
  CHECK_THROWS(Code::kAborted, index->save(path, {}, cancelled));
  CHECK(test::read_file(path) == before);
  CHECK_EQUAL(folder.names().size(), 1);
}

TEST_CASE("snapshot: a link is followed, the file behind it replaced") {
  const test::ScratchFolder folder;
  const auto index = sample(false, KeyKind::kRow);
  const std::string path = folder.file("index.lichen");
  test::write_file(path, {});
  CHECK(::symlink(path.c_str(), folder.file("link").c_str()) == 0);
  test::save(*index, folder.file("link"));
  CHECK(!test::read_file(path).empty());
  CHECK_EQUAL(folder.names().size(), 2);
}

}  // namespace lichen
