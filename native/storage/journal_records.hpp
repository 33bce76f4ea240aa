#pragma once
// Changes of an index as records of a journal. A payload is little-endian:
//
//   u8 kind (Change::Kind), u8 kind of the keys, u8 whether there are attributes, u8 0, u32 dim,
//   u64 how many (vectors, or keys of a removal, or queries that the index was calibrated by)
//   keys         integers: i64 each; strings: u32 bytes of each, then the bytes
//   attributes   a column: u8 whether it is given, u8 its kind; if given: numbers f64 each;
//                categories and tags: u32 strings, u32 bytes of each, the bytes, u32 how many
//                codes, u32 codes, and for tags u32 offsets, one more than there are vectors
//   zeros up to a multiple of 8, then the vectors: dim × f32 each

#include <cstdint>
#include <vector>

#include "storage/attribute_table.hpp"
#include "storage/journal.hpp"
#include "storage/key_map.hpp"

namespace lichen {

struct Change {
  enum class Kind : std::uint8_t { kAdd, kUpdate, kUpsert, kRemove, kSetAttributes, kCalibrate };

  Kind kind = Kind::kAdd;
  KeyBatch keys;
  std::size_t count = 0;
  AttributeBatch attributes;       // of as many columns as the schema has, or none
  const float* vectors = nullptr;  // count × dim

  bool has_vectors() const { return kind <= Kind::kUpsert || kind == Kind::kCalibrate; }
};

// The payload but for the vectors.
std::vector<std::uint8_t> encode_change(Change::Kind kind, const KeyBatch& keys, std::size_t count,
                                        std::size_t dim, const AttributeBatch* attributes,
                                        const std::vector<AttributeSpec>& schema);

// The vectors stay where they are. Throws Error(kFormat) for anything but a change of an index of
// this dim and schema.
Change decode_change(const std::uint8_t* payload, std::size_t bytes, std::size_t dim,
                     const std::vector<AttributeSpec>& schema);

}  // namespace lichen
