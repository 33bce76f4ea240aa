#include "storage/journal_records.hpp"

#include <string>

#include "runtime/aligned.hpp"
#include "runtime/error.hpp"
#include "storage/byte_stream.hpp"

namespace lichen {
namespace {

constexpr const char* kDamaged = "it is no change of this index";

[[noreturn]] void damaged() { throw Error(Code::kFormat, kDamaged); }

void put_strings(ByteWriter& writer, const std::vector<std::string>& strings) {
  for (const std::string& text : strings) writer.put(static_cast<std::uint32_t>(text.size()));
  for (const std::string& text : strings) writer.put_text(text);
}

std::vector<std::string> get_strings(ByteReader& reader, std::uint64_t count) {
  std::vector<std::string> strings;
  for (const std::uint32_t length : reader.get_all<std::uint32_t>(count)) {
    strings.emplace_back(reader.text(length));
  }
  return strings;
}

void put_attributes(ByteWriter& writer, const AttributeBatch& batch,
                    const std::vector<AttributeSpec>& schema) {
  for (std::size_t c = 0; c < schema.size(); ++c) {
    const AttributeValues& values = batch.columns[c];
    writer.put(static_cast<std::uint8_t>(values.given));
    writer.put(static_cast<std::uint8_t>(schema[c].kind));
    if (!values.given) continue;
    if (schema[c].kind == AttributeKind::kNumber) {
      writer.put_all(values.numbers.data(), values.numbers.size());
      continue;
    }
    writer.put(static_cast<std::uint32_t>(values.strings.size()));
    put_strings(writer, values.strings);
    writer.put(static_cast<std::uint32_t>(values.codes.size()));
    writer.put_all(values.codes.data(), values.codes.size());
    if (schema[c].kind == AttributeKind::kTags) {
      writer.put_all(values.offsets.data(), values.offsets.size());
    }
  }
}

AttributeBatch get_attributes(ByteReader& reader, std::size_t count,
                              const std::vector<AttributeSpec>& schema) {
  AttributeBatch batch = AttributeBatch::of_none(schema.size());
  for (std::size_t c = 0; c < schema.size(); ++c) {
    AttributeValues& values = batch.columns[c];
    const auto given = reader.get<std::uint8_t>();
    const auto kind = reader.get<std::uint8_t>();
    if (given > 1 || kind != static_cast<std::uint8_t>(schema[c].kind)) damaged();
    values.given = given == 1;
    if (!values.given) continue;
    if (schema[c].kind == AttributeKind::kNumber) {
      values.numbers = reader.get_all<double>(count);
      continue;
    }
    values.strings = get_strings(reader, reader.get<std::uint32_t>());
    values.codes = reader.get_all<std::uint32_t>(reader.get<std::uint32_t>());
    if (schema[c].kind == AttributeKind::kTags) {
      values.offsets = reader.get_all<std::uint32_t>(count + 1);
    }
  }
  return batch;
}

}  // namespace

std::vector<std::uint8_t> encode_change(Change::Kind kind, const KeyBatch& keys, std::size_t count,
                                        std::size_t dim, const AttributeBatch* attributes,
                                        const std::vector<AttributeSpec>& schema) {
  ByteWriter writer;
  writer.put(static_cast<std::uint8_t>(kind));
  writer.put(static_cast<std::uint8_t>(keys.kind));
  writer.put(static_cast<std::uint8_t>(attributes != nullptr));
  writer.put(std::uint8_t{0});
  writer.put(static_cast<std::uint32_t>(dim));
  writer.put(static_cast<std::uint64_t>(count));
  if (keys.kind == KeyKind::kInteger) {
    writer.put_all(keys.integers.data(), keys.integers.size());
  } else if (keys.kind == KeyKind::kString) {
    put_strings(writer, keys.strings);
  }
  if (attributes != nullptr) put_attributes(writer, *attributes, schema);
  writer.bytes.resize(round_up(writer.bytes.size(), 8), 0);
  return std::move(writer.bytes);
}

Change decode_change(const std::uint8_t* payload, std::size_t bytes, std::size_t dim,
                     const std::vector<AttributeSpec>& schema) {
  ByteReader reader(payload, bytes, kDamaged);
  Change change;
  const auto kind = reader.get<std::uint8_t>();
  const auto key_kind = reader.get<std::uint8_t>();
  const auto has_attributes = reader.get<std::uint8_t>();
  reader.get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(Change::Kind::kCalibrate) ||
      key_kind > static_cast<std::uint8_t>(KeyKind::kString) || has_attributes > 1 ||
      reader.get<std::uint32_t>() != dim) {
    damaged();
  }
  change.kind = static_cast<Change::Kind>(kind);
  change.keys.kind = static_cast<KeyKind>(key_kind);
  const auto count = reader.get<std::uint64_t>();
  // Each takes a byte at least, so a count that is no count takes no memory.
  if (count == 0 || count > bytes) damaged();
  change.count = count;
  if (change.keys.kind == KeyKind::kInteger) {
    change.keys.integers = reader.get_all<std::int64_t>(count);
  } else if (change.keys.kind == KeyKind::kString) {
    change.keys.strings = get_strings(reader, count);
  } else if (!change.has_vectors()) {
    damaged();
  }
  if (has_attributes == 1) change.attributes = get_attributes(reader, count, schema);
  if (change.kind == Change::Kind::kSetAttributes && has_attributes == 0) damaged();
  if (change.kind == Change::Kind::kCalibrate &&
      (has_attributes == 1 || change.keys.kind != KeyKind::kRow)) {
    damaged();
  }
  reader.take(round_up(reader.taken(), 8) - reader.taken());
  const std::size_t vectors = change.has_vectors() ? count * dim * sizeof(float) : 0;
  if (reader.left() != vectors) damaged();
  if (vectors > 0) change.vectors = reinterpret_cast<const float*>(reader.take(vectors));
  return change;
}

}  // namespace lichen
