#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/targets.hpp"
#include "fuzz/workplace.hpp"
#include "index/flat_index.hpp"
#include "index/live_store.hpp"
#include "runtime/crc32c.hpp"
#include "storage/snapshot.hpp"
#include "test/attribute_data.hpp"
#include "test/data.hpp"
#include "test/options.hpp"

namespace lichen::fuzz {
namespace {

constexpr std::size_t kSnapshotDim = 6;
constexpr std::size_t kSnapshotRows = 40;

// Checksums of sections and header as the bytes want them.
void mend(Bytes& file) {
  SnapshotHeader header;
  if (file.size() < sizeof header) return;
  std::memcpy(&header, file.data(), sizeof header);
  const std::size_t most = (file.size() - sizeof header) / sizeof(SectionEntry);
  std::vector<SectionEntry> sections(std::min<std::size_t>(header.sections, most));
  if (sections.empty()) return;
  const std::size_t table = sections.size() * sizeof(SectionEntry);
  std::memcpy(sections.data(), file.data() + sizeof header, table);
  for (SectionEntry& section : sections) {
    if (section.offset > file.size() || section.bytes > file.size() - section.offset) continue;
    section.checksum = crc32c(0, file.data() + section.offset, section.bytes);
  }
  header.file_bytes = file.size();
  header.checksum = 0;
  header.checksum = crc32c(crc32c(0, &header, sizeof header), sections.data(), table);
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header, sections.data(), table);
}

void use_store(LiveStore& live) {
  const std::size_t dim = live.store().dim();
  std::vector<float> vector(dim, 0.25f);
  std::vector<Hit> hits(5);
  expect_own_errors([&] { live.scan(vector.data(), hits.size(), nullptr, hits.data()); });
  for (std::size_t row = 0; row < live.rows(); ++row) {
    if (live.is_live(row)) live.store().decode(row, vector.data());
  }
  const CodecOptions other = test::codec(StorageType::kI4, dim, live.store().metric());
  expect_own_errors([&] { live.converted(other); });
  std::fill(vector.begin(), vector.end(), 0.5f);
  expect_own_errors([&] { live.append(vector.data(), 1); });
  live.remove(0);
}

Bytes seed(char mode, const std::string& path) {
  Bytes bytes = test::read_file(path);
  bytes.insert(bytes.begin(), mode);
  return bytes;
}

KeyBatch some_keys(KeyKind kind) {
  KeyBatch keys;
  keys.kind = kind;
  for (std::size_t i = 0; i < kSnapshotRows; ++i) {
    if (kind == KeyKind::kInteger) keys.integers.push_back(static_cast<std::int64_t>(i * i) - 9);
    if (kind == KeyKind::kString) keys.strings.push_back("key-" + std::to_string(i));
  }
  return keys;
}

std::unique_ptr<VectorIndex> some_index(bool graph, const StorageOptions& storage) {
  if (graph) return std::make_unique<HnswIndex>(storage, HnswParameters{3, 12, 5});
  return std::make_unique<FlatIndex>(storage);
}

}  // namespace

void snapshot_target(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return;
  static constexpr Access kAccess[] = {Access::kRead, Access::kMap, Access::kMapVerified};
  const Access access = kAccess[data[0] % 3];
  Bytes file = bytes_of(data + 1, size - 1);
  mend(file);
  const std::string path = workplace().file("input.lichen");
  test::write_file(path, file);
  expect_own_errors([&] {
    LiveStore live = LiveStore::open(path, access);
    use_store(live);
  });
  expect_own_errors([&] {
    const std::unique_ptr<VectorIndex> index = VectorIndex::open(path, access);
    use(*index);
  });
}

std::vector<Bytes> snapshot_seeds() {
  const std::string path = workplace().file("seed.lichen");
  std::vector<Bytes> seeds;
  const std::vector<float> vectors = test::clustered(3, kSnapshotRows, kSnapshotDim, 4);
  test::Dice dice(5);
  const AttributeBatch attributes = test::batch_of(test::random_rows(dice, kSnapshotRows, 20));
  char mode = 0;
  for (const StorageType type : test::kTypes) {
    for (const bool graph : {false, true}) {
      const Metric metric = test::kMetrics[static_cast<std::size_t>(mode) % 3];
      StorageOptions storage = test::flat(kSnapshotDim, metric, type);
      if (type == StorageType::kI4) storage.rerank = StorageType::kF16;
      if (graph) storage.attributes = test::model_schema();
      const std::unique_ptr<VectorIndex> index = some_index(graph, storage);
      const KeyKind kind = static_cast<KeyKind>(mode % 3);
      KeyBatch keys = some_keys(kind);
      Progress progress;
      index->append(keys, vectors.data(), kSnapshotRows, KeyMode::kAdd,
                    graph ? &attributes : nullptr);
      index->link(1, progress);
      if (kind == KeyKind::kString) {
        keys.strings.resize(kSnapshotRows / 4);
        index->remove(keys);
      }
      index->save(path, {graph ? "a model" : "", 3}, progress);
      seeds.push_back(seed(mode++, path));
    }
  }
  StorageOptions components =
      test::flat(kSnapshotDim, Metric::kL2, StorageType::kI8, StorageType::kI8);
  components.codec.components = 3;
  const std::unique_ptr<VectorIndex> index = some_index(true, components);
  index->append(some_keys(KeyKind::kRow), vectors.data(), kSnapshotRows);
  Progress progress;
  index->link(1, progress);
  index->save(path, {}, progress);
  seeds.push_back(seed(mode++, path));
  LiveStore live(test::codec(StorageType::kI8, kSnapshotDim, Metric::kL2));
  live.append(vectors.data(), kSnapshotRows);
  live.remove(3);
  live.save(path, progress);
  seeds.push_back(seed(mode, path));
  return seeds;
}

}  // namespace lichen::fuzz
