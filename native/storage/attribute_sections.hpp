#pragma once
// The attributes of an index in a snapshot: one section of the schema and the dictionaries, one or
// two a column. Everything is little-endian.
//
//   kAttributeSchema       u32 version (1), u32 columns; then for each column
//                          u32 kind, u32 bytes of the name, u64 strings, u64 bytes of the strings,
//                          the name, the strings' lengths (u32 each), the strings
//   kAttributeValues + c   number: rows × f64 (NaN = no value); category: rows × u32 (0 = no value,
//                          else 1 + number of the string); tags: rows × u64, a bit a tag, where
//                          there are at most 64 tags, else the u32 numbers of all rows' tags,
//                          ascending in each row
//   kAttributeOffsets + c  tags, where there are more than 64: (rows + 1) × u64, into the numbers

#include <cstdint>
#include <vector>

#include "storage/attribute_table.hpp"
#include "storage/snapshot.hpp"

namespace lichen {

// What a description of attributes refers to beside the table.
struct AttributeImage {
  std::vector<std::uint8_t> schema;
  std::vector<AlignedBuffer<std::uint64_t>> offsets;
  std::vector<AlignedBuffer<std::uint32_t>> tags;
};

// Adds the table's sections, none for a table without columns. The table and the image must stay as
// they are while the sections are in use; the image may be moved.
AttributeImage describe_attributes(const AttributeTable& table, std::vector<SectionData>& sections);
// Reads them; a file without gives a table without columns. Throws Error(kFormat | kIo).
AttributeTable load_attributes(const SnapshotReader& reader, std::size_t rows);
// The schema of a file, without its values. Throws like load_attributes.
std::vector<AttributeSpec> read_attribute_schema(const SnapshotReader& reader);

}  // namespace lichen
