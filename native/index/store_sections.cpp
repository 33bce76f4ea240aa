#include "index/store_sections.hpp"

#include <string>

#include "runtime/error.hpp"

namespace lichen {
namespace {

SectionType of_role(SectionType type, StoreRole role) {
  const auto number = static_cast<std::uint32_t>(type);
  const auto fine = static_cast<std::uint32_t>(SectionType::kFine);
  return static_cast<SectionType>(role == StoreRole::kFine ? number + fine : number);
}

SectionType factors_section(std::size_t factors_a_row) {
  return factors_a_row == 2 ? SectionType::kFactorPairs : SectionType::kFactors;
}

}  // namespace

void describe_codec(const CodecOptions& options, SnapshotHeader& header) {
  header.dim = static_cast<std::uint32_t>(options.dim);
  header.metric = static_cast<std::uint32_t>(options.metric);
  header.storage = static_cast<std::uint32_t>(options.type);
  if (options.type == StorageType::kF32) return;
  header.subspaces = static_cast<std::uint32_t>(options.subspaces);
  header.codec_seed = options.seed;
  header.components = static_cast<std::uint32_t>(options.components);
  if (options.components > 0) header.features |= kHasComponents;
}

CodecOptions codec_options_of(const SnapshotHeader& header) {
  const auto require = [](bool is_right, const std::string& what) {
    if (!is_right) throw Error(Code::kFormat, what);
  };
  require(header.dim > 0 && header.dim <= kMaxDim, "its dim is " + std::to_string(header.dim));
  require(header.rows <= kMaxRows, "it has too many rows");
  require(header.metric <= static_cast<std::uint32_t>(Metric::kL2), "its metric is unknown");
  require(header.storage < kStorageTypeNames.size(), "its storage type is unknown");
  require((header.components > 0) == ((header.features & kHasComponents) != 0),
          "its features and components do not go together");
  CodecOptions options;
  options.type = static_cast<StorageType>(header.storage);
  options.dim = header.dim;
  options.metric = static_cast<Metric>(header.metric);
  options.seed = header.codec_seed;
  options.subspaces = header.subspaces;
  options.components = header.components;
  return options;
}

void describe_store(const EmbeddingStore& store, StoreRole role,
                    std::vector<SectionData>& sections) {
  const std::size_t rows = store.rows();
  const auto add = [&](SectionType type, const void* data, std::size_t bytes) {
    sections.push_back({of_role(type, role), data, bytes});
  };
  add(SectionType::kVectors, store.codes(), store.code_bytes(rows));
  const std::size_t factor_bytes = rows * sizeof(float);
  const Codec& codec = store.codec();
  if (codec.has_scale()) add(SectionType::kScales, store.scales().data(), factor_bytes);
  if (codec.has_offset()) add(SectionType::kOffsets, store.offsets().data(), factor_bytes);
  if (codec.has_square()) add(SectionType::kSquares, store.squares().data(), factor_bytes);
  if (const AlignedBuffer<float>& together = store.factors_together(); together.size() > 0) {
    const std::size_t factors = store.factors_a_row();
    add(factors_section(factors), together.data(), factors * factor_bytes);
  }
  const std::vector<float>& learned = codec.learned();
  if (!learned.empty()) {
    add(SectionType::kLearned, learned.data(), learned.size() * sizeof(float));
  }
}

void load_store(const SnapshotReader& reader, StoreRole role, std::size_t rows,
                EmbeddingStore& store) {
  const auto factors = [&](bool there, SectionType type) {
    return there ? reader.read<float>(of_role(type, role), rows) : AlignedBuffer<float>();
  };
  const Codec& codec = store.codec();
  EmbeddingStore::Image image;
  image.rows = rows;
  image.checks = reader.verifies();
  image.codes =
      reader.read<std::uint8_t>(of_role(SectionType::kVectors, role), store.code_bytes(rows));
  image.scales = factors(codec.has_scale(), SectionType::kScales);
  image.offsets = factors(codec.has_offset(), SectionType::kOffsets);
  image.squares = factors(codec.has_square(), SectionType::kSquares);
  const std::size_t together = store.factors_a_row();
  if (const SectionType type = of_role(factors_section(together), role);
      together > 0 && reader.has(type)) {
    image.together = reader.read<float>(type, together * rows);
  }
  if (const SectionType type = of_role(SectionType::kLearned, role); reader.has(type)) {
    const AlignedBuffer<float> values =
        reader.read<float>(type, reader.bytes_of(type) / sizeof(float));
    image.learned.assign(values.data(), values.data() + values.size());
  }
  store.adopt(std::move(image));
}

}  // namespace lichen
