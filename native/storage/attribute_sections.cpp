#include "storage/attribute_sections.hpp"

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/error.hpp"
#include "storage/byte_stream.hpp"

namespace lichen {
namespace {

constexpr std::uint32_t kSchemaVersion = 1;
constexpr std::size_t kMaxAttributeRows = 0xFFFFFFFFu;

SectionType of_column(SectionType type, std::size_t column) {
  return static_cast<SectionType>(static_cast<std::uint32_t>(type) + column);
}

std::vector<std::uint8_t> pack_schema(const AttributeTable& table) {
  ByteWriter writer;
  writer.put(kSchemaVersion);
  writer.put(static_cast<std::uint32_t>(table.columns().size()));
  for (const AttributeTable::Column& column : table.columns()) {
    const Dictionary& dictionary = column.dictionary;
    std::uint64_t characters = 0;
    for (std::size_t i = 0; i < dictionary.size(); ++i) characters += dictionary[i].size();
    writer.put(static_cast<std::uint32_t>(column.spec.kind));
    writer.put(static_cast<std::uint32_t>(column.spec.name.size()));
    writer.put(static_cast<std::uint64_t>(dictionary.size()));
    writer.put(characters);
    writer.put_text(column.spec.name);
    for (std::size_t i = 0; i < dictionary.size(); ++i) {
      writer.put(static_cast<std::uint32_t>(dictionary[i].size()));
    }
    for (std::size_t i = 0; i < dictionary.size(); ++i) writer.put_text(dictionary[i]);
  }
  return std::move(writer.bytes);
}

[[noreturn]] void damaged(const std::string& what) {
  throw Error(Code::kFormat, "the attributes of the file are damaged: " + what);
}

constexpr const char* kCutOff = "the attributes of the file are damaged: the schema is cut off";

void read_dictionary(ByteReader& bytes, std::uint64_t strings, std::uint64_t characters,
                     Dictionary& dictionary) {
  const std::vector<std::uint32_t> lengths = bytes.get_all<std::uint32_t>(strings);
  ByteReader text(bytes.take(characters), characters, kCutOff);
  for (std::uint64_t i = 0; i < strings; ++i) {
    if (lengths[i] > kMaxStringBytes) damaged("a string is too long");
    if (dictionary.add(text.text(lengths[i])) != i) damaged("a string stands twice");
  }
  if (text.left() != 0) damaged("characters of no string");
}

std::vector<AttributeTable::Column> read_schema(const SnapshotReader& reader) {
  std::vector<AttributeTable::Column> columns;
  if (!reader.has(SectionType::kAttributeSchema)) return columns;
  const AlignedBuffer<std::uint8_t> section = reader.read<std::uint8_t>(
      SectionType::kAttributeSchema, reader.bytes_of(SectionType::kAttributeSchema));
  ByteReader bytes(section.data(), section.size(), kCutOff);
  if (bytes.get<std::uint32_t>() != kSchemaVersion) damaged("unknown version of the schema");
  const auto count = bytes.get<std::uint32_t>();
  if (count > kMaxAttributes) damaged("too many attributes");
  std::vector<AttributeSpec> schema;
  for (std::uint32_t c = 0; c < count; ++c) {
    AttributeTable::Column& column = columns.emplace_back();
    const auto kind = bytes.get<std::uint32_t>();
    if (kind > static_cast<std::uint32_t>(AttributeKind::kTags)) damaged("unknown kind");
    column.spec.kind = static_cast<AttributeKind>(kind);
    const auto name_bytes = bytes.get<std::uint32_t>();
    const auto strings = bytes.get<std::uint64_t>();
    const auto characters = bytes.get<std::uint64_t>();
    column.spec.name = bytes.text(name_bytes);
    if (column.spec.kind == AttributeKind::kNumber && (strings != 0 || characters != 0)) {
      damaged("a number with strings");
    }
    read_dictionary(bytes, strings, characters, column.dictionary);
    schema.push_back(column.spec);
  }
  if (bytes.left() != 0) damaged("bytes behind the schema");
  try {
    AttributeTable check_names(std::move(schema));
  } catch (const Error& error) {
    damaged(error.what());
  }
  return columns;
}

TagColumn read_tags(const SnapshotReader& reader, std::size_t column, std::size_t rows) {
  const SectionType type = of_column(SectionType::kAttributeValues, column);
  const AlignedBuffer<std::uint64_t> offsets =
      reader.read<std::uint64_t>(of_column(SectionType::kAttributeOffsets, column), rows + 1);
  const AlignedBuffer<std::uint32_t> ids =
      reader.read<std::uint32_t>(type, reader.bytes_of(type) / sizeof(std::uint32_t));
  bool sound = offsets[0] == 0 && offsets[rows] == ids.size();
  for (std::size_t r = 0; sound && r < rows; ++r) sound = offsets[r] <= offsets[r + 1];
  if (!sound) damaged("the offsets of the tags do not ascend");
  TagColumn tags;
  tags.make_lists();
  tags.reserve_more(rows, ids.size());
  for (std::size_t r = 0; r < rows; ++r) {
    tags.push(ids.data() + offsets[r], offsets[r + 1] - offsets[r]);
  }
  return tags;
}

}  // namespace

AttributeImage describe_attributes(const AttributeTable& table,
                                   std::vector<SectionData>& sections) {
  AttributeImage image;
  const std::size_t rows = table.rows();
  if (table.columns().empty()) return image;
  image.schema = pack_schema(table);
  sections.push_back({SectionType::kAttributeSchema, image.schema.data(), image.schema.size()});
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    const AttributeTable::Column& column = table.columns()[c];
    const SectionType type = of_column(SectionType::kAttributeValues, c);
    if (column.spec.kind == AttributeKind::kNumber) {
      sections.push_back({type, column.numbers.data(), rows * sizeof(double)});
    } else if (column.spec.kind == AttributeKind::kCategory) {
      sections.push_back({type, column.codes.data(), rows * sizeof(std::uint32_t)});
    } else if (!column.tags.listed()) {
      sections.push_back({type, column.tags.signatures(), rows * sizeof(std::uint64_t)});
    } else {
      AlignedBuffer<std::uint64_t>& offsets = image.offsets.emplace_back();
      AlignedBuffer<std::uint32_t>& tags = image.tags.emplace_back();
      offsets.resize(rows + 1, 0);
      for (std::size_t r = 0; r < rows; ++r) {
        offsets[r + 1] = offsets[r] + column.tags.list_size(r);
      }
      tags.resize(offsets[rows], 0);
      for (std::size_t r = 0; r < rows; ++r) {
        std::memcpy(tags.data() + offsets[r], column.tags.list(r),
                    column.tags.list_size(r) * sizeof(std::uint32_t));
      }
      sections.push_back({of_column(SectionType::kAttributeOffsets, c), offsets.data(),
                          offsets.size() * sizeof(std::uint64_t)});
      sections.push_back({type, tags.data(), tags.size() * sizeof(std::uint32_t)});
    }
  }
  return image;
}

AttributeTable load_attributes(const SnapshotReader& reader, std::size_t rows) {
  if (rows > kMaxAttributeRows) damaged("too many rows");
  std::vector<AttributeTable::Column> columns = read_schema(reader);
  for (std::size_t c = 0; c < columns.size(); ++c) {
    AttributeTable::Column& column = columns[c];
    const SectionType type = of_column(SectionType::kAttributeValues, c);
    if (column.spec.kind == AttributeKind::kNumber) {
      column.numbers = reader.read<double>(type, rows);
    } else if (column.spec.kind == AttributeKind::kCategory) {
      column.codes = reader.read<std::uint32_t>(type, rows);
    } else if (column.dictionary.size() <= kSignatureTags) {
      column.tags = TagColumn(reader.read<std::uint64_t>(type, rows));
    } else {
      column.tags = read_tags(reader, c, rows);
    }
  }
  return AttributeTable::adopt(std::move(columns), rows);
}

std::vector<AttributeSpec> read_attribute_schema(const SnapshotReader& reader) {
  std::vector<AttributeSpec> schema;
  for (AttributeTable::Column& column : read_schema(reader)) {
    schema.push_back(std::move(column.spec));
  }
  return schema;
}

}  // namespace lichen
