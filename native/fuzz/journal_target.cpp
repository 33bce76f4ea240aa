#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/targets.hpp"
#include "fuzz/workplace.hpp"
#include "runtime/crc32c.hpp"
#include "test/attribute_data.hpp"
#include "test/data.hpp"
#include "test/options.hpp"

namespace lichen::fuzz {
namespace {

constexpr std::size_t kJournalDim = 4;
constexpr std::size_t kJournalRows = 12;
constexpr std::size_t kHeader = 64;  // of a segment; layouts as FORMAT.md has them
constexpr std::size_t kRecord = 24;  // header of a record

template <class T>
T get(const Bytes& file, std::size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}
template <class T>
void put(Bytes& file, std::size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

// Checksums, sequences and marks of all records that are there whole, and the journal's id.
void mend(Bytes& file, std::uint64_t id) {
  if (file.size() < kHeader) return;
  put(file, 16, id);
  put<std::uint64_t>(file, 24, 1);
  put(file, kHeader - 4, crc32c(0, file.data(), kHeader - 4));
  std::uint64_t sequence = 1;
  for (std::size_t at = kHeader; file.size() - at >= kRecord + 8; ++sequence) {
    const auto bytes = get<std::uint64_t>(file, at + 8);
    const std::size_t left = file.size() - at - kRecord - 8;
    if (bytes > left || (bytes + 7) / 8 * 8 > left) return;
    put(file, at, sequence);
    put(file, at + 16, crc32c(0, file.data() + at + kRecord, bytes));
    put(file, at + 20, crc32c(0, file.data() + at, 20));
    at += kRecord + (bytes + 7) / 8 * 8;
    put(file, at, ~sequence);
    at += 8;
  }
}

std::string index_path() { return workplace().file("index.lichen"); }
std::string segment_path() { return index_path() + ".journal-00000000000000000001"; }

// A small index with string keys and attributes that has no record of its journal yet.
struct Base {
  Bytes file;
  std::uint64_t id = 0;  // of its journal

  Base() {
    StorageOptions storage = test::flat(kJournalDim, Metric::kDot, StorageType::kI8);
    storage.attributes = test::model_schema();
    HnswIndex index(storage, HnswParameters{3, 12, 5});
    KeyBatch keys;
    keys.kind = KeyKind::kString;
    for (std::size_t i = 0; i < kJournalRows; ++i)
      keys.strings.push_back("key-" + std::to_string(i));
    Progress progress;
    index.append(keys, test::clustered(3, kJournalRows, kJournalDim, 3).data(), kJournalRows);
    index.link(1, progress);
    index.save(index_path(), {}, progress);
    file = test::read_file(index_path());
    VectorIndex::open_with_journal(index_path(), Access::kRead, 1);
    id = get<std::uint64_t>(test::read_file(segment_path()), 16);
  }
};

const Base& base() {
  static const Base made;
  return made;
}

void start_anew() {
  for (const std::string& name : workplace().names()) {
    if (name.rfind("index.lichen", 0) == 0) ::unlink(workplace().file(name).c_str());
  }
  test::write_file(index_path(), base().file);
}

}  // namespace

void journal_target(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return;
  Bytes segment = bytes_of(data + 1, size - 1);
  if (data[0] % 4 != 0) mend(segment, base().id);
  start_anew();
  test::write_file(segment_path(), segment);
  expect_own_errors([&] {
    const std::unique_ptr<VectorIndex> index =
        VectorIndex::open_with_journal(index_path(), Access::kRead, 1);
    use(*index);
  });
  // What has been cut off and appended must be sound.
  expect_own_errors([&] { VectorIndex::open_with_journal(index_path(), Access::kRead, 1); });
}

std::vector<Bytes> journal_seeds() {
  std::vector<Bytes> seeds;
  for (std::size_t changes = 0; changes < 6; ++changes) {
    base();
    start_anew();
    {
      const std::unique_ptr<VectorIndex> index =
          VectorIndex::open_with_journal(index_path(), Access::kRead, 1);
      test::Dice dice(changes);
      Progress progress;
      for (std::size_t i = 0; i < changes; ++i) {
        const std::size_t count = 1 + dice.below(3);
        KeyBatch keys;
        keys.kind = KeyKind::kString;
        for (std::size_t n = 0; n < count; ++n) {
          keys.strings.push_back("key-" + std::to_string(4 * i + n));
        }
        const AttributeBatch attributes = test::batch_of(test::random_rows(dice, count, 9), true);
        if (i == 3) {
          keys.strings = {"key-1"};
          index->remove(keys);
        } else if (i == 4) {
          keys.strings = {"key-0"};
          index->set_attributes(keys, test::batch_of(test::random_rows(dice, 1, 9), true));
        } else {
          index->append(keys, test::clustered(i, count, kJournalDim, 1).data(), count,
                        KeyMode::kUpsert, i % 2 == 0 ? &attributes : nullptr);
          index->link(1, progress);
        }
      }
    }
    Bytes bytes = test::read_file(segment_path());
    bytes.insert(bytes.begin(), static_cast<char>(changes));
    seeds.push_back(bytes);
  }
  return seeds;
}

}  // namespace lichen::fuzz
