// An EmbeddingStore with deleted rows in a snapshot file.

#include <string>
#include <vector>

#include "index/live_store.hpp"
#include "index/store_sections.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

// Bit r for each of `rows` rows: the opposite.
std::vector<std::uint8_t> opposite(const std::vector<std::uint8_t>& bits, std::size_t rows) {
  std::vector<std::uint8_t> other((rows + 7) / 8, 0xFF);
  for (std::size_t i = 0; i < bits.size(); ++i) other[i] = static_cast<std::uint8_t>(~bits[i]);
  if (rows % 8 != 0) other.back() &= static_cast<std::uint8_t>((1u << rows % 8) - 1);
  return other;
}

}  // namespace

std::uint64_t LiveStore::save(const std::string& path, Progress& progress) const {
  SnapshotHeader header;
  describe_codec(store_.codec().options(), header);
  header.kind = static_cast<std::uint32_t>(IndexKind::kStore);
  header.rows = rows();
  std::vector<SectionData> sections;
  describe_store(store_, StoreRole::kMain, sections);
  std::vector<std::uint8_t> dead;
  if (deleted_ > 0) {
    dead = opposite(live_, rows());
    header.features |= kHasDeadRows;
    sections.push_back({SectionType::kDead, dead.data(), dead.size()});
  }
  return write_snapshot(path, header, sections, progress);
}

LiveStore LiveStore::open(const std::string& path, Access access) {
  const SnapshotReader reader(path, access);
  return reader.named([&] {
    if (reader.header().kind != static_cast<std::uint32_t>(IndexKind::kStore)) {
      throw Error(Code::kFormat, "it holds an index, expected a store");
    }
    LiveStore live(codec_options_of(reader.header()));
    const std::size_t rows = reader.header().rows;
    load_store(reader, StoreRole::kMain, rows, live.store_);
    const DeadRows dead = read_dead_rows(reader, rows);
    live.live_ = opposite(dead.bits, rows);
    live.deleted_ = dead.count;
    return live;
  });
}

}  // namespace lichen
