#include "index/store_sections.hpp"

namespace lichen {
namespace {

SectionType of_role(SectionType type, StoreRole role) {
  const auto number = static_cast<std::uint32_t>(type);
  const auto fine = static_cast<std::uint32_t>(SectionType::kFine);
  return static_cast<SectionType>(role == StoreRole::kFine ? number + fine : number);
}

}  // namespace

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
  AlignedBuffer<std::uint8_t> codes =
      reader.read<std::uint8_t>(of_role(SectionType::kVectors, role), store.code_bytes(rows));
  AlignedBuffer<float> scales = factors(codec.has_scale(), SectionType::kScales);
  AlignedBuffer<float> offsets = factors(codec.has_offset(), SectionType::kOffsets);
  AlignedBuffer<float> squares = factors(codec.has_square(), SectionType::kSquares);
  std::vector<float> learned;
  if (const SectionType type = of_role(SectionType::kLearned, role); reader.has(type)) {
    const AlignedBuffer<float> values =
        reader.read<float>(type, reader.bytes_of(type) / sizeof(float));
    learned.assign(values.data(), values.data() + values.size());
  }
  store.adopt(rows, std::move(learned), std::move(codes), std::move(scales), std::move(offsets),
              std::move(squares));
}

}  // namespace lichen
