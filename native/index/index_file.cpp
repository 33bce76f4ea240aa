// An index in a snapshot file.

#include <string>

#include "index/flat_index.hpp"
#include "index/hnsw_index.hpp"
#include "index/store_sections.hpp"
#include "index/writer_claim.hpp"
#include "runtime/error.hpp"
#include "storage/attribute_sections.hpp"

namespace lichen {
namespace {

// An empty index of the kind that the header tells. Throws Error if it tells of none that exists.
std::unique_ptr<VectorIndex> make(const SnapshotReader& reader) {
  const SnapshotHeader& header = reader.header();
  StorageOptions options;
  options.codec = codec_options_of(header);
  options.attributes = read_attribute_schema(reader);
  if (header.rerank > kStorageTypeNames.size()) {
    throw Error(Code::kFormat, "its rerank type is unknown");
  }
  if (header.rerank > 0) options.rerank = static_cast<StorageType>(header.rerank - 1);
  if (header.kind == static_cast<std::uint32_t>(IndexKind::kFlat)) {
    return std::make_unique<FlatIndex>(options);
  }
  if (header.kind != static_cast<std::uint32_t>(IndexKind::kHnsw)) {
    const bool is_store = header.kind == static_cast<std::uint32_t>(IndexKind::kStore);
    throw Error(Code::kFormat,
                is_store ? "it holds a store, expected an index" : "its kind of index is unknown");
  }
  HnswParameters parameters;
  parameters.m = header.m;
  parameters.ef_construction = header.ef_construction;
  parameters.seed = header.seed;
  return std::make_unique<HnswIndex>(options, parameters);
}

}  // namespace

std::uint64_t VectorIndex::save(const std::string& path, const SnapshotLabel& label,
                                Progress& progress) const {
  const std::string target = resolve_target(path);
  if (journal_ != nullptr && target == journal_->path()) {
    return Checkpoint(*this, label, progress).finish();
  }
  // Nothing changes an index without this claim, so no lock is held while the disk is at work.
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  const std::unique_ptr<SnapshotDraft> draft = draft_of(target, label, nullptr, progress);
  claim.release();
  return draft->publish();
}

std::unique_ptr<SnapshotDraft> VectorIndex::draft_of(const std::string& path,
                                                     const SnapshotLabel& label,
                                                     const JournalPosition* position,
                                                     Progress& progress) const {
  SnapshotHeader header;
  header.snapshot_version = label.version;
  describe_codec(codec_options(), header);
  header.rows = store_.rows();
  header.kind = static_cast<std::uint32_t>(kind_);
  if (fine_ != nullptr) header.rerank = 1 + static_cast<std::uint32_t>(fine_->type());
  header.key_kind = static_cast<std::uint32_t>(keys_.kind());
  std::vector<SectionData> sections;
  describe_store(store_, StoreRole::kMain, sections);
  if (fine_ != nullptr) describe_store(*fine_, StoreRole::kFine, sections);
  if (keys_.has_integers()) {
    if (keys_.kind() == KeyKind::kRow)
      header.next_key = static_cast<std::uint64_t>(keys_.next_key());
    sections.push_back(
        {SectionType::kIntegerKeys, keys_.integers().data(), keys_.size() * sizeof(std::int64_t)});
  } else if (keys_.kind() == KeyKind::kString) {
    sections.push_back({SectionType::kKeyOffsets, keys_.offsets().data(),
                        (keys_.size() + 1) * sizeof(std::uint64_t)});
    sections.push_back(
        {SectionType::kKeyCharacters, keys_.characters().data(), keys_.characters().size()});
  }
  if (keys_.slots().size() > 0) {
    sections.push_back({SectionType::kKeySlots, keys_.slots().data(),
                        keys_.slots().size() * sizeof(std::uint32_t)});
  }
  if (dead_count_ > 0) {
    header.features |= kHasDeadRows;
    sections.push_back({SectionType::kDead, dead_.data(), (store_.rows() + 7) / 8});
  }
  if (!label.model.empty()) {
    sections.push_back({SectionType::kModel, label.model.data(), label.model.size()});
  }
  if (position != nullptr) {
    sections.push_back({SectionType::kJournal, position, sizeof *position});
  }
  const AttributeImage image = describe_attributes(attributes_, sections);
  describe(header, sections);
  return std::make_unique<SnapshotDraft>(path, header, sections, progress);
}

std::unique_ptr<VectorIndex> VectorIndex::open(const std::string& path, Access access) {
  const SnapshotReader reader(path, access);
  return reader.named([&] {
    const SnapshotHeader& header = reader.header();
    if (header.key_kind > static_cast<std::uint32_t>(KeyKind::kString)) {
      throw Error(Code::kFormat, "its kind of keys is unknown");
    }
    if (header.next_key > static_cast<std::uint64_t>(kMaxIntegerKey)) {
      throw Error(Code::kFormat, "a key is out of range");
    }
    const std::size_t rows = header.rows;
    std::unique_ptr<VectorIndex> index = make(reader);
    load_store(reader, StoreRole::kMain, rows, index->store_);
    if (index->fine_ != nullptr) load_store(reader, StoreRole::kFine, rows, *index->fine_);
    DeadRows dead = read_dead_rows(reader, rows);
    index->dead_count_ = dead.count;
    index->dead_ = std::move(dead.bits);
    index->load_keys(reader);
    index->attributes_ = load_attributes(reader, rows);
    index->load(reader);
    index->label_ = read_label(reader);
    index->position_ = read_journal_position(reader);
    index->linked_ = rows;
    return index;
  });
}

void VectorIndex::load_keys(const SnapshotReader& reader) {
  const SnapshotHeader& header = reader.header();
  const std::size_t rows = header.rows;
  KeyMap::Image image;
  image.kind = static_cast<KeyKind>(header.key_kind);
  image.rows = rows;
  image.next_key = static_cast<std::int64_t>(header.next_key);
  image.dead = dead_count_ == 0 ? nullptr : dead_.data();
  image.checks_slots = reader.verifies();
  if (image.kind == KeyKind::kString) {
    image.offsets = reader.read<std::uint64_t>(SectionType::kKeyOffsets, rows + 1);
    image.characters = reader.read<char>(SectionType::kKeyCharacters,
                                         reader.bytes_of(SectionType::kKeyCharacters));
  } else if (image.kind == KeyKind::kInteger || reader.has(SectionType::kIntegerKeys)) {
    image.integers = reader.read<std::int64_t>(SectionType::kIntegerKeys, rows);
  } else if (dead_count_ > 0) {
    throw Error(Code::kFormat, "it has dead rows but not the keys of the others");
  }
  if (reader.has(SectionType::kKeySlots)) {
    const std::uint64_t bytes = reader.bytes_of(SectionType::kKeySlots);
    image.slots = reader.read<std::uint32_t>(SectionType::kKeySlots, bytes / sizeof(std::uint32_t));
  }
  keys_.load(std::move(image));
}

}  // namespace lichen
