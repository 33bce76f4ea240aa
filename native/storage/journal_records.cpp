#include "storage/journal_records.hpp"

#include <cstring>
#include <string>

#include "runtime/aligned.hpp"
#include "runtime/error.hpp"

namespace lichen {
namespace {

class Writer {
 public:
  template <class T>
  void put(T value) {
    put_all(&value, 1);
  }
  template <class T>
  void put_all(const T* values, std::size_t count) {
    const auto* const from = reinterpret_cast<const std::uint8_t*>(values);
    bytes.insert(bytes.end(), from, from + count * sizeof(T));
  }
  void put_strings(const std::vector<std::string>& strings) {
    for (const std::string& text : strings) put(static_cast<std::uint32_t>(text.size()));
    for (const std::string& text : strings) put_all(text.data(), text.size());
  }
  void pad() { bytes.resize(round_up(bytes.size(), 8), 0); }

  std::vector<std::uint8_t> bytes;
};

[[noreturn]] void damaged() { throw Error(Code::kFormat, "it is no change of this index"); }

class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t bytes) : start_(data), at_(data), left_(bytes) {}

  template <class T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }
  template <class T>
  std::vector<T> get_all(std::uint64_t count) {
    if (count > left_ / sizeof(T)) damaged();
    std::vector<T> values(count);
    const std::uint8_t* const from = take(count * sizeof(T));
    if (count > 0) std::memcpy(values.data(), from, count * sizeof(T));
    return values;
  }
  std::vector<std::string> get_strings(std::uint64_t count) {
    const std::vector<std::uint32_t> lengths = get_all<std::uint32_t>(count);
    std::vector<std::string> strings;
    strings.reserve(lengths.size());
    for (const std::uint32_t length : lengths) {
      strings.emplace_back(reinterpret_cast<const char*>(take(length)), length);
    }
    return strings;
  }
  const std::uint8_t* take(std::uint64_t bytes) {
    if (bytes > left_) damaged();
    const std::uint8_t* const here = at_;
    at_ += bytes;
    left_ -= bytes;
    return here;
  }
  void skip_padding() {
    const auto done = static_cast<std::size_t>(at_ - start_);
    take(round_up(done, 8) - done);
  }
  std::size_t left() const { return left_; }

 private:
  const std::uint8_t* start_;
  const std::uint8_t* at_;
  std::size_t left_;
};

void put_attributes(Writer& writer, const AttributeBatch& batch,
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
    writer.put_strings(values.strings);
    writer.put(static_cast<std::uint32_t>(values.codes.size()));
    writer.put_all(values.codes.data(), values.codes.size());
    if (schema[c].kind == AttributeKind::kTags) {
      writer.put_all(values.offsets.data(), values.offsets.size());
    }
  }
}

AttributeBatch get_attributes(Reader& reader, std::size_t count,
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
    values.strings = reader.get_strings(reader.get<std::uint32_t>());
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
  Writer writer;
  writer.put(static_cast<std::uint8_t>(kind));
  writer.put(static_cast<std::uint8_t>(keys.kind));
  writer.put(static_cast<std::uint8_t>(attributes != nullptr));
  writer.put(std::uint8_t{0});
  writer.put(static_cast<std::uint32_t>(dim));
  writer.put(static_cast<std::uint64_t>(count));
  if (keys.kind == KeyKind::kInteger) {
    writer.put_all(keys.integers.data(), keys.integers.size());
  } else if (keys.kind == KeyKind::kString) {
    writer.put_strings(keys.strings);
  }
  if (attributes != nullptr) put_attributes(writer, *attributes, schema);
  writer.pad();
  return std::move(writer.bytes);
}

Change decode_change(const std::uint8_t* payload, std::size_t bytes, std::size_t dim,
                     const std::vector<AttributeSpec>& schema) {
  Reader reader(payload, bytes);
  Change change;
  const auto kind = reader.get<std::uint8_t>();
  const auto key_kind = reader.get<std::uint8_t>();
  const auto has_attributes = reader.get<std::uint8_t>();
  reader.get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(Change::Kind::kSetAttributes) ||
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
    change.keys.strings = reader.get_strings(count);
  } else if (!change.has_vectors()) {
    damaged();
  }
  if (has_attributes == 1) change.attributes = get_attributes(reader, count, schema);
  if (change.kind == Change::Kind::kSetAttributes && has_attributes == 0) damaged();
  reader.skip_padding();
  const std::size_t vectors = change.has_vectors() ? count * dim * sizeof(float) : 0;
  if (reader.left() != vectors) damaged();
  if (vectors > 0) change.vectors = reinterpret_cast<const float*>(reader.take(vectors));
  return change;
}

}  // namespace lichen
