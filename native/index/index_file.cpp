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
  options.attributes = read_attribute_schema(reader);
  options.codec.type = static_cast<StorageType>(header.storage);
  options.codec.dim = header.dim;
  options.codec.metric = static_cast<Metric>(header.metric);
  options.codec.seed = header.codec_seed;
  options.codec.subspaces = header.subspaces;
  if (header.rerank > 0) options.rerank = static_cast<StorageType>(header.rerank - 1);
  if (header.kind == static_cast<std::uint32_t>(IndexKind::kFlat)) {
    return std::make_unique<FlatIndex>(options);
  }
  if (header.kind != static_cast<std::uint32_t>(IndexKind::kHnsw)) {
    throw Error(Code::kFormat, "its kind of index is unknown");
  }
  HnswParameters parameters;
  parameters.m = header.m;
  parameters.ef_construction = header.ef_construction;
  parameters.seed = header.seed;
  return std::make_unique<HnswIndex>(options, parameters);
}

}  // namespace

std::uint64_t VectorIndex::save(const std::string& path, Progress& progress) const {
  // Nothing changes an index without this claim, so no lock is held while the disk is at work.
  WriterClaim claim(writing_, WriterClaim::Held::kNow);
  if (dead_count_ > 0) {
    throw Error(Code::kBusy, "vectors were removed while the index was about to be saved");
  }
  SnapshotHeader header;
  header.rows = store_.rows();
  header.dim = static_cast<std::uint32_t>(dim());
  header.kind = static_cast<std::uint32_t>(kind_);
  header.metric = static_cast<std::uint32_t>(metric());
  header.storage = static_cast<std::uint32_t>(storage());
  if (fine_ != nullptr) header.rerank = 1 + static_cast<std::uint32_t>(fine_->type());
  if (storage() != StorageType::kF32) {
    header.subspaces = static_cast<std::uint32_t>(codec_options().subspaces);
    header.codec_seed = codec_options().seed;
  }
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
  const AttributeImage image = describe_attributes(attributes_, sections);
  describe(header, sections);
  return write_snapshot(path, header, sections, progress);
}

std::unique_ptr<VectorIndex> VectorIndex::open(const std::string& path) {
  const SnapshotReader reader(path);
  const SnapshotHeader& header = reader.header();
  const auto refuse = [&](const std::string& what) {
    throw Error(Code::kFormat, path + " is not a sound lichen file: " + what);
  };
  if (header.dim == 0 || header.dim > kMaxDim) refuse("its dim is " + std::to_string(header.dim));
  if (header.rows > kMaxRows) refuse("it has too many rows");
  if (header.metric > static_cast<std::uint32_t>(Metric::kL2)) refuse("its metric is unknown");
  if (header.storage >= kStorageTypeNames.size()) refuse("its storage type is unknown");
  if (header.rerank > kStorageTypeNames.size()) refuse("its rerank type is unknown");
  if (header.key_kind > static_cast<std::uint32_t>(KeyKind::kString)) {
    refuse("its kind of keys is unknown");
  }
  std::unique_ptr<VectorIndex> index;
  try {
    index = make(reader);
  } catch (const Error& error) {
    if (std::string(error.what()).rfind(path, 0) == 0) throw;
    refuse(error.what());
  }
  const std::size_t rows = header.rows;
  AlignedBuffer<std::int64_t> integers;
  AlignedBuffer<std::uint64_t> offsets;
  AlignedBuffer<char> characters;
  const auto key_kind = static_cast<KeyKind>(header.key_kind);
  if (header.next_key > static_cast<std::uint64_t>(kMaxIntegerKey)) refuse("a key is out of range");
  const bool written = key_kind == KeyKind::kRow && reader.has(SectionType::kIntegerKeys);
  if (key_kind == KeyKind::kInteger || written) {
    integers = reader.read<std::int64_t>(SectionType::kIntegerKeys, rows);
  } else if (key_kind == KeyKind::kString) {
    offsets = reader.read<std::uint64_t>(SectionType::kKeyOffsets, rows + 1);
    characters = reader.read<char>(SectionType::kKeyCharacters,
                                   reader.bytes_of(SectionType::kKeyCharacters));
  }
  try {
    load_store(reader, StoreRole::kMain, rows, index->store_);
    if (index->fine_ != nullptr) load_store(reader, StoreRole::kFine, rows, *index->fine_);
    index->keys_.load(key_kind, rows, std::move(integers), std::move(offsets),
                      std::move(characters), static_cast<std::int64_t>(header.next_key));
    index->attributes_ = load_attributes(reader, rows);
    index->load(reader);
  } catch (const Error& error) {
    // The reader's own errors name the file already.
    if (error.code() != Code::kFormat || std::string(error.what()).rfind(path, 0) == 0) throw;
    refuse(error.what());
  }
  index->linked_ = rows;
  return index;
}

}  // namespace lichen
